"""How time enters attention: rotary angles of continuous time, and smooth features of age and recency."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

SHORTEST_PERIOD_DAYS = 2.0
LONGEST_PERIOD_DAYS = 365.25 * 40


def rotary_frequencies(size: int) -> Float[Tensor, " half"]:
    """Return angular frequencies per day for a head of `size`: geometric, from two days to forty years."""
    periods = torch.logspace(math.log10(SHORTEST_PERIOD_DAYS), math.log10(LONGEST_PERIOD_DAYS), size // 2)
    return 2 * math.pi / periods


def rotate(
    heads: Float[Tensor, "token heads size"],
    days: Float[Tensor, " token"],
    frequencies: Float[Tensor, " half"],
) -> Float[Tensor, "token heads size"]:
    """Turn each pair of dimensions by an angle that grows with time, so that q · k depends on the time between them.

    Su et al., "RoFormer", 2021, with days in the place of positions.
    """
    angle = days[:, None] * frequencies
    cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def time_features(days: Float[Tensor, " token"], ages: Float[Tensor, " token"]) -> Float[Tensor, "token 4"]:
    """Return features of order one: age in centuries, recency on a logarithmic scale, and its two decays."""
    ago = -days
    return torch.stack(
        [ages / 100, torch.log1p(ago.clamp(min=0)) / 8, torch.exp(-ago / 30), torch.exp(-ago / 365)], dim=1
    )
