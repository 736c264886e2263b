"""Precision: what must not be computed in bfloat16, whatever autocast says."""

import torch
from torch import Tensor


def exact(x: Tensor) -> Tensor:
    """Return `x` in float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
