"""The layer of the first Transformer over packed histories: attention and a feed-forward, each added, then normalised.

    x ← LayerNorm(x + W_o mix(W_q x, W_k x, W_v x))
    x ← LayerNorm(x + W_2 f(W_1 x))

with biases (Vaswani et al., "Attention Is All You Need", 2017). f is ReLU unless a model says otherwise: BERT's is
GELU. How items look at each other is handed in as `mix`, so that a model can say within what, and how.
"""

from collections.abc import Callable, Iterable
from functools import partial

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import relu

from attending.nn.attention import Sees, attend, layout
from attending.nn.dropout import Dropout

Heads = Float[Tensor, "item heads size"]
Mix = Callable[[Heads, Heads, Heads], Heads]
Activation = Callable[[Tensor], Tensor]

EPSILON = 1e-5  # of a LayerNorm


class PostNormLayer(nn.Module):
    """Attention by `mix`, then a feed-forward, of four times the width unless `width_feed` is told."""

    def __init__(
        self,
        width: int,
        n_heads: int,
        dropout: float,
        *,
        width_feed: int | None = None,
        activation: Activation = relu,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.inputs = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=epsilon)
        inside = 4 * width if width_feed is None else width_feed
        self.feed = FeedForward(width, inside, dropout, activation=activation, epsilon=epsilon)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "item width"], mix: Mix) -> Float[Tensor, "item width"]:
        """Return the items after they looked at each other."""
        x = self.norm(x + self.dropout(self.mixed(mix(*self.heads(x)).flatten(1))))
        return self.feed(x)

    def heads(self, x: Float[Tensor, "item width"]) -> tuple[Heads, Heads, Heads]:
        """Return queries, keys and values."""
        query, key, value = self.inputs(x).unflatten(1, (3, self.n_heads, -1)).unbind(1)
        return query, key, value


class FeedForward(nn.Module):
    """norm(x + W₂ f(W₁ x + b₁) + b₂)."""

    def __init__(
        self,
        width: int,
        width_feed: int,
        dropout: float,
        *,
        activation: Activation = relu,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(width, width_feed)
        self.down = nn.Linear(width_feed, width)
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "*item width"]) -> Float[Tensor, "*item width"]:
        """Return the items after each thought for itself."""
        return self.norm(x + self.dropout(self.down(self.activation(self.up(x)))))


def encode(
    layers: Iterable[nn.Module],
    x: Float[Tensor, "item width"],
    offsets: Int64[Tensor, " bounds"],
    *,
    sees: Sees = "all",
) -> Float[Tensor, "item width"]:
    """Run layers in which every item sees its own segment, or some of it, sorted by length once for all of them."""
    blocks = layout(offsets)
    x, mix = blocks.sort(x), partial(attend, layout=blocks.sorted, sees=sees)
    for layer in layers:
        x = layer(x, mix)
    return blocks.unsort(x)
