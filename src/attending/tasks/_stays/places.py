"""Stays in hospital and in intensive care: when each began and ended, and whether in death.

A stay in hospital is a visit that an admission began: neither a clinic nor an emergency department is one. It ends at
its discharge. A stay in intensive care, which lies in a visit or is one, ends at the next discharge from a unit in that
visit. A stay whose end is not recorded is not *ended*: it lasts at least until the last event of its visit.

A subject died in a stay if the death is not later than its end, or if the discharge says so (`…//DIED`,
`…//EXPIRED`); then the death is not later than the discharge.
"""

from typing import Literal

import polars as pl
from polars import col

from attending.cohort import deaths
from attending.errors import TaskError
from attending.schema import ADMISSION, CODE, DEATH, DISCHARGE, SUBJECT_ID, TIME, VISIT_ID
from attending.visits import END, START, is_code, stays

Place = Literal["hospital", "icu"]
ICU_ADMISSION, ICU_DISCHARGE = "ICU_ADMISSION", "ICU_DISCHARGE"
ENDED, DIED = "ended", "died"
NAMES: dict[Place, str] = {"hospital": "hospital", "icu": "intensive care"}
_DEAD = "//DIED$|//EXPIRED$"
_DEAD_THERE = "dead_there"
_KEYS = [SUBJECT_ID, VISIT_ID]


def stays_in(place: Place, events: pl.DataFrame) -> pl.DataFrame:
    """Return a row a stay: subject_id, visit_id, visit_start, visit_end, ended, died, MEDS_DEATH.

    `events` carry visits: see `visits.with_visit_ids`.
    """
    return _in_hospital(events) if place == "hospital" else _in_intensive_care(events)


def still_there(at: str) -> pl.Expr:
    """Say whether a stay still runs after the moment `at`, and its subject still lives."""
    return (col(END) > col(at)) & (col(DEATH).is_null() | (col(DEATH) > col(at)))


def hours_after(start: str, hours: float) -> pl.Expr:
    """Return the moment some hours after the column `start`."""
    return col(start) + pl.duration(seconds=round(hours * 3600))


def check_place(place: Place, codes: list[str]) -> None:
    """Fail where the data set has no stays of this kind.

    Raises:
        TaskError: if none of the codes admits to intensive care.
    """
    begun = any(code.split("//")[0] == ICU_ADMISSION for code in codes)
    if place == "icu" and not begun:
        raise TaskError(
            f"the data set has no {ICU_ADMISSION}, so no stays in intensive care: set task.stay=hospital"
        )


def _in_hospital(events: pl.DataFrame) -> pl.DataFrame:
    admitted = events.filter(is_code(ADMISSION)).select(_KEYS).unique()
    left = events.filter(is_code(DISCHARGE) & col(TIME).is_not_null())
    left = left.group_by(_KEYS).agg(col(CODE).str.contains(_DEAD).any().alias(_DEAD_THERE))
    visits = stays(events).join(admitted, on=_KEYS, how="semi", maintain_order="left")
    visits = visits.join(left, on=_KEYS, how="left", maintain_order="left")
    visits = visits.join(deaths(events), on=SUBJECT_ID, how="left", maintain_order="left")
    return _with_deaths(visits.with_columns(col(_DEAD_THERE).is_not_null().alias(ENDED)))


def _in_intensive_care(events: pl.DataFrame) -> pl.DataFrame:
    whole = stays(events).select(*_KEYS, col(END).alias("visit_ends"))
    whole = whole.join(
        _in_hospital(events).select(*_KEYS, col(DEATH).alias("in_hospital")), on=_KEYS, how="left"
    )
    whole = whole.join(deaths(events), on=SUBJECT_ID, how="left")
    whole = whole.with_columns(pl.coalesce("in_hospital", DEATH).alias(DEATH)).drop("in_hospital")
    at = events.filter(col(TIME).is_not_null() & col(VISIT_ID).is_not_null())
    begun = at.filter(is_code(ICU_ADMISSION)).select(*_KEYS, col(TIME).alias(START)).unique()
    left = at.filter(is_code(ICU_DISCHARGE)).select(
        *_KEYS, col(TIME).alias(END), col(CODE).str.contains(_DEAD).alias(_DEAD_THERE)
    )
    units = begun.sort(*_KEYS, START).join_asof(
        left.sort(*_KEYS, END, _DEAD_THERE),
        left_on=START,
        right_on=END,
        by=_KEYS,
        strategy="forward",
        coalesce=False,
        check_sortedness=False,
    )
    following = col(START).shift(-1).over(_KEYS)
    ended = (col(END) <= following).fill_null(col(END).is_not_null())
    units = units.with_columns(ended.alias(ENDED), following.alias("following"))
    units = units.join(whole, on=_KEYS, how="inner", maintain_order="left")
    last = pl.max_horizontal(START, pl.min_horizontal("following", "visit_ends"))
    units = units.with_columns(
        pl.when(ENDED).then(END).otherwise(last).alias(END), col(_DEAD_THERE) & col(ENDED)
    )
    return _with_deaths(units).sort(SUBJECT_ID, START, END, VISIT_ID)


def _with_deaths(found: pl.DataFrame) -> pl.DataFrame:
    dead = col(_DEAD_THERE).fill_null(value=False)
    found = found.with_columns(
        pl.when(dead).then(pl.min_horizontal(DEATH, END)).otherwise(DEATH).alias(DEATH)
    )
    in_stay = dead | (col(DEATH) <= col(END)).fill_null(value=False)
    return found.select(*_KEYS, START, END, ENDED, in_stay.alias(DIED), DEATH)
