"""T-LSTM: an LSTM whose memory is split at every visit; its short-term part fades with the time since the last one.

Baytas, Xiao, Zhang, Wang, Jain, Zhou: "Patient Subtyping via Time-Aware LSTM Networks", KDD 2017. For visits
x_1 … x_T of a history and the days d_t from visit t − 1 to visit t (d_1 = 0), with h_0 = c_0 = 0:

    s_t = tanh(W_d c_{t-1} + b_d)                          the short-term part of the memory
    c*_t = c_{t-1} − s_t + g(d_t) s_t                      … fades, g(d) = 1 / log(e + d); the long-term part stays
    [f, i, o, z] = W (W_emb x_t) + U h_{t-1} + b
    c_t = σ(f) c*_t + σ(i) tanh(z),   h_t = σ(o) tanh(c_t)
    logits = W_o h_T + b_o

Notable: what does not depend on the state, W W_emb x_t + b and g, is computed for all visits of the batch at once; the
loop over steps that is left does two small products, over the histories that are still that long.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.grid import each_step, grid, to_cells, to_items
from attending.nn.packed import last, visit_gaps, visit_sums
from attending.nn.time import log_decay


class Config(interface.ModelConfig):
    """Settings of T-LSTM; widths of the visit embedding and of the memory."""

    width: Positive = 128
    width_state: Positive = 128
    dropout: Share = 0.2


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_state=16, dropout=0.0)


class Model(interface.Model):
    """T-LSTM over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        self.inputs = nn.Linear(config.width, 4 * config.width_state)
        self.recurrent = nn.Linear(config.width_state, 4 * config.width_state, bias=False)
        self.short_term = nn.Linear(config.width_state, config.width_state)
        self.output = nn.Linear(config.width_state, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits read from each history's last state."""
        codes = visit_sums(self.embedding, batch)
        projected = self.inputs(self.dropout(codes))
        lost = 1 - log_decay(visit_gaps(batch))
        states = self._run(projected, lost[:, None], batch.subject_offsets)
        return Output(logits=self.output(self.dropout(last(states, batch.subject_offsets))))

    def _run(
        self,
        projected: Float[Tensor, "visit gates"],
        lost: Float[Tensor, "visit 1"],
        offsets: Int64[Tensor, " bounds"],
    ) -> Float[Tensor, "visit state"]:
        """Return h at each visit, from the visits' share of the gates and the share of s that each gap takes."""
        if len(projected) == 0:
            return lost.new_zeros(0, self.recurrent.in_features)
        places = grid(offsets)
        hidden = memory = lost.new_zeros(places.sizes[0], self.recurrent.in_features)
        states = []
        for gates, fades in each_step(places.sizes, to_cells(projected, places), to_cells(lost, places)):
            hidden, memory = self._step(gates, fades, hidden[: len(gates)], memory[: len(gates)])
            states.append(hidden)
        return to_items(torch.cat(states), places)

    def _step(
        self,
        projected: Float[Tensor, "history gates"],
        lost: Float[Tensor, "history 1"],
        hidden: Float[Tensor, "history state"],
        memory: Float[Tensor, "history state"],
    ) -> tuple[Float[Tensor, "history state"], Float[Tensor, "history state"]]:
        kept = memory - lost * torch.tanh(self.short_term(memory))
        gates, width = projected + self.recurrent(hidden), hidden.shape[1]
        forget, let_in, let_out = torch.sigmoid(gates[:, : 3 * width]).chunk(3, dim=1)
        memory = forget * kept + let_in * torch.tanh(gates[:, 3 * width :])
        return let_out * torch.tanh(memory), memory
