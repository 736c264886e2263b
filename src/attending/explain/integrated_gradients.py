"""Integrated gradients for any differentiable model: the path from a history without content to the real one.

Sundararajan, Taly, Yan: "Axiomatic Attribution for Deep Networks", ICML 2017. Every token's embedding is scaled by a
weight w; along the straight path from w = 0 to w = 1 the attribution of token j is

    φ_j = ∫₀¹ ∂ logit / ∂w_j dw,

which equals integrated gradients over the embeddings with the zero embedding as the baseline. The attributions sum to
the logit minus the logit at w = 0 (completeness), up to the quadrature, whose error shrinks with `n_steps`.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from attending.batch import Batch
from attending.config import Settings
from attending.errors import ModelError
from attending.nn.interface import Model


class Config(Settings):
    """Settings: the nodes of the Gauss–Legendre quadrature along the path."""

    n_steps: int = 32


def explain(
    model: Model, batch: Batch, outcome: Int64[Tensor, " subject"], config: Config
) -> tuple[Float[Tensor, " token"], Float[Tensor, " subject"]]:
    """Return each token's share of the logit of its history's outcome, and the logit of the empty history.

    Raises:
        ModelError: if the model has no gradients.
    """
    if not model.differentiable:
        raise ModelError(
            f"the model {type(model).__module__.rpartition('.')[2]} has no gradients to integrate"
        )
    nodes, node_weights = np.polynomial.legendre.leggauss(config.n_steps)
    ones = torch.ones_like(batch.values)
    total = torch.zeros_like(ones)
    for node, node_weight in zip((nodes + 1) / 2, node_weights / 2, strict=True):
        weights = (ones * float(node)).requires_grad_()
        logits = _chosen(model, batch.with_weights(weights), outcome)
        if logits.requires_grad:  # a model that ignores the history has nothing to attribute
            (gradient,) = torch.autograd.grad(logits.sum(), weights, allow_unused=True)
            total = total + float(node_weight) * (gradient if gradient is not None else 0.0)
    with torch.no_grad():
        base = _chosen(model, batch.with_weights(torch.zeros_like(ones)), outcome)
    return total.detach(), base


def _chosen(model: Model, batch: Batch, outcome: Int64[Tensor, " subject"]) -> Float[Tensor, " subject"]:
    return model(batch).logits.gather(1, outcome[:, None])[:, 0]
