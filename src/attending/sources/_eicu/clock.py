"""eICU's times: a pseudo-date for every hospital stay, and from it a date for every offset.

eICU gives minutes from the admission to the unit, the year of the discharge from hospital, and clock times. It
gives neither dates nor the order of a patient's hospital stays.

    order       by year of discharge; in one year a stay that ends in death comes last, a lower age first; what is
                still tied goes by `patienthealthsystemstayid`, which says nothing about time
    date        the discharges of a year are spread evenly over it (one stay: 2 July); a stay that would begin
                before the one before it has ended moves later, by whole days, even beyond the year
    clock       the discharge from hospital is at its recorded clock time; all other times follow from offsets, and
                so, since the offsets are exact, have their recorded clock times too

Every interval within a hospital stay is exact, between its units too. The day, the month, the season and the time
between two hospital stays are made up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import event
from attending.ledger.table import Problem
from attending.schema import SUBJECT_ID

Visits = Literal["hospital", "unit"]
Maker = Callable[[pl.DataFrame, Context], Sequence[pl.DataFrame]]

PATIENT = "patient"
UNIT, STAY = "patientunitstayid", "patienthealthsystemstayid"
UNIT_START, UNIT_END = col("unit_start"), col("unit_end")
HOSPITAL_START, HOSPITAL_END = col("hospital_start"), col("hospital_end")
EXPIRED = "Expired"
OLDEST = "> 89"
DAY = 24 * 60
CENTURY = 100 * 366 * DAY
OFF = "not within a century"
_EPOCH = pl.datetime(1970, 1, 1)
_BY_UNIT = "by_unit"


def placed(patients: pl.DataFrame) -> pl.DataFrame:
    """Return the unit stays in order of time with unit_start, unit_end, hospital_start, hospital_end."""
    stays = _discharges(patients)
    units = patients.join(stays, on=[SUBJECT_ID, STAY], how="left", maintain_order="left")
    start = HOSPITAL_END - pl.duration(minutes=col("hospitaldischargeoffset"))
    units = units.with_columns(unit_start=start)
    return units.with_columns(
        unit_end=UNIT_START + pl.duration(minutes=col("unitdischargeoffset")),
        hospital_start=UNIT_START + pl.duration(minutes=col("hospitaladmitoffset")),
    ).sort(SUBJECT_ID, "rank", "unit_start", UNIT)


def age() -> pl.Expr:
    """Return the age in whole years; above 89, which eICU does not tell, 90."""
    years = col("age").str.strip_chars()
    known = years.cast(pl.Int64, strict=False)
    return pl.when(years == OLDEST).then(90).when(known.is_between(0, 89)).then(known)


def at(offset: str) -> pl.Expr:
    """Return the moment that is `offset` minutes after the admission to the unit."""
    return UNIT_START + pl.duration(minutes=col(offset))


def happening(
    rows: pl.DataFrame,
    code: pl.Expr,
    *,
    time: pl.Expr,
    known: pl.Expr | None = None,
    numeric: pl.Expr | None = None,
    text: pl.Expr | None = None,
    priority: pl.Expr | None = None,
    when: pl.Expr | None = None,
) -> pl.DataFrame:
    """Make one event of every placed row, in the visit that the settings ask for."""
    inside = pl.when(time.is_between(UNIT_START, UNIT_END)).then(col(UNIT))
    visit = pl.when(col(_BY_UNIT)).then(inside).otherwise(col(STAY))
    return event(
        rows,
        code,
        time=time,
        available=known,
        numeric=numeric,
        text=text,
        visit=visit,
        priority=priority,
        when=when,
    )


@dataclass(frozen=True, eq=False)
class Placed:
    """The events of a table, made from rows that know when their unit and hospital stay began and ended."""

    make: Maker
    visits: Visits = "hospital"

    def __call__(self, rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
        """Give each row its stay's times, then make the events."""
        clock = placed(context[PATIENT]).select(
            UNIT,
            STAY,
            "rank",
            "unit_start",
            "unit_end",
            "hospital_start",
            "hospital_end",
            pl.lit(self.visits == "unit").alias(_BY_UNIT),
        )
        known = [name for name in rows.columns if name != UNIT and name in clock.columns]
        return self.make(rows.drop(known).join(clock, on=UNIT, how="left", maintain_order="left"), context)


