"""Where a visit or a token stands in its history: its number, waves of that number, and its neighbours."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from attending.batch import owners


def numbers(offsets: Int64[Tensor, " bounds"]) -> Int64[Tensor, " item"]:
    """Return the place of each item within its segment, from 0."""
    owner = owners(offsets)
    return torch.arange(len(owner), device=offsets.device) - offsets[:-1][owner]


def sinusoids(
    place: Int64[Tensor, " item"], like: Float[Tensor, "item width"]
) -> Float[Tensor, "item width"]:
    """Return sines and cosines, in turn, of each place at `width` / 2 rates from 1 to 1 / 10,000.

    Vaswani et al., "Attention Is All You Need", 2017. As wide as the items they will be added to, and of their type.
    """
    width = like.shape[1]
    column = torch.arange(width, device=place.device)
    angle = place[:, None].double() / 10_000.0 ** (2 * (column // 2).double() / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).to(like.dtype)


def shifted(
    items: Float[Tensor, "item width"], owner: Int64[Tensor, " item"], by: int
) -> Float[Tensor, "item width"]:
    """Return the item `by` places before each (after, if negative); 0 where its own segment holds none there."""
    source = torch.arange(len(items), device=items.device) - by
    inside = (source >= 0) & (source < len(items))
    source = source.clamp(0, max(len(items) - 1, 0))
    inside = inside & (owner[source] == owner)
    return torch.where(inside[:, None], items[source], torch.zeros_like(items))
