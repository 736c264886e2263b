"""What a visit is: rebuild encounters from events, for tasks and tokens alike.

1. An event that carries a `visit_id` belongs to that visit.
2. An event without one belongs to the stay whose admission and discharge enclose its time, where the record has
   admissions. Data sets that carry no `visit_id` at all get their stays by pairing each admission with the next
   discharge of the subject; a stay that has none yet runs on.
3. Any other event is outside every stay; tokens put such events into one visit a calendar day.
"""

import polars as pl

from attending.schema import ADMISSION, CODE, DISCHARGE, SUBJECT_ID, TIME, VISIT_ID

START = "visit_start"
END = "visit_end"
ENCOUNTER, ENCOUNTER_END = "ENCOUNTER", "ENCOUNTER_END"


def with_visit_ids(events: pl.DataFrame) -> pl.DataFrame:
    """Return the events with a `visit_id` column, rebuilt from admissions where the data set has none."""
    if VISIT_ID in events.columns and events[VISIT_ID].null_count() < events.height:
        return events
    admissions = events.filter(is_code(ADMISSION) & pl.col(TIME).is_not_null()).select(SUBJECT_ID, TIME)
    admissions = admissions.unique().sort(SUBJECT_ID, TIME).with_row_index(VISIT_ID, offset=1)
    stays = admissions.with_columns(pl.col(VISIT_ID).cast(pl.Int64)).rename({TIME: START})
    discharges = (
        events.filter(is_code(DISCHARGE)).select(SUBJECT_ID, pl.col(TIME).alias(END)).sort(SUBJECT_ID, END)
    )
    stays = stays.join_asof(
        discharges,
        left_on=START,
        right_on=END,
        by=SUBJECT_ID,
        strategy="forward",
        coalesce=False,
        check_sortedness=False,
    )
    return _enclosed(events.drop(VISIT_ID, strict=False), stays)


def stays(events: pl.DataFrame) -> pl.DataFrame:
    """Return one row a visit: subject_id, visit_id, visit_start, visit_end, sorted by subject and start.

    A visit starts at its admission and ends at its discharge where it has those events; else where `ENCOUNTER` and
    `ENCOUNTER_END` say, if they do; else at its first and last event.
    """
    bounds = {"admitted": ADMISSION, "discharged": DISCHARGE, "begun": ENCOUNTER, "left": ENCOUNTER_END}
    moments = [pl.when(is_code(code)).then(TIME).alias(name) for name, code in bounds.items()]
    # An admission may follow an encounter in the emergency department, which ends long before the visit.
    left = pl.when(pl.col("admitted").is_null().all()).then(pl.col("left").max())
    return (
        events.lazy()
        .filter(pl.col(VISIT_ID).is_not_null() & pl.col(TIME).is_not_null())
        .select(SUBJECT_ID, VISIT_ID, TIME, *moments)
        .group_by(SUBJECT_ID, VISIT_ID)
        .agg(
            pl.coalesce(pl.col("admitted").min(), pl.col("begun").min(), pl.col(TIME).min()).alias(START),
            pl.coalesce(pl.col("discharged").max(), left, pl.col(TIME).max()).alias(END),
        )
        .sort(SUBJECT_ID, START, END, VISIT_ID)
        .collect()
    )


def is_code(prefix: str) -> pl.Expr:
    """Say whether an event's code is `prefix` or lies below it."""
    return (pl.col(CODE) == prefix) | pl.col(CODE).str.starts_with(f"{prefix}//")


def _enclosed(events: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Give each event the stay that encloses its time."""
    dated = events.with_row_index("row").sort(SUBJECT_ID, TIME)
    found = dated.join_asof(
        stays.sort(SUBJECT_ID, START),
        left_on=TIME,
        right_on=START,
        by=SUBJECT_ID,
        strategy="backward",
        check_sortedness=False,
    )
    # A stay whose end is not known yet runs on: whether it ends later must not regroup what came before.
    inside = pl.col(START).is_not_null() & (pl.col(END).is_null() | (pl.col(TIME) <= pl.col(END)))
    return (
        found.with_columns(pl.when(inside).then(pl.col(VISIT_ID)).alias(VISIT_ID))
        .sort("row")
        .drop("row", START, END)
    )
