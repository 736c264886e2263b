"""Attention within each history of a packed batch: `attend(q, k, v, layout)`.

Histories of one length are laid side by side, each length one call of the fused kernel, so nothing is padded and a
mask is built only where a visit, or time, decides who sees whom. The layout is made once a batch and serves every
layer. What a token sees of its own history is named:

    all       everything
    past      its own visit and those before it: a visit is a set, so its tokens see each other
    future    its own visit and those after it
    both      half of the heads look to the past, half to the future
    before    itself and the tokens before it, in their order

Both directions are those of DiSAN (Shen et al., AAAI 2018). Attention over a set cannot tell "A then B" from "B then
A" but by what it learns of positions; a direction tells it at once. `fading` takes `slope · |days between|` off a
score, ALiBi (Press et al., ICLR 2022) with time in the place of distance.
On a GPU one kernel takes all histories (`nn.attention_cuda`), if the size of the heads suits it.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attending.batch import owners
from attending.nn import attention_cuda

Sees = Literal["all", "past", "future", "both", "before"]

LARGEST_BIAS = 2**25  # numbers of a bias that exist at once: heads of a long history take turns


@dataclass(frozen=True)
class Fading:
    """What time takes off attention: `slopes[head] · |days between|`, slopes in 1/day, one for each head."""

    days: Float[Tensor, " token"]
    slopes: Float[Tensor, " heads"]

    def of(self, heads: slice) -> "Fading":
        """Return what it takes off some of the heads."""
        return replace(self, slopes=self.slopes[heads])


@dataclass(frozen=True)
class Block:
    """Histories of one length, side by side.

    visit     each token's visit
    single    whether every token is its own visit
    """

    n: int
    length: int
    visit: Int64[Tensor, "history length"]
    single: bool

    @cached_property
    def past(self) -> Bool[Tensor, "history 1 length length"]:
        """Which tokens (last axis) each token sees when it looks back."""
        return (self.visit[:, None] <= self.visit[:, :, None])[:, None]

    @cached_property
    def future(self) -> Bool[Tensor, "history 1 length length"]:
        """Which tokens each token sees when it looks ahead."""
        return (self.visit[:, None] >= self.visit[:, :, None])[:, None]


@dataclass(frozen=True)
class Layout:
    """The histories of a batch, by length.

    blocks    histories of one length; empty histories are in none
    order     where each token of the blocks stands in the batch, absent where it is the batch's own order
    inverse   where each token of the batch stands in the blocks
    offsets   where each history starts in the blocks, and the end
    visit     the visit of each token of the blocks
    masks     what a GPU's kernel made of it, by what is seen
    """

    blocks: list[Block]
    order: Int64[Tensor, " token"] | None
    inverse: Int64[Tensor, " token"] | None
    offsets: Int64[Tensor, " bounds"]
    visit: Int64[Tensor, " token"]
    masks: dict[Sees, object] = field(default_factory=dict)

    @property
    def sorted(self) -> "Layout":
        """The layout of tokens that are sorted already: a stack of layers sorts once, not in every layer."""
        return replace(self, order=None, inverse=None)

    def sort(self, items: Shaped[Tensor, " token *rest"]) -> Shaped[Tensor, " token *rest"]:
        """Return the batch's items in the order of the blocks."""
        return items if self.order is None else items.index_select(0, self.order)

    def unsort(self, items: Shaped[Tensor, " token *rest"]) -> Shaped[Tensor, " token *rest"]:
        """Return the blocks' items in the order of the batch."""
        return items if self.inverse is None else items.index_select(0, self.inverse)


def layout(offsets: Int64[Tensor, " bounds"], visit: Int64[Tensor, " token"] | None = None) -> Layout:
    """Group the histories that start at `offsets` by length; `visit` never falls within a history."""
    lengths = offsets.diff()
    by_length = torch.argsort(lengths, stable=True)
    sizes = lengths[by_length]
    ends = sizes.cumsum(0)
    place = torch.arange(int(offsets[-1]), device=offsets.device)
    order = place + torch.repeat_interleave(offsets[:-1][by_length] - (ends - sizes), sizes)
    visits = place if visit is None else visit[order]
    blocks, first = [], 0
    for length, same in groupby(sizes[sizes > 0].tolist()):
        n = len(list(same))
        own = visits[first : first + n * length].view(n, length)
        blocks.append(Block(n, length, own, single=visit is None))
        first += n * length
    bounds = torch.cat([ends.new_zeros(1), ends])
    if torch.equal(order, place):
        return Layout(blocks, None, None, bounds, visits)
    return Layout(blocks, order, torch.empty_like(order).scatter_(0, order, place), bounds, visits)


