"""Predict the next result of a laboratory test: its value, or whether it is abnormal.

The prediction stands at the end of each visit (`at: visit_end`), or some `hours` after the admission of each stay in
hospital that still runs then (`at: admitted`). The label is the first result that is measured *after* it and not later
than `horizon_days`:

    value       the number: a regression
    abnormal    below `low` or above `high`
    low, high   below `low`; above `high`
    rise        at least `factor` times the last result that is known at the prediction

Several results of one moment count by their mean. A sample without a result in the horizon is none: nothing was
measured, which is not "nothing was abnormal". So the question is what the next result will say, if there is one.

Trap and guard: a result drawn before the prediction and known after it is neither the label, which is drawn later, nor
an input, which must be known. Trap: who is measured is chosen, for those who are expected to be abnormal are measured
more. Trap: most of what is abnormal was so before; with an earlier abnormal result known at the prediction the outcome
is in `history_codes`, and metrics are given for new and recurrent ones apart.

What a result is: one of `lab`, whose codes, units and limits are ready, each with its source (`_stays/laboratory.py`),
or `codes` of one's own with `low` and `high`. Between the visits of eICU times are made up: ask with `at: admitted`.
"""

from typing import Literal, Self

import polars as pl
from polars import col
from pydantic import Field, model_validator

from attending.cohort import Flow, Labelled, Target, measured, tidy
from attending.config import Settings
from attending.errors import ConfigError, TaskError, nearest
from attending.schema import (
    AVAILABLE_TIME,
    HISTORY_CODES,
    LABEL_CODES,
    NUMERIC_VALUE,
    PREDICTION_TIME,
    SEPARATOR,
    SUBJECT_ID,
    TIME,
)
from attending.tasks._stays.laboratory import LABS, Lab
from attending.tasks._stays.places import hours_after, stays_in, still_there
from attending.tasks._stays.windows import NONE, days_after
from attending.visits import END, START, is_code, stays, with_visit_ids

Kind = Literal["value", "abnormal", "low", "high", "rise"]
MOST_NAMED = 20  # codes in an error
_DRAWN, _RESULT, _LAST = "drawn", "result", "last_known"
_NAMES: dict[Kind, str] = {
    "value": "next_result",
    "abnormal": "abnormal_next_result",
    "low": "low_next_result",
    "high": "high_next_result",
    "rise": "rise_of_next_result",
}


class Config(Settings):
    """Settings of the task.

    lab                   a ready definition of codes, units and limits
    codes                 codes of one's own, or their beginnings, instead of those of `lab`: all of one unit
    kind                  what is predicted: the `value`, or whether it is `abnormal`, `low`, `high`, or a `rise`
    low, high             limits of one's own
    factor                how many times the last known result a rise is
    at                    when: at each `visit_end`, or `admitted`: some `hours` after each admission to hospital
    hours                 from admission to the prediction
    horizon_days          how long to wait for a result
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    lab: Lab = "creatinine"
    codes: tuple[str, ...] = ()
    kind: Kind = "abnormal"
    low: float | None = None
    high: float | None = None
    factor: float = Field(default=1.5, gt=1)
    at: Literal["visit_end", "admitted"] = "visit_end"
    hours: float = Field(default=24.0, ge=0)
    horizon_days: float = Field(default=365.0, gt=0)
    min_train_subjects: int = 1

    @model_validator(mode="after")
    def _limited(self) -> Self:
        low, high = limits(self)
        lacks = {
            "abnormal": low is None and high is None,
            "low": low is None,
            "high": high is None,
        }
        if lacks.get(self.kind):
            raise ConfigError(f"task.kind={self.kind} needs a limit: set task.low or task.high")
        if low is not None and high is not None and low >= high:
            raise ConfigError(f"expected task.low below task.high; got {low:g} and {high:g}")
        return self


def limits(config: Config) -> tuple[float | None, float | None]:
    """Return below and above what a result is abnormal; codes of one's own have no ready limits."""
    if config.codes:
        return config.low, config.high
    ready = LABS[config.lab]
    return (
        ready.low if config.low is None else config.low,
        ready.high if config.high is None else config.high,
    )


