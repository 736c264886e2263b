"""Drug names as hospitals write them → ingredients: strength, form, route, brand in brackets and salt are taken off.

    5 ML VIAL : DILTIAZEM HCL 25 MG/5ML IV SOLN                        diltiazem
    Acetaminophen 325 MG / oxyCODONE Hydrochloride 5 MG Oral Tablet    acetaminophen, oxycodone
    HYDROmorphone (Dilaudid)                                           hydromorphone
    Potassium Chloride ER 20 mEq Tab                                   potassium chloride

A salt is taken off only where a drug is left: of `potassium chloride` the cation alone would be no drug. Nothing is
looked up here, so a brand stays a brand; `ndc.Directory` knows which ingredients it has, and their classes.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files

_UNITS = (
    r"(?:mcg|mg|g|gm|gram|grams|kg|ml|l|liter|meq|mmole?|mol|units?|unt|iu|mu|millionunits?|puffs?|sprays?|drops?|hr|"
    r"hours?|min|day|actuat|act|inh|mci|ppm|cells|bau|each|ea|tab|tabs|dose|doses|in|cm|%)"
)
_NUMBER = r"\d[\d,]*(?:\.\d+)?|\.\d+"
_STRENGTH = re.compile(
    rf"(?<![\w.])(?:{_NUMBER})(?:\s*-\s*(?:{_NUMBER}))*\s*{_UNITS}?(?:\s*/\s*(?:{_NUMBER})?\s*{_UNITS})*(?![\w.])"
)
_UNIT_AFTER_SLASH = re.compile(rf"/\s*{_UNITS}(?!\w)")
_PACKAGE = re.compile(r"^[^:]*\d[^:]*:\s+(?=\D)")  # `5 ML VIAL : name`
_TRAILING_PACKAGE = re.compile(r"\s:\s.*$")
_BRACKETS = re.compile(r"\[[^\]]*\]?|\([^)]*\)?")
_INSIDE = re.compile(r"[\[(]([^\])]*)")
_DILUTED = re.compile(r"\s(?:in|w/|with)\s.*$")
_SPLIT = re.compile(r"\s*(?:/|;|&|\+|,|\band\b|\bw/)\s*")
_HYPHENATED = re.compile(r"[a-z]{6,}(?: [a-z]+)*(?:-[a-z]{6,}(?: [a-z]+)*)+")
_AFTER_STRENGTH = re.compile(r"\s-(?=[a-z])")  # `HYDROCODONE 5 MG-ACETAMINOPHEN 325 MG`
_NOT_WORDS = re.compile(r"[^a-z0-9' -]+")
_SHORT = {
    "ns": ["sodium chloride"],
    "normal saline": ["sodium chloride"],
    "d5w": ["dextrose"],
    "d10w": ["dextrose"],
    "asa": ["aspirin"],
    "apap": ["acetaminophen"],
    "ntg": ["nitroglycerin"],
    "kcl": ["potassium chloride"],
    "nacl": ["sodium chloride"],
    "lr": ["lactated ringers"],
}


def ingredients(name: str, known: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Return the ingredients that a drug's name names, in its order; none where it names none, such as `Bag`.

    `known` says of a lower-case name that it is one whole drug, so that its hyphen or comma parts nothing.
    """
    text = _PACKAGE.sub("", name.lower().strip())
    text = _TRAILING_PACKAGE.sub("", text)
    outside = _BRACKETS.sub(" ", text).strip()
    if not outside and (inside := _INSIDE.search(text)):
        outside = inside[1]
    outside = _DILUTED.sub("", f" {outside}").strip()
    if known(outside):
        return [outside]
    without = _UNIT_AFTER_SLASH.sub(" ", _STRENGTH.sub(" ", outside))
    without = _AFTER_STRENGTH.sub(" / ", without)
    found: list[str] = []
    for part in _SPLIT.split(without):
        found += _parted(_words(part), known)
    return list(dict.fromkeys(found))


def _parted(drug: str, known: Callable[[str], bool]) -> list[str]:
    if drug in _SHORT:
        return _SHORT[drug]
    if _HYPHENATED.fullmatch(drug) and not known(drug):
        return [_without_salts(one.split()) for one in drug.split("-")]
    return [drug] if len(drug) > 1 else []


def _words(part: str) -> str:
    words = [word.strip("-'") for word in _NOT_WORDS.sub(" ", part).split()]
    forms = _listed("form")
    words = [word for word in words if word and word not in forms and not word.isdigit()]
    while len(words) > 1 and words[-1] in _listed("diluent"):
        words.pop()
    return _without_salts(words)


def _without_salts(words: list[str]) -> str:
    kept = list(words)
    while len(kept) > 1 and kept[-1] in _listed("salt"):
        kept.pop()
    if len(kept) == 1 and kept[0] in _listed("ion"):
        kept = words
    return " ".join(kept)


def substance(name: str) -> str:
    """Return a substance as a registry names it, `DILTIAZEM HYDROCHLORIDE`, in lower case and without its salt."""
    return _without_salts(name.lower().replace(",", " ").split())


@cache
def _listed(kind: str) -> frozenset[str]:
    """Return the words of a kind: forms and routes, salts, ions that are no drug alone, diluents."""
    text = files("attending.ontology").joinpath("drug_words.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return frozenset(word for name, words in rows if name == kind for word in words.split())
