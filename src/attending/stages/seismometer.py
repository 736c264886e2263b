"""A finished study → a folder that `seismometer` opens: predictions, what happened, who it was, and how to read them.

Seismometer (Epic, open source) wants a line for each prediction, a line for each event, and three YAML files. Held-out
samples are written whose answers are known. Subjects are numbered from 1 in the order of their ids, and so are samples;
a sample is the context of its own events, which stand at its prediction time with 1 or 0, so that no event can be
matched to another prediction. A task of several outcomes becomes a score and a target for each of the most frequent.

The folder holds a line for each patient and the times of predictions: it is patient data.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from attending.artifact import (
    Manifest,
    Recipe,
    is_current,
    read_manifest,
    write_atomic,
    write_json,
    write_text,
    writing,
)
from attending.errors import ArtifactError, ConfigError, nearest
from attending.evaluate.attributes import attributes
from attending.evaluate.reading import Cohort, Predictions, by_model, read_cohort, read_outcomes
from attending.evaluate.samples import ALL, SMALLEST_CELL, Samples
from attending.metrics.decision import RULES, choose_thresholds
from attending.metrics.ratio import Array
from attending.schema import DESCRIPTION, HELD_OUT, OUTCOME, PREDICTION_TIME, SUBJECT_ID, TUNING
from attending.stages.split import read_splits

KIND = "seismometer"
SAMPLE, TYPE, EVENT_TIME, VALUE = "sample_id", "Type", "EventTime", "Value"
N_OUTCOMES = 5
DATA, CONFIG, USAGE, DICTIONARY = "data", "config.yml", "usage_config.yml", "data_dictionary.yml"
PREDICTIONS, EVENTS, METADATA = "predictions.parquet", "events.parquet", "metadata.json"
DISPLAY = {
    "sex": "Sex",
    "age": "Age",
    "race": "Race or ethnicity",
    "insurance": "Insurance",
    "hospital": "Hospital",
    "year": "Year",
    "stays": "Stays so far",
}


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """One outcome as it stands in the folder: its place, its event's type, the column of its score, its words."""

    place: int
    event: str
    score: str
    words: str