def check(config: Config, codes: list[str]) -> None:
    """Fail if the data set has no such result, or the codes of one's own several units.

    Raises:
        TaskError: with the nearest code, or the units.
    """
    asked = _codes(config)
    found = [code for code in codes if any(code == one or code.startswith(one + SEPARATOR) for one in asked)]
    if not found:
        labs = sorted(code for code in codes if code.split(SEPARATOR)[0] == asked[0].split(SEPARATOR)[0])
        close = f"{nearest(asked[0], labs[:MOST_NAMED])}" if labs else ""
        raise TaskError(
            f"the data set has no code of the result asked for, such as '{asked[0]}'{close}; "
            "name its codes as task.codes, with task.low and task.high"
        )
    units = sorted({code.split(SEPARATOR)[-1] for code in found if code not in asked})
    if config.codes and len(units) > 1:
        raise TaskError(
            f"expected task.codes of one unit; got {', '.join(units)}: name the codes with theirs"
        )


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    results = _results(events, config)
    moments = _moments(events, config, flow)
    following = moments.sort(SUBJECT_ID, PREDICTION_TIME).join_asof(
        _drawn(results),
        left_on=PREDICTION_TIME,
        right_on=_DRAWN,
        by=SUBJECT_ID,
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    in_time = col(_DRAWN) <= days_after(PREDICTION_TIME, config.horizon_days)
    samples = flow.note(
        f"with a result in the {config.horizon_days:g} days after it", following.filter(in_time)
    )
    if config.kind == "value":
        return Labelled(
            frame=flow.note(
                "at distinct moments", measured(samples, outcome=_name(config), value=col(_RESULT))
            ),
            flow=flow.steps,
        )
    if config.kind == "rise":
        samples = _with_last_known(samples, results)
        samples = flow.note("with a result known before", samples.filter(col(_LAST).is_not_null()))
    frame = flow.note("at distinct moments", tidy(_labelled(samples, results, config)))
    return Labelled(frame=frame, flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: a number, or one outcome."""
    return "value" if config.kind == "value" else "binary"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: a code does not say whether its result is abnormal."""
    return {}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    words = outcome.replace("_", " ")
    return words[:1].upper() + words[1:]


def _codes(config: Config) -> tuple[str, ...]:
    return config.codes or LABS[config.lab].with_units()


def _name(config: Config) -> str:
    what = _NAMES[config.kind]
    return what if config.codes else f"{what}_of_{config.lab}"


def _results(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    asked = pl.any_horizontal(is_code(code) for code in _codes(config))
    wanted = events.filter(asked & col(TIME).is_not_null() & col(NUMERIC_VALUE).is_finite())
    return wanted.select(
        SUBJECT_ID,
        col(TIME).alias(_DRAWN),
        AVAILABLE_TIME,
        col(NUMERIC_VALUE).cast(pl.Float64).alias(_RESULT),
    )


def _drawn(results: pl.DataFrame) -> pl.DataFrame:
    """Return one result for each subject and moment of drawing."""
    return results.group_by(SUBJECT_ID, _DRAWN).agg(col(_RESULT).mean()).sort(SUBJECT_ID, _DRAWN)


def _moments(events: pl.DataFrame, config: Config, flow: Flow) -> pl.DataFrame:
    if config.at == "visit_end":
        return flow.note("ends of a visit", stays(events)).with_columns(col(END).alias(PREDICTION_TIME))
    found = flow.note("with at least one stay in hospital", stays_in("hospital", events))
    found = found.with_columns(hours_after(START, config.hours).alias(PREDICTION_TIME))
    there = found.filter(still_there(PREDICTION_TIME))
    return flow.note(f"alive and in hospital {config.hours:g} h after admission", there)


def _is_abnormal(config: Config) -> pl.Expr:
    low, high = limits(config)
    below = col(_RESULT) < low if low is not None else pl.lit(value=False)
    above = col(_RESULT) > high if high is not None else pl.lit(value=False)
    return {"low": below, "high": above}.get(config.kind, below | above)


def _labelled(samples: pl.DataFrame, results: pl.DataFrame, config: Config) -> pl.DataFrame:
    it = pl.concat_list(pl.lit(_name(config)))
    if config.kind == "rise":
        rises = (col(_LAST) > 0) & (col(_RESULT) >= config.factor * col(_LAST))
        return samples.with_columns(
            pl.when(rises).then(it).otherwise(NONE).alias(LABEL_CODES), NONE.alias(HISTORY_CODES)
        )
    before = (
        results.filter(_is_abnormal(config))
        .group_by(SUBJECT_ID)
        .agg(col(AVAILABLE_TIME).min().alias("first"))
    )
    samples = samples.join(before, on=SUBJECT_ID, how="left", maintain_order="left")
    known = (col("first") <= col(PREDICTION_TIME)).fill_null(value=False)
    return samples.with_columns(
        pl.when(_is_abnormal(config)).then(it).otherwise(NONE).alias(LABEL_CODES),
        pl.when(known).then(it).otherwise(NONE).alias(HISTORY_CODES),
    )


def _with_last_known(samples: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Add the result that was drawn last of those known at the prediction."""
    known = (
        samples.select(SUBJECT_ID, PREDICTION_TIME)
        .unique()
        .join(results, on=SUBJECT_ID)
        .filter(col(AVAILABLE_TIME) <= col(PREDICTION_TIME))
        .sort(_DRAWN, _RESULT)
        .group_by(SUBJECT_ID, PREDICTION_TIME)
        .agg(col(_RESULT).last().alias(_LAST))
    )
    return samples.join(known, on=[SUBJECT_ID, PREDICTION_TIME], how="left", maintain_order="left")
