"""Who a subject is, as far as it is known at the time of a prediction: sex, age, race, insurance, hospital, year.

Only events of these codes are read, and only those known by the prediction time count, the latest of them. What is not
known is the group `unknown`. Groups of few held-out subjects become `all others` where there are many groups (race,
insurance, hospital); years are gathered into spans. An attribute of one group is none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.evaluate.samples import SMALLEST_CELL
from attending.schema import (
    ADMISSION,
    AVAILABLE_TIME,
    BIRTH,
    CODE,
    HOSPITAL,
    INSURANCE,
    MICROSECONDS,
    PREDICTION_TIME,
    RACE,
    SEPARATOR,
    SEX,
    SUBJECT_ID,
    TIME,
)

UNKNOWN, OTHERS = "unknown", "all others"
DAYS_A_YEAR = 365.25
AGES = ((18, "under 18"), (45, "18–44"), (65, "45–64"), (80, "65–79"), (200, "80 and over"))
STAYS = ((2, "first stay"), (3, "second stay"), (6, "3–5 stays"), (10**9, "6 stays and more"))
N_GROUPS = 6
MOST_YEARS = 30  # more of them are dates shifted by subject, which say nothing about a year
ROW, WHEN, GROUP = "row", "when", "group"


@dataclass(frozen=True)
class Attribute:
    """A division of samples: `name`, its `groups` by name, and the number of each sample's group (n,) per frame."""

    name: str
    groups: list[str]
    members: list[NDArray[np.intp]]


def attributes(events: Path, frames: Sequence[pl.DataFrame]) -> list[Attribute]:
    """Return the attributes by which the samples of `frames` divide; groups are gathered by the subjects of the last.

    `frames` hold `subject_id, prediction_time`; members are in the order of their rows.
    """
    facts = _facts(events, pl.concat([frame.select(SUBJECT_ID) for frame in frames]).unique())
    named: list[tuple[str, Callable[[pl.DataFrame], pl.Series], bool]] = [
        ("sex", lambda frame: _latest(facts, frame, SEX), False),
        ("age", lambda frame: _ages(facts, frame), False),
        ("race", lambda frame: _latest(facts, frame, RACE), True),
        ("insurance", lambda frame: _latest(facts, frame, INSURANCE), True),
        ("hospital", lambda frame: _latest(facts, frame, HOSPITAL), True),
        ("stays", lambda frame: _stays(facts, frame), False),
    ]
    found = [_attribute(name, [of(frame) for frame in frames], frames, gather) for name, of, gather in named]
    years = [frame[PREDICTION_TIME].dt.year() for frame in frames]
    if pl.concat(years).n_unique() <= MOST_YEARS:
        found.append(_attribute("year", _spans(years), frames, False))
    return [one for one in found if len(one.groups) > 1]


def _facts(events: Path, subjects: pl.DataFrame) -> pl.DataFrame:
    """Return `subject_id, code, time, when` of the events that say who someone is; `when` they became known."""
    shards = sorted((events / "data").glob("*.parquet"))
    if not shards:
        return pl.DataFrame(
            schema={SUBJECT_ID: pl.Int64(), CODE: pl.String(), TIME: MICROSECONDS, WHEN: MICROSECONDS}
        )
    starts = [
        pl.col(CODE).str.starts_with(kind + SEPARATOR) for kind in (SEX, RACE, INSURANCE, HOSPITAL, ADMISSION)
    ]
    wanted = pl.any_horizontal(*starts, pl.col(CODE) == ADMISSION, pl.col(CODE) == BIRTH)
    scan = pl.scan_parquet(shards).filter(wanted)
    known = pl.coalesce(AVAILABLE_TIME, TIME, pl.datetime(1, 1, 1)).cast(MICROSECONDS).alias(WHEN)
    found = scan.join(subjects.lazy(), on=SUBJECT_ID, how="semi").select(SUBJECT_ID, CODE, TIME, known)
    return found.collect().sort(WHEN, CODE)


def _latest(facts: pl.DataFrame, frame: pl.DataFrame, kind: str) -> pl.Series:
    """Return the value behind `kind` that was known last at each prediction; null where none was."""
    values = facts.filter(pl.col(CODE).str.starts_with(kind + SEPARATOR))
    named = values.select(SUBJECT_ID, WHEN, pl.col(CODE).str.strip_prefix(kind + SEPARATOR).alias(GROUP))
    return _as_of(named, frame)[GROUP]


