"""One object for each kind of target: it scores models one by one, and knows what it alone counts and writes."""

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.config import Config
from attending.evaluate.probabilities import Probabilities
from attending.evaluate.question import unit
from attending.evaluate.reading import Cohort
from attending.evaluate.scores import Scores
from attending.evaluate.values import Measured, Values
from attending.metrics.ratio import Array
from attending.schema import HELD_OUT, TUNING, Target


class Work(Protocol):
    """What has been found of the models so far."""

    scores: dict[str, Scores]

    @property
    def headline(self) -> str:
        """The metric that ranks models."""

    def add(
        self, model: str, predicted: Array, executor: Executor, of_tuning: Array | None = None, /
    ) -> None:
        """Score one model's predictions (n, K) on held-out samples; `of_tuning` are those for tuning samples."""

    def quality(self, predicted: Array, /) -> float:
        """Return how good predictions for tuning samples are, more is better; NaN where nothing tells."""

    def counts(self) -> dict[str, Any]:
        """Return what is counted of this target alone."""

    def facts(self) -> dict[str, Any]:
        """Return what `metrics.json` says of this target alone."""

    def write(self, folder: Path) -> None:
        """Write the files that this target alone has."""


def work_of(
    target: Target,
    task: Mapping[str, Any],
    cohorts: Mapping[str, Cohort],
    outcomes: pl.DataFrame,
    bootstrap: Bootstrap,
    config: Config,
) -> Work:
    """Return the object that scores models of `target`."""
    held_out, tuning = cohorts[HELD_OUT], cohorts[TUNING]
    if target == "value":
        return Values(Measured.of(held_out), Measured.of(tuning), bootstrap, unit(task))
    return Probabilities(held_out.samples, tuning.samples, outcomes, bootstrap, config)
