"""Predicted numbers: every model's errors with intervals, and how observed numbers lie around predicted ones.

All metrics are functions of sums over samples or of counts in bins, so replicates are columns (`metrics.regression`).
The median's replicates use at most `N_BINS` bins of errors. Of fewer than 11 subjects nothing is told.
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attending.artifact import write_json
from attending.errors import ArtifactError
from attending.evaluate.bootstrap import Bootstrap, Replicated, subject_sums, widening
from attending.evaluate.comparison import number
from attending.evaluate.config import CONFIDENCE
from attending.evaluate.reading import Cohort
from attending.evaluate.samples import ALL, SMALLEST_CELL
from attending.evaluate.scores import Metrics, Scores
from attending.metrics.ratio import Array, Floats, ratio
from attending.metrics.regression import (
    N_DAY_BINS,
    NAMES,
    NAMES_OF_DAYS,
    Terms,
    day_cells,
    errors,
    kappa_of_counts,
    median_of_counts,
)
from attending.schema import VALUE

HEADLINE = "mae"
DAYS = "days"
MEDIAN, KAPPA = "median_absolute_error", "kappa"
N_BINS = 1000
N_GROUPS, GROUP_SIZE = 10, 30
QUARTILES = (0.25, 0.75)


@dataclass(frozen=True)
class Measured:
    """Samples of a number: whose they are (n,), any numbers, and what was observed (n,)."""

    subject: Array
    value: Floats

    @classmethod
    def of(cls, cohort: Cohort) -> "Measured":
        """Take the numbers of a cohort.

        Raises:
            ArtifactError: if its labels hold none.
        """
        if VALUE not in cohort.frame.columns:
            raise ArtifactError(f"expected a column '{VALUE}' in the labels of a number: label again")
        return cls(cohort.samples.subject, cohort.frame[VALUE].to_numpy().astype(np.float64))

    @cached_property
    def owner(self) -> NDArray[np.intp]:
        """(n,) the sample's subject as a number from 0."""
        return np.unique(self.subject, return_inverse=True)[1]

    @property
    def n_subjects(self) -> int:
        """How many subjects there are."""
        return int(self.owner.max()) + 1 if len(self.owner) else 0


@dataclass
class Values:
    """What has been found of models that predict a number, in `unit`."""

    samples: Measured
    tuning: Measured
    bootstrap: Bootstrap
    unit: str = ""
    scores: dict[str, Scores] = field(default_factory=dict)
    groups: dict[str, list[dict[str, float | None]]] = field(default_factory=dict)

    headline = HEADLINE

    def add(self, model: str, predicted: Array, executor: Executor, of_tuning: Array | None = None) -> None:
        """Score one model's predictions (n, 1)."""
        p = predicted[:, 0].astype(np.float64)
        drawn = executor.submit(groups, self.samples, p, self.bootstrap)
        metrics = errors_of(self.samples, p, self.bootstrap, of_days=self.unit == DAYS)
        self.scores[model], self.groups[model] = Scores({ALL: metrics}, {}), drawn.result()

    def quality(self, predicted: Array) -> float:
        """Return how good predictions are on tuning data: the smaller the mean error, the better."""
        return -errors(self.tuning.value, predicted[:, 0])[HEADLINE]

    def counts(self) -> dict[str, Any]:
        """Return what is counted of this target alone."""
        return {"n_scored_outcomes": {ALL: 1}}

    def facts(self) -> dict[str, Any]:
        """Return what `metrics.json` says of this target alone."""
        return {"unit": self.unit}

    def write(self, folder: Path) -> None:
        """Write `values.json`: observed numbers in groups of predicted ones."""
        shown = {model: self.groups[model] for model in sorted(self.groups)}
        write_json(folder / "values.json", {"unit": self.unit, "models": shown})


def errors_of(
    samples: Measured, predicted: Floats, bootstrap: Bootstrap, *, of_days: bool = False
) -> Metrics:
    """Return each metric of predictions (n,) with its replicates."""
    y, owner, n_subjects = samples.value, samples.owner, samples.n_subjects
    if n_subjects < SMALLEST_CELL:
        names = [HEADLINE, MEDIAN, *NAMES[1:], *((*NAMES_OF_DAYS, KAPPA) if of_days else ())]
        return dict.fromkeys(names, Replicated.undefined(bootstrap.n_replicates))
    terms = Terms.of(y, predicted, of_days=of_days)
    totals = bootstrap.totals(np.stack([subject_sums(row, owner, n_subjects) for row in terms.rows]))
    values: Mapping[str, Floats] = terms.metrics(totals) | {MEDIAN: _medians(samples, predicted, bootstrap)}
    if of_days:
        cells = bootstrap.table(day_cells(y, predicted), owner, N_DAY_BINS**2)
        values = {**values, KAPPA: bootstrap.reduce([cells], kappa_of_counts)}
    wider = widening(n_subjects)
    estimates = errors(y, predicted, of_days=of_days)
    return {name: Replicated.centred(estimates[name], values[name], wider) for name in values}


def groups(samples: Measured, predicted: Floats, bootstrap: Bootstrap) -> list[dict[str, float | None]]:
    """Return, in up to ten groups of alike predictions: predicted and observed means, its interval, its quartiles."""
    n_groups = min(N_GROUPS, samples.n_subjects // GROUP_SIZE)
    if n_groups < 1:
        return []
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, n_groups + 1)[1:-1]))
    member = np.searchsorted(edges, predicted, side="right")
    sums = bootstrap.totals(_by_group(samples, samples.value, member, len(edges) + 1))
    sizes = bootstrap.totals(_by_group(samples, np.ones(len(predicted)), member, len(edges) + 1))
    found = []
    for group in range(len(edges) + 1):
        rows = member == group
        n_subjects = len(np.unique(samples.owner[rows]))
        if n_subjects < SMALLEST_CELL:
            continue
        y = samples.value[rows]
        mean = Replicated.centred(float(y.mean()), ratio(sums[group], sizes[group]), widening(n_subjects))
        low, high = mean.interval(CONFIDENCE)
        first, third = np.quantile(y, QUARTILES)
        shown = {"predicted": predicted[rows].mean(), "observed": mean.estimate, "low": low, "high": high}
        shown |= {"first_quartile": first, "third_quartile": third}
        found.append({name: number(float(value)) for name, value in shown.items()})
    return found


def _medians(samples: Measured, predicted: Floats, bootstrap: Bootstrap) -> Floats:
    distance = np.abs(predicted - samples.value)
    edges = np.unique(np.quantile(distance, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    member = np.searchsorted(edges, distance, side="right")
    size = np.bincount(member, minlength=len(edges) + 1)
    means = ratio(np.bincount(member, distance, minlength=len(size)), size)
    kept = np.flatnonzero(size)
    table = bootstrap.table(np.searchsorted(kept, member), samples.owner, len(kept))
    return bootstrap.reduce([table], lambda counts: median_of_counts(means[kept], counts))


def _by_group(samples: Measured, values: Floats, member: Array, n_groups: int) -> Floats:
    cells = member * samples.n_subjects + samples.owner
    flat = np.bincount(cells, values, minlength=n_groups * samples.n_subjects)
    return flat.reshape(n_groups, samples.n_subjects).astype(np.float64)
