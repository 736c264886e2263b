"""Attention within each history of a packed batch: `attend(q, k, v, layout)`.

Histories of similar length are laid side by side in blocks with little padding, each block one call of the fused
kernel; the layout is made once a batch and serves every layer.
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
    """Some histories side by side: the packed position of each place, and which places are real."""

    place: Int64[Tensor, "history width"]
    real: Bool[Tensor, "history width"]


def layout(offsets: Int64[Tensor, " bounds"]) -> list[Block]:
    """Group the histories of a packed batch into blocks of similar length; empty histories are in none."""
    lengths = offsets.diff()
    order = torch.argsort(lengths, stable=True)
    order = order[lengths[order] > 0]
    sizes = lengths[order].tolist()
    blocks, first, tokens = [], 0, 0
    for position, size in enumerate(sizes):
        places = (position - first + 1) * size
        if position > first and places > WASTE * (tokens + size) and places > FEW:
            blocks.append(_block(offsets, lengths, order[first:position]))
            first, tokens = position, 0
        tokens += size
    if first < len(sizes):
        blocks.append(_block(offsets, lengths, order[first:]))
    return blocks


def attend(
    query: Float[Tensor, "token heads size"],
    key: Float[Tensor, "token heads size"],
    value: Float[Tensor, "token heads size"],
    blocks: list[Block],
    dropout: float = 0.0,
) -> Float[Tensor, "token heads size"]:
    """Return softmax(q kᵀ / √size) v, every token attending to all tokens of its own history."""
    out = torch.zeros_like(value)
    for block in blocks:
        q, k, v = (part[block.place].transpose(1, 2) for part in (query, key, value))
        mask = None if bool(block.real.all()) else block.real[:, None, None, :]
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout).transpose(1, 2)
        out = out.index_copy(0, block.place[block.real], mixed[block.real])
    return out


def _block(offsets: Tensor, lengths: Tensor, histories: Tensor) -> Block:
    real = mask_of_lengths(lengths[histories], int(lengths[histories].max()))
    place = offsets[:-1][histories][:, None] + torch.arange(real.shape[1], device=offsets.device)
    return Block(place=torch.where(real, place, offsets[:-1][histories][:, None]), real=real)
