"""BERT's encoder over packed histories, and room for tokens that no record holds: [CLS], [SEP], time tokens.

Devlin et al., "BERT", NAACL 2019. A layer is post-norm, with GELU by the error function and LayerNorms of ε = 1e-12:

    x ← LayerNorm(x + W_o attend(W_q x, W_k x, W_v x))
    x ← LayerNorm(x + W_2 GELU(W_1 x))

All weights start at N(0, 0.02), all biases at 0. Nothing is padded, so no softmax meets a padding; there is no dropout
on attention itself, which the fused kernels leave out of a prediction anyway.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import gelu

from attending.batch import Batch, owners
from attending.errors import ConfigError
from attending.nn.attention import Layout, attend, layout
from attending.nn.masking import EPSILON
from attending.nn.packed import segment_softmax

SPREAD = 0.02  # of all weights at the start
DAYS_A_YEAR = 365.25
LOOKERS = 128  # places of a history whose attention is averaged


class Layer(nn.Module):
    """Attention within each history, then a feed-forward, each added and normalised."""

    def __init__(self, width: int, width_feed: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.up = nn.Linear(width, width_feed)
        self.down = nn.Linear(width_feed, width)
        self.feed_norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def project(self, x: Float[Tensor, "place width"]) -> Float[Tensor, "3 place heads size"]:
        """Return queries, keys and values."""
        return self.inputs(x).view(len(x), 3, self.n_heads, -1).transpose(0, 1)

    def forward(self, x: Float[Tensor, "place width"], blocks: Layout) -> Float[Tensor, "place width"]:
        """Return what stands at each place after it looked at its history and thought for itself."""
        query, key, value = self.project(x)
        mixed = attend(query, key, value, blocks).flatten(1)
        x = self.norm(x + self.dropout(self.output(mixed)))
        return self.feed_norm(x + self.dropout(self.down(gelu(self.up(x)))))


class Encoder(nn.Module):
    """A stack of layers."""

    def __init__(self, width: int, width_feed: int, n_layers: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        if width % n_heads:
            raise ConfigError(
                f"the 'width' of a model of the BERT family must divide into n_heads equal parts; "
                f"got width {width}, n_heads {n_heads}"
            )
        self.layers = nn.ModuleList(Layer(width, width_feed, n_heads, dropout) for _ in range(n_layers))

    @property
    def _last(self) -> Layer:
        layer = self.layers[-1]
        assert isinstance(layer, Layer)
        return layer

    def forward(
        self, x: Float[Tensor, "place width"], offsets: Int64[Tensor, " bounds"]
    ) -> tuple[Float[Tensor, "place width"], Float[Tensor, "place width"]]:
        """Return the last states, and what the last layer read, which `gaze` and `received` take."""
        blocks = layout(offsets)
        x, seen = blocks.sort(x), x
        for layer in self.layers:
            seen, x = x, layer(x, blocks.sorted)
        return blocks.unsort(x), blocks.unsort(seen)

    def gaze(
        self,
        seen: Float[Tensor, "place width"],
        offsets: Int64[Tensor, " bounds"],
        reader: Int64[Tensor, " history"],
        items: Int64[Tensor, " item"],
    ) -> Float[Tensor, " item"]:
        """Return how each history's reader shares its attention among the items in the last layer; mean over heads."""
        query, key, _ = self._last.project(seen)
        owner, n_heads = owners(offsets)[items], query.shape[1]
        scores = (query[reader][owner] * key[items]).sum(2).float() / query.shape[2] ** 0.5
        slot = owner[:, None] * n_heads + torch.arange(n_heads, device=owner.device)
        return (
            segment_softmax(scores.flatten(), slot.flatten(), len(reader) * n_heads).view(-1, n_heads).mean(1)
        )

    def received(
        self, seen: Float[Tensor, "place width"], offsets: Int64[Tensor, " bounds"]
    ) -> Float[Tensor, " place"]:
        """Return how much attention each place gets in the last layer, mean over heads and over who looks.

        It sums to 1 over each history. Of a long history, `LOOKERS` places spread evenly over it are asked.
        """
        query, key, _ = self._last.project(seen).float()
        blocks, found, first = layout(offsets), [], 0
        query, key = blocks.sort(query) / query.shape[2] ** 0.5, blocks.sort(key)
        for block in blocks.blocks:
            end, n = first + block.n * block.length, min(block.length, LOOKERS)
            q, k = (
                one[first:end].view(block.n, block.length, *one.shape[1:]).transpose(1, 2)
                for one in (query, key)
            )
            asked = torch.arange(n, device=q.device) * block.length // n
            found.append(torch.softmax(q[:, :, asked] @ k.mT, 3).mean((1, 2)).flatten())
            first = end
        return blocks.unsort(torch.cat(found)) if found else seen.new_zeros(0)


