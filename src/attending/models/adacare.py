"""AdaCare: how a patient has changed over short and long spans, and which features matter now.

Ma, Gao, Wang, Zhang, Wang, Ruan, Tang, Gao, Ma: "AdaCare: Explainable Clinical Health Status Representation Learning
via Scale-Adaptive Feature Extraction and Recalibration", AAAI 2020. A step is a visit, or an hour of one (`step_hours`
of the batches); x_t is the sum of the embeddings of its codes, 0 before the first step.

    u_t = [ReLU(Σ_k A_{d,k} x_{t − kd} + a_d)] over the dilations d = 1, 3, 5, with k = 0 … kernel − 1
    recalibrate(v) = v ⊙ g(W_2 ReLU(W_1 v))        g: sigmoid; or sparsemax, where features share 1 and most get nothing
    h_t = GRU([recalibrate(u_t), recalibrate(x_t)], h_{t-1}),    logits = W_o h_T + b_o

Notable: convolutions are causal and stay within a history. Recalibration reads the step itself and no later one, as the
released code does: an average over the whole history would tell early steps of late ones.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.gates import sparsemax
from attending.nn.packed import last, run
from attending.nn.places import shifted
from attending.nn.steps import StepEmbedding

DILATIONS = (1, 3, 5)


class Config(interface.ModelConfig):
    """Settings of AdaCare.

    width           of a step's embedding
    width_channels  of each convolution's output, one convolution a dilation
    width_state     of the recurrence
    kernel          how many steps, a dilation apart, a convolution reads
    squeeze         a recalibration thinks in so many times fewer dimensions
    recalibrate     `sigmoid`, each feature by itself; `sparsemax`, features compete and most get nothing
    """

    width: Positive = 128
    width_channels: Positive = 64
    width_state: Positive = 128
    kernel: Positive = 2
    squeeze: Positive = 4
    recalibrate: Literal["sigmoid", "sparsemax"] = "sigmoid"
    dropout: Share = 0.2


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_channels=8, width_state=16, dropout=0.0)


class Model(interface.Model):
    """AdaCare over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed = StepEmbedding(config.n_tokens, config.width)
        self.convolutions = nn.ModuleList(
            CausalConvolution(config.width, config.width_channels, config.kernel, dilation)
            for dilation in DILATIONS
        )
        n_channels = len(DILATIONS) * config.width_channels
        self.of_channels = Recalibration(n_channels, config.squeeze, config.recalibrate)
        self.of_features = Recalibration(config.width, config.squeeze, config.recalibrate)
        self.recurrence = nn.GRU(n_channels + config.width, config.width_state)
        self.output = nn.Linear(config.width_state, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits read from each history's last state."""
        x, offsets = self.dropout(self.embed(batch)), batch.subject_offsets
        channels = torch.relu(torch.cat([convolve(x, offsets) for convolve in self.convolutions], 1))
        inputs = torch.cat([self.of_channels(channels), self.of_features(x)], 1)
        states = run(self.recurrence, self.dropout(inputs), offsets)
        return Output(logits=self.output(self.dropout(last(states, offsets))))


class CausalConvolution(nn.Module):
    """Σ_k A_k x_{t − k · dilation} + a, within each history."""

    def __init__(self, width: int, width_out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.lags = [k * dilation for k in range(kernel)]
        self.weight = nn.Linear(kernel * width, width_out)

    def forward(
        self, x: Float[Tensor, "visit width"], offsets: Int64[Tensor, " bounds"]
    ) -> Float[Tensor, "visit channel"]:
        """Return the convolution at each visit."""
        return self.weight(torch.cat([shifted(x, offsets, lag) for lag in self.lags], 1))


class Recalibration(nn.Module):
    """Each feature times how much it matters, given all of them (Hu, Shen, Sun: squeeze and excitation, CVPR 2018)."""

    def __init__(self, width: int, squeeze: int, recalibrate: Literal["sigmoid", "sparsemax"]) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, max(width // squeeze, 1), bias=False)
        self.excite = nn.Linear(max(width // squeeze, 1), width, bias=False)
        self.gate = sparsemax if recalibrate == "sparsemax" else torch.sigmoid

    def forward(self, features: Float[Tensor, "visit feature"]) -> Float[Tensor, "visit feature"]:
        """Return the features, weighed."""
        return features * self.gate(self.excite(torch.relu(self.squeeze(features))))
