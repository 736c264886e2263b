"""The layer of the first Transformer over packed histories: attention and a feed-forward, each added, then normalised.

Vaswani et al., "Attention Is All You Need", 2017. How items look at each other is handed in as `mix`, so that a model
can say within what, and how.
"""

from collections.abc import Callable, Iterable

from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.errors import ConfigError
from attending.nn.attention import attend, layout

Heads = Float[Tensor, "item heads size"]
Mix = Callable[[Heads, Heads, Heads], Heads]


def check_heads(model: str, width: int, n_heads: int) -> None:
    """Refuse a width that does not divide into heads.

    Raises:
        ConfigError: `width` is no multiple of `n_heads`.
    """
    if width % n_heads:
        raise ConfigError(
            f"the 'width' of models.{model} must divide into n_heads; got width {width}, n_heads {n_heads}"
        )


class PostNormLayer(nn.Module):
    """Attention by `mix`, then a feed-forward of four times the width."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.inputs = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.feed = FeedForward(width, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "item width"], mix: Mix) -> Float[Tensor, "item width"]:
        """Return the items after they looked at each other."""
        query, key, value = self.inputs(x).unflatten(1, (3, self.n_heads, -1)).unbind(1)
        x = self.norm(x + self.dropout(self.mixed(mix(query, key, value).flatten(1))))
        return self.feed(x)


class FeedForward(nn.Module):
    """norm(x + W₂ ReLU(W₁ x + b₁) + b₂)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "item width"]) -> Float[Tensor, "item width"]:
        """Return the items after each thought for itself."""
        return self.norm(x + self.dropout(self.down(self.up(x).relu())))


def encode(
    layers: Iterable[nn.Module], x: Float[Tensor, "item width"], offsets: Int64[Tensor, " bounds"]
) -> Float[Tensor, "item width"]:
    """Run layers in which every item sees its own segment, sorted by length once for all of them."""
    blocks = layout(offsets)
    x, inside = blocks.sort(x), blocks.sorted
    for layer in layers:
        x = layer(x, lambda query, key, value: attend(query, key, value, inside))
    return blocks.unsort(x)
