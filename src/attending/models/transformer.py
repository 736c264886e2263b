"""Transformer: bidirectional attention over code and time tokens, read out by one attention an outcome.

The encoder is the modern one of `nn.layers`: pre-norm, gated feed-forward, normalised queries and keys, and rotary
angles of continuous time in days instead of positions, as MOTOR (Steinberg et al., ICLR 2024) turns them by age.
Inputs of token j of a history:

    e_j = E[code_j] + value_j U[code_j] + A · (age, recency) + P[visits before the last]

The readout is label-wise (Mullenbach et al., NAACL 2018): outcome o has a query u_o, attends over the tokens and
reads its own average,

    a_oj = softmax_j(u_o · z_j),    logit_o = w_o · Σ_j a_oj z_j + Σ_jτ e^{-days_j / τ} T_τ[code_j, o] + b_o.

The second term is a memory: what was recorded, fading at two rates τ. It learns at once that what a patient had comes
again, which is most of what any model gets right, and leaves the rest to attention (wide and deep, Cheng et al. 2016).

Notable: half of the heads look back in time and half ahead (`nn.attention`), so "A then B" differs from "B then A"
from the first step. The history is a prefix that ends at the prediction time, so looking ahead within it never sees
the future; it is packed, so there is no padding to attend to.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.attention import layout
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.layers import Encoder
from attending.nn.packed import bag, segment_softmax, segment_sum, set_weights, token_weights
from attending.nn.time import fading_slopes, rotary_frequencies, time_features

VISITS_TOLD_APART = 64
FADING_DAYS = (60.0, 1500.0)


class Config(interface.ModelConfig):
    """Settings of the transformer; `width` must divide into `n_heads` even parts.

    fades   attention falls with the days between two tokens, slowly in some heads and fast in others (ALiBi)
    """

    width: Positive = 96
    n_layers: Positive = 2
    n_heads: Positive = 4
    fades: bool = False
    dropout: Share = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_layers=2, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """A bidirectional transformer over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("transformer", config.width, config.n_heads, even=True, two_ways=True)
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) * 0.5)
        self.value = nn.Parameter(torch.zeros(config.n_tokens, config.width))
        self.time = nn.Linear(4, config.width, bias=False)
        self.recency = nn.Parameter(torch.randn(VISITS_TOLD_APART, config.width) * 0.1)
        self.encoder = Encoder(
            width=config.width,
            n_layers=config.n_layers,
            n_heads=config.n_heads,
            dropout=config.dropout,
            frequencies=rotary_frequencies(config.width // config.n_heads),
            sees="both",
            normalised=True,
            slopes=fading_slopes(config.n_heads // 2).repeat(2) if config.fades else None,
        )
        self.query = nn.Parameter(torch.randn(config.n_outcomes, config.width) / config.width**0.5)
        self.read = nn.Parameter(torch.zeros(config.n_outcomes, config.width))
        self.memory = nn.Parameter(torch.zeros(len(FADING_DAYS), config.n_tokens, config.n_outcomes))
        self.bias = nn.Parameter(torch.zeros(config.n_outcomes))
        self.dropout = Dropout(config.dropout)

    def use(self, facts: Facts) -> None:
        """Start the output bias at the log-odds of each outcome, or at the mean of a number."""
        with torch.no_grad():
            self.bias.copy_(interface.first_guess(facts))

    def forward(self, batch: Batch) -> Output:
        """Return the logits and the attention of the readout, averaged over outcomes."""
        x = self.dropout(self._embed(batch))
        x = self.encoder(x, batch.days, layout(batch.token_offsets, batch.visit_of_token))
        return self._read(x, batch)

    def _embed(self, batch: Batch) -> Float[Tensor, "token width"]:
        codes = self.embedding[batch.tokens] + batch.values[:, None] * self.value[batch.tokens]
        codes = codes * token_weights(batch)[:, None]
        visits_after = batch.subject_offsets[1:][batch.subject_of_token] - 1 - batch.visit_of_token
        place = self.recency[visits_after.clamp(max=VISITS_TOLD_APART - 1)]
        return codes + self.time(time_features(batch.days, batch.ages)) + place

    def _read(self, x: Float[Tensor, "token width"], batch: Batch) -> Output:
        owner, n = batch.subject_of_token, batch.n_subjects
        attention = segment_softmax(x @ self.query.T, owner, n)
        read = segment_sum(attention * (x @ self.read.T), owner, n)
        return Output(logits=read + self._remember(batch) + self.bias, token_attention=attention.mean(1))

    def _remember(self, batch: Batch) -> Float[Tensor, "subject outcome"]:
        weights = set_weights(batch)
        fading = (weights * torch.exp(batch.days / rate) for rate in FADING_DAYS)
        bags = (
            bag(table, batch, faded, batch.token_offsets)
            for table, faded in zip(self.memory, fading, strict=True)
        )
        return sum(bags, start=torch.zeros_like(self.bias))
