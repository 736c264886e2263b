"""Events → labels: a task's samples, what happened, and what the record already knew."""

from functools import partial
from pathlib import Path

import polars as pl

from attending import parquet, registry
from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_atomic, write_json, writing
from attending.config import Component, Settings
from attending.engine.local import Engine
from attending.errors import TaskError
from attending.schema import (
    BOOLEAN_VALUE,
    CATEGORICAL_VALUE,
    CENSORED_CODES,
    CODE,
    FLOAT_VALUE,
    LABEL_CODES,
    LABELS,
    N_TRAIN_POSITIVE,
    OUTCOME,
    OUTCOMES,
    PREDICTION_TIME,
    SPLIT,
    SUBJECT_ID,
    TRAIN,
    VALUE,
    Target,
)
from attending.stages.split import read_splits, splits_parent

KIND = "labels"


def label(
    events: Path,
    out: Path,
    *,
    task: Component,
    engine: Engine,
    splits: Path | None = None,
    outcomes: Path | None = None,
) -> Manifest:
    """Label every sample of a task, and fit the list of outcomes on the training split.

    `outcomes` is another label artifact of the task, whose outcomes are then taken as they are.

    A task with a `check(config, codes)` is given all codes of the data set first, and may refuse them.

    Raises:
        TaskError: if no sample, or no outcome, is left.
    """
    config = task.config("tasks")
    module = registry.load("tasks", task.name)
    target: Target = module.target(config)
    recipe = Recipe(
        kind=KIND,
        config={"task": {"name": task.name} | config.to_dict(), "target": target},
        parents={"events": read_manifest(events, "events").fingerprint}
        | splits_parent(splits)
        | ({} if outcomes is None else {"outcomes": read_manifest(outcomes, KIND).fingerprint}),
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    if hasattr(module, "check"):
        module.check(config, _codes(events))
    shards = sorted((events / "data").glob("*.parquet"))
    with writing(out, recipe) as writer:
        for folder in ("data", "meds"):
            (writer.path / folder).mkdir(exist_ok=True)
        work = partial(_label_shard, out=writer.path, task=task.name, config=config)
        flows = engine.map(work, shards, "labelling")
        labels = pl.scan_parquet(writer.path / "data" / "*.parquet")
        if outcomes is None:
            known = _outcomes(labels, read_splits(splits or events), task.name, config)
        else:
            known = read_outcomes(outcomes)
        write_atomic(writer.path / "outcomes.parquet", known.write_parquet)
        write_json(writer.path / "flow.json", _add(flows))
        n_samples = labels.select(pl.len()).collect().item()
        n_subjects = labels.select(pl.col(SUBJECT_ID).n_unique()).collect().item()
        writer.counts = {"samples": n_samples, "subjects": n_subjects, "outcomes": known.height}
    return read_manifest(out, KIND)


def read_outcomes(folder: Path) -> pl.DataFrame:
    """Read the outcomes of a label, predictions or model artifact, in the order of their index."""
    return pl.read_parquet(folder / "outcomes.parquet")


def read_labels(labels: Path) -> pl.DataFrame:
    """Read every sample of a label artifact, sorted by subject and prediction time."""
    return pl.read_parquet(labels / "data" / "*.parquet").sort(SUBJECT_ID, PREDICTION_TIME)


def _label_shard(shard: Path, *, out: Path, task: str, config: Settings) -> list[dict[str, str | int]]:
    module = registry.load("tasks", task)
    columns = module.columns(config) if hasattr(module, "columns") else None
    labelled = module.label(parquet.read(shard, columns), config)
    frame = LABELS.check(labelled.frame, f"the task '{task}'")
    write_atomic(out / "data" / shard.name, frame.write_parquet)
    parquet.write(out / "meds" / shard.name, _meds_view(frame, module.target(config)))
    flow: list[dict[str, str | int]] = labelled.flow
    return flow


def _meds_view(labels: pl.DataFrame, target: Target) -> pl.DataFrame:
    """Return labels as `meds.LabelSchema` has them: a boolean, a number, or one row for each positive code.

    MEDS has no censored label: a sample whose one outcome is not known has no row there.
    """
    keys = [SUBJECT_ID, PREDICTION_TIME]
    if target == "multilabel":
        positives = labels.select(*keys, pl.col(LABEL_CODES).alias(CATEGORICAL_VALUE))
        return positives.explode(CATEGORICAL_VALUE, empty_as_null=False)
    if target == "value":
        return labels.select(*keys, pl.col(VALUE).cast(pl.Float32).alias(FLOAT_VALUE))
    if CENSORED_CODES in labels.columns:
        labels = labels.filter(pl.col(CENSORED_CODES).list.len() == 0)
    return labels.select(*keys, (pl.col(LABEL_CODES).list.len() > 0).alias(BOOLEAN_VALUE))


def _codes(events: Path) -> list[str]:
    return pl.read_parquet(events / "metadata" / "codes.parquet", columns=[CODE])[CODE].to_list()


def _outcomes(labels: pl.LazyFrame, splits: pl.DataFrame, task: str, config: Settings) -> pl.DataFrame:
    minimum: int = getattr(config, "min_train_subjects", 1)
    train = splits.lazy().filter(pl.col(SPLIT) == TRAIN)
    counts = (
        labels.join(train, on=SUBJECT_ID, how="semi")
        .select(SUBJECT_ID, pl.col(LABEL_CODES).alias(OUTCOME))
        .explode(OUTCOME, empty_as_null=False)
        .group_by(OUTCOME)
        .agg(
            pl.len().cast(pl.Int64).alias(N_TRAIN_POSITIVE), pl.col(SUBJECT_ID).n_unique().alias("n_subjects")
        )
        .filter(pl.col("n_subjects") >= minimum)
        .sort(OUTCOME)
        .collect()
    )
    if counts.is_empty():
        raise TaskError(
            f"the task '{task}' has no outcome that at least {minimum} training subjects have: "
            "use more data, or lower task.min_train_subjects"
        )
    describe = partial(registry.load("tasks", task).describe, config=config)
    named = counts.with_columns(pl.col(OUTCOME).map_elements(describe, pl.String).alias("description"))
    return OUTCOMES.check(named.select(list(OUTCOMES.columns)), "the outcomes")


def _add(flows: list[list[dict[str, str | int]]]) -> list[dict[str, str | int]]:
    """Add the shards' flows; a subject lives in one shard, so counts add."""
    total = [dict(step) for step in flows[0]]
    for flow in flows[1:]:
        for mine, step in zip(total, flow, strict=True):
            for key in ("n_subjects", "n_samples"):
                mine[key] = int(mine[key]) + int(step[key])
    return total
