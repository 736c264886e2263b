"""GRU: a recurrence over visits, read out at the last one; the standing neural baseline.

After Choi, Bahadori, Schuetz, Stewart, Sun: "Doctor AI", MLHC 2016. For visits x_1 … x_T of a history and the days d_t
from visit t − 1 to visit t (d_1 = 0):

    v_t = tanh(W_emb x_t + b),   h_t = GRU([v_t, log(1 + d_t)], h_{t-1}),
    logits = W_o h_T + b_o

and, while training, a second task that needs no label: when will this patient be back? At every visit that has a next
one in the history,

    penalty = gap_weight · mean over histories of mean_t (ReLU(w · h_t + b) − log(1 + d_{t+1}))².

Notable: packed, so the state that is read is that of the last real visit, whatever its length or emptiness. The gap
after the last visit lies in the future and is never a target.
"""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from attending.batch import Batch, Output, offsets_of
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.packed import last, run, segment_mean, visit_gaps, visit_sums
from attending.nn.time import known_from_birth

THREE_WEEKS = 3.0  # log(1 + days): a ReLU that starts below 0 everywhere would never learn


class Config(interface.ModelConfig):
    """Settings of the recurrence; widths of the visit embedding and of the state.

    gap_weight   how much the error of the second task, the time to the next visit, adds to the loss; 0 leaves it out
    """

    width: Positive = 128
    width_state: Positive = 128
    dropout: Share = 0.2
    gap_weight: float = Field(default=0.1, ge=0)


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_state=16, dropout=0.0)


class Model(interface.Model):
    """A GRU over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        self.bias = nn.Parameter(torch.zeros(config.width))
        self.recurrence = nn.GRU(config.width + 1, config.width_state)
        self.output = nn.Linear(config.width_state, config.n_outcomes)
        self.dropout = Dropout(config.dropout)
        self.gap = nn.Linear(config.width_state, 1) if config.gap_weight else None
        if self.gap is not None:
            nn.init.constant_(self.gap.bias, THREE_WEEKS)

    def forward(self, batch: Batch) -> Output:
        """Return the logits read from each history's last state, and in training the error of the next gaps."""
        codes = visit_sums(self.embedding, batch)
        visits = self.dropout(torch.tanh(codes + self.bias))
        gaps = visit_gaps(batch)
        inputs = torch.cat([visits, gaps.log1p()[:, None]], 1)
        states = run(self.recurrence, inputs, batch.subject_offsets)
        logits = self.output(self.dropout(last(states, batch.subject_offsets)))
        return Output(
            logits=logits, penalty=self._gap_penalty(states, gaps, batch) if self.training else None
        )

    def _gap_penalty(
        self, states: Float[Tensor, "visit state"], gaps: Float[Tensor, " visit"], batch: Batch
    ) -> Float[Tensor, ""] | None:
        if self.gap is None:
            return None
        owner = batch.subject_of_visit
        inside = ((owner[1:] == owner[:-1]) & ~known_from_birth(batch)[:-1]).nonzero()[:, 0]
        guess = torch.relu(self.gap(self.dropout(states[inside]))[:, 0])
        error = (guess - gaps[inside + 1].log1p()).square()
        bounds = offsets_of(torch.bincount(owner[inside], minlength=batch.n_subjects))
        return self.config.gap_weight * segment_mean(error[:, None], bounds).sum() / max(batch.n_subjects, 1)
