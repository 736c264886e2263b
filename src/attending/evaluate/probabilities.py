"""Predicted outcomes: every model's scores, curves and thresholds, one model's predictions in memory at a time."""

import math
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from attending.artifact import write_atomic, write_json
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import headline_metric, number, tuning_auroc
from attending.evaluate.config import CONFIDENCE, Config
from attending.evaluate.curves import curves, grids, populations, reference
from attending.evaluate.per_outcome import per_outcome
from attending.evaluate.samples import Samples
from attending.evaluate.scores import Scores, score
from attending.evaluate.sets import f1_threshold
from attending.evaluate.thresholds import thresholds
from attending.metrics.ranking import n_without_positive
from attending.metrics.ratio import Array
from attending.schema import DESCRIPTION, OUTCOME


@dataclass
class Probabilities:
    """What has been found so far of models that predict outcomes."""

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

    @property
    def headline(self) -> str:
        """The metric that ranks models."""
        return headline_metric(self.samples, self.config)

    def quality(self, probability: Array) -> float:
        """Return how good predictions are on tuning data: their AUROC."""
        return tuning_auroc(self.tuning, probability, self.config)

    def counts(self) -> dict[str, Any]:
        """Return what is counted of this target alone."""
        n_labels = self.samples.labels.sum(axis=1)
        scored = {scope: len(found) for scope, found in next(iter(self.scores.values())).outcomes.items()}
        without = None if self.samples.has_small_class else n_without_positive(n_labels)
        return {"n_scored_outcomes": scored, "n_samples_without_label": without}

    def facts(self) -> dict[str, Any]:
        """Return what `metrics.json` says of this target alone."""
        return {
            "thresholds": dict(sorted(self.thresholds.items())),
            "f1_thresholds": {model: number(at) for model, at in sorted(self.f1_thresholds.items())},
        }

    def write(self, folder: Path) -> None:
        """Write `curves.json` and `per_outcome.parquet`."""
        write_json(folder / "curves.json", self._all_curves())
        frames = pl.concat([self.tables[model] for model in sorted(self.tables)])
        write_atomic(folder / "per_outcome.parquet", frames.write_parquet)

    def _all_curves(self) -> dict[str, Any]:
        names = self.outcomes.select(OUTCOME, DESCRIPTION).rows()
        sets = [
            reference(self.samples, population)
            | {"models": {model: self.curves[model][at] for model in sorted(self.curves)}}
            | (dict(zip((OUTCOME, DESCRIPTION), names[population[0]], strict=True)) if at else {})
            for at, population in enumerate(populations(self.samples))
        ]
        return grids() | {"pooled": sets[0], "outcomes": sets[1:]}
