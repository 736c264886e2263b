"""What every model is: a module from a packed batch to one logit per history and outcome."""

from collections.abc import Iterable
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from pydantic import model_validator
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.config import Settings
from attending.nn.losses import VALUE_TARGET
from attending.nn.sized import Sized

SIZES = {
    "tiny": {"width": 32, "n_layers": 1, "n_heads": 2},
    "small": {"width": 64, "n_layers": 2, "n_heads": 4},
    "medium": {"width": 128, "n_layers": 4, "n_heads": 4},
    "large": {"width": 256, "n_layers": 6, "n_heads": 8},
}


class ModelConfig(Settings):
    """What every model's settings hold.

    n_tokens, n_outcomes   sizes that the data decide; the training stage fills them in
    size                   one dial: `tiny`, `small`, `medium` or `large` sets every width (`width`, `width_…`),
                           `n_layers` and `n_heads` that is not set beside it
    """

    n_tokens: int = 0
    n_outcomes: int = 0
    size: Literal["", "tiny", "small", "medium", "large"] = ""

    @model_validator(mode="before")
    @classmethod
    def _dial(cls, values: object) -> object:
        """Set what the size says, unless it is set by hand."""
        size = values.get("size") if isinstance(values, dict) else None
        if not isinstance(values, dict) or not isinstance(size, str) or size not in SIZES:
            return values
        said = SIZES[size]
        chosen = {
            name: said["width" if name.startswith("width") else name]
            for name in cls.model_fields
            if name in said or name.startswith("width")
        }
        return chosen | values


class OntologyConfig(ModelConfig):
    """The sizes of a model that reads the ontology: `n_concepts` are the tokens and what is above them."""

    n_concepts: int = 0


class Model(Sized):
    """The interface of models.

    A model learns in one of two ways, named by `fits`: False, it has gradients and the training loop trains it;
    True, it has a `fit` of its own that reads the training batches. Either way `forward` predicts from what is in
    the batch alone: no labels, no batch mates, nothing after the prediction time.

    `needs` names the facts that are costly to gather, `ontology` and `together`, where the model reads them.
    `sized` names buffers that the data size (`nn.sized`).
    """

    fits: bool = False
    differentiable: bool = True
    needs: frozenset[str] = frozenset()

    def use(self, facts: Facts) -> None:
        """Take in what is known before training. Start the bias of `self.output`, if there is one, at a first guess.

        The first guess is the log-odds of each outcome, or 0, the mean of a standardised number.
        """
        output = getattr(self, "output", None)
        if isinstance(output, nn.Linear) and output.bias is not None:
            with torch.no_grad():
                output.bias.copy_(first_guess(facts))

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
class SelfSupervised(Protocol):
    """A model that can learn from histories without labels first.

    What only this objective uses is a submodule `pretext`; predictions do not depend on it.
    """

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean loss of the model's own objective; random choices come from torch's generator."""
        ...


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
