"""How time enters a model: rotary angles of continuous time, smooth features of age and recency, decays of memory."""

import math

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

from attending.batch import Batch
from attending.nn.packed import segment_sum, visit_days
from attending.nn.places import numbers
from attending.nn.precision import exact

DAYS_A_YEAR = 365.25
SHORTEST_PERIOD_DAYS = 2.0
LONGEST_PERIOD_DAYS = DAYS_A_YEAR * 40


def rotary_frequencies(size: int) -> Float[Tensor, " half"]:
    """Return angular frequencies per day for a head of `size`: geometric, from two days to forty years."""
    periods = torch.logspace(math.log10(SHORTEST_PERIOD_DAYS), math.log10(LONGEST_PERIOD_DAYS), size // 2)
    return 2 * math.pi / periods


def turns(
    times: Float[Tensor, " token"], frequencies: Float[Tensor, " half"]
) -> Complex[Tensor, "token half"]:
    """Return each token's turn of each pair of dimensions, e^{i · frequency · time}; made once for all layers."""
    angle = times[:, None].to(frequencies.dtype) * frequencies
    return torch.polar(torch.ones_like(angle), angle)


def rotate(
    heads: Float[Tensor, "token heads size"], turn: Complex[Tensor, "token half"]
) -> Float[Tensor, "token heads size"]:
    """Turn each pair of neighbouring dimensions, so that q · k depends on the time between them.

    Su et al., "RoFormer", 2021, with time in the place of positions. A pair is a complex number: one product, in
    float32 at least.
    """
    heads = exact(heads)
    pairs = torch.view_as_complex(heads.view(*heads.shape[:-1], heads.shape[-1] // 2, 2))
    return torch.view_as_real(pairs * turn[:, None]).flatten(-2)


def time_features(days: Float[Tensor, " token"], ages: Float[Tensor, " token"]) -> Float[Tensor, "token 4"]:
    """Return features of order one: age in centuries, recency on a logarithmic scale, and its two decays."""
    ago = -days
    return torch.stack(
        [ages / 100, torch.log1p(ago.clamp(min=0)) / 8, torch.exp(-ago / 30), torch.exp(-ago / 365)], dim=1
    )


def log_decay(days: Float[Tensor, " item"]) -> Float[Tensor, " item"]:
    """Return 1 / log(e + days), the share of a short-term memory that outlives a gap: 1 after none, then ever slower.

    Baytas et al., "Patient Subtyping via Time-Aware LSTM Networks", KDD 2017.
    """
    return 1 / torch.log(math.e + days)


def known_from_birth(batch: Batch) -> Bool[Tensor, " visit"]:
    """Say which visits hold static facts: the first of a history, where no event of it is later than birth."""
    aged = segment_sum((batch.ages > 0).float(), batch.visit_of_token, batch.n_visits) > 0
    return (numbers(batch.subject_offsets) == 0) & ~aged


def visits_ago(batch: Batch) -> Float[Tensor, " visit"]:
    """Return the days from each visit to the prediction; 0 for static facts, which hold all the time."""
    days = visit_days(batch)
    return torch.where(known_from_birth(batch), torch.zeros_like(days), -days)


def age_frequencies(size: int) -> Float[Tensor, " half"]:
    """Return angular frequencies per day of age for a head of `size`: from 1 to 1e-8, geometric.

    Steinberg et al., "MOTOR", ICLR 2024.
    """
    return 10_000.0 ** -torch.linspace(0, 2, size // 2)


def place_frequencies(size: int) -> Float[Tensor, " half"]:
    """Return angular frequencies per place for a head of `size`: from 1 to 1 / 10,000 (RoFormer)."""
    return 10_000.0 ** (-torch.arange(size // 2) / (size // 2))


def fading_slopes(n_heads: int) -> Float[Tensor, " heads"]:
    """Return what a day takes off the scores of each head: of four heads, 1 in 120 days, in 480, in 5 and in 21 years.

    Geometric, as the slopes of ALiBi are (Press, Smith, Lewis, ICLR 2022), with a month in the place of a position.
    """
    return 2.0 ** (-8 * torch.arange(1, n_heads + 1) / n_heads) / 30


class Time2Vec(nn.Module):
    """A time as a vector: one dimension grows with it, the others swing.

    Kazemi et al., "Time2Vec", 2019: v_0 = w_0 t + b_0, held within ±`limit`, and v_i = sin(w_i t + b_i). `scale` is the
    size of the first w, about 1 / the times that matter.
    """

    def __init__(self, width: int, *, scale: float, limit: float = 100.0) -> None:
        super().__init__()
        self.limit = limit
        self.weight = nn.Parameter(torch.randn(width) * scale)
        self.bias = nn.Parameter(torch.randn(width) * scale)

    def forward(self, times: Float[Tensor, " item"]) -> Float[Tensor, "item width"]:
        """Return the vector of each time."""
        phase = times[:, None] * self.weight + self.bias
        return torch.cat([phase[:, :1].clamp(-self.limit, self.limit), phase[:, 1:].sin()], dim=1)
