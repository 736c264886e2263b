"""Timeline: every code fades at a rate of its own, after it has looked at the codes it stands with.

Bai, Zhang, Egleston, Vucetic: "Interpretable Representation Learning for Healthcare via Capturing Disease Progression
through Time", KDD 2018. For the codes c_1 … c_n of a visit (a *set*), which lies a time Δ before the prediction:

    a_mn = softmax_n(W_Q e_m · W_K e_n / √width)           the codes of a visit look at each other
    u_m = Σ_n a_mn e_n
    δ_m = σ(θ_{c_m} + μ_{c_m} Δ)                           what is left of the code: its weight at first, and its rate
    v = Σ_m δ_m u_m                                        visit
    h = LSTM(v_1 … v_T), g = LSTM(v_T … v_1),   logits = W_o [h_T; g_1] + b_o        each has read all visits

θ starts at 1 and μ at −0.1, as in the released code: a code has .73 of its full weight at once and half of it after ten
units of time. A chronic disease learns a μ near 0, a cold a steep one.

Notable: Δ is counted in units of `unit_days`, months by default, so that one rate suits records of years. Static facts,
dated at birth, do not fade: their Δ is 0. The values of the attention are the embeddings themselves, as in the released
code; its padded steps, which it reads as if they were visits, do not exist here.
"""

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from attending.batch import Batch, Output, offsets_of
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.attention import attend, layout
from attending.nn.dropout import Dropout
from attending.nn.packed import as_set, first, last, run, segment_shares, segment_sum
from attending.nn.time import visits_ago


class Config(interface.ModelConfig):
    """Settings of Timeline; widths of the codes and of the state of each direction.

    unit_days   the unit of time in which codes fade; a stay in intensive care wants hours (0.0417), a life months
    """

    width: Positive = 128
    width_state: Positive = 128
    dropout: Share = 0.2
    unit_days: float = Field(default=30.0, gt=0)


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_state=8, dropout=0.0)


class Model(interface.Model):
    """Timeline over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, config.width, bias=False)
        self.at_first = nn.Parameter(torch.ones(config.n_tokens))
        self.rate = nn.Parameter(torch.full((config.n_tokens,), -0.1))
        self.recurrence = nn.LSTM(config.width, config.width_state, bidirectional=True)
        self.output = nn.Linear(2 * config.width_state, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and what is left of each code, as a share of its history."""
        present, weights = as_set(batch)
        kept = present.nonzero()[:, 0]
        visit = batch.visit_of_token[kept]
        left = self.progression(batch)[kept] * weights[kept]
        codes = self._look_around(batch, kept, visit, weights[kept])
        visits = segment_sum(left[:, None] * codes, visit, batch.n_visits)
        onward, back = run(self.recurrence, visits, batch.subject_offsets).chunk(2, 1)
        read = torch.cat([last(onward, batch.subject_offsets), first(back, batch.subject_offsets)], 1)
        logits = self.output(self.dropout(read))
        shares = segment_shares(left, batch.subject_of_token[kept], batch.n_subjects)
        attention = torch.zeros_like(batch.values, dtype=left.dtype).index_copy(0, kept, shares)
        return Output(logits=logits, token_attention=attention)

    def progression(self, batch: Batch) -> Float[Tensor, " token"]:
        """Return δ of each token: what is left of it at the prediction."""
        ago = visits_ago(batch)[batch.visit_of_token] / self.config.unit_days
        return torch.sigmoid(self.at_first[batch.tokens] + self.rate[batch.tokens] * ago)

    def _look_around(
        self,
        batch: Batch,
        kept: Int64[Tensor, " code"],
        visit: Int64[Tensor, " code"],
        weights: Float[Tensor, " code"],
    ) -> Float[Tensor, "code width"]:
        """Return each code after attention over the codes of its visit."""
        codes = self.dropout(self.embedding[batch.tokens[kept]] * weights[:, None])
        offsets = offsets_of(torch.bincount(visit, minlength=batch.n_visits))
        query, key = self.query(codes), self.key(codes)
        value = codes.to(query.dtype)
        return attend(query[:, None], key[:, None], value[:, None], layout(offsets))[:, 0]
