"""How much an item of a packed segment matters to a query: by itself, by a product, or by a small network.

A segment s has a query q_s and items h_i; a score is a number for each item, and a softmax within the segment
(`nn.packed.segment_softmax`) turns scores into attention.

    location    w · h_i + b                   the item alone
    general     q_s · W h_i                   Luong, Pham, Manning, EMNLP 2015
    concat      w · tanh(W_q q_s + W_h h_i)   Bahdanau, Cho, Bengio, ICLR 2015; W [q; h] cut into its two halves

What depends on the query alone is computed once a segment, never once an item.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

Score = Literal["location", "general", "concat"]


class Location(nn.Module):
    """w · h + b: what an item is worth, whoever asks."""

    def __init__(self, width_item: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(width_item, 1)

    def forward(
        self,
        query: Float[Tensor, "segment width_query"],
        items: Float[Tensor, "item width_item"],
        owner: Int64[Tensor, " item"],
    ) -> Float[Tensor, " item"]:
        """Return the score of each item; the query has no say."""
        return self.weigh(items)[:, 0]


class General(nn.Module):
    """q · W h: a learned product of the query and an item."""

    def __init__(self, width_query: int, width_item: int) -> None:
        super().__init__()
        self.project = nn.Linear(width_query, width_item, bias=False)

    def forward(
        self,
        query: Float[Tensor, "segment width_query"],
        items: Float[Tensor, "item width_item"],
        owner: Int64[Tensor, " item"],
    ) -> Float[Tensor, " item"]:
        """Return the score of each item to the query of the segment that owns it."""
        return (self.project(query)[owner] * items).sum(1)


class Concat(nn.Module):
    """w · tanh(W [q; h]): a network of one hidden layer."""

    def __init__(self, width_query: int, width_item: int, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width_query, width, bias=False)
        self.item = nn.Linear(width_item, width, bias=False)
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(
        self,
        query: Float[Tensor, "segment width_query"],
        items: Float[Tensor, "item width_item"],
        owner: Int64[Tensor, " item"],
    ) -> Float[Tensor, " item"]:
        """Return the score of each item to the query of the segment that owns it."""
        return self.weigh(torch.tanh(self.query(query)[owner] + self.item(items)))[:, 0]


def scorer(name: Score, width_query: int, width_item: int, width: int) -> Location | General | Concat:
    """Return the score of this name; `width` is that of the hidden layer of `concat`."""
    if name == "location":
        return Location(width_item)
    if name == "general":
        return General(width_query, width_item)
    return Concat(width_query, width_item, width)
