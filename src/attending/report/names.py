"""Names for codes: what a clinician reads in place of `DIAGNOSIS//ICD//10//I509` or `LAB//50912//mg/dL`."""

from collections.abc import Mapping

from attending import schema as s

SEXES = {"F": "Female", "M": "Male"}
KINDS = {
    s.DIAGNOSIS: "Diagnosis",
    s.PROCEDURE: "Procedure",
    s.MEDICATION: "Medication",
    s.LAB: "Laboratory",
    s.ADMISSION: "Admission",
    s.DISCHARGE: "Discharge",
    s.SEX: "Sex",
    s.RACE: "Race or ethnicity",
    s.INSURANCE: "Insurance",
    s.BIRTH: "Birth",
    s.DEATH: "Death",
}
ACRONYMS = {"DRG", "ED", "HCPCS", "ICD", "ICU", "IVF", "OMR"}
BY_LAST_PART = {s.DIAGNOSIS, s.PROCEDURE}
NAMED_ALONE = {s.MEDICATION, s.LAB}


class Names:
    """Look up the names of codes and outcomes; a code without one is made readable."""

    def __init__(self, codes: Mapping[str, str], outcomes: Mapping[str, str]) -> None:
        self._codes = codes
        self._outcomes = outcomes

    def code(self, code: str) -> str:
        """Return the name of an event's code."""
        return self._codes.get(code) or readable(code)

    def outcome(self, outcome: str) -> str:
        """Return the name of an outcome."""
        return self._outcomes.get(outcome) or self.code(outcome)

    def sex(self, code: str) -> str:
        """Return "Female" for `GENDER//F`."""
        return _sex(code.split(s.SEPARATOR)[-1])

    def race(self, code: str) -> str:
        """Return "White" for `RACE//WHITE`."""
        return _race(code.split(s.SEPARATOR)[-1])


def readable(code: str) -> str:
    """Return a code that has no description in readable form."""
    kind, *parts = (part for part in code.split(s.SEPARATOR) if part)
    if not parts:
        return kind_name(kind)
    if kind in BY_LAST_PART:
        return parts[-1]
    text = BY_VALUE[kind](parts[-1]) if kind in BY_VALUE else sentence(" · ".join(parts))
    return text if kind in NAMED_ALONE else f"{kind_name(kind)}: {text}"


def kind_name(kind: str) -> str:
    """Return what events whose code starts with `kind` are called."""
    return KINDS.get(kind) or sentence(kind)


def sentence(text: str) -> str:
    """Return SHOUTED_NAMES as a sentence would have them; text with small letters and acronyms stay."""
    text = text.replace("_", " ").strip()
    if text == text.upper():
        text = " ".join(word if word in ACRONYMS else word.lower() for word in text.split())
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


def inline(name: str) -> str:
    """Return a name as it stands within a sentence."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


def _sex(value: str) -> str:
    return SEXES.get(value) or sentence(value)


def _race(value: str) -> str:
    return value.replace("_", " ").title()


BY_VALUE = {s.SEX: _sex, s.RACE: _race}
