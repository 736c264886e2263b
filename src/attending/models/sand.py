"""SAnD: attention in place of recurrence, read out by how states lie along the history.

Song, Rajan, Thiagarajan, Spanias: "Attend and Diagnose: Clinical Time Series Analysis Using Attention Models", AAAI
2018. A step is a visit, or an hour of one (`step_hours` of the batches); x_t is the sum of its codes' embeddings.

    s_t = x_t + p_t                                          p: sines and cosines of the position (Vaswani et al. 2017)
    s = norm(s + MultiHead(s)),  s = norm(s + FFN(s))        n_layers times; a step sees itself and those before it
    u_m = 1/T Σ_t (1 − |M t/T − m| / M)² s_t,  m = 1 … M     dense interpolation: any length of history in M slots
    logits = W_o [u_1; …; u_M] + b_o

Notable: steps of one history attend to each other and to no padding (`nn.attention`). The sum over t is divided by T,
the number of steps, which the paper does not do: there all histories are one length, here a long one would shout.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.packed import segment_sum
from attending.nn.places import numbers, sinusoids
from attending.nn.post_norm import PostNormLayer, encode
from attending.nn.steps import StepEmbedding


class Config(interface.ModelConfig):
    """Settings of SAnD; `width` must divide into `n_heads`.

    slots   M, how many places along a history are read
    """

    width: Positive = 96
    n_layers: Positive = 2
    n_heads: Positive = 4
    slots: Positive = 12
    dropout: Share = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_layers=2, n_heads=2, slots=4, dropout=0.0)


class Model(interface.Model):
    """SAnD over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("sand", config.width, config.n_heads)
        self.config = config
        self.embed = StepEmbedding(config.n_tokens, config.width)
        self.layers = nn.ModuleList(
            PostNormLayer(config.width, config.n_heads, config.dropout) for _ in range(config.n_layers)
        )
        self.output = nn.Linear(config.slots * config.width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits read from the slots of each history."""
        lengths = batch.subject_offsets.diff()
        steps, place = self.embed(batch), numbers(batch.subject_offsets)
        states = self.dropout(steps + sinusoids(place, steps))
        states = encode(self.layers, states, batch.subject_offsets, sees="past")
        number, length = (place + 1).to(states.dtype), lengths[batch.subject_of_visit]
        weights = interpolation(number, length, self.config.slots)
        slots = [
            segment_sum(weight[:, None] * states, batch.subject_of_visit, batch.n_subjects)
            for weight in weights.unbind(1)
        ]
        return Output(logits=self.output(self.dropout(torch.cat(slots, 1))))


def interpolation(
    number: Float[Tensor, " visit"], length: Int64[Tensor, " visit"], slots: int
) -> Float[Tensor, "visit slot"]:
    """Return (1 − |M t/T − m| / M)² / T of step t = 1 … T of a history, for the slots m = 1 … M."""
    slot = torch.arange(1, slots + 1, device=number.device)
    distance = (slots * number / length)[:, None] - slot
    return (1 - distance.abs() / slots).square() / length[:, None]
