"""BERT's encoder over packed histories.

Devlin et al., "BERT", NAACL 2019. Layers are those of the first Transformer (`nn.post_norm`), with GELU by the error
function and LayerNorms of ε = 1e-12. All weights start at N(0, 0.02), all biases at 0. Nothing is padded, so no softmax
meets a padding; there is no dropout on attention itself, which the fused kernels leave out of a prediction anyway.
"""

from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import gelu

from attending.batch import owners
from attending.nn.attention import attend, layout
from attending.nn.masking import EPSILON
from attending.nn.packed import segment_softmax
from attending.nn.places import sinusoids
from attending.nn.post_norm import PostNormLayer

SPREAD = 0.02  # of all weights at the start
AGES = 110  # whole years that have an embedding of their own
LOOKERS = 128  # places of a history whose attention is averaged


class Encoder(nn.Module):
    """A stack of layers."""

    def __init__(self, width: int, width_feed: int, n_layers: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            PostNormLayer(width, n_heads, dropout, width_feed=width_feed, activation=gelu, epsilon=EPSILON)
            for _ in range(n_layers)
        )

    @property
    def _last(self) -> PostNormLayer:
        layer = self.layers[-1]
        assert isinstance(layer, PostNormLayer)
        return layer

    def forward(
        self, x: Float[Tensor, "place width"], offsets: Int64[Tensor, " bounds"]
    ) -> tuple[Float[Tensor, "place width"], Float[Tensor, "place width"]]:
        """Return the last states, and what the last layer read, which `gaze` and `received` take."""
        blocks = layout(offsets)
        mix = partial(attend, layout=blocks.sorted)
        x, seen = blocks.sort(x), x
        for layer in self.layers:
            seen, x = x, layer(x, mix)
        return blocks.unsort(x), blocks.unsort(seen)

    def gaze(
        self,
        seen: Float[Tensor, "place width"],
        offsets: Int64[Tensor, " bounds"],
        reader: Int64[Tensor, " history"],
        items: Int64[Tensor, " item"],
    ) -> Float[Tensor, " item"]:
        """Return how each history's reader shares its attention among the items in the last layer; mean over heads."""
        query, key, _ = self._last.heads(seen)
        owner = owners(offsets)[items]
        scores = (query[reader][owner] * key[items]).sum(2).float() / query.shape[2] ** 0.5
        return segment_softmax(scores, owner, len(reader)).mean(1)

    def received(
        self, seen: Float[Tensor, "place width"], offsets: Int64[Tensor, " bounds"]
    ) -> Float[Tensor, " place"]:
        """Return how much attention each place gets in the last layer, mean over heads and over who looks.

        It sums to 1 over each history. Of a long history, `LOOKERS` places spread evenly over it are asked.
        """
        query, key, _ = (one.float() for one in self._last.heads(seen))
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


class Inputs(nn.Module):
    """BEHRT's inputs: word, age in whole years, and visit (its place, and which of two kinds in turn), normalised."""

    def __init__(self, n_words: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, width)
        self.ages = nn.Embedding(AGES, width)
        self.segments = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(
        self,
        words: Int64[Tensor, " place"],
        weights: Float[Tensor, " place"],
        ages: Float[Tensor, " place"],
        visits: Int64[Tensor, " place"],
        positions: Float[Tensor, "visit width"] | None = None,
    ) -> Float[Tensor, "place width"]:
        """Return what stands at each place; a visit's place is a sinusoid, or a row of `positions`."""
        e = self.words(words) * weights[:, None]
        e = e + self.ages(ages.floor().long().clamp(0, AGES - 1)) + self.segments(visits % 2)
        if positions is None:
            return self.norm(e + SPREAD * 2**0.5 * sinusoids(visits, self.words.weight))
        return self.norm(e + positions[visits.clamp(max=len(positions) - 1)])


def initialise(module: nn.Module) -> None:
    """Start a layer's weights at N(0, 0.02) and its bias at 0; for `Module.apply`."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=SPREAD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
