"""Where a visit or a token stands in its history: its number, waves of that number, and its neighbours."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from attending.batch import owners


def numbers(offsets: Int64[Tensor, " bounds"]) -> Int64[Tensor, " item"]:
    """Return the place of each item within its segment, from 0."""
    owner = owners(offsets)
    return torch.arange(len(owner), device=offsets.device) - offsets[:-1][owner]


def followed(offsets: Int64[Tensor, " bounds"], most: int) -> Int64[Tensor, " drawn"]:
    """Return up to `most` items, drawn at random, that are followed by another of their segment."""
    owner = owners(offsets)
    places = (owner[1:] == owner[:-1]).nonzero()[:, 0]
    return places[torch.randperm(len(places), device=places.device)[:most]]


def sinusoids(
    place: Int64[Tensor, " item"], like: Float[Tensor, "rows width"]
) -> Float[Tensor, "item width"]:
    """Return sines and cosines, in turn, of each place at `width` / 2 rates from 1 to 1 / 10,000.

    Vaswani et al., "Attention Is All You Need", 2017. Of `like`'s width and type.
    """
    width = like.shape[1]
    rate = 10_000.0 ** (-torch.arange(0, width, 2, device=place.device).double() / width)
    angle = place[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width].to(like.dtype)


def shifted(
    items: Float[Tensor, " item *rest"], offsets: Int64[Tensor, " bounds"], by: int
) -> Float[Tensor, " item *rest"]:
    """Return the item `by` places before each (after, if negative); 0 where its own segment holds none there."""
    source, owner = torch.arange(len(items), device=items.device) - by, owners(offsets)
    inside = (source >= offsets[:-1][owner]) & (source < offsets[1:][owner])
    found = items[source.clamp(0, max(len(items) - 1, 0))]
    return torch.where(inside.view(-1, *[1] * (items.dim() - 1)), found, torch.zeros_like(items[:1]))
