"""LSAN: attention over the codes of a visit, and over visits that saw both far and near.

Ye, Luo, Xiao, Ma: "LSAN: Modeling Long-term Dependencies and Short-term Correlations with Hierarchical Attention for
Risk Prediction", CIKM 2020. Codes c of visit i have embeddings e_c; a history has visits 1 … T:

    a_ic = softmax_{c ∈ x_i}(u · tanh(U e_c + b))          which codes of a visit count
    v_i = Σ_{c ∈ x_i} a_ic e_c
    l_1 … l_T = Transformer(v_1 + PE(1) … v_T + PE(T))     long: every visit sees every other
    s_i = ReLU(Σ_{|j| ≤ reach} K_j v_{i+j} + b)            short: a convolution over neighbouring visits
    z_i = tanh(W_z [l_i, s_i] + b_z)
    b_i = softmax_i(w · tanh(W z_i + b))                   which visits count
    logits = W_o Σ_i b_i z_i + b_o

Notable: packed, so neither a softmax nor the convolution reaches into another history; beyond a history's ends the
convolution sees zeros. The paper's abstract tells the parts and their order; the activations within them are a reading.
"""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.packed import as_set, attended, segment_shares
from attending.nn.places import numbers, shifted, sinusoids
from attending.nn.post_norm import PostNormLayer, encode


class Config(interface.ModelConfig):
    """Settings of LSAN; `width` must divide into `n_heads`, `reach` is how many visits each way are near."""

    width: Positive = 128
    n_layers: Positive = 1
    n_heads: Positive = 4
    reach: int = Field(default=1, ge=0)
    dropout: Share = 0.2


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """Hierarchical attention around a Transformer and a convolution over packed visits."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("lsan", config.width, config.n_heads)
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) * 0.5)
        self.code_score = Score(config.width)
        self.layers = nn.ModuleList(
            PostNormLayer(config.width, config.n_heads, config.dropout) for _ in range(config.n_layers)
        )
        self.reach = config.reach
        self.short = nn.Linear((2 * config.reach + 1) * config.width, config.width)
        self.both = nn.Linear(2 * config.width, config.width)
        self.visit_score = Score(config.width)
        self.output = nn.Linear(config.width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, each visit's attention and, within it, each code's."""
        visits, of_code = self._visits(batch)
        far, near = self._long(visits, batch), self._short(visits, batch)
        states = torch.tanh(self.both(torch.cat([far, near], 1)))
        owner, n = batch.subject_of_visit, batch.n_subjects
        pooled, of_visit = attended(states, self.visit_score(states), owner, n)
        return Output(
            logits=self.output(self.dropout(pooled)),
            visit_attention=of_visit,
            token_attention=segment_shares(
                of_code * of_visit[batch.visit_of_token], batch.subject_of_token, n
            ),  # but what visits without a code got
        )

    def _visits(self, batch: Batch) -> tuple[Float[Tensor, "visit width"], Float[Tensor, " token"]]:
        """Pool the codes of each visit, a set: a code that stands there twice is weighed once."""
        present, weights = as_set(batch)
        codes = self.embedding[batch.tokens] * weights[:, None]
        scores = self.code_score(codes).masked_fill(~present, -torch.inf)
        visits, attention = attended(codes, scores, batch.visit_of_token, batch.n_visits)
        return self.dropout(visits), attention

    def _long(self, visits: Float[Tensor, "visit width"], batch: Batch) -> Float[Tensor, "visit width"]:
        places = sinusoids(numbers(batch.subject_offsets), visits)
        return encode(self.layers, visits + places, batch.subject_offsets)

    def _short(self, visits: Float[Tensor, "visit width"], batch: Batch) -> Float[Tensor, "visit width"]:
        reach = range(self.reach, -self.reach - 1, -1)
        near = [shifted(visits, batch.subject_offsets, by) for by in reach]
        return self.short(torch.cat(near, 1)).relu()


class Score(nn.Module):
    """u · tanh(U x + b): how much an item counts among its like."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, 1, bias=False)

    def forward(self, x: Float[Tensor, "item width"]) -> Float[Tensor, " item"]:
        """Return a score for each item."""
        return self.outer(torch.tanh(self.inner(x)))[:, 0]
