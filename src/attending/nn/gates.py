"""A gate that shares out: a softmax that can say exactly zero."""

import torch
from jaxtyping import Float
from torch import Tensor

from attending.nn.precision import exact


def sparsemax(scores: Float[Tensor, "*rest item"]) -> Float[Tensor, "*rest item"]:
    """Return the point of the simplex that is nearest to the scores, over the last dimension: max(scores − τ, 0).

    τ makes the items sum to 1; with the scores sorted falling, the first k are positive, k being the largest number
    with 1 + k s_k > s_1 + … + s_k, and τ = (s_1 + … + s_k − 1) / k. Martins and Astudillo, ICML 2016.
    """
    found = exact(scores)
    found = found - found.detach().amax(-1, keepdim=True)  # changes nothing, and sums stay small
    falling = found.sort(-1, descending=True).values
    total = falling.cumsum(-1)
    rank = torch.arange(1, scores.shape[-1] + 1, device=scores.device)
    n_positive = (1 + rank * falling > total).sum(-1, keepdim=True)
    threshold = (total.gather(-1, n_positive - 1) - 1) / n_positive
    return (found - threshold).clamp(min=0).to(scores.dtype)