def _ages(facts: pl.DataFrame, frame: pl.DataFrame) -> pl.Series:
    born = facts.filter((pl.col(CODE) == BIRTH) & pl.col(TIME).is_not_null()).select(SUBJECT_ID, WHEN, TIME)
    days = (pl.col(PREDICTION_TIME) - pl.col(TIME)).dt.total_seconds() / 86400
    return _as_of(born, frame).select(_banded(days / DAYS_A_YEAR, AGES).alias(GROUP))[GROUP]


def _stays(facts: pl.DataFrame, frame: pl.DataFrame) -> pl.Series:
    began = facts.filter(pl.col(CODE).str.starts_with(ADMISSION)).sort(SUBJECT_ID, WHEN)
    counted = began.select(SUBJECT_ID, WHEN, pl.int_range(1, pl.len() + 1).over(SUBJECT_ID).alias("n"))
    return _as_of(counted.sort(WHEN), frame).select(_banded(pl.col("n"), STAYS).alias(GROUP))[GROUP]


def _banded(value: pl.Expr, bands: Sequence[tuple[int, str]]) -> pl.Expr:
    """Return the name of the first band whose end is above `value`."""
    return pl.coalesce(*(pl.when(value < end).then(pl.lit(name)) for end, name in bands))


def _as_of(values: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` in its order, with the columns of the last row of `values` that was known by each prediction."""
    asked = frame.select(SUBJECT_ID, PREDICTION_TIME).with_row_index(ROW).sort(PREDICTION_TIME)
    joined = asked.join_asof(
        values,
        left_on=PREDICTION_TIME,
        right_on=WHEN,
        by=SUBJECT_ID,
        strategy="backward",
        check_sortedness=False,
    )
    return joined.sort(ROW)


def _spans(years: Sequence[pl.Series]) -> list[pl.Series]:
    """Return years as they are in the last frame, or as spans of about as many of its samples each."""
    values, counts = np.unique(years[-1].to_numpy(), return_counts=True)
    span = np.arange(len(values))
    if len(values) > N_GROUPS:
        middle = (np.cumsum(counts) - counts / 2) / counts.sum()
        span = np.unique((middle * N_GROUPS).astype(int), return_inverse=True)[1]
    inside = [values[span == at] for at in range(int(span.max()) + 1)]
    names = np.array([f"{of[0]}" if len(of) == 1 else f"{of[0]}–{of[-1]}" for of in inside])
    ends = np.array([of[-1] for of in inside[:-1]])
    return [pl.Series(names[np.searchsorted(ends, of_frame.to_numpy())]) for of_frame in years]


def _attribute(
    name: str, groups: Sequence[pl.Series], frames: Sequence[pl.DataFrame], gather: bool
) -> Attribute:
    filled = [of_frame.cast(pl.String).fill_null(UNKNOWN) for of_frame in groups]
    if gather:
        kept = _large(filled[-1], frames[-1])
        filled = [
            pl.select(pl.when(of_frame.is_in(kept)).then(of_frame).otherwise(pl.lit(OTHERS))).to_series()
            for of_frame in filled
        ]
    order = sorted(set(pl.concat(filled).to_list()), key=_place)
    place = {group: at for at, group in enumerate(order)}
    members = [
        of_frame.replace_strict(place, return_dtype=pl.Int64).to_numpy().astype(np.intp)
        for of_frame in filled
    ]
    return Attribute(name, order, members)


def _large(groups: pl.Series, frame: pl.DataFrame) -> list[str]:
    """Return the groups of the most subjects, none of them small; the rest are gathered."""
    sizes = (
        pl.DataFrame({GROUP: groups, SUBJECT_ID: frame[SUBJECT_ID]})
        .unique()
        .group_by(GROUP)
        .len("n_subjects")
    )
    large = sizes.filter(pl.col("n_subjects") >= SMALLEST_CELL).sort(
        "n_subjects", GROUP, descending=[True, False]
    )
    return [*large.filter(pl.col(GROUP) != UNKNOWN)[GROUP].head(N_GROUPS).to_list(), UNKNOWN]


def _place(group: str) -> tuple[int, str]:
    """Order bands as they are listed, names by the alphabet, and the rest last."""
    bands = [name for _, name in (*AGES, *STAYS)]
    last = {OTHERS: 1000, UNKNOWN: 1001}
    return (bands.index(group) if group in bands else last.get(group, 500), group)
