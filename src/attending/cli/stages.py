"""The stages of a study, one command each: artifacts in, one artifact out.

Settings follow as `key=value`, as in `attending train retain TOKENS LABELS OUT model.width=64 train.epochs=5`.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attending.cli.given import (
    AsJson,
    Scheduler,
    Seed,
    Splits,
    Workers,
    component_of,
    engine_of,
    given_by,
    tell,
    training_of,
)


def split(
    events: Path,
    out: Path,
    *overrides: str,
    by: str = "subject",
    seed: Seed = 0,
    workers: Workers = None,
    scheduler: Scheduler = "",
    json_: AsJson = False,
) -> None:
    """Divide the subjects into train, tuning and held-out.

    Parameters
    ----------
    events
        The events artifact.
    out
        The splits artifact to write.
    overrides
        Settings of the split, such as `split.held_out_from=2018-01-01`.
    by
        The way to divide: see `attending list splits`.
    """
    from attending.stages.split import split as stage

    component = component_of(by, given_by(overrides, "split")["split"])
    engine = engine_of(workers, scheduler, out, events)
    tell(stage(events, out, by=component, engine=engine, seed=seed), out, json_)


def label(
    task: str,
    events: Path,
    out: Path,
    *overrides: str,
    splits: Splits = None,
    workers: Workers = None,
    scheduler: Scheduler = "",
    json_: AsJson = False,
) -> None:
    """Label every sample of a task.

    Parameters
    ----------
    task
        The question: see `attending list tasks`.
    events
        The events artifact.
    out
        The labels artifact to write.
    overrides
        Settings of the task, such as `task.visits=last`.
    """
    from attending.stages.label import label as stage

    component = component_of(task, given_by(overrides, "task")["task"])
    engine = engine_of(workers, scheduler, out, events)
    tell(stage(events, out, task=component, engine=engine, splits=splits), out, json_)


def tokenize(
    events: Path,
    out: Path,
    *overrides: str,
    splits: Splits = None,
    workers: Workers = None,
    scheduler: Scheduler = "",
    json_: AsJson = False,
) -> None:
    """Fit the vocabulary on the training split and write all histories as tokens.

    Parameters
    ----------
    events
        The events artifact.
    out
        The tokens artifact to write.
    overrides
        Settings, such as `tokens.min_subjects=11`.
    """
    from attending.config import build
    from attending.stages.tokenize import tokenize as stage
    from attending.tokens.vocabulary import Config

    config = build(Config, given_by(overrides, "tokens")["tokens"], where="the command line")
    engine = engine_of(workers, scheduler, out, events)
    tell(stage(events, out, config=config, engine=engine, splits=splits), out, json_)


def train(
    model: str, tokens: Path, labels: Path, out: Path, *overrides: str, seed: Seed = 0, json_: AsJson = False
) -> None:
    """Train a model or baseline; the same command resumes after an interruption.

    Several processes train together: `torchrun --nproc-per-node 4 -m attending.cli.main train …`.

    Parameters
    ----------
    model
        Which model: see `attending list models`.
    tokens
        The tokens artifact.
    labels
        The labels artifact.
    out
        The model artifact to write.
    overrides
        Settings: `model.…`, `train.…`, `batches.…`.
    """
    from attending.stages.train import train as stage
    from attending.train import parallel

    component, config, batching = training_of(model, given_by(overrides, "model", "train", "batches"))
    manifest = stage(tokens, labels, out, model=component, config=config, batching=batching, seed=seed)
    if parallel.speaks():
        tell(manifest, out, json_)


def predict(model: Path, tokens: Path, labels: Path, out: Path, *, json_: AsJson = False) -> None:
    """Predict the tuning and held-out samples; what happened to them is not read.

    Parameters
    ----------
    model
        The model artifact.
    tokens
        The tokens artifact that it was trained on.
    labels
        The labels artifact whose samples are predicted.
    out
        The predictions artifact to write.
    """
    from attending.stages.predict import predict as stage

    tell(stage(model, tokens, labels, out), out, json_)


def evaluate(
    labels: Path,
    events: Path,
    out: Path,
    predictions: list[Path],
    *,
    splits: Splits = None,
    truth: Path | None = None,
    settings: Annotated[list[str], Parameter(name="--set", negative="")] = [],  # noqa: B006 - never changed
    seed: Seed = 0,
    json_: AsJson = False,
) -> None:
    """Compare predictions on the same held-out subjects, with intervals.

    Parameters
    ----------
    labels
        The labels artifact.
    events
        The events artifact, for the split.
    out
        The metrics artifact to write.
    predictions
        The predictions artifacts to compare, baselines among them.
    truth
        The folder of a simulator's truth, for the ceiling.
    settings
        Settings, such as `--set evaluate.n_replicates=200`.
    """
    from attending.config import build
    from attending.evaluate.config import Config
    from attending.stages.evaluate import evaluate as stage

    config = build(Config, given_by(tuple(settings), "evaluate")["evaluate"], where="the command line")
    manifest = stage(labels, predictions, events, out, config=config, splits=splits, truth=truth, seed=seed)
    tell(manifest, out, json_)


def explain(
    model: Path,
    tokens: Path,
    labels: Path,
    out: Path,
    *overrides: str,
    explainer: str = "integrated_gradients",
    seed: Seed = 0,
    json_: AsJson = False,
) -> None:
    """Explain some held-out predictions: which past events drove them.

    Parameters
    ----------
    model
        The model artifact.
    tokens
        The tokens artifact that it was trained on.
    labels
        The labels artifact whose held-out samples are drawn from.
    out
        The attributions artifact to write.
    overrides
        Settings: `explain.n_samples=8`, `explainer.…` of the explainer.
    explainer
        The method: see `attending list explain`.
    """
    from attending.config import build
    from attending.stages.explain import Config
    from attending.stages.explain import explain as stage

    given = given_by(overrides, "explain", "explainer")
    config = build(Config, given["explain"], where="the command line")
    component = component_of(explainer, given["explainer"])
    tell(stage(model, tokens, labels, out, explainer=component, config=config, seed=seed), out, json_)


def report(
    events: Path,
    labels: Path,
    metrics: Path,
    out: Path,
    *,
    models: list[Path],
    splits: Splits = None,
    attributions: list[Path] = [],  # noqa: B006 - never changed
    title: str = "",
    json_: AsJson = False,
) -> None:
    """Write the report: one HTML file that needs no network.

    Parameters
    ----------
    events
        The events artifact.
    labels
        The labels artifact.
    metrics
        The metrics artifact.
    out
        The report artifact to write.
    models
        The model artifacts that the metrics compare.
    attributions
        Attributions artifacts to draw as timelines.
    title
        The title of the report.
    """
    from attending.report.settings import ReportConfig
    from attending.stages.report import report as stage

    manifest = stage(
        events=events,
        labels=labels,
        metrics=metrics,
        models=models,
        attributions=attributions,
        out=out,
        config=ReportConfig(title=title),
        splits=splits,
        study={"name": title or out.name},
    )
    tell(manifest, out, json_)
