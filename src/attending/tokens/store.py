"""The token store: all histories as memory-mapped arrays with subject offsets (CSR).

    token.npy     int32    (event)        which token
    second.npy    int64    (event)        when it became known, seconds since 1970, rounded up
    value.npy     float32  (event)        standardised numeric value, 0 where there is none
    visit.npy     int32    (event)        ordinal of the visit within its subject; 0 holds the static facts
    offset.npy    int64    (subject + 1)  where each subject starts
    subject.npy   int64    (subject)      subject_id, ascending
    birth.npy     int64    (subject)      seconds since 1970, or NO_BIRTH
    split.npy     int8     (subject)      position in `schema.SPLITS`, or NO_SPLIT for whom the split leaves out

A subject's events are sorted by the second in which they became known, so what is known at a prediction time is a
*prefix*, found by one search, and the leak rule cannot be broken further down. A result that becomes known during a
later visit is part of that later visit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.errors import ArtifactError
from attending.schema import AVAILABLE_TIME, BIRTH, CODE, NUMERIC_VALUE, SPLITS, SUBJECT_ID, TIME, VISIT_ID
from attending.tokens.vocabulary import Config, Vocabulary, kept
from attending.visits import START, stays, with_visit_ids

KINDS = {"token": np.int32, "second": np.int64, "value": np.float32, "visit": np.int32}
SUBJECT_KINDS = {"subject": np.int64, "birth": np.int64, "split": np.int8}
NO_BIRTH = np.iinfo(np.int64).min
NO_SPLIT = -1
SECOND = "second"
ORDINAL = "ordinal"
_HAPPENED = "happened"

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, repr=False)
class TokenStore:
    """Read-only arrays of all histories; opening one reads nothing."""

    token: NDArray[np.int32]
    second: NDArray[np.int64]
    value: NDArray[np.float32]
    visit: NDArray[np.int32]
    offset: NDArray[np.int64]
    subject: NDArray[np.int64]
    birth: NDArray[np.int64]
    split: NDArray[np.int8]

    @classmethod
    def open(cls, folder: Path) -> "TokenStore":
        """Map the arrays of a tokens artifact.

        Raises:
            ArtifactError: if an array is missing or damaged.
        """
        names = [*KINDS, "offset", *SUBJECT_KINDS]
        try:
            # A plain view: indexing the memmap class itself is several times slower.
            loaded = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in names}
        except (OSError, ValueError):
            raise ArtifactError(
                f"expected the arrays {', '.join(names)} (.npy) in {folder}; one is missing or damaged"
            ) from None
        return cls(**loaded)

    def __repr__(self) -> str:
        """Give sizes only: a traceback must not print a patient."""
        return f"TokenStore({len(self.subject)} subjects, {len(self.token)} events)"


def encode_shard(
    events: pl.DataFrame, splits: pl.DataFrame, vocabulary: Vocabulary, config: Config
) -> tuple[Arrays, Arrays]:
    """Return one shard's event arrays, and its subject arrays with a `length` for each subject."""
    subjects = events.select(SUBJECT_ID).unique().sort(SUBJECT_ID).join(splits, on=SUBJECT_ID, how="left")
    births = events.filter(pl.col(CODE) == BIRTH).group_by(SUBJECT_ID).agg(pl.col(TIME).min().alias("birth"))
    subjects = subjects.join(births, on=SUBJECT_ID, how="left", maintain_order="left")
    ordered = _ordered(kept(with_visit_ids(events), config), subjects)
    token, value = vocabulary.encode(ordered)
    lengths = subjects.join(
        ordered.group_by(SUBJECT_ID).agg(pl.len().alias("length")),
        on=SUBJECT_ID,
        how="left",
        maintain_order="left",
    )
    return (
        {
            "token": token,
            "second": ordered[SECOND].to_numpy(),
            "value": value,
            "visit": ordered[ORDINAL].to_numpy().astype(np.int32),
        },
        {
            "subject": subjects[SUBJECT_ID].to_numpy(),
            "birth": _seconds(subjects["birth"]).fill_null(NO_BIRTH).to_numpy(),
            "split": subjects["split"]
            .replace_strict(list(SPLITS), range(len(SPLITS)), return_dtype=pl.Int8)
            .fill_null(NO_SPLIT)
            .to_numpy(),
            "length": lengths["length"].fill_null(0).to_numpy().astype(np.int64),
        },
    )


