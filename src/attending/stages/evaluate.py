"""Predictions → metrics with intervals: every model on the same held-out samples, against the best baseline."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
from attending.evaluate.comparison import BASELINES, CEILING, choose, long_table, summarise
from attending.evaluate.config import CONFIDENCE, Config
from attending.evaluate.definitions import definition
from attending.evaluate.evidence import Evidence
from attending.evaluate.parts import PARTS
from attending.evaluate.reading import Cohort, Predictions, by_model, read_cohort, read_outcomes
from attending.evaluate.truth import ceiling
from attending.evaluate.work import Work, work_of
from attending.progress import track
from attending.schema import HELD_OUT, OUTCOME, TUNING
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
        ArtifactError: if predictions and labels differ in samples or outcomes, or a prediction is no probability,
            or no number.
    """
    folders = by_model(predictions)
    recipe = _recipe(labels, folders, events, config, truth, seed, splits)
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    asked = read_manifest(labels, "labels").config
    task, target = asked["task"], asked["target"]
    outcomes, of_subjects = read_outcomes(labels), read_splits(splits or events)
    cohorts = {split: read_cohort(labels, of_subjects, split, outcomes) for split in (TUNING, HELD_OUT)}
    tuning, held_out = (
        Predictions(folders, cohort, split, outcomes, target) for split, cohort in cohorts.items()
    )
    known = ceiling(truth, cohorts[HELD_OUT].frame, outcomes[OUTCOME].to_list(), task) if truth else None
    bootstrap = Bootstrap(cohorts[HELD_OUT].samples.n_subjects, config.n_replicates, seed)
    work = work_of(target, task, cohorts, outcomes, bootstrap, config)
    # The work is spread over threads here; BLAS would only spin threads of its own beside them.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as executor:
        for model in track(list(folders), "evaluating"):
            work.add(model, held_out[model], executor, tuning[model])
        if known is not None:
            work.add(CEILING, known, executor)
    best, decided_by = choose([name for name in BASELINES if name in folders], tuning, work.quality)
    best_model, _ = choose([name for name in folders if name not in BASELINES], tuning, work.quality)
    with writing(out, recipe) as writer:
        writer.counts = _counts(cohorts[HELD_OUT], outcomes, work)
        head = {"task": task, "target": target, **writer.counts, "headline": work.headline}
        head |= {"best_baseline": best, "best_baseline_decided_by": decided_by, "best_model": best_model}
        _write(writer.path, head, work, config.n_replicates)
        evidence = Evidence(
            task=task,
            target=target,
            outcomes=outcomes,
            tuning=cohorts[TUNING],
            held_out=cohorts[HELD_OUT],
            predictions={TUNING: tuning, HELD_OUT: held_out},
            scores=work.scores,
            bootstrap=bootstrap,
            config=config,
            best_baseline=best,
            best_model=best_model,
            events=events,
            splits=splits or events,
        )
        for name, describe in track(list(PARTS.items()), "looking closer"):
            found = describe(evidence)
            if found is not None:
                write_json(writer.path / f"{name}.json", found)
    return read_manifest(out, KIND)


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


def _counts(cohort: Cohort, outcomes: pl.DataFrame, work: Work) -> dict[str, Any]:
    return {
        "n_samples": cohort.samples.n,
        "n_subjects": cohort.samples.n_subjects,
        "n_outcomes": len(outcomes),
        "n_unseen_labels": cohort.n_unseen_labels,
        "n_unseen_codes": cohort.n_unseen_codes,
    } | work.counts()


def _write(folder: Path, head: dict[str, Any], work: Work, n_replicates: int) -> None:
    summary = summarise(work.scores, head["best_baseline"], CONFIDENCE, head["best_model"])
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
            "n_replicates": n_replicates,
            "definitions": {name: vars(definition(name)) for name in metrics},
            "models": {model: scopes for model, scopes in summary.items() if model != CEILING},
        }
        | work.facts(),
    )
    table = long_table(summary)
    write_atomic(folder / "comparison.parquet", table.write_parquet)
    write_atomic(folder / "comparison.csv", table.write_csv)
    work.write(folder)
