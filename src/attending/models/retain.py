"""RETAIN: two-level reverse-time attention whose logit is an exact sum over past codes.

Choi, Bahadori, Sun, Kulas, Schuetz, Stewart: "RETAIN: An Interpretable Predictive Model for Healthcare using Reverse
Time Attention Mechanism", NeurIPS 2016. For visits x_1 … x_T of a history (x_i the *set* of codes of visit i):

    v_i = W_emb x_i                                    visit embedding
    g_T … g_1 = GRU_α([v_T, t_T] … [v_1, t_1])         both recurrences read from the last visit to the first;
    h_T … h_1 = GRU_β([v_T, t_T] … [v_1, t_1])         t_i = log(1 + days since the previous visit)
    α = softmax_i(w_α · g_i + b_α)                     one weight a visit, over the real visits of the history only
    β_i = tanh(W_β h_i + b_β)                          one weight a dimension of the visit
    logits = W_o Σ_i α_i β_i ⊙ v_i + b_o

so the contribution of code k of visit i to outcome o is  α_i W_o[o] · (β_i ⊙ W_emb[:, k]),  and the contributions sum
to the logit minus b_o exactly (`contributions`).

Notable: `strict="authors"` halves both recurrences' outputs, as the released code does and the paper does not; parity
with that code is proven in that form. Packed histories: a softmax never meets padding, and no visit can receive the
weight of another.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.packed import (
    run,
    segment_softmax,
    segment_sum,
    set_weights,
    visit_gaps,
    visit_sums,
)


class Config(interface.ModelConfig):
    """Settings of RETAIN; widths of the visit embedding and of the two recurrences."""

    width: Positive = 128
    width_alpha: Positive = 128
    width_beta: Positive = 128
    dropout: Share = 0.2
    time: bool = True
    strict: Literal["paper", "authors"] = "paper"


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_alpha=16, width_beta=16, dropout=0.0)


class Model(interface.Model):
    """RETAIN over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        n_inputs = config.width + config.time
        self.alpha_recurrence = nn.GRU(n_inputs, config.width_alpha)
        self.beta_recurrence = nn.GRU(n_inputs, config.width_beta)
        self.alpha = nn.Linear(config.width_alpha, 1)
        self.beta = nn.Linear(config.width_beta, config.width)
        self.output = nn.Linear(config.width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and each visit's α."""
        visits, alpha, beta = self._attend(batch)
        context = segment_sum(alpha[:, None] * beta * visits, batch.subject_of_visit, batch.n_subjects)
        return Output(logits=self.output(self.dropout(context)), visit_attention=alpha)

    def contributions(self, batch: Batch, outcome: Int64[Tensor, " subject"]) -> Float[Tensor, " token"]:
        """Return what each token adds to the logit of its history's `outcome`; they sum to the logit minus the bias."""
        _, alpha, beta = self._attend(batch)
        visit, subject = batch.visit_of_token, batch.subject_of_token
        direction = alpha[visit, None] * beta[visit] * self.output.weight[outcome[subject]]
        return (direction * self.embedding[batch.tokens]).sum(1) * set_weights(batch)

    def base(self, outcome: Int64[Tensor, " subject"]) -> Float[Tensor, " subject"]:
        """Return the part of the logit that no token adds."""
        return self.output.bias[outcome]

    def _attend(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "visit width"], Float[Tensor, " visit"], Float[Tensor, "visit width"]]:
        visits = self.dropout(visit_sums(self.embedding, batch))
        inputs = torch.cat([visits, visit_gaps(batch).log1p()[:, None]], 1) if self.config.time else visits
        scale = 0.5 if self.config.strict == "authors" else 1.0
        states_alpha = run(self.alpha_recurrence, inputs, batch.subject_offsets, backwards=True) * scale
        states_beta = run(self.beta_recurrence, inputs, batch.subject_offsets, backwards=True) * scale
        alpha = segment_softmax(self.alpha(states_alpha)[:, 0], batch.subject_of_visit, batch.n_subjects)
        return visits, alpha, torch.tanh(self.beta(states_beta))
