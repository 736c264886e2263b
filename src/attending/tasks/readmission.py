"""Predict admission to hospital again within some days of a discharge alive.

A sample is a discharge alive that no other stay goes on from. The prediction stands at the discharge. There is an
outcome for each of `days`: the next stay in hospital begins after the discharge and not later than so many days. A
visit to a clinic or an emergency department is no admission.

Trap and guard: the codes of a stay are assigned at its discharge, which MEDS conversions give that very moment, and
billed days later. So the prediction stands one microsecond *before* the discharge and does not see them;
`discharge_codes: true` admits them.

Trap and guard: who dies cannot come back, so death is a competing event. A sample whose subject dies within the window
counts as not readmitted; or leaves (`death: exclude`: the risk of those who live, which nobody knows at discharge); or
counts as not readmitted and carries its time to event (`competing`: 1 readmitted, 2 died, 0 neither by the end of
follow-up or of the longest window), for cumulative incidence by Aalen-Johansen.

Trap and guard: a transfer is no readmission. An admission at the moment of the discharge, or `transfer_hours` after it,
or a stay that encloses the discharge, continues the stay: the discharge is no sample, the later one is.

Follow-up: a record of a hospital holds no event of those who stay well, so it is taken as `complete`: no admission
recorded, none happened, up to the day `until` if that is given. With `follow_up: last_event` a window that reaches
beyond a subject's last event is censored unless an admission was seen in it, or a death: right only of people who are
recorded all the time, such as those insured. Admissions to other hospitals are never seen. Times between stays that a
source makes up (eICU, PhysioNet 2012) cannot be asked.
"""

from datetime import date
from typing import Annotated, Literal, Self

import polars as pl
from polars import col
from pydantic import BeforeValidator, Field, model_validator

from attending.cohort import Flow, Labelled, Target, tidy
from attending.config import Settings
from attending.errors import TaskError, nearest
from attending.schema import ADMISSION, DEATH, PREDICTION_TIME, SUBJECT_ID, VISIT_ID
from attending.tasks._stays.places import DIED, ENDED, stays_in
from attending.tasks._stays.windows import (
    FollowUp,
    as_several,
    check_windows,
    days_after,
    followed,
    windows,
    with_follow_up,
    with_time_to_event,
)
from attending.visits import END, START, is_code, with_visit_ids

NEXT_START = "next_start"
_WITHIN = "readmission_within_"