def offset_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find offsets that are no time of a life; the row keeps what else it says."""
    offsets = [name for name in rows.columns if name.endswith("offset")]
    return [Problem(_far(rows[name]), OFF, name, whole_line=False) for name in offsets]


def stay_problems(patients: pl.DataFrame, context: Context) -> list[Problem]:
    """Find unit stays given twice, stays that end before they begin, and times that cannot be."""
    admitted, year = patients["hospitaladmitoffset"], patients["hospitaldischargeyear"]
    left, discharged = patients["unitdischargeoffset"], patients["hospitaldischargeoffset"]
    early = "discharge before admission"
    return [
        Problem(~patients[UNIT].is_first_distinct(), "duplicated unit stay", UNIT),
        Problem(~year.is_between(1900, 2200), "not a year of discharge", "hospitaldischargeyear"),
        *(Problem(_far(one), OFF, one.name) for one in (admitted, left, discharged)),
        Problem(discharged < admitted, early, discharged.name),
        Problem(left < 0, early, left.name),
    ]


def _far(offsets: pl.Series) -> pl.Series:
    return ~offsets.is_between(-CENTURY, CENTURY).fill_null(True)


def _discharges(patients: pl.DataFrame) -> pl.DataFrame:
    """Return one row a hospital stay: its rank among the subject's stays, and the moment of its end."""
    discharged = col("hospitaldischargeoffset")
    died = (col("hospitaldischargestatus") == EXPIRED) | (col("unitdischargestatus") == EXPIRED)
    stays = (
        patients.sort("unitvisitnumber", UNIT)
        .group_by(SUBJECT_ID, STAY, maintain_order=True)
        .agg(
            col("hospitaldischargeyear").first().alias("year"),
            _minutes("hospitaldischargetime24").drop_nulls().first().fill_null(0).alias("clock"),
            died.any().fill_null(False).alias("died"),
            age().min().alias("years"),
            (discharged - pl.min_horizontal(col("hospitaladmitoffset"), 0)).max().alias("before"),
            (col("unitdischargeoffset") - discharged).clip(0).max().alias("after"),
        )
        .sort(SUBJECT_ID, "year", "died", "years", STAY)
    )
    same_year = [SUBJECT_ID, "year"]
    nth, n = pl.int_range(1, pl.len() + 1).over(same_year), pl.len().over(same_year)
    new_year = pl.date(col("year"), 1, 1).cast(pl.Int32).cast(pl.Int64)
    previous = col("after").shift(1).over(SUBJECT_ID).fill_null(0)
    stays = stays.with_columns(
        (new_year + nth * 365 // (n + 1)).alias("wish"),
        (col("before") // DAY + previous // DAY + 3).cum_sum().over(SUBJECT_ID).alias("room"),
        pl.int_range(1, pl.len() + 1).over(SUBJECT_ID).alias("rank"),
    )
    day = col("room") + (col("wish") - col("room")).cum_max().over(SUBJECT_ID)
    end = _EPOCH + pl.duration(days=day, minutes=col("clock"))
    return stays.select(SUBJECT_ID, STAY, "rank", end.cast(pl.Datetime("us")).alias("hospital_end"))


def _minutes(clock: str) -> pl.Expr:
    """Return a clock time such as 19:20:00 in minutes after midnight."""
    time = col(clock).str.strip_chars().str.to_time("%H:%M:%S", strict=False)
    return time.dt.hour().cast(pl.Int64) * 60 + time.dt.minute().cast(pl.Int64)
