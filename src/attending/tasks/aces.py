"""Ask any question that can be written in the ACES task language: a YAML file, or the same inline.

A sample is a realisation of the task: an event that satisfies `trigger`, with every window that the file describes
around it. Its prediction time is the point that `index_timestamp` names, its outcome what `label` counts in its window.
Times are compared as ACES does (Xu et al., ICLR 2025): the distinct times of a subject's record, a window's ends in or
out as it says. Without a file the question is the first example of `docs/aces.md`: death in hospital.

A file can be written so that the answer lies in the input. A label's window that opens at or before the prediction is
refused, unless `overlap: allow`. What the executor does beyond ACES is in `docs/aces.md`.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from attending import config as settings
from attending.cohort import Labelled, Target, deaths, follow_up, measured, tidy
from attending.config import Settings
from attending.errors import ConfigError, TaskError
from attending.mapping.place import Place
from attending.mapping.place import Plain as Yaml
from attending.schema import (
    AVAILABLE_TIME,
    CENSORED_CODES,
    CODE,
    DEATH,
    HISTORY_CODES,
    LABEL_CODES,
    MICROSECONDS,
    NUMERIC_VALUE,
    PREDICTION_TIME,
    SUBJECT_ID,
    TIME,
)
from attending.tasks._aces import executor, language, matching, record

EXAMPLE: dict[str, Any] = {
    "predicates": {
        "admission": {"code": {"regex": "^HOSPITAL_ADMISSION(//|$)"}},
        "discharge": {"code": {"regex": "^HOSPITAL_DISCHARGE(//|$)"}},
        "death": {"code": "MEDS_DEATH"},
        "end_of_stay": {"expr": "or(discharge, death)"},
    },
    "trigger": "admission",
    "windows": {
        "day_one": {
            "start": "trigger",
            "end": "start + 24h",
            "start_inclusive": False,
            "end_inclusive": True,
            "has": {"end_of_stay": "(None, 0)"},
            "index_timestamp": "end",
        },
        "stay": {
            "start": "day_one.end",
            "end": "start -> end_of_stay",
            "start_inclusive": False,
            "end_inclusive": True,
            "label": "death",
        },
    },
}


class Config(Settings):
    """Settings of the task.

    path                the task's YAML file …
    task                … or what would stand in it
    predicates_path     a second file, whose predicates replace those of the same name: what differs by data set
    text, predicates_text     what the files hold; read from them, and kept so that a changed file is a changed task
    overlap             whether a label's window may open at or before the prediction: refuse, or allow
    min_train_subjects  outcomes that fewer training subjects have are not predicted
    """

    path: Path | None = None
    task: dict[str, Any] = Field(default_factory=dict)
    predicates_path: Path | None = None
    text: str = ""
    predicates_text: str = ""
    overlap: Literal["refuse", "allow"] = "refuse"
    min_train_subjects: int = 1

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: Yaml) -> Yaml:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for path, text in (("path", "text"), ("predicates_path", "predicates_text")):
            if values.get(path) and not values.get(text):
                values[text] = _content(values[path])
        if not values.get("text") and not values.get("task"):
            values["task"] = EXAMPLE
        return values

    @model_validator(mode="after")
    def _check(self) -> "Config":
        task = parse(self)
        if self.text and self.task:
            raise ConfigError("expected one of 'path' (a YAML file) and 'task' (the same inline); got both")
        where = self.path or "the task"
        if not task.labels:
            raise ConfigError(f"no window of {where} has a 'label': there is nothing to predict")
        if task.index is None:
            raise ConfigError(
                f"no window of {where} has an 'index_timestamp' (start or end): when is the prediction made?"
            )
        return self


def parse(config: Config) -> language.Task:
    """Return the task that the settings state.

    Raises:
        ConfigError: naming file, line and key of what does not fit.
    """
    values, place = config.task, Place("task", {})
    if config.text:
        values, place = _parsed(config.text, str(config.path or "task"))
    if not config.predicates_text:
        return language.read(values, place)
    more, more_place = _parsed(config.predicates_text, str(config.predicates_path or "predicates"))
    return language.read(values, place, more=more, more_place=more_place)


def check(config: Config, codes: list[str]) -> None:
    """Fail if a predicate matches none of the data set's codes.

    Raises:
        TaskError: naming the predicate, where it stands, and codes that are near.
    """
    matching.check(parse(config), codes)


def columns(config: Config) -> list[str]:
    """Return the columns of the events that the task looks at: the others need not be read."""
    others = [column for one in parse(config).plain for column, _ in one.columns]
    return list(dict.fromkeys([SUBJECT_ID, TIME, CODE, NUMERIC_VALUE, AVAILABLE_TIME, *others]))


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events.

    Raises:
        TaskError: if a label's window opens at or before the prediction, or a column is absent.
    """
    task = parse(config)
    wanted = columns(config)
    events = events.select(column for column in events.columns if column in wanted)
    found = record.read(events, task)
    samples, steps = executor.realize(found, task)
    if config.overlap == "refuse" and samples.opens.any():
        windows = ", ".join(dict.fromkeys(f"'{one.window}'" for one in task.labels))
        raise TaskError(
            f"the answer may lie in the input: in {samples.opens.sum():,} of {len(samples.opens):,} samples of a shard "
            f"a label's window ({windows}) opens at or before the prediction ('{task.index}'): let it start there "
            "with 'start_inclusive: False', or later; or set 'overlap: allow'"
        )
    frame = _answered(events, task, found, samples)
    flow: list[dict[str, str | int]] = [
        {"step": "subjects in the data", "n_subjects": events[SUBJECT_ID].n_unique(), "n_samples": 0}
    ]
    for name, n_subjects, n_samples in zip(steps.names, steps.n_subjects, steps.n_samples, strict=True):
        flow.append({"step": name, "n_subjects": n_subjects, "n_samples": n_samples})
    last = {"step": "one sample a prediction time, of known answer"}
    return Labelled(
        frame=frame,
        flow=[*flow, last | {"n_subjects": frame[SUBJECT_ID].n_unique(), "n_samples": frame.height}],
    )


