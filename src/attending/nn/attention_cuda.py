"""Packed attention on a GPU: one kernel for all histories of a batch.

What is plain, everything or causal, goes to variable-length flash attention, which reads the bounds of the histories
(Dao et al., "FlashAttention"; half precision only). What visits or time decide goes to FlexAttention (Dong et al.,
2024), compiled once, with a mask that skips whatever lies outside a history; heads may look different ways in one call.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


def flash(
    query: Float[Tensor, "token heads size"],
    key: Float[Tensor, "token heads size"],
    value: Float[Tensor, "token heads size"],
    offsets: Int64[Tensor, " bounds"],
    longest: int,
    *,
    causal: bool,
) -> Float[Tensor, "token heads size"]:
    """Return the attention within each history; half precision, on a GPU."""
    from torch.nn.attention.varlen import varlen_attn

    bounds = offsets.int()
    window = (-1, 0 if causal else -1)
    mixed = varlen_attn(query, key, value, bounds, bounds, longest, longest, window_size=window)
    assert isinstance(mixed, Tensor)
    return mixed


def flex(
    query: Float[Tensor, "token heads size"],
    key: Float[Tensor, "token heads size"],
    value: Float[Tensor, "token heads size"],
    mask: object,
    fading: tuple[Float[Tensor, " token"], Float[Tensor, " heads"]] | None,
) -> Float[Tensor, "token heads size"]:
    """Return the attention that a mask allows, less `slope · |days between|`."""
    score = None if fading is None else faded(*fading)
    sides = (one.transpose(0, 1)[None] for one in (query, key, value))
    run = _kernel(compiled=query.is_cuda)
    mixed: Tensor = run(*sides, score_mod=score, block_mask=mask)
    return mixed[0].transpose(0, 1)


def mask_of(
    subject: Int64[Tensor, " token"], visit: Int64[Tensor, " token"], sees: str, n_heads: int
) -> BlockMask:
    """Return the mask of a packed batch for what `nn.attention` names."""
    n = len(subject)
    heads = n_heads if sees == "both" else None
    return create_block_mask(
        allowed(subject, visit, sees, n_heads), None, heads, n, n, device=subject.device.type
    )


def allowed(
    subject: Int64[Tensor, " token"], visit: Int64[Tensor, " token"], sees: str, n_heads: int
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the function that says whether a head's token, `own`, sees `other` (lambdas: torch reads their shape)."""
    n_past = n_heads // 2
    return {
        "all": lambda _, head, own, other: subject[own] == subject[other],
        "past": lambda _, head, own, other: (subject[own] == subject[other]) & (visit[other] <= visit[own]),
        "future": lambda _, head, own, other: (subject[own] == subject[other]) & (visit[other] >= visit[own]),
        "both": lambda _, head, own, other: (
            (subject[own] == subject[other])
            & torch.where(head < n_past, visit[other] <= visit[own], visit[other] >= visit[own])
        ),
        "before": lambda _, head, own, other: (subject[own] == subject[other]) & (other <= own),
    }[sees]


def faded(
    days: Float[Tensor, " token"], slopes: Float[Tensor, " heads"]
) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the function that takes time off a score."""
    return lambda score, _, head, own, other: score - slopes[head] * (days[own] - days[other]).abs()


@cache
def _kernel(*, compiled: bool) -> Callable[..., Any]:
    kernel: Any = flex_attention
    return torch.compile(kernel, dynamic=True) if compiled else kernel
