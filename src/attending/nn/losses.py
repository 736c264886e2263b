"""The loss that every model minimises, over the pairs of sample and outcome whose answer is known.

    outcomes    −[y log σ(z) + (1 − y) log(1 − σ(z))]
    a number    (z − y)², y standardised on the training split

A label that is NaN is not known, and its pair counts for nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

VALUE_TARGET = "value"


def loss(
    logits: Float[Tensor, "subject outcome"], labels: Float[Tensor, "subject outcome"], target: str
) -> Float[Tensor, ""]:
    """Return the mean loss over known pairs; 0, with a gradient of 0, where none is known."""
    known = ~torch.isnan(labels)
    wanted = torch.where(known, labels, 0.0)
    if target == VALUE_TARGET:
        each = (logits - wanted).square()
    else:
        each = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)
