"""A visit's codes as sets, one for each kind of code, each opened by a [CLS] that reads it.

A set is packed, not padded: no order of its codes and no other set can change what its [CLS] becomes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import gelu

from attending.batch import KINDS, Batch, owners
from attending.nn.attention import Layout, attend
from attending.nn.dropout import Dropout
from attending.nn.ontology import mix
from attending.nn.packed import multi_hot, segment_shares, segment_softmax
from attending.nn.post_norm import FeedForward


@dataclass(frozen=True)
class Sets:
    """The codes of a batch by visit and kind, each set opened by a [CLS].

    visit, kind   of each set
    token         which of the batch's tokens an item is, -1 for a [CLS]
    offsets       where each set starts in the items, and the end
    """

    visit: Int64[Tensor, " set"]
    kind: Int64[Tensor, " set"]
    token: Int64[Tensor, " item"]
    offsets: Int64[Tensor, " bounds"]


def sets_of(batch: Batch, kind: Int64[Tensor, " token"]) -> Sets:
    """Return the distinct codes of each visit by their kind."""
    kept = torch.nonzero(multi_hot(batch))[:, 0]
    key = batch.visit_of_token[kept] * len(KINDS) + kind[kept]
    found, own = torch.unique(key, return_inverse=True)
    bounds = torch.arange(len(found) + 1, device=own.device)
    owner, order = torch.sort(torch.cat([bounds[:-1], own]), stable=True)  # a set's [CLS] comes first
    token = torch.cat([torch.full_like(found, -1), kept])[order]
    return Sets(found // len(KINDS), found % len(KINDS), token, torch.searchsorted(owner, bounds))


def share_of(attention: Float[Tensor, " item"], sets: Sets, batch: Batch) -> Float[Tensor, " token"]:
    """Return the [CLS]'s attention to codes; those of a set share equally with the history's other sets."""
    is_code = sets.token >= 0
    owner, subject = owners(sets.offsets)[is_code], batch.subject_of_visit[sets.visit]
    share = segment_shares(attention[is_code], owner, len(sets.visit))
    n_sets = torch.bincount(subject, minlength=batch.n_subjects)[subject][owner]
    return attention.new_zeros(len(batch.tokens)).index_copy(0, sets.token[is_code], share / n_sets)


class SetLayer(nn.Module):
    """A layer of BERT: attention and a feed-forward as wide as the rest, each added, then normalised."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value, self.mixed = (nn.Linear(width, width) for _ in range(4))
        self.norm = nn.LayerNorm(width)
        self.feed = FeedForward(width, width, dropout, activation=gelu)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "item width"], within: Layout) -> Float[Tensor, "item width"]:
        """Return the items after those of each set looked at each other."""
        query, key, value = (self._heads(one(x)) for one in (self.query, self.key, self.value))
        return self._add(x, attend(query, key, value, within))

    def read(
        self, x: Float[Tensor, "item width"], offsets: Int64[Tensor, " bounds"]
    ) -> tuple[Float[Tensor, "set width"], Float[Tensor, "item heads"]]:
        """Return the first item of each set after it looked at the set, and where it looked."""
        owner, opening = owners(offsets), x[offsets[:-1]]
        query, key, value = (
            self._heads(self.query(opening)),
            self._heads(self.key(x)),
            self._heads(self.value(x)),
        )
        scores = (query[owner] * key).sum(2) / query.shape[2] ** 0.5
        links = torch.stack([owner, torch.arange(len(x), device=x.device)])
        weights = segment_softmax(scores.to(x.dtype), owner, len(opening))
        return self._add(opening, mix(value.to(x.dtype), links, weights, len(opening))), weights

    def _heads(self, items: Float[Tensor, "item width"]) -> Float[Tensor, "item heads size"]:
        return items.view(len(items), self.n_heads, items.shape[1] // self.n_heads)

    def _add(self, x: Tensor, heads: Tensor) -> Float[Tensor, "item width"]:
        return self.feed(self.norm(x + self.dropout(self.mixed(heads.flatten(1)))))