def seismometer(run: Path, out: Path, *, model: str = "", n_outcomes: int = N_OUTCOMES) -> Manifest:
    """Write the held-out predictions of `model` (the best on tuning data) of the study at `run` for seismometer.

    Raises:
        ArtifactError: if the study has no labels, predictions or metrics, or predicts a number.
        ConfigError: if the study has no such model.
    """
    labels, events, metrics = run / "labels", run / "events", run / "metrics"
    splits = run / "splits" if (run / "splits").exists() else events
    folders = by_model(sorted(path for path in (run / "predictions").glob("*") if path.is_dir()))
    model = model or _best(metrics, list(folders))
    if model not in folders:
        raise ConfigError(f"{run} has no predictions of a model '{model}'{nearest(model, list(folders))}")
    asked = read_manifest(labels, "labels").config
    if asked["target"] == "value":
        raise ArtifactError(
            f"expected a task of outcomes in {labels}; seismometer cannot show predicted numbers"
        )
    parents = {"labels": labels, "predictions": folders[model], "events": events, "splits": splits}
    recipe = Recipe(
        kind=KIND,
        config={"model": model, "n_outcomes": n_outcomes},
        parents={name: read_manifest(folder).fingerprint for name, folder in parents.items()},
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    outcomes, of_subjects = read_outcomes(labels), read_splits(splits)
    cohorts = {split: read_cohort(labels, of_subjects, split, outcomes) for split in (TUNING, HELD_OUT)}
    tuning, held_out = (
        Predictions({model: folders[model]}, cohort, split, outcomes)[model]
        for split, cohort in cohorts.items()
    )
    chosen = _choose(cohorts[HELD_OUT].samples, outcomes, n_outcomes)
    with writing(out, recipe) as writer:
        (writer.path / DATA).mkdir(exist_ok=True)
        predictions, happened, groups = _frames(cohorts[HELD_OUT], held_out, chosen, events)
        write_atomic(writer.path / DATA / PREDICTIONS, predictions.write_parquet)
        write_atomic(writer.path / DATA / EVENTS, happened.write_parquet)
        thresholds = _thresholds(cohorts[TUNING].samples, tuning, chosen[0].place)
        write_json(writer.path / DATA / METADATA, {"modelname": model, "thresholds": thresholds})
        for name, content in _settings(predictions, chosen, groups, model).items():
            _write_yaml(writer.path / name, content)
        writer.counts = {
            "predictions": len(predictions),
            "events": len(happened),
            "outcomes": len(chosen),
            "left_out_as_not_known": len(cohorts[HELD_OUT].frame) - len(predictions),
        }
    return read_manifest(out, KIND)


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _best(metrics: Path, models: list[str]) -> str:
    file = metrics / "metrics.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return str(found.get("best_model") or found.get("best_baseline") or models[0])


def _choose(samples: Samples, outcomes: pl.DataFrame, n: int) -> list[_Chosen]:
    """Return the outcomes that happen most often among the samples, at most `n`."""
    order = np.argsort(-samples.labels.sum(axis=0), kind="stable")[:n].tolist()
    names, words = outcomes[OUTCOME].to_list(), outcomes[DESCRIPTION].to_list()
    return [
        _Chosen(
            place=at,
            event=names[at],
            score="score" if samples.is_binary else "score_" + re.sub(r"\W+", "_", names[at]),
            words=words[at] or names[at],
        )
        for at in order
    ]


def _frames(
    cohort: Cohort, probability: Array, chosen: list[_Chosen], events: Path
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Return a line for each prediction, a line for each outcome of a prediction, and the names of the groups."""
    samples, places = cohort.samples, [one.place for one in chosen]
    kept = np.flatnonzero(samples.pairs(ALL)[:, places].all(axis=1))
    found = attributes(events, [cohort.frame])
    keys = pl.DataFrame(
        {
            SUBJECT_ID: samples.owner[kept].astype(np.int64) + 1,
            SAMPLE: np.arange(1, len(kept) + 1, dtype=np.int64),
            PREDICTION_TIME: cohort.frame[PREDICTION_TIME].gather(kept),
        }
    )
    scores = [pl.Series(one.score, probability[kept, one.place].astype(np.float64)) for one in chosen]
    groups = [
        pl.Series(one.name, np.array(one.groups)[one.members[0][kept]]).cast(pl.Categorical) for one in found
    ]
    happened = pl.concat(
        keys.select(
            SUBJECT_ID,
            SAMPLE,
            pl.lit(one.event).alias(TYPE),
            pl.col(PREDICTION_TIME).alias(EVENT_TIME),
            pl.Series(VALUE, samples.labels[kept, one.place].astype(np.float64)),
        )
        for one in chosen
    )
    return keys.with_columns(*scores, *groups), happened, [one.name for one in found]


def _thresholds(samples: Samples, probability: Array, place: int) -> list[float]:
    """Return the thresholds of the first outcome that tuning data choose, highest first."""
    known = samples.pairs(ALL)[:, place]
    if not known.any():
        return [0.5]
    found = choose_thresholds(probability[known, place], samples.labels[known, place])
    values = {round(found[rule], 6) for rule in RULES if np.isfinite(found[rule])}
    return sorted(values, reverse=True) or [0.5]


def _settings(
    predictions: pl.DataFrame, chosen: list[_Chosen], groups: list[str], model: str
) -> dict[str, dict[str, Any]]:
    """Return the three YAML files by name."""
    return {
        CONFIG: {
            "other_info": {
                "usage_config": USAGE,
                "template": "binary",
                "info_dir": "outputs",
                "event_definition": DICTIONARY,
                "prediction_definition": DICTIONARY,
                "data_dir": DATA,
                "event_path": EVENTS,
                "prediction_path": PREDICTIONS,
                "metadata_path": METADATA,
            }
        },
        USAGE: {"data_usage": _usage(chosen, groups)},
        DICTIONARY: _dictionary(predictions, chosen, groups, model),
    }


def _usage(chosen: list[_Chosen], groups: list[str]) -> dict[str, Any]:
    return {
        "entity_id": SUBJECT_ID,
        "context_id": SAMPLE,
        "primary_output": chosen[0].score,
        "primary_target": chosen[0].event,
        "predict_time": PREDICTION_TIME,
        "outputs": [one.score for one in chosen[1:]],
        "cohorts": [{"source": name, "display_name": DISPLAY.get(name, name)} for name in groups],
        "event_table": {"type": TYPE, "time": EVENT_TIME, "value": VALUE},
        "events": [
            {"source": one.event, "display_name": one.event, "usage": "target", "aggregation_method": "max"}
            for one in chosen
        ],
        "censor_min_count": SMALLEST_CELL,
    }


def _dictionary(
    predictions: pl.DataFrame, chosen: list[_Chosen], groups: list[str], model: str
) -> dict[str, Any]:
    columns = [
        (SUBJECT_ID, "int64", "A subject, numbered from 1"),
        (SAMPLE, "int64", "A prediction, numbered from 1"),
        (PREDICTION_TIME, "datetime64[ns]", "When the prediction is made"),
        *((one.score, "float64", f"Probability of {one.words}, by {model}") for one in chosen),
        *((name, "category", f"{DISPLAY.get(name, name)}, as known at the prediction") for name in groups),
    ]
    if [name for name, _, _ in columns] != predictions.columns:
        raise ArtifactError("the dictionary of predictions does not list their columns")
    return {
        "predictions": [
            {"name": name, "dtype": dtype, "definition": words} for name, dtype, words in columns
        ],
        "events": [
            {
                "name": one.event,
                "display_name": one.event,
                "dtype": "int",
                "definition": f"Whether it happens: {one.words}",
            }
            for one in chosen
        ],
    }
