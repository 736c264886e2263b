"""Packed attention on a GPU: one kernel for all histories of a batch.

What is plain, everything or causal, goes to variable-length flash attention, which reads the bounds of the histories
(Dao et al., "FlashAttention"; half precision only). What visits or time decide goes to FlexAttention (Dong et al.,
2024), compiled once, with a mask, made by a compiled function too, that skips whatever lies outside a history.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


def takes(size: int) -> bool:
    """Say whether these kernels take heads of this size; they want whole tiles."""
    return 16 <= size <= 256 and size % 8 == 0


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
    plain: Any = flex_attention
    run = _compiled(plain) if query.is_cuda else plain
    mixed: Tensor = run(*sides, score_mod=score, block_mask=mask)
    return mixed[0].transpose(0, 1)


def mask_of(subject: Int64[Tensor, " token"], visit: Int64[Tensor, " token"], sees: str) -> BlockMask:
    """Return the mask of a packed batch for a way of looking that all heads share."""
    n = len(subject)
    make = (
        _compiled(create_block_mask) if subject.is_cuda else create_block_mask
    )  # else it holds [n, n] whole
    mask: BlockMask = make(allowed(subject, visit, sees), None, None, n, n, device=subject.device.type)
    return mask


def allowed(
    subject: Int64[Tensor, " token"], visit: Int64[Tensor, " token"], sees: str
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the function that says whether a token, `own`, sees `other` (lambdas: torch reads their shape)."""
    return {
        "all": lambda _, head, own, other: subject[own] == subject[other],
        "past": lambda _, head, own, other: (subject[own] == subject[other]) & (visit[other] <= visit[own]),
        "future": lambda _, head, own, other: (subject[own] == subject[other]) & (visit[other] >= visit[own]),
        "before": lambda _, head, own, other: (subject[own] == subject[other]) & (other <= own),
    }[sees]


def faded(
    days: Float[Tensor, " token"], slopes: Float[Tensor, " heads"]
) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the function that takes time off a score."""
    return lambda score, _, head, own, other: score - slopes[head] * (days[own] - days[other]).abs()


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=True)
