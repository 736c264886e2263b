"""The samples that every model is scored on, and which pairs of sample and outcome a scope holds.

A pair is in scope `new_onset` where the outcome was not yet in the sample's history, in `recurrent` where it was,
and always in `all`. An outcome's own metrics then speak of the samples whose pair is in scope: how well a model
foresees heart failure in those who never had it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attending.errors import ArtifactError
from attending.metrics.ratio import Array

ALL, NEW_ONSET, RECURRENT = SCOPES = ("all", "new_onset", "recurrent")
SMALLEST_CELL = 11


@dataclass(frozen=True)
class Samples:
    """Held-out (or tuning) samples, in the row order of the predictions.

    subject     (n,) the sample's subject, any numbers
    labels      (n, K) whether the outcome happens
    history     (n, K) whether the outcome had happened before
    known       (n, K) whether it is known if the outcome happens; false where the subject left too early. None: all
    """

    subject: Array
    labels: NDArray[np.bool_]
    history: NDArray[np.bool_]
    known: NDArray[np.bool_] | None = None

    @property
    def n(self) -> int:
        """How many samples there are."""
        return len(self.labels)

    @property
    def n_outcomes(self) -> int:
        """How many outcomes each sample has."""
        return int(self.labels.shape[1])

    @property
    def is_binary(self) -> bool:
        """Whether there is one outcome only, which then has no scope but `all`."""
        return self.n_outcomes == 1

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that these samples are scored in."""
        return (ALL,) if self.is_binary else SCOPES

    @cached_property
    def owner(self) -> NDArray[np.intp]:
        """(n,) the sample's subject as a number from 0, in the order of the subjects' own numbers."""
        return np.unique(self.subject, return_inverse=True)[1]

    @property
    def n_subjects(self) -> int:
        """How many subjects there are."""
        return int(self.owner.max()) + 1 if self.n else 0

    @property
    def has_small_class(self) -> bool:
        """Whether the one outcome of a binary task happens, or fails to, in 1 to 10 samples: too few to be told."""
        positive, known = int(self.labels.sum()), int(self.pairs(ALL).sum())
        return self.is_binary and bool(small(np.array([positive, known - positive])).any())

    def pairs(self, scope: str) -> NDArray[np.bool_]:
        """Return (n, K): whether the pair of sample and outcome is in `scope`, and its answer known."""
        known = np.ones_like(self.labels) if self.known is None else self.known
        if scope == ALL:
            return known
        return known & (self.history if scope == RECURRENT else ~self.history)

    def scored_outcomes(self, scope: str, minimum: int) -> list[int]:
        """Return the outcomes with at least `minimum` samples of either class in `scope`, whatever the model."""
        pairs = self.pairs(scope)
        positive, total = (self.labels & pairs).sum(axis=0), pairs.sum(axis=0)
        return np.flatnonzero((positive >= minimum) & (total - positive >= minimum)).tolist()


def small(counts: Array) -> NDArray[np.bool_]:
    """Say which counts are too small to be shown; zero is not."""
    return (counts > 0) & (counts < SMALLEST_CELL)


def check_probabilities(model: str, probability: Array, n: int, n_outcomes: int) -> None:
    """Check that a model's predictions are probabilities of every outcome for every sample.

    Raises:
        ArtifactError: naming the model and how many values are wrong.
    """
    _check_shape(model, probability, n, n_outcomes)
    wrong = int((~((probability >= 0) & (probability <= 1))).sum())  # NaN compares false
    if wrong:
        raise ArtifactError(
            f"expected probabilities between 0 and 1 from the model '{model}'; got {wrong} of {probability.size} "
            "values that are NaN or outside: look at the model's training log, then train and predict again"
        )


def check_values(model: str, predicted: Array, n: int, n_outcomes: int) -> None:
    """Check that a model's predictions are numbers, one for every sample.

    Raises:
        ArtifactError: naming the model and how many are wrong.
    """
    _check_shape(model, predicted, n, n_outcomes)
    wrong = int((~np.isfinite(predicted)).sum())
    if wrong:
        raise ArtifactError(
            f"expected finite numbers from the model '{model}'; {wrong} of {predicted.size} are NaN or infinite: "
            "look at the model's training log, then train and predict again"
        )


def _check_shape(model: str, predicted: Array, n: int, n_outcomes: int) -> None:
    if predicted.shape != (n, n_outcomes):
        raise ArtifactError(
            f"expected predictions of the model '{model}' for {n} samples × {n_outcomes} outcomes; "
            f"got {' × '.join(map(str, predicted.shape))}: run predict again"
        )
