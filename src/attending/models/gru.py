"""GRU: a recurrence over visits, read out at the last one; the standing neural baseline.

After Choi, Bahadori, Schuetz, Stewart, Sun: "Doctor AI", MLHC 2016, without its duration head:

    v_i = tanh(W_emb x_i + b),   h_i = GRU([v_i, log(1 + days since the previous visit)], h_{i-1}),
    logits = W_o h_T + b_o

Notable: packed, so the state that is read is that of the last real visit, whatever its length or emptiness.
"""

import torch
from torch import nn

from attending.batch import Batch, Output
from attending.nn import interface
from attending.nn.packed import bag, last, multi_hot, run, token_weights, visit_gaps


class Config(interface.ModelConfig):
    """Settings of the recurrence; widths of the visit embedding and of the state."""

    width: int = 128
    width_state: int = 128
    dropout: float = 0.2


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_state=16, dropout=0.0)


class Model(interface.Model):
    """A GRU over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        self.bias = nn.Parameter(torch.zeros(config.width))
        self.recurrence = nn.GRU(config.width + 1, config.width_state)
        self.output = nn.Linear(config.width_state, config.n_outcomes)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits read from each history's last state."""
        codes = bag(self.embedding, batch, token_weights(batch, multi_hot(batch)), batch.visit_offsets)
        visits = self.dropout(torch.tanh(codes + self.bias))
        inputs = torch.cat([visits, visit_gaps(batch).log1p()[:, None]], 1)
        states = run(self.recurrence, inputs, batch.subject_offsets)
        return Output(logits=self.output(self.dropout(last(states, batch.subject_offsets))))