def target(config: Config) -> Target:
    """Return what is predicted: one outcome, several, or a number."""
    labels = parse(config).labels
    return "multilabel" if len(labels) > 1 else "value" if labels[0].is_number else "binary"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return the label that each code is an instance of, where any row of the code counts."""
    return matching.instances(parse(config), codes)


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    return outcome.replace("_", " ").capitalize()


def _answered(
    events: pl.DataFrame, task: language.Task, found: record.Record, samples: executor.Samples
) -> pl.DataFrame:
    """Return the samples with their answers; of several at one prediction time, that of the first trigger."""
    assert samples.index is not None
    subjects = found.subjects[samples.subjects]
    frame = pl.DataFrame({SUBJECT_ID: subjects, PREDICTION_TIME: samples.index})
    frame = frame.with_columns(pl.col(SUBJECT_ID).cast(pl.Int64), pl.col(PREDICTION_TIME).cast(MICROSECONDS))
    unknown = _unknown(events, task, frame, samples)
    if len(task.labels) == 1 and task.labels[0].is_number:
        (one,) = task.labels
        value = np.where(unknown[one.name], np.nan, samples.measures[one.name])
        frame = frame.with_columns(pl.Series("measure", value))
        return measured(_first(frame), outcome=one.name, value=pl.col("measure"))
    yes = {one.name: executor.happened(one, samples.measures[one.name]) for one in task.labels}
    frame = frame.with_columns(
        _named({name: truth & ~unknown[name] for name, truth in yes.items()}, LABEL_CODES),
        _named(
            {name: truth & unknown[name] | ~truth & unknown[name] for name, truth in yes.items()},
            CENSORED_CODES,
        ),
        _named(_before(events, task, frame), HISTORY_CODES),
    )
    may_be_unknown = any(task.window(one.window).censor or one.measure.kind != "count" for one in task.labels)
    return tidy(_first(frame if may_be_unknown else frame.drop(CENSORED_CODES)))


def _unknown(
    events: pl.DataFrame, task: language.Task, frame: pl.DataFrame, samples: executor.Samples
) -> dict[str, np.ndarray]:
    """Return of each label where its answer is not known.

    The record ends inside the window and nobody died (`censor`), or the window holds no number to compare.
    """
    seen = frame.join(follow_up(events), on=SUBJECT_ID, how="left", maintain_order="left")
    seen = seen.join(deaths(events), on=SUBJECT_ID, how="left", maintain_order="left")
    last, died = (seen[name].to_physical().to_numpy() for name in ("last_seen", DEATH))
    unknown = {}
    for one in task.labels:
        measure, end = samples.measures[one.name], samples.ends[one.name]
        unknown[one.name] = np.isnan(measure)
        if task.window(one.window).censor:
            open_ended = (end > last) & ~(died <= end)
            final = executor.happened(one, measure) if one.is_final and not one.is_number else False
            unknown[one.name] |= open_ended & ~np.asarray(final)
    return unknown


def _before(events: pl.DataFrame, task: language.Task, frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return of each of several labels whether a code of it was known by the prediction."""
    if len(task.labels) == 1:
        return {}
    known = AVAILABLE_TIME if AVAILABLE_TIME in events.columns else TIME
    outcomes = matching.instances(task, events[CODE].unique().to_list())
    rows = events.filter(pl.col(CODE).is_in(list(outcomes)) & pl.col(known).is_not_null())
    named = rows.with_columns(pl.col(CODE).replace_strict(outcomes, return_dtype=pl.String))
    first = named.group_by(SUBJECT_ID, CODE).agg(pl.col(known).min().alias("first"))
    before = {}
    for one in task.labels:
        its = first.filter(pl.col(CODE) == one.name)
        joined = frame.join(its, on=SUBJECT_ID, how="left", maintain_order="left")
        before[one.name] = (joined["first"] <= joined[PREDICTION_TIME]).fill_null(False).to_numpy()
    return before


def _named(truths: dict[str, np.ndarray], column: str) -> pl.Expr:
    """Return a column of lists of the names that hold."""
    if not truths:
        return pl.lit([], dtype=pl.List(pl.String)).alias(column)
    each = [pl.when(pl.Series(truth)).then(pl.lit(name)) for name, truth in truths.items()]
    return pl.concat_list(each).list.drop_nulls().alias(column)


def _first(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.unique([SUBJECT_ID, PREDICTION_TIME], keep="first", maintain_order=True)


def _content(path: Yaml) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, TypeError) as error:
        raise ConfigError(f"cannot read the task file {path}: {type(error).__name__}") from None


def _parsed(text: str, where: str) -> tuple[dict[str, Any], Place]:
    values, lines = settings.parse(text, where)
    return values, Place(where, lines)