def attend(
    query: Float[Tensor, "token heads size"],
    key: Float[Tensor, "token heads size"],
    value: Float[Tensor, "token heads size"],
    layout: Layout,
    *,
    sees: Sees = "all",
    fading: Fading | None = None,
) -> Float[Tensor, "token heads size"]:
    """Return softmax(q kᵀ / √size − fading) v within each history, over what each token sees.

    A processor attends in float32 whatever it is given: its kernel is slower in bfloat16, backwards by up to six times.
    """
    if len(query) == 0:
        return torch.zeros_like(value)
    halves = value.dtype == torch.bfloat16 and not value.is_cuda
    kind = torch.float32 if halves else value.dtype
    q, k, v = (layout.sort(one.to(kind)) for one in (query, key, value))
    way = _at_once if value.is_cuda and attention_cuda.takes(query.shape[2]) else _in_blocks
    with torch.autocast(query.device.type, enabled=False):
        mixed = way(q, k, v, layout, sees, fading)
    return layout.unsort(mixed.to(value.dtype))


def _at_once(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout, sees: Sees, fading: Fading | None
) -> Float[Tensor, "token heads size"]:
    if sees == "both":
        halves = [
            _at_once(query[:, half], key[:, half], value[:, half], layout, way, fading and fading.of(half))
            for way, half in _halves(query.shape[1])
        ]
        return torch.cat(halves, dim=1)
    plain = fading is None and (sees in ("all", "before") or (sees == "past" and layout.blocks[0].single))
    if plain and value.dtype in (torch.bfloat16, torch.float16):
        longest = layout.blocks[-1].length
        return attention_cuda.flash(query, key, value, layout.offsets, longest, causal=sees != "all")
    if sees not in layout.masks:
        layout.masks[sees] = attention_cuda.mask_of(owners(layout.offsets), layout.visit, sees)
    faded = None if fading is None else (layout.sort(fading.days), fading.slopes)
    return attention_cuda.flex(query, key, value, layout.masks[sees], faded)


def _halves(n_heads: int) -> list[tuple[Sees, slice]]:
    """Return who looks which way where heads look both ways."""
    n_past = n_heads // 2
    return [("past", slice(0, n_past)), ("future", slice(n_past, None))]


def _in_blocks(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout, sees: Sees, fading: Fading | None
) -> Float[Tensor, "token heads size"]:
    sizes = [block.n * block.length for block in layout.blocks]
    queries, keys, values = (torch.split(one, sizes) for one in (query, key, value))
    days = None if fading is None else torch.split(layout.sort(fading.days), sizes)
    mixed = []
    for i, block in enumerate(layout.blocks):
        q, k, v = (
            one[i].view(block.n, block.length, *one[i].shape[1:]).transpose(1, 2)
            for one in (queries, keys, values)
        )
        fades = None
        if fading is not None and days is not None:
            fades = _Fades(_apart(days[i].view(block.n, block.length)), fading.slopes)
        mixed.append(_look(q, k, v, block, sees, fades).transpose(1, 2).flatten(0, 1))
    return torch.cat(mixed)


@dataclass(frozen=True)
class _Fades:
    """Days between the tokens of a block's histories, and each head's slope."""

    apart: Float[Tensor, "history 1 length length"]
    slopes: Float[Tensor, " heads"]

    def of(self, heads: slice) -> "_Fades":
        return replace(self, slopes=self.slopes[heads])

    def bias(self, mask: Bool[Tensor, "*rest length length"] | None, like: Tensor) -> Tensor:
        bias = -self.slopes[:, None, None] * self.apart
        return (bias if mask is None else bias.masked_fill(~mask, -torch.inf)).to(like.dtype)


def _look(
    q: Tensor, k: Tensor, v: Tensor, block: Block, sees: Sees, fades: _Fades | None
) -> Float[Tensor, "history heads length size"]:
    """Attend within the histories of a block, all heads one way or half of them each way."""
    if sees == "both":
        halves = [
            _look(q[:, half], k[:, half], v[:, half], block, way, fades and fades.of(half))
            for way, half in _halves(q.shape[1])
        ]
        return torch.cat(halves, dim=1)
    causal = sees == "before" or (sees == "past" and block.single)
    if fades is None:
        mask = None if causal or sees == "all" else getattr(block, sees)
        return scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
    if sees == "before":
        mask = torch.ones(block.length, block.length, dtype=torch.bool, device=q.device).tril()
    else:
        mask = None if sees == "all" else getattr(block, sees)
    at_once = max(LARGEST_BIAS // fades.apart.numel(), 1)
    turns = [slice(first, first + at_once) for first in range(0, q.shape[1], at_once)]
    heads = [
        scaled_dot_product_attention(q[:, one], k[:, one], v[:, one], fades.of(one).bias(mask, q))
        for one in turns
    ]
    return torch.cat(heads, dim=1)


def _apart(days: Float[Tensor, "history length"]) -> Float[Tensor, "history 1 length length"]:
    return (days[:, None, :] - days[:, :, None]).abs()[:, None]
