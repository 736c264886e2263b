"""Predictions → metrics with intervals: every model on the same held-out samples, against the best baseline."""

import math
import os
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

from attending.artifact import (
    Manifest,
    Recipe,
    folder_fingerprint,
    is_current,
    read_manifest,
    write_atomic,
    write_json,
    writing,
)
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import (
    BASELINES,
    CEILING,
    best_baseline,
    best_model,
    headline_metric,
    long_table,
    number,
    summarise,
)
from attending.evaluate.config import CONFIDENCE, Config
from attending.evaluate.curves import curves, grids, populations, reference
from attending.evaluate.definitions import definition
from attending.evaluate.evidence import Evidence
from attending.evaluate.parts import PARTS
from attending.evaluate.per_outcome import per_outcome
from attending.evaluate.reading import Cohort, Predictions, by_model, read_cohort, read_outcomes
from attending.evaluate.samples import Samples
from attending.evaluate.scores import Scores, score
from attending.evaluate.sets import f1_threshold
from attending.evaluate.thresholds import thresholds
from attending.evaluate.truth import ceiling
from attending.metrics.ranking import n_without_positive
from attending.metrics.ratio import Array
from attending.progress import track
from attending.schema import DESCRIPTION, HELD_OUT, OUTCOME, TUNING
from attending.stages.split import read_splits, splits_parent

KIND = "metrics"


def evaluate(
    labels: Path,
    predictions: list[Path],
    events: Path,
    out: Path,
    *,
    config: Config,
    splits: Path | None = None,
    truth: Path | None = None,
    seed: int = 0,
) -> Manifest:
    """Score every model's held-out predictions, and the simulated truth where there is one.

    Raises:
        ArtifactError: if predictions and labels differ in samples or outcomes, or a value is no probability.
    """
    folders = by_model(predictions)
    recipe = _recipe(labels, folders, events, config, truth, seed, splits)
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    asked = read_manifest(labels, "labels").config
    task = asked["task"]
    outcomes, of_subjects = read_outcomes(labels), read_splits(splits or events)
    cohorts = {split: read_cohort(labels, of_subjects, split, outcomes) for split in (TUNING, HELD_OUT)}
    tuning, held_out = (Predictions(folders, cohort, split, outcomes) for split, cohort in cohorts.items())
    known = ceiling(truth, cohorts[HELD_OUT].frame, outcomes[OUTCOME].to_list(), task) if truth else None
    samples = cohorts[HELD_OUT].samples
    bootstrap = Bootstrap(samples.n_subjects, config.n_replicates, seed)
    work = _Work(samples, cohorts[TUNING].samples, outcomes, bootstrap, config)
    # The work is spread over threads here; BLAS would only spin threads of its own beside them.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as executor:
        for model in track(list(folders), "evaluating"):
            work.add(model, held_out[model], executor, tuning[model])
        if known is not None:
            work.add(CEILING, known, executor)
    best, decided_by = best_baseline(work.tuning, tuning, config)
    with writing(out, recipe) as writer:
        writer.counts = _counts(cohorts[HELD_OUT], outcomes, work)
        head = {"task": task, **writer.counts, "headline": headline_metric(samples, config)}
        head |= {"best_baseline": best, "best_baseline_decided_by": decided_by}
        head |= {"best_model": best_model(work.tuning, tuning, config)}
        _write(writer.path, head, work, best)
        evidence = Evidence(
            task=task,
            target=asked["target"],
            outcomes=outcomes,
            tuning=cohorts[TUNING],
            held_out=cohorts[HELD_OUT],
            predictions={TUNING: tuning, HELD_OUT: held_out},
            scores=work.scores,
            bootstrap=bootstrap,
            config=config,
            best_baseline=best,
            best_model=head["best_model"],
            events=events,
            splits=splits or events,
        )
        for name, describe in track(list(PARTS.items()), "looking closer"):
            found = describe(evidence)
            if found is not None:
                write_json(writer.path / f"{name}.json", found)
    return read_manifest(out, KIND)


