"""Dipole: a recurrence that reads the visits both ways, and attention of the last visit over those before it.

Ma, Chitta, Zhou, You, Sun, Gao: "Dipole: Diagnosis Prediction in Healthcare via Attention-based Bidirectional Recurrent
Neural Networks", KDD 2017. For visits x_1 … x_T of a history that ends at the prediction time:

    v_i = ReLU(W_v x_i + b_v)                              visit embedding
    h_i = [GRU→(v_1 … v_i); GRU←(v_T … v_i)]               what came up to visit i, and what came since
    s_i = location   w · h_i + b
          general    h_T · W h_i                           one of three scores of the visits before the last
          concat     w · tanh(W [h_T; h_i])
    α = softmax_{i < T}(s),   c = Σ_{i < T} α_i h_i        c = 0 where the history has one visit
    logits = W_o tanh(W_c [c; h_T]) + b_o

Notable: the prefix trap. The paper predicts at every visit t of a record; an encoder run once over the whole record
would let h_t know visits t + 1 … T through its backward half. Here a sample is the prefix that ends at its prediction,
and the encoder runs anew for each: nothing later exists for it. No time enters, as in the paper: only order.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.packed import attended, last, run, visit_sums
from attending.nn.scores import Score, scorer


class Config(interface.ModelConfig):
    """Settings of Dipole; widths of the visit embedding, of the state of each direction, and of what is read out.

    score   how visits before the last are weighed: by themselves (`location`) or against the last one (`general`,
            `concat`)
    """

    width: Positive = 128
    width_state: Positive = 128
    width_read: Positive = 128
    dropout: Share = 0.2
    score: Score = "concat"


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_state=8, width_read=16, dropout=0.0)


class Model(interface.Model):
    """Dipole over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        states = 2 * config.width_state
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        self.bias = nn.Parameter(torch.zeros(config.width))
        self.recurrence = nn.GRU(config.width, config.width_state, bidirectional=True)
        self.score = scorer(config.score, states, states, config.width_read)
        self.read = nn.Linear(2 * states, config.width_read, bias=False)
        self.output = nn.Linear(config.width_read, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and each visit's α; the last visit, which asks, has none."""
        states = self.encode(batch)
        now = last(states, batch.subject_offsets)
        earlier = _before_the_last(batch)
        owner = batch.subject_of_visit[earlier]
        scores = self.score(now, states[earlier], owner)
        context, alpha = attended(states[earlier], scores, owner, batch.n_subjects)
        read = torch.tanh(self.read(torch.cat([context, now], 1)))
        attention = alpha.new_zeros(len(states)).index_copy(0, earlier, alpha)
        return Output(logits=self.output(self.dropout(read)), visit_attention=attention)

    def encode(self, batch: Batch) -> Float[Tensor, "visit state"]:
        """Return the state of both directions at each visit."""
        codes = visit_sums(self.embedding, batch)
        visits = self.dropout(torch.relu(codes + self.bias))
        return run(self.recurrence, visits, batch.subject_offsets)


def _before_the_last(batch: Batch) -> Tensor:
    """Return the positions of the visits that are not their history's last."""
    owner = batch.subject_of_visit
    place = torch.arange(batch.n_visits, device=owner.device)
    return place[place < batch.subject_offsets[1:][owner] - 1]
