"""Predict death: in hospital, from what is known some hours after admission, or after a discharge alive.

In hospital (`window: in_hospital`). A sample is a stay in hospital that still runs `hours` after its admission, its
subject alive; that moment is the prediction time. The outcome is a death at or before the discharge, or a discharge to
"DIED" or "EXPIRED". Of a stay without a recorded end that was not seen to end in death it is not known: censored.

After discharge (`window: after_discharge`). A sample is a discharge alive. There is an outcome for each of `days`:
death after the discharge and not later than so many days. Who did not die is known to live only as far as follow-up
goes (`follow_up`): without a death, and with a window that is longer, the outcome is censored.

Trap and guard: a stay's diagnoses are coded at its discharge, or later, and give the answer away: AUROC of 0.97 from
them alone (Ramadan 2025, on MIMIC). They become known at discharge, so the leak rule keeps them from a prediction
within the stay; the one at discharge stands a microsecond *before* it, unless `discharge_codes` admits them.

Trap and guard: nobody who leaves is seen to live. Counting them alive (`complete`) is right only where deaths come
from a register: MIMIC-IV's reach one year beyond a subject's last discharge, so windows up to 365 days are whole there.
eICU records no death after discharge: do not ask it.
"""

from datetime import date
from typing import Annotated, Literal, Self

import polars as pl
from polars import col
from pydantic import BeforeValidator, Field, model_validator

from attending.cohort import Flow, Labelled, Target, binary, tidy
from attending.config import Settings
from attending.schema import DEATH, PREDICTION_TIME
from attending.tasks._stays.places import (
    DIED,
    ENDED,
    NAMES,
    Place,
    check_place,
    hours_after,
    stays_in,
    still_there,
)
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
from attending.visits import END, START, with_visit_ids

DEATH_IN: dict[Place, str] = {"hospital": "in_hospital_death", "icu": "death_in_intensive_care"}
_WITHIN = "death_within_"


class Config(Settings):
    """Settings of the task.

    stay                  of what: a stay in `hospital`, or in intensive care (`icu`)
    window                death in it (`in_hospital`), or `after_discharge`
    hours                 in hospital: from admission to the prediction
    days                  after discharge: how long the window is; several give an outcome each
    discharge_codes       after discharge: whether the codes that the discharge assigns are known
    follow_up             after discharge: until when a subject is known to live: the `last_event`; or `complete`, where
                          deaths come from a register
    until                 with `complete`: the last day that the data cover, of real dates
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    stay: Place = "hospital"
    window: Literal["in_hospital", "after_discharge"] = "in_hospital"
    hours: float = Field(default=24.0, ge=0)
    days: Annotated[tuple[float, ...], BeforeValidator(as_several)] = (30.0, 365.0)
    discharge_codes: bool = False
    follow_up: FollowUp = "last_event"
    until: date | None = None
    min_train_subjects: int = 1

    @model_validator(mode="after")
    def _windows(self) -> Self:
        check_windows(self.days, self.follow_up, self.until)
        return self


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    found = flow.note(f"with at least one stay in {NAMES[config.stay]}", stays_in(config.stay, events))
    if config.window == "in_hospital":
        return _in_hospital(found, config, flow)
    return _after_discharge(found, events, config, flow)


def target(config: Config) -> Target:
    """Say what is predicted: one outcome, or one for each of several windows."""
    several = config.window == "after_discharge" and len(config.days) > 1
    return "multilabel" if several else "binary"


def check(config: Config, codes: list[str]) -> None:
    """Fail where the data set has no stays of the kind that is asked for.

    Raises:
        TaskError: if it has none in intensive care.
    """
    check_place(config.stay, codes)


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: no event of the input is an instance of this outcome."""
    return {}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    if outcome in DEATH_IN.values():
        return f"Death in {NAMES[config.stay]}"
    return f"Death within {outcome.removeprefix(_WITHIN).replace('_', ' ')} of discharge"


def horizon(outcome: str, config: Config) -> float | None:
    """Return the days after discharge within which a death happens; one in hospital has no horizon."""
    return {_name(days): days for days in config.days}.get(outcome)


def _name(days: float) -> str:
    return f"{_WITHIN}{days:g}_days"


def _in_hospital(found: pl.DataFrame, config: Config, flow: Flow) -> Labelled:
    found = found.with_columns(hours_after(START, config.hours).alias(PREDICTION_TIME))
    there = found.filter(still_there(PREDICTION_TIME))
    samples = flow.note(f"alive and still there {config.hours:g} h after admission", there)
    frame = binary(samples, outcome=DEATH_IN[config.stay], happened=col(DIED), known=col(ENDED))
    return Labelled(frame=frame, flow=flow.steps)


def _after_discharge(found: pl.DataFrame, events: pl.DataFrame, config: Config, flow: Flow) -> Labelled:
    found = flow.note("that end with a discharge", found.filter(ENDED))
    alive = flow.note("alive", found.filter(~col(DIED)))
    samples = with_follow_up(alive, events, config.follow_up, config.until)
    delay = pl.duration(microseconds=0 if config.discharge_codes else 1)
    samples = samples.with_columns((col(END) - delay).alias(PREDICTION_TIME))
    happens, known = {}, {}
    for days in config.days:
        outcome = _name(days)
        happens[outcome] = col(DEATH) <= days_after(END, days)
        known[outcome] = followed(END, days)
        flow.note(
            f"whose fate {days:g} days later is known", samples.filter(happens[outcome] | known[outcome])
        )
    samples = windows(samples, happens, known)
    samples = with_time_to_event(samples, END, max(config.days), happens=DEATH)
    samples = flow.note("samples, with those whose fate is not known", samples)
    return Labelled(frame=tidy(samples), flow=flow.steps)
