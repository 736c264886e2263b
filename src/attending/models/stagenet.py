"""StageNet: a recurrence that knows when a disease enters a new stage, and reads the past in the light of its stage.

Gao, Xiao, Wang, Tang, Glass, Sun: "StageNet: Stage-Aware Neural Networks for Health Risk Prediction", WWW 2020. A step
is a visit, or an hour of one (`step_hours` of the batches). With x_t the sum of the embeddings of its codes, Δ_t the
time since the step before (here log(1 + days)), and the state in `levels` equal parts:

    f̃_t, ĩ_t, f, i, o, c̃ = W [x_t; Δ_t] + U h_{t-1} + b
    f̃_t = cumax(f̃_t) left to right,  ĩ_t = cumax(ĩ_t) right to left      one number a level: soft steps
    ω_t = f̃_t ĩ_t                                                          where old and new overlap
    c_t = ω_t (σ(f) c_{t-1} + σ(i) tanh c̃) + (f̃_t − ω_t) c_{t-1} + (ĩ_t − ω_t) tanh c̃,     h_t = σ(o) tanh c_t
    s_t = 1 − mean f̃_t                                                     how far the stage moved
    a = softmax over the last K steps k of  Σ_{j ≤ k} s_j                  later stages weigh more
    u_k = a_k h_k,   θ = σ(W_r ReLU(W_s mean_k u_k)),   logits = W_o (θ ⊙ Conv_K(u) + h_T) + b_o

Notable: the recurrence is `nn.stages`; the window is taken at the one step that is read, the last, and stages after the
recurrence. `strict="authors"` fills a window that reaches back before the first step with states of zero, which take
weight, as the released code does; the paper's form attends to steps that exist.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.grid import grid, to_cells, to_items
from attending.nn.packed import visit_gaps
from attending.nn.stages import stage_recurrence
from attending.nn.steps import StepEmbedding


class Config(interface.ModelConfig):
    """Settings of StageNet.

    width         of a step's embedding
    width_level   of one level of the state, which has `levels` of them
    window        how many steps, up to the last, are read in the light of their stage
    """

    width: Positive = 128
    width_level: Positive = 64
    levels: Positive = 3
    window: Positive = 10
    dropout: Share = 0.2
    strict: Literal["paper", "authors"] = "paper"


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_level=8, window=4, dropout=0.0)


class Model(interface.Model):
    """StageNet over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width_state = config.levels * config.width_level
        self.embed = StepEmbedding(config.n_tokens, config.width)
        self.inputs = nn.Linear(config.width + 1, 2 * config.levels + 4 * width_state)
        self.recurrent = nn.Linear(width_state, 2 * config.levels + 4 * width_state, bias=False)
        self.scale = nn.Linear(width_state, max(width_state // 6, 1))
        self.rescale = nn.Linear(max(width_state // 6, 1), width_state)
        self.convolution = nn.Linear(config.window * width_state, width_state)
        self.output = nn.Linear(width_state, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and the weights of the last window."""
        x = self.dropout(self.embed(batch))
        states, distances = self._recur(x, visit_gaps(batch).log1p(), batch.subject_offsets)
        start, end = batch.subject_offsets[:-1], batch.subject_offsets[1:]
        progress, weights, window = self._progress(states, distances, end - 1, start)
        attention = weights.new_zeros(max(batch.n_visits, 1)).index_add(
            0, window.flatten(), weights.flatten()
        )
        return Output(logits=self.output(self.dropout(progress)), visit_attention=attention[: batch.n_visits])

    def _recur(
        self,
        x: Float[Tensor, "visit width"],
        gaps: Float[Tensor, " visit"],
        offsets: Int64[Tensor, " bounds"],
    ) -> tuple[Float[Tensor, "visit state"], Float[Tensor, " visit"]]:
        """Return the state at each step and how far the stage moved there; in the precision of the weights."""
        places = grid(offsets)
        inputs = to_cells(torch.cat([x, gaps[:, None].to(x.dtype)], 1), places)
        states, forget = stage_recurrence(
            inputs,
            self.inputs.weight,
            self.inputs.bias,
            self.recurrent.weight,
            places.sizes,
            self.config.levels,
        )
        moved = 1 - forget.mean(1, keepdim=True)
        return to_items(states, places), to_items(moved, places)[:, 0]

    def _progress(
        self,
        states: Float[Tensor, "visit state"],
        distances: Float[Tensor, " visit"],
        at: Int64[Tensor, " query"],
        start: Int64[Tensor, " query"],
    ) -> tuple[Float[Tensor, "query state"], Float[Tensor, "query window"], Int64[Tensor, "query window"]]:
        """Return what is read at the visits `at` of histories that begin at `start`, and the window and its weights."""
        window = at[:, None] + torch.arange(1 - self.config.window, 1, device=at.device)
        real = window >= start[:, None]
        window = window.clamp(min=0)
        if len(states) == 0:
            states, distances = states.new_zeros(1, states.shape[1]), distances.new_zeros(1)
        recent = states[window] * real[..., None]
        progress = (distances[window] * real).cumsum(1)
        if self.config.strict == "paper":
            progress = progress.masked_fill(~real, torch.finfo(progress.dtype).min)
        weights = progress.softmax(1)
        recent = weights[..., None] * recent
        theme = torch.sigmoid(self.rescale(torch.relu(self.scale(recent.mean(1)))))
        now = states[window[:, -1]] * real[:, -1:]
        read = theme * self.convolution(recent.flatten(1)) + self.dropout(now)
        return read, weights * real, window