def join_shards(parts: Sequence[Path], out: Path) -> dict[str, int]:
    """Concatenate the shards' arrays into the store at `out`, subjects ascending, one shard in memory at a time."""
    per_subject = [np.load(part / "subjects.npz", allow_pickle=False) for part in parts]
    subject = np.concatenate([one["subject"] for one in per_subject])
    length = np.concatenate([one["length"] for one in per_subject])
    order = np.argsort(subject, kind="stable")
    offset = np.concatenate([[0], np.cumsum(length[order])]).astype(np.int64)
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    first = 0
    targets = {
        name: np.lib.format.open_memmap(out / f"{name}.npy", mode="w+", dtype=kind, shape=(int(offset[-1]),))
        for name, kind in KINDS.items()
    }
    for part, own in zip(parts, per_subject, strict=True):
        places = position[first : first + len(own["subject"])]
        where = ranges(offset[places], own["length"])
        with np.load(part / "events.npz", allow_pickle=False) as arrays:
            for name, target in targets.items():
                target[where] = arrays[name]
        first += len(places)
    for target in targets.values():
        target.flush()
    np.save(out / "offset.npy", offset)
    for name, kind in SUBJECT_KINDS.items():
        np.save(out / f"{name}.npy", np.concatenate([one[name] for one in per_subject])[order].astype(kind))
    return {"subjects": len(subject), "events": int(offset[-1])}


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `start, start + 1, …` of each range, one range after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)


def _ordered(events: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    """Sort events as they became known and number the visits they belong to."""
    known = pl.coalesce(AVAILABLE_TIME, TIME) if AVAILABLE_TIME in events.columns else pl.col(TIME)
    births = events.select(SUBJECT_ID).join(
        subjects.select(SUBJECT_ID, "birth"), on=SUBJECT_ID, how="left", maintain_order="left"
    )
    first = known.min().over(SUBJECT_ID)
    second = pl.coalesce(known, births["birth"], first, pl.lit(0).cast(pl.Datetime("us")))
    events = events.select(
        SUBJECT_ID,
        pl.col(TIME).is_not_null().alias(_HAPPENED),
        _ceiled(second).alias(SECOND),
        _visit_ordinals(events),
        TIME,
        pl.col(CODE).cast(pl.Enum(events[CODE].unique().sort())),  # a number in the order of the codes
        NUMERIC_VALUE,
    )
    # The columns are in the order that decides.
    events = events.sort(pl.all(), maintain_order=True, nulls_last=False)
    # A static fact is known before everything; a late result joins the visit in which it arrives.
    return events.with_columns(
        pl.col(ORDINAL).cum_max().over(SUBJECT_ID),
        pl.when(_HAPPENED).then(SECOND).otherwise(pl.col(SECOND).min().over(SUBJECT_ID)).alias(SECOND),
    )


def _visit_ordinals(events: pl.DataFrame) -> pl.Series:
    """Count the visits of each subject from 1 by their start; events outside every stay form one visit a day."""
    outside = pl.col(VISIT_ID).is_null() & pl.col(TIME).is_not_null()
    day = pl.col(TIME).dt.truncate("1d").alias(START)
    days = events.filter(outside).select(SUBJECT_ID, VISIT_ID, day).unique()
    groups = pl.concat([stays(events).select(SUBJECT_ID, VISIT_ID, START), days])
    groups = groups.sort(SUBJECT_ID, START, VISIT_ID, nulls_last=False).with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(SUBJECT_ID).alias(ORDINAL)
    )
    of_visit = groups.filter(pl.col(VISIT_ID).is_not_null()).select(SUBJECT_ID, VISIT_ID, ORDINAL)
    of_day = groups.filter(pl.col(VISIT_ID).is_null()).select(
        SUBJECT_ID, START, pl.col(ORDINAL).alias("of_day")
    )
    found = events.select(SUBJECT_ID, VISIT_ID, pl.when(outside).then(day).alias(START))
    found = found.join(of_visit, on=[SUBJECT_ID, VISIT_ID], how="left", maintain_order="left")
    found = found.join(of_day, on=[SUBJECT_ID, START], how="left", maintain_order="left")
    return found.select(pl.coalesce(ORDINAL, "of_day", 0).cast(pl.Int32).alias(ORDINAL)).to_series()


def _ceiled(time: pl.Expr) -> pl.Expr:
    return -((-time.dt.timestamp("us")).floordiv(1_000_000))


def _seconds(times: pl.Series) -> pl.Series:
    return times.dt.epoch("s")
