"""Attention of many channels at once: over the steps of each, and between them.

Every channel has weights of its own, which stand side by side, so that all are one batched product.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from attending.nn.dropout import Dropout
from attending.nn.precision import exact


class Asking(nn.Module):
    """What both forms of attention over time begin with: each channel's last state asks each of its states."""

    def __init__(self, n_channels: int, width: int, width_attention: int) -> None:
        super().__init__()
        self.query, self.key = (_uniform(n_channels, width, width_attention) for _ in range(2))

    def meet(
        self,
        states: Float[Tensor, "channel cell width"],
        newest: Float[Tensor, "channel subject width"],
        owner: Int64[Tensor, " cell"],
    ) -> tuple[Float[Tensor, "channel cell attention"], Float[Tensor, "channel cell attention"]]:
        """Return the question that each cell is asked, and its key."""
        return (newest @ self.query).index_select(1, owner), states @ self.key


class TimeAttention(Asking):
    """Scores of each channel's steps by their likeness to its last one; what is long ago fades, unless it is alike."""

    undecayed = frozenset({"rate"})

    def __init__(self, n_channels: int, width: int, width_attention: int) -> None:
        super().__init__(n_channels, width, width_attention)
        self.rate = nn.Parameter(torch.zeros(n_channels, 1))

    def forward(
        self,
        states: Float[Tensor, "channel cell width"],
        newest: Float[Tensor, "channel subject width"],
        owner: Int64[Tensor, " cell"],
        ago: Float[Tensor, " cell"],
    ) -> Float[Tensor, "channel cell"]:
        """Return the scores."""
        query, key = self.meet(states, newest, owner)
        alike = (key * query).sum(-1).to(states.dtype)
        fade = torch.log(math.e + (1 - alike.sigmoid()) * ago)
        return torch.tanh(alike / (self.rate.exp() * fade))


class AuthorsTimeAttention(Asking):
    """The released code's scores: one hidden layer reads the last state, the state and how many steps ago it was."""

    def __init__(self, n_channels: int, width: int, width_attention: int) -> None:
        super().__init__(n_channels, width, width_attention)
        self.time = nn.Parameter(torch.zeros(n_channels, 1, width_attention))
        self.score = _uniform(n_channels, width_attention, 1)

    def forward(
        self,
        states: Float[Tensor, "channel cell width"],
        newest: Float[Tensor, "channel subject width"],
        owner: Int64[Tensor, " cell"],
        ago: Float[Tensor, " cell"],
    ) -> Float[Tensor, "channel cell"]:
        """Return the scores."""
        query, key = self.meet(states, newest, owner)
        hidden = torch.tanh(query + key + ago[:, None] * self.time)
        return (hidden @ self.score)[..., 0].to(states.dtype)


def _uniform(*shape: int) -> nn.Parameter:
    """Return weights of each channel, (channel, in, out), as `nn.Linear` starts them."""
    bound = shape[1] ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class ChannelAttention(nn.Module):
    """One layer of attention between the channels, and a feed-forward; as `published`, norms come before each.

    The released code has none, and half the feed-forward.
    """

    def __init__(self, width: int, n_heads: int, dropout: float, *, published: bool) -> None:
        super().__init__()
        self.n_heads, wide = n_heads, 4 if published else 2
        norm = nn.LayerNorm if published else nn.Identity
        self.norm, self.feed_norm = norm(width), norm(width)
        self.inputs = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, wide * width), nn.Linear(wide * width, width)
        self.dropout = Dropout(dropout)

    def forward(
        self, z: Float[Tensor, "subject token width"]
    ) -> tuple[Float[Tensor, "subject token width"], Float[Tensor, "subject token width"]]:
        """Return the channels after they have seen each other, and what the heads said, side by side."""
        parts = self.inputs(self.norm(z)).view(*z.shape[:2], 3, self.n_heads, z.shape[2] // self.n_heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        heads = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        z = z + self.dropout(self.mix(heads))
        return z + self.dropout(self.down(torch.relu(self.up(self.feed_norm(z))))), heads


def decorrelation(heads: Float[Tensor, "subject token width"]) -> Float[Tensor, ""]:
    """Return Σ ½ (‖C‖² − ‖diag C‖²) over the tokens' covariances across the batch, for each token."""
    heads = exact(heads)
    centred = (heads - heads.mean(0)).transpose(0, 1)
    covariance = centred.transpose(1, 2) @ centred / max(len(heads), 1)
    variance = covariance.diagonal(dim1=1, dim2=2)
    return (covariance.square().sum() - variance.square().sum()) / (2 * heads.shape[1])
