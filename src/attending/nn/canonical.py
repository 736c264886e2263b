"""One order for what has none: tokens of a visit by day, token and value, for models that read token by token."""

from dataclasses import replace

import torch
from jaxtyping import Int64
from torch import Tensor

from attending.batch import Batch


def canonical(batch: Batch) -> tuple[Batch, Int64[Tensor, " token"]]:
    """Return the batch with each visit's tokens in order of day, then token, then value, and where each one stood.

    Simultaneous tokens have no order of their own; a model that reads one after another must not see one. Visits keep
    their bounds, and tokens at different times of a visit their order.
    """
    order = torch.argsort(batch.values, stable=True)
    for key in (batch.tokens, batch.days, batch.visit_of_token):
        order = order[torch.argsort(key[order], stable=True)]
    weights = None if batch.weights is None else batch.weights[order]
    moved = replace(
        batch,
        tokens=batch.tokens[order],
        days=batch.days[order],
        ages=batch.ages[order],
        values=batch.values[order],
        weights=weights,
    )
    return moved, order
