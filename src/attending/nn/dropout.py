"""Dropout whose masks cost little on a CPU.

Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, JMLR 2014. torch draws a number of its own for each element,
which on a CPU was up to a tenth of a training step of small models. Here 64 random bits serve four elements, of 16
each: an element is left out where its 16 are below p · 2¹⁶, so p is met to 2⁻¹⁷.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import dropout

LEVELS = 2**16


class Dropout(nn.Module):
    """In training, leaves out a share `p` of the elements, 0 ≤ p < 1, and scales up the others to make up for it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return x with some elements 0; x itself where nothing is left out."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return dropout(x, self.p)
        n_left_out = min(round(self.p * LEVELS), LEVELS - 1)  # of the levels
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        levels = bits.view(torch.int16)[: x.numel()].view(x.shape)  # from -2¹⁵ on
        kept = levels >= n_left_out - LEVELS // 2
        return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - n_left_out))

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"p={self.p}"