class Config(Settings):
    """Settings of the task.

    days                  how long the window is; several give an outcome each
    discharge_codes       whether the codes that the discharge assigns are known
    death                 what death in the window makes of a sample: `not_readmitted`; `exclude`: it leaves;
                          `competing`: not readmitted, with the time to event beside
    transfer_hours        an admission within so many hours of a discharge continues the stay
    planned               admissions that are no readmission, as codes or beginnings of codes: of MIMIC-IV
                          `HOSPITAL_ADMISSION//ELECTIVE` and `HOSPITAL_ADMISSION//SURGICAL SAME DAY ADMISSION`
    follow_up             `complete`: what is not recorded did not happen; or only up to the `last_event` of a subject
    until                 with `complete`: the last day that the data cover, of real dates
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    days: Annotated[tuple[float, ...], BeforeValidator(as_several)] = (30.0,)
    discharge_codes: bool = False
    death: Literal["not_readmitted", "exclude", "competing"] = "not_readmitted"
    transfer_hours: float = Field(default=0.0, ge=0)
    planned: tuple[str, ...] = ()
    follow_up: FollowUp = "complete"
    until: date | None = None
    min_train_subjects: int = 1

    @model_validator(mode="after")
    def _windows(self) -> Self:
        check_windows(self.days, self.follow_up, self.until)
        return self


def check(config: Config, codes: list[str]) -> None:
    """Fail if a planned admission is none that the data set has.

    Raises:
        TaskError: with the nearest code.
    """
    admissions = sorted(code for code in codes if code.split("//")[0] == ADMISSION)
    for planned in config.planned:
        if not any(code == planned or code.startswith(f"{planned}//") for code in admissions):
            raise TaskError(
                f"no admission of the data set is '{planned}', of task.planned{nearest(planned, admissions)}"
            )


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    found = flow.note("with at least one stay in hospital", stays_in("hospital", events))
    ended = flow.note("that end with a discharge", found.filter(ENDED))
    alive = flow.note("alive", ended.filter(~col(DIED)))
    gone = alive.join(_continued(found, config), on=[SUBJECT_ID, VISIT_ID], how="anti", maintain_order="left")
    samples = flow.note("that no other stay continues", gone)
    samples = _with_next_start(samples, _without(found, events, config.planned))
    samples = with_follow_up(samples, events, config.follow_up, config.until)
    happens = {_name(days): col(NEXT_START) <= days_after(END, days) for days in config.days}
    died = {_name(days): (col(DEATH) <= days_after(END, days)).fill_null(value=False) for days in config.days}
    known = {_name(days): followed(END, days) for days in config.days}
    if config.death == "exclude":
        ruled_out = [died[name] & ~happens[name].fill_null(value=False) for name in happens]
        left = samples.filter(~pl.all_horizontal(ruled_out))
        samples = flow.note("readmitted, or alive at the window's end", left)
        known = {name: known[name] & ~died[name] for name in known}
    else:
        known = {name: known[name] | died[name] for name in known}
    samples = windows(samples, happens, known)
    if config.death == "competing":
        longest = max(config.days)
        samples = with_time_to_event(samples, END, longest, happens=NEXT_START, competes=DEATH)
    delay = pl.duration(microseconds=0 if config.discharge_codes else 1)
    return Labelled(
        frame=tidy(samples.with_columns((col(END) - delay).alias(PREDICTION_TIME))), flow=flow.steps
    )


def target(config: Config) -> Target:
    """Say what is predicted: one outcome, or one for each of several windows."""
    return "multilabel" if len(config.days) > 1 else "binary"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: no event of the input is an instance of this outcome."""
    return {}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    return f"Readmission to hospital within {outcome.removeprefix(_WITHIN).replace('_', ' ')}"


def horizon(outcome: str, config: Config) -> float | None:
    """Return the days within which an outcome happens."""
    return {_name(days): days for days in config.days}.get(outcome)


def _name(days: float) -> str:
    return f"{_WITHIN}{days:g}_days"


def _continued(found: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return the stays that another one outlasts that began by their discharge, or soon after."""
    begun = found.sort(SUBJECT_ID, START).select(
        SUBJECT_ID, col(START).alias("begun"), col(END).cum_max().over(SUBJECT_ID).alias("furthest_end")
    )
    soon = col(END) + pl.duration(seconds=round(config.transfer_hours * 3600))
    outlasted = (
        found.with_columns(soon.alias("soon"))
        .sort(SUBJECT_ID, "soon")
        .join_asof(begun, left_on="soon", right_on="begun", by=SUBJECT_ID, check_sortedness=False)
    )
    return outlasted.filter(col("furthest_end") > col(END))


def _without(found: pl.DataFrame, events: pl.DataFrame, planned: tuple[str, ...]) -> pl.DataFrame:
    """Return the stays that no planned admission began."""
    if not planned:
        return found
    by_plan = events.filter(pl.any_horizontal(is_code(code) for code in planned))
    return found.join(by_plan, on=[SUBJECT_ID, VISIT_ID], how="anti")


def _with_next_start(samples: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    starts = found.select(SUBJECT_ID, col(START).alias(NEXT_START)).sort(SUBJECT_ID, NEXT_START)
    return samples.sort(SUBJECT_ID, END).join_asof(
        starts,
        left_on=END,
        right_on=NEXT_START,
        by=SUBJECT_ID,
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