def initialise(module: nn.Module) -> None:
    """Start a layer's weights at N(0, 0.02) and its bias at 0; for `Module.apply`."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=SPREAD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


@dataclass(frozen=True)
class Room:
    """Segments with places added around their items.

    offsets   where each segment starts among the places, and the end
    items     the place of each item
    nearest   the item that is nearest to each place, in its own segment if that holds any
    """

    offsets: Int64[Tensor, " bounds"]
    items: Int64[Tensor, " item"]
    nearest: Int64[Tensor, " place"]


def make_room(
    offsets: Int64[Tensor, " bounds"],
    before: Int64[Tensor, " segment"] | int = 0,
    after: Int64[Tensor, " segment"] | int = 0,
) -> Room:
    """Add `before` places at the start and `after` places at the end of each segment."""
    widened = torch.zeros_like(offsets)
    widened[1:] = (offsets.diff() + before + after).cumsum(0)
    shift = widened[:-1] + before - offsets[:-1]
    of_item, of_place = owners(offsets), owners(widened)
    items = torch.arange(len(of_item), device=offsets.device) + shift[of_item]
    nearest = torch.arange(len(of_place), device=offsets.device) - shift[of_place]
    nearest = nearest.clamp(offsets[:-1][of_place], offsets[1:][of_place] - 1)
    return Room(widened, items, nearest)


def without_empty_visits(batch: Batch) -> Batch:
    """Return the batch without the visits that hold no token; every history stays."""
    present = batch.visit_offsets.diff() > 0
    before = torch.zeros_like(batch.visit_offsets)
    before[1:] = present.cumsum(0)
    kept = torch.cat([batch.visit_offsets[:-1][present], batch.visit_offsets[-1:]])
    return replace(batch, visit_offsets=kept, subject_offsets=before[batch.subject_offsets])


def canonical(batch: Batch) -> tuple[Batch, Int64[Tensor, " token"]]:
    """Sort each visit's tokens by time and then by number, and say where each came from.

    What is simultaneous has no order of its own; a model that reads tokens one after another needs one.
    """
    order = torch.argsort(batch.tokens, stable=True)
    for key in (batch.days, batch.visit_of_token):
        order = order[torch.argsort(key[order], stable=True)]
    sorted_ = {name: getattr(batch, name)[order] for name in ("tokens", "days", "ages", "values")}
    weights = None if batch.weights is None else batch.weights[order]
    return replace(batch, **sorted_, weights=weights), order


def age_now(batch: Batch) -> Float[Tensor, " subject"]:
    """Return each subject's age in years at the prediction time; 0 where the history is empty."""
    if len(batch.ages) == 0:
        return batch.ages.new_zeros(batch.n_subjects)
    last = (batch.token_offsets[1:] - 1).clamp(min=0)
    ages = batch.ages[last] - batch.days[last] / DAYS_A_YEAR
    return torch.where(batch.token_offsets.diff() > 0, ages, 0.0)


def visit_number(batch: Batch) -> Int64[Tensor, " visit"]:
    """Return how many visits of its history came before each visit."""
    return (
        torch.arange(batch.n_visits, device=batch.tokens.device)
        - batch.subject_offsets[batch.subject_of_visit]
    )
