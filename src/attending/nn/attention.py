"""Attention within each history of a packed batch: `attend(q, k, v, layout)`.

Histories of similar length are laid side by side in blocks with little padding, each block one call of the fused
kernel for each direction; the layout is made once a batch and serves every layer.

Directed attention (after the forward and backward masks of DiSAN, Shen et al., AAAI 2018): half of the heads look at
the same visit and those before it, half at the same visit and those after it. Attention over a set cannot tell "A then
B" from "B then A" but by what it learns of positions; a direction tells it at once.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attending.batch import mask_of_lengths

WASTE = 1.25  # a block holds at most this many places for each real token
FEW = 256  # … unless it is this small, where one more call costs more than the padding


@dataclass(frozen=True)
class Block:
    """Some histories side by side.

    place     the packed position of each place
    real      which places hold a token
    past      which places each place may look at when it looks back: real ones of its own visit or before
    future    … and when it looks ahead
    """

    place: Int64[Tensor, "history width"]
    real: Bool[Tensor, "history width"]
    past: Bool[Tensor, "history 1 width width"]
    future: Bool[Tensor, "history 1 width width"]


def layout(offsets: Int64[Tensor, " bounds"], visit: Int64[Tensor, " token"]) -> list[Block]:
    """Group the histories of a packed batch into blocks of similar length; empty histories are in none."""
    lengths = offsets.diff()
    order = torch.argsort(lengths, stable=True)
    order = order[lengths[order] > 0]
    sizes = lengths[order].tolist()
    blocks, first, tokens = [], 0, 0
    for position, size in enumerate(sizes):
        places = (position - first + 1) * size
        if position > first and places > WASTE * (tokens + size) and places > FEW:
            blocks.append(_block(offsets, lengths, visit, order[first:position]))
            first, tokens = position, 0
        tokens += size
    if first < len(sizes):
        blocks.append(_block(offsets, lengths, visit, order[first:]))
    return blocks


def attend(
    query: Float[Tensor, "token heads size"],
    key: Float[Tensor, "token heads size"],
    value: Float[Tensor, "token heads size"],
    blocks: list[Block],
    *,
    directed: bool = False,
) -> Float[Tensor, "token heads size"]:
    """Return softmax(q kᵀ / √size) v within each history; if `directed`, half of the heads look each way."""
    out = torch.zeros_like(value)
    n_back = query.shape[1] // 2
    for block in blocks:
        q, k, v = (part[block.place].transpose(1, 2) for part in (query, key, value))
        if directed:
            back = scaled_dot_product_attention(q[:, :n_back], k[:, :n_back], v[:, :n_back], block.past)
            ahead = scaled_dot_product_attention(q[:, n_back:], k[:, n_back:], v[:, n_back:], block.future)
            mixed = torch.cat([back, ahead], dim=1)
        else:
            mixed = scaled_dot_product_attention(q, k, v, block.real[:, None, None, :])
        out = out.index_copy(0, block.place[block.real], mixed.transpose(1, 2)[block.real])
    return out


def _block(offsets: Tensor, lengths: Tensor, visit: Tensor, histories: Tensor) -> Block:
    real = mask_of_lengths(lengths[histories], int(lengths[histories].max()))
    first = offsets[:-1][histories][:, None]
    place = torch.where(real, first + torch.arange(real.shape[1], device=offsets.device), first)
    own, other = visit[place][:, None, :, None], visit[place][:, None, None, :]
    present = real[:, None, None, :]
    padding = ~real[:, None, :, None]  # a place without a token looks everywhere: its answer is thrown away
    return Block(place, real, present & ((other <= own) | padding), present & ((other >= own) | padding))
