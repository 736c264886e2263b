"""What every model is: a module from a packed batch to one logit per history and outcome."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.config import Settings
from attending.nn.losses import VALUE_TARGET


class ModelConfig(Settings):
    """The data-dependent sizes that every model's settings hold; the training stage fills them in."""

    n_tokens: int = 0
    n_outcomes: int = 0


class Model(nn.Module):
    """The interface of models.

    A model learns in one of two ways, named by `fits`: False, it has gradients and the training loop trains it;
    True, it has a `fit` of its own that reads the training batches. Either way `forward` predicts from what is in
    the batch alone: no labels, no batch mates, nothing after the prediction time.
    """

    fits: bool = False
    differentiable: bool = True

    def use(self, facts: Facts) -> None:
        """Take in what is known of the vocabulary before training. The default does nothing."""

    def predicted(self, batch: Batch, target: str) -> Float[Tensor, "subject outcome"]:
        """Return the probability of each outcome, or the standardised number where a number is predicted."""
        logits = self(batch.without_labels()).logits
        return logits if target == VALUE_TARGET else torch.sigmoid(logits)

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, Any]:
        """Fit on the training batches, choosing settings on the tuning ones; return what to log."""
        raise NotImplementedError(f"{type(self).__name__} is trained by the training loop")

    def forward(self, batch: Batch) -> Output:
        """Return the logits of the batch."""
        raise NotImplementedError


@runtime_checkable
class Additive(Protocol):
    """A model whose logit is an exact sum over tokens, plus a base."""

    def contributions(self, batch: Batch, outcome: Int64[Tensor, " subject"]) -> Float[Tensor, " token"]:
        """Return what each token adds to the logit of its history's outcome."""
        ...

    def base(self, outcome: Int64[Tensor, " subject"]) -> Float[Tensor, " subject"]:
        """Return the part of the logit that no token adds."""
        ...


def log_odds(prevalence: Tensor, smallest: float = 1e-6) -> Tensor:
    """Return the logit of a share, held away from infinity."""
    return torch.logit(prevalence.double().clamp(smallest, 1 - smallest)).float()


def first_guess(facts: Facts) -> Tensor:
    """Return the logits that know nothing of a patient: each outcome's log-odds, or 0, the mean of a number."""
    if facts.target == VALUE_TARGET:
        return torch.zeros_like(facts.prevalence)
    return log_odds(facts.prevalence)
