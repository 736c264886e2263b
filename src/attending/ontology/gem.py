"""CMS's general equivalence mappings between ICD-9-CM and ICD-10-CM diagnoses, both ways (2018, the last).

One row is one target of one source code. Most codes have several, in one of two ways:

    alternatives    rows with `combination` false: each stands for the source alone
    combinations    rows with `combination` true: within one `scenario`, one target from every `choice_list`
                    together stand for the source

`approximate` says that the two do not mean quite the same; `no_map` that there is no target at all (it is null).
The two directions are not each other's inverse: 21 % of the pairs from ICD-9, and 76 % of those from ICD-10, are not
in the other. Of procedures no fitting package ships the mappings: `read` takes CMS's own files (`gem_i9pcs.txt`,
`gem_pcsi9.txt`).
"""

from collections import defaultdict
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

import polars as pl
from polars import col

from attending.errors import SourceError
from attending.ontology import _icd_tables as tables

Direction = Literal["icd9_to_icd10", "icd10_to_icd9"]
SOURCE, TARGET = "source", "target"
APPROXIMATE, NO_MAP, COMBINATION = "approximate", "no_map", "combination"
SCENARIO, CHOICE_LIST = "scenario", "choice_list"
_FILES: dict[Direction, str] = {
    "icd9_to_icd10": "icd9toicd10cmgem.csv",
    "icd10_to_icd9": "icd10cmtoicd9gem.csv",
}
_N_FLAGS = 5


@cache
def pairs(direction: Direction) -> pl.DataFrame:
    """Return all pairs of codes, without dots, and their flags."""
    file = tables.data_file(_FILES[direction])
    raw = pl.read_csv(file, infer_schema=False)
    return _flagged(raw.select(raw.columns[:3]).rename(dict(zip(raw.columns, _RAW, strict=False))))


def read(path: Path) -> pl.DataFrame:
    """Read a mapping file in CMS's own format: source, target and five digits, between spaces.

    Raises:
        SourceError: if a line is not so.
    """
    lines = pl.Series(path.read_text(encoding="utf-8").splitlines(), dtype=pl.String).str.strip_chars()
    parts = lines.filter(lines != "").to_frame("line").select(col("line").str.extract_groups(_LINE))
    rows = parts.unnest("line")
    if rows.null_count().sum_horizontal().sum():
        raise SourceError(f"expected lines of 'source target 00000' in {path}, a general equivalence mapping")
    return _flagged(rows.rename(dict(zip(rows.columns, _RAW, strict=True))))


_RAW = (SOURCE, TARGET, "flags")
_LINE = rf"^(\S+)\s+(\S+)\s+(\d{{{_N_FLAGS}}})$"


def _flagged(rows: pl.DataFrame) -> pl.DataFrame:
    def digit(place: int) -> pl.Expr:
        return col("flags").str.slice(place, 1).cast(pl.Int8)

    return rows.select(
        SOURCE,
        pl.when(digit(1) == 0).then(TARGET).alias(TARGET),
        (digit(0) == 1).alias(APPROXIMATE),
        (digit(1) == 1).alias(NO_MAP),
        (digit(2) == 1).alias(COMBINATION),
        digit(3).alias(SCENARIO),
        digit(4).alias(CHOICE_LIST),
    )


def targets(code: str, mapping: pl.DataFrame) -> list[tuple[str, ...]]:
    """Return what may stand for `code` in `mapping`: each a code, or codes that must stand together."""
    rows = mapping.filter(col(SOURCE) == code, ~col(NO_MAP))
    found: list[tuple[str, ...]] = [(target,) for target in rows.filter(~col(COMBINATION))[TARGET]]
    together = rows.filter(col(COMBINATION))
    scenarios: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for scenario, choice, target in together.select(SCENARIO, CHOICE_LIST, TARGET).iter_rows():
        scenarios[scenario][choice].append(target)
    for choices in scenarios.values():
        found += product(*(choices[choice] for choice in sorted(choices)))
    return found
