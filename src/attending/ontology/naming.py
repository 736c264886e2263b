"""Name every code of a data set: ICD titles, the source's own labels of items, else the code's words."""

from collections.abc import Mapping

import polars as pl

from attending.ontology import icd
from attending.schema import BIRTH, CODE, DEATH, DESCRIPTION, PARENT_CODES, SEPARATOR

UNKNOWN = "UNK"
_PLAIN = {BIRTH: "Birth", DEATH: "Death"}
_ACRONYMS = {"DRG", "ED", "HCPCS", "ICU", "OMR"}
Labels = Mapping[str, Mapping[str, str]]
"""Labels of items, by the part of the code before the item: `{"LAB": {"50912": "Creatinine"}}`."""


def describe(codes: pl.Series, labels: Labels) -> pl.DataFrame:
    """Return description and parent codes of each of the unique `codes`."""
    unique = codes.to_list()
    return pl.DataFrame(
        {
            CODE: unique,
            DESCRIPTION: [name(code, labels) for code in unique],
            PARENT_CODES: [icd.parents(code) for code in unique],
        },
        schema={CODE: pl.String, DESCRIPTION: pl.String, PARENT_CODES: pl.List(pl.String)},
    )


def name(code: str, labels: Labels) -> str:
    """Return one code's name; there always is one."""
    return icd.describe(code) or _labelled(code, labels) or plain_words(code)


def _labelled(code: str, labels: Labels) -> str | None:
    """Find the item after the longest prefix that has labels; parts after it, such as a unit, follow."""
    parts = code.split(SEPARATOR)
    for length in range(len(parts) - 1, 0, -1):
        label = labels.get(SEPARATOR.join(parts[:length]), {}).get(parts[length])
        if label:
            more = ", ".join(part for part in parts[length + 1 :] if part != UNKNOWN)
            return f"{label} ({more})" if more else label
    return None


def plain_words(code: str) -> str:
    """Return the words of a code itself: `INSURANCE//Medicare` is "Insurance: Medicare"."""
    if code in _PLAIN:
        return _PLAIN[code]
    first, *rest = code.split(SEPARATOR)
    known = ", ".join(part for part in rest if part != UNKNOWN)
    title = " ".join(word if word in _ACRONYMS else word.lower() for word in first.split("_"))
    title = title[:1].upper() + title[1:] if first.isupper() else first
    return f"{title}: {known}" if known else title
