"""Mamba: a state that reads the events one by one, and decides at each what to keep and what to take in.

Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023; on records Wornow et al., "Context
Clues", ICLR 2025. Events j of a history stand in one order (below), t_j days before the prediction:

    x_j = E[code_j] + value_j U[code_j] + W [log(1 + t_j-1 - t_j), age_j]

and each layer, with N(x) = x / √(mean x²) and a gain, adds to x_j

    [u, z] = W_in N(x_j)
    u ← silu(Σ_{k<4} w_k ⊙ u_{j-k} + b)                      a convolution over the last four events, channel by channel
    [r, B, C] = W_s u,   Δ = softplus(W_Δ r + b_Δ)            what is let in, how it is read, how long the step is
    h_j = exp(Δ A) h_{j-1} + Δ u B,   y = C · h_j + D ⊙ u     A < 0; a state of `n_states` numbers for each channel
    W_out (y ⊙ silu(z))

    logits = W_o (N(x_T) + D · (recency of T)) + b_o          read at the last event

It pretrains by saying the next event (`self_loss`).

Notable: days before the prediction are not among the inputs of an event, or pretraining would know when the record
ends; they enter where the state is read. Packed; neither convolution nor state crosses into another history. Events of
one moment have no order, so they are sorted by code, then value: no order in which they were recorded changes a score.
The scan is plain torch (`nn.scan`), linear in events and without a limit to their number, but slow on a CPU next to
attention over short histories.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.canonical import canonical
from attending.nn.dropout import Dropout
from attending.nn.masking import masked_loss
from attending.nn.packed import last, token_weights
from attending.nn.places import followed, numbers, shifted
from attending.nn.scan import selective_scan
from attending.nn.time import time_features

EXPANSION = 2  # channels for each dimension of the width
TAPS = 4
STEPS = (1e-3, 1e-1)  # the shortest and the longest at the start
PREDICTED_AT_ONCE = 2048  # events, drawn from a batch's, whose next one the pretext says


class Config(interface.ModelConfig):
    """Settings of Mamba; `n_states` are the numbers that each channel remembers."""

    width: Positive = 64
    n_layers: Positive = 2
    n_states: Positive = 16
    dropout: Share = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_layers=1, n_states=4, dropout=0.0)


class Model(interface.Model):
    """Selective state spaces over packed events, read at the last."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) * 0.5)
        self.value = nn.Parameter(torch.zeros(config.n_tokens, config.width))
        self.time = nn.Linear(2, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = nn.RMSNorm(config.width)
        self.recency = nn.Linear(4, config.width, bias=False)
        self.output = nn.Linear(config.width, config.n_outcomes)
        self.pretext = nn.Linear(config.width, config.n_tokens)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits read from the state after each history's last event."""
        ordered, _ = canonical(batch)
        states = self._read(ordered) + self.recency(time_features(ordered.days, ordered.ages))
        return Output(logits=self.output(self.dropout(last(states, batch.token_offsets))))

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of the next event's code, at events drawn from the batch."""
        batch, _ = canonical(batch)
        drawn = followed(batch.token_offsets, PREDICTED_AT_ONCE)
        return masked_loss(self.pretext(self._read(batch)[drawn]), batch.tokens[drawn + 1])

    def _read(self, batch: Batch) -> Float[Tensor, "token width"]:
        """Return the state after each event."""
        x, first = self.dropout(self._embed(batch)), numbers(batch.token_offsets) == 0
        for layer in self.layers:
            x = x + self.dropout(layer(x, batch.token_offsets, first))
        return self.norm(x)

    def _embed(self, batch: Batch) -> Float[Tensor, "token width"]:
        codes = self.embedding[batch.tokens] + batch.values[:, None] * self.value[batch.tokens]
        times = torch.stack([gaps(batch).log1p(), batch.ages / 100], 1)
        return codes * token_weights(batch)[:, None] + self.time(times)


class Layer(nn.Module):
    """A gated selective state space with a short convolution before it."""

    undecayed = frozenset({"log_rate"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels, rank = EXPANSION * config.width, -(-config.width // 16)
        self.sizes = [rank, config.n_states, config.n_states]
        self.norm = nn.RMSNorm(config.width)
        self.inputs = nn.Linear(config.width, 2 * channels, bias=False)
        self.taps = nn.Parameter(torch.randn(TAPS, channels) / TAPS**0.5)
        self.taps_bias = nn.Parameter(torch.zeros(channels))
        self.select = nn.Linear(channels, sum(self.sizes), bias=False)
        self.step = nn.Linear(rank, channels)
        self.log_rate = nn.Parameter(torch.arange(1.0, config.n_states + 1).log().repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))
        self.output = nn.Linear(channels, config.width, bias=False)
        with torch.no_grad():
            steps = torch.empty(channels).uniform_(*(math.log(step) for step in STEPS)).exp()
            self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # softplus of it is the step

    def forward(
        self,
        x: Float[Tensor, "token width"],
        offsets: Int64[Tensor, " bounds"],
        first: Bool[Tensor, " token"],
    ) -> Float[Tensor, "token width"]:
        """Return what the layer adds to each token, having read it and those before it."""
        u, gate = self.inputs(self.norm(x)).chunk(2, dim=1)
        u = silu(sum((tap * shifted(u, offsets, k) for k, tap in enumerate(self.taps)), self.taps_bias))
        ranks, into, out_of = self.select(u).split(self.sizes, dim=1)
        step, rate = softplus(self.step(ranks)), -self.log_rate.exp()
        y = selective_scan(u, step, rate, into, out_of, first) + self.skip * u
        return self.output(y * silu(gate))


def gaps(batch: Batch) -> Float[Tensor, " token"]:
    """Return the days from the previous event to each; 0 for the first, and after static facts at birth."""
    day, age = (shifted(one, batch.token_offsets, 1) for one in (batch.days, batch.ages))
    return torch.where(age > 0, batch.days - day, 0.0).clamp(
        min=0
    )  # an age of 0: at birth, or nothing before
