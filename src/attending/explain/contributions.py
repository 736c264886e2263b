"""RETAIN's exact contributions: what each past code adds to the logit. They sum to it, with no approximation."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from attending.batch import Batch
from attending.config import Settings
from attending.errors import ModelError
from attending.nn.interface import Additive, Model


class Config(Settings):
    """No settings: the contributions are a property of the model."""


@torch.no_grad()
def explain(
    model: Model, batch: Batch, outcome: Int64[Tensor, " subject"], config: Config
) -> tuple[Float[Tensor, " token"], Float[Tensor, " subject"]]:
    """Return what each token adds to the logit of its history's outcome, and the part that no token adds.

    Raises:
        ModelError: if the model has no exact contributions.
    """
    if not isinstance(model, Additive):
        raise ModelError(
            f"the model {type(model).__module__.rpartition('.')[2]} has no exact contributions: "
            "use the explainer integrated_gradients"
        )
    return model.contributions(batch, outcome), model.base(outcome)