@dataclass
class _Work:
    """What has been found so far, model by model, so that one model's predictions are in memory at a time."""

    samples: Samples
    tuning: Samples
    outcomes: pl.DataFrame
    bootstrap: Bootstrap
    config: Config
    scores: dict[str, Scores] = field(default_factory=dict)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    curves: dict[str, list[dict[str, Any] | None]] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)
    f1_thresholds: dict[str, float] = field(default_factory=dict)

    def add(self, model: str, probability: Array, executor: Executor, of_tuning: Array | None = None) -> None:
        """Score one model."""
        confidence = CONFIDENCE
        drawn = [
            executor.submit(curves, self.samples, probability, population, self.bootstrap, confidence)
            for population in populations(self.samples)
        ]
        if not self.samples.is_binary and of_tuning is not None:
            self.f1_thresholds[model] = f1_threshold(self.tuning, of_tuning)
        at = self.f1_thresholds.get(model, math.nan)
        scores = score(self.samples, probability, self.bootstrap, self.config, executor, at)
        self.scores[model] = scores
        self.tables[model] = per_outcome(model, self.samples, probability, scores, self.outcomes, confidence)
        self.curves[model] = [curve.result() for curve in drawn]
        if self.samples.is_binary and of_tuning is not None and not self.samples.has_small_class:
            self.thresholds[model] = thresholds(
                (self.tuning, of_tuning), (self.samples, probability), self.bootstrap, confidence
            )


def _recipe(
    labels: Path,
    folders: Mapping[str, Path],
    events: Path,
    config: Config,
    truth: Path | None,
    seed: int,
    splits: Path | None,
) -> Recipe:
    parents = {
        "labels": read_manifest(labels, "labels").fingerprint,
        "events": read_manifest(events, "events").fingerprint,
    } | splits_parent(splits)
    parents |= {
        f"predictions of {name}": read_manifest(folder).fingerprint for name, folder in folders.items()
    }
    if truth:
        parents["truth"] = folder_fingerprint(truth)
    return Recipe(kind=KIND, config=config.to_dict(), parents=parents, seed=seed)


def _counts(cohort: Cohort, outcomes: pl.DataFrame, work: _Work) -> dict[str, Any]:
    samples = cohort.samples
    n_labels = samples.labels.sum(axis=1)
    scored = {scope: len(found) for scope, found in next(iter(work.scores.values())).outcomes.items()}
    return {
        "n_samples": samples.n,
        "n_subjects": samples.n_subjects,
        "n_outcomes": len(outcomes),
        "n_scored_outcomes": scored,
        "n_unseen_labels": cohort.n_unseen_labels,
        "n_unseen_codes": cohort.n_unseen_codes,
        "n_samples_without_label": None if samples.has_small_class else n_without_positive(n_labels),
    }


def _write(folder: Path, head: dict[str, Any], work: _Work, best: str | None) -> None:
    summary = summarise(work.scores, best, CONFIDENCE, head["best_model"])
    metrics = list(
        dict.fromkeys(name for scopes in summary.values() for of in scopes.values() for name in of)
    )
    write_json(
        folder / "metrics.json",
        head
        | {
            "baselines": [name for name in BASELINES if name in summary],
            "ceiling": {"name": CEILING, "metrics": summary[CEILING]} if CEILING in summary else None,
            "confidence": CONFIDENCE,
            "n_replicates": work.config.n_replicates,
            "definitions": {name: vars(definition(name)) for name in metrics},
            "models": {model: scopes for model, scopes in summary.items() if model != CEILING},
            "thresholds": dict(sorted(work.thresholds.items())),
            "f1_thresholds": {model: number(at) for model, at in sorted(work.f1_thresholds.items())},
        },
    )
    write_json(folder / "curves.json", _curves(work))
    table = long_table(summary)
    write_atomic(folder / "comparison.parquet", table.write_parquet)
    write_atomic(folder / "comparison.csv", table.write_csv)
    frames = pl.concat([work.tables[model] for model in sorted(work.tables)])
    write_atomic(folder / "per_outcome.parquet", frames.write_parquet)


def _curves(work: _Work) -> dict[str, Any]:
    names = work.outcomes.select(OUTCOME, DESCRIPTION).rows()
    sets = [
        reference(work.samples, population)
        | {"models": {model: work.curves[model][at] for model in sorted(work.curves)}}
        | (dict(zip((OUTCOME, DESCRIPTION), names[population[0]], strict=True)) if at else {})
        for at, population in enumerate(populations(work.samples))
    ]
    return grids() | {"pooled": sets[0], "outcomes": sets[1:]}
