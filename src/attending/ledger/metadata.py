"""What stands beside the events: codes, splits, the description of the data set, the quarantine."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from attending import __version__, parquet
from attending.artifact import write_atomic, write_json
from attending.errors import LedgerError
from attending.ledger.context import Context
from attending.ledger.lines import blocks
from attending.ledger.quarantine import TABLE_OF_ROW, UNIT_OF_ROW
from attending.ledger.table import Source
from attending.ledger.units import Unit
from attending.ontology import terms
from attending.ontology.vocabularies import Vocabularies
from attending.schema import (
    CODE,
    CODES,
    DESCRIPTION,
    EXTENSION_COLUMNS,
    FILE,
    LINE,
    MEDS_VERSION,
    N_EVENTS,
    N_LINES,
    PARENT_CODES,
    RAW,
    SOURCE_ID,
    SPLIT,
    SUBJECT_ID,
    SUBJECT_IDS,
    SUBJECT_SPLITS,
)
from attending.shares import split_of

_GIVEN = "_given"


def write_codes(
    path: Path,
    counted: list[Path],
    source: Source,
    dictionaries: Context,
    vocabularies: Vocabularies | None = None,
) -> int:
    """Write every code of the data, its name, its parents and the number of its events; return how many.

    What the source knows of a code comes first, then the user's vocabularies, then public tables.
    """
    counts = pl.concat([pl.read_parquet(file) for file in counted], how="diagonal")
    named = [pl.col(DESCRIPTION).min()] if DESCRIPTION in counts.columns else []
    counts = counts.group_by(CODE).agg(pl.col(N_EVENTS).sum(), *named).sort(CODE)
    own = source.describe(counts[CODE], dictionaries)
    if named:
        own = _with_names(own, counts.select(CODE, DESCRIPTION))
        counts = counts.drop(DESCRIPTION)
    known = terms.describe(counts[CODE], own, vocabularies)
    codes = counts.join(known, on=CODE, how="left", maintain_order="left")
    if own is not None:
        more = own.select(CODE, *(name for name in own.columns if name not in codes.columns))
        codes = codes.join(more, on=CODE, how="left", maintain_order="left")
    first = list(CODES.columns)
    codes = codes.select(*first, *(name for name in codes.columns if name not in first))
    parquet.write(path, CODES.check(codes, str(path)))
    return codes.height


def _with_names(own: pl.DataFrame | None, events: pl.DataFrame) -> pl.DataFrame:
    """Name codes as their events do, and those that events do not name as the source does."""
    if own is None:
        return events.with_columns(pl.lit(None, pl.List(pl.String)).alias(PARENT_CODES))
    given = events.rename({DESCRIPTION: _GIVEN})
    both = given.join(own, on=CODE, how="left", maintain_order="left")
    return both.with_columns(pl.coalesce(_GIVEN, DESCRIPTION).alias(DESCRIPTION)).drop(_GIVEN)


def write_splits(
    path: Path, subjects: list[Path], given: pl.DataFrame | None, shares: Mapping[str, float], seed: int
) -> int:
    """Write the split of every subject, the source's own where it has one; return how many subjects."""
    ids = pl.concat([pl.read_parquet(file) for file in subjects]).sort(SUBJECT_ID)
    splits = ids.with_columns(split_of(ids[SUBJECT_ID], shares, seed))
    if given is not None:
        own = given.select(SUBJECT_ID, pl.col(SPLIT).alias("given")).unique(SUBJECT_ID, keep="first")
        splits = splits.join(own, on=SUBJECT_ID, how="left", maintain_order="left")
        splits = splits.select(SUBJECT_ID, pl.col("given").fill_null(pl.col(SPLIT)).alias(SPLIT))
    parquet.write(path, SUBJECT_SPLITS.check(splits, str(path)))
    return splits.height


def write_dataset(path: Path, name: str) -> None:
    """Write `dataset.json`; when and from what the data were made is in the manifest."""
    write_json(
        path,
        {
            "dataset_name": name,
            "etl_name": "attending",
            "etl_version": __version__,
            "meds_version": MEDS_VERSION,
            "other_extension_columns": list(EXTENSION_COLUMNS),
        },
    )


def write_subject_ids(path: Path, parts: Sequence[Path]) -> None:
    """Write the source's own id of every subject whose id had to be hashed; nothing if there is none.

    Raises:
        LedgerError: if two ids have one hash.
    """
    if not parts:
        return
    ids = pl.concat([pl.read_parquet(part) for part in parts]).unique().sort(SUBJECT_ID, SOURCE_ID)
    if ids[SUBJECT_ID].is_duplicated().any():
        raise LedgerError(
            "two subjects' identifiers have one hash: please report this; the data cannot be read"
        )
    parquet.write(path, SUBJECT_IDS.check(ids, str(path)))


def write_quarantine(
    folder: Path, parts: Sequence[Path], units: Mapping[int, Unit], *, keep_raw: bool
) -> None:
    """Write what was set aside, a file for each table, in the order of files and lines.

    `keep_raw` adds the text of whole lines, where the file is one of lines.
    """
    if not parts:
        return
    faults = pl.concat([pl.read_parquet(part) for part in parts])
    for (table,), lines in faults.partition_by(TABLE_OF_ROW, as_dict=True).items():
        named = _named(lines.drop(TABLE_OF_ROW), units)
        if keep_raw:
            named = pl.concat([_with_text(one, units) for one in named.partition_by(UNIT_OF_ROW)])
        name = str(table or "records").replace("/", "_")
        write_atomic(folder / f"{name}.parquet", named.drop(UNIT_OF_ROW).write_parquet)


def _named(lines: pl.DataFrame, units: Mapping[int, Unit]) -> pl.DataFrame:
    lines = lines.sort(UNIT_OF_ROW, LINE, maintain_order=True)
    names = {number: units[number].name for number in lines[UNIT_OF_ROW].unique().to_list()}
    return lines.with_columns(pl.col(UNIT_OF_ROW).replace_strict(names, return_dtype=pl.String).alias(FILE))


def _with_text(lines: pl.DataFrame, units: Mapping[int, Unit]) -> pl.DataFrame:
    path = units[lines[UNIT_OF_ROW][0]].path
    if path is None or path.suffix == ".parquet":
        return lines.with_columns(pl.lit(None, pl.String).alias(RAW))
    wanted = dict(lines.select(LINE, N_LINES).iter_rows())
    texts = dict(_texts(path, wanted))
    return lines.with_columns(pl.Series(RAW, [texts.get(line) for line in lines[LINE].to_list()], pl.String))


def _texts(path: Path, wanted: dict[int, int]) -> Iterator[tuple[int, str]]:
    """Yield the text of the wanted records, each given by its first line and its number of lines."""
    held: list[bytes] = []
    first = left = 0
    for number, line in enumerate(_lines(path), start=1):
        if not left and number in wanted:
            first, left = number, wanted[number]
        if left:
            held.append(line)
            left -= 1
            if not left:
                yield first, b"\n".join(held).decode("utf-8", errors="replace")
                held = []


def _lines(path: Path) -> Iterator[bytes]:
    carry = b""
    for block in blocks(path, 2**22):
        *whole, carry = (carry + block).split(b"\n")
        yield from whole
    if carry:
        yield carry
