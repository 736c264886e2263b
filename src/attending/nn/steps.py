"""The input of a step: what stands in a visit, with the values that were measured, as one vector."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attending.batch import Batch
from attending.nn.packed import bag, token_weights


def shares(batch: Batch) -> Float[Tensor, " token"]:
    """Return each token's share of its kind in its visit: tokens written `k` times count 1/k each, times their weight.

    So a visit is a set of codes, each with the mean of its values, and the order of its events changes nothing.
    """
    size = int(batch.tokens.max()) + 1 if len(batch.tokens) else 1
    _, kind, count = torch.unique(
        batch.visit_of_token * size + batch.tokens, return_inverse=True, return_counts=True
    )
    return token_weights(batch) / count[kind]


class StepEmbedding(nn.Module):
    """x = Σ over the codes k of a step of  E[k] + (mean value of k) U[k]."""

    def __init__(self, n_tokens: int, width: int) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(n_tokens, width) / width**0.5)
        self.value = nn.Parameter(torch.zeros(n_tokens, width))

    def forward(self, batch: Batch) -> Float[Tensor, "visit width"]:
        """Return the vector of each visit; 0 for an empty one."""
        share = shares(batch)
        codes = bag(self.code, batch, share, batch.visit_offsets)
        return codes + bag(self.value, batch, share * batch.values, batch.visit_offsets)
