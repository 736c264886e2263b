"""Transformer: bidirectional attention over code and time tokens, read out by one attention an outcome.

The encoder follows the modern recipe: pre-norm with RMSNorm (Zhang and Sennrich 2019), SwiGLU (Shazeer 2020), rotary
angles (Su et al. 2021) of continuous time in days instead of positions, as MOTOR (Steinberg et al., ICLR 2024) turns
them by age, normalised queries and keys, no biases. Inputs of token j of a history:

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
from torch.nn.functional import rms_norm, silu

from attending.batch import Batch, Facts, Output
from attending.errors import ConfigError
from attending.nn import interface
from attending.nn.attention import Layout, attend, layout
from attending.nn.packed import bag, multi_hot, segment_sum, token_weights
from attending.nn.time import rotary_frequencies, rotate, time_features

VISITS_TOLD_APART = 64
FADING_DAYS = (60.0, 1500.0)


class Config(interface.ModelConfig):
    """Settings of the transformer; `width` must divide into `n_heads` even parts."""

    width: int = 96
    n_layers: int = 2
    n_heads: int = 4
    dropout: float = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_layers=2, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """A bidirectional transformer over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.width % (2 * config.n_heads) or config.n_heads % 2:
            raise ConfigError(
                f"the 'width' of models.transformer must divide into n_heads even parts, n_heads being even; "
                f"got width {config.width}, n_heads {config.n_heads}"
            )
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) * 0.5)
        self.value = nn.Parameter(torch.zeros(config.n_tokens, config.width))
        self.time = nn.Linear(4, config.width, bias=False)
        self.recency = nn.Parameter(torch.randn(VISITS_TOLD_APART, config.width) * 0.1)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.query = nn.Parameter(torch.randn(config.n_outcomes, config.width) / config.width**0.5)
        self.read = nn.Parameter(torch.zeros(config.n_outcomes, config.width))
        self.memory = nn.Parameter(torch.zeros(len(FADING_DAYS), config.n_tokens, config.n_outcomes))
        self.bias = nn.Parameter(torch.zeros(config.n_outcomes))
        self.dropout = nn.Dropout(config.dropout)

    def use(self, facts: Facts) -> None:
        """Start the output bias at the log-odds of each outcome, or at the mean of a number."""
        with torch.no_grad():
            self.bias.copy_(interface.first_guess(facts))

    def forward(self, batch: Batch) -> Output:
        """Return the logits and the attention of the readout, averaged over outcomes."""
        x = self.dropout(self._embed(batch))
        blocks = layout(batch.token_offsets, batch.visit_of_token)
        for layer in self.layers:
            x = layer(x, batch.days, blocks)
        x = rms_norm(x, x.shape[-1:])
        return self._read(x, batch)

    def _embed(self, batch: Batch) -> Float[Tensor, "token width"]:
        codes = self.embedding[batch.tokens] + batch.values[:, None] * self.value[batch.tokens]
        codes = codes * token_weights(batch)[:, None]
        visits_after = batch.subject_offsets[1:][batch.subject_of_token] - 1 - batch.visit_of_token
        place = self.recency[visits_after.clamp(max=VISITS_TOLD_APART - 1)]
        return codes + self.time(time_features(batch.days, batch.ages)) + place

    def _read(self, x: Float[Tensor, "token width"], batch: Batch) -> Output:
        owner, n = batch.subject_of_token, batch.n_subjects
        scores = x @ self.query.T
        peak = scores.new_full((n, scores.shape[1]), -torch.inf)
        peak = peak.scatter_reduce(0, owner[:, None].expand_as(scores), scores.detach(), "amax")
        raised = (scores - peak[owner]).exp()
        total = segment_sum(raised, owner, n).clamp(min=torch.finfo(raised.dtype).tiny)
        read = segment_sum(raised * (x @ self.read.T), owner, n) / total
        attention = (raised / total[owner]).mean(1)
        return Output(logits=read + self._remember(batch) + self.bias, token_attention=attention)

    def _remember(self, batch: Batch) -> Float[Tensor, "subject outcome"]:
        weights = token_weights(batch, multi_hot(batch))
        fading = (weights * torch.exp(batch.days / rate) for rate in FADING_DAYS)
        bags = (
            bag(table, batch, faded, batch.token_offsets)
            for table, faded in zip(self.memory, fading, strict=True)
        )
        return sum(bags, start=torch.zeros_like(self.bias))


class Layer(nn.Module):
    """Pre-norm attention and a gated feed-forward."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, hidden = config.width, 8 * config.width // 3
        self.n_heads = config.n_heads
        self.norm = nn.RMSNorm(width)
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.temperature = nn.Parameter(torch.full((config.n_heads, 1), (width / config.n_heads) ** 0.5))
        self.feed_norm = nn.RMSNorm(width)
        self.gate = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.frequencies = nn.Buffer(rotary_frequencies(width // config.n_heads), persistent=False)

    def forward(
        self, x: Float[Tensor, "token width"], days: Float[Tensor, " token"], blocks: Layout
    ) -> Float[Tensor, "token width"]:
        """Return the tokens after attending to their history and thinking for themselves."""
        q, k, v = self.inputs(self.norm(x)).view(len(x), 3, self.n_heads, -1).unbind(1)
        q, k = rms_norm(q, q.shape[-1:]) * self.temperature / q.shape[-1] ** 0.5, rms_norm(k, k.shape[-1:])
        q, k = rotate(q, days, self.frequencies), rotate(k, days, self.frequencies)
        x = x + self.dropout(self.output(attend(q, k, v, blocks, sees="both").flatten(1)))
        gate, up = self.gate(self.feed_norm(x)).chunk(2, dim=-1)
        return x + self.dropout(self.down(silu(gate) * up))
