"""Patient2Vec: weights of codes within a visit, a recurrence both ways, and several attentions over the visits.

Zhang, Kowsari, Harrison, Lobo, Barnes: "Patient2Vec: A Personalized Interpretable Deep Representation of the
Longitudinal Electronic Health Record", IEEE Access 2018. For the codes c_1 … c_n of visit i of a history:

    a_m = min(max(u · e_m + b, 0), 1)                      how much a code counts: a hard tanh between 0 and 1
    v_i = Σ_m a_m e_m                                      visit
    h_i = [GRU→(v_1 … v_i); GRU←(v_T … v_i)]
    β_r = softmax_i(w_r · h_i + b_r),   m_r = Σ_i β_ri h_i  hop r of n_hops
    logits = W_o [m_1; … m_R] + b_o
    penalty = diversity · mean over histories of ‖β βᵀ − I‖²   each hop looks at few visits, and each at others

Notable: the released code cuts the penalty off from its gradient (`.data`), so that it never trained; here it does. The
paper appends three demographic numbers to the hops; here static facts are codes of the first visit and enter like any.
"""

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import hardtanh

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.packed import bag, run, segment_shares, segment_softmax, segment_sum, set_weights


class Config(interface.ModelConfig):
    """Settings of Patient2Vec; widths of the codes and of the state of each direction.

    n_hops      how many attentions over the visits are read side by side
    diversity   what hops that look at the same visits, or at many, add to the loss; 0 leaves it out
    """

    width: Positive = 128
    width_state: Positive = 128
    n_hops: int = Field(default=3, ge=1)
    dropout: Share = 0.2
    diversity: float = Field(default=0.01, ge=0)


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_state=8, n_hops=2, dropout=0.0)


class Model(interface.Model):
    """Patient2Vec over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        self.weigh = nn.Linear(config.width, 1)
        nn.init.constant_(
            self.weigh.bias, 0.5
        )  # in the middle of the hard tanh, where every code has a gradient
        self.recurrence = nn.GRU(config.width, config.width_state, bidirectional=True)
        self.hops = nn.Linear(2 * config.width_state, config.n_hops)
        self.output = nn.Linear(2 * config.width_state * config.n_hops, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, the visits' attention averaged over hops, and how it falls to their codes."""
        counts = self.code_weights(batch)
        visits = self.dropout(bag(self.embedding, batch, counts, batch.visit_offsets))
        states = run(self.recurrence, visits, batch.subject_offsets)
        owner, n = batch.subject_of_visit, batch.n_subjects
        beta = segment_softmax(self.hops(states), owner, n)
        read = segment_sum(beta[:, :, None] * states[:, None, :], owner, n)
        attention = beta.mean(1)
        looked = attention[batch.visit_of_token] * counts
        return Output(
            logits=self.output(self.dropout(read.flatten(1))),
            visit_attention=attention,
            token_attention=segment_shares(looked, batch.subject_of_token, batch.n_subjects),
            penalty=self._penalty(beta, owner, n) if self.training and self.config.diversity else None,
        )

    def code_weights(self, batch: Batch) -> Float[Tensor, " token"]:
        """Return how much each token counts in its visit, a repeated code once."""
        of_code = hardtanh(self.weigh(self.embedding)[:, 0], 0.0, 1.0)
        return set_weights(batch) * of_code[batch.tokens]

    def _penalty(
        self, beta: Float[Tensor, "visit hop"], owner: Int64[Tensor, " visit"], n: int
    ) -> Float[Tensor, ""]:
        overlap = segment_sum(beta[:, :, None] * beta[:, None, :], owner, n)
        apart = torch.eye(beta.shape[1], device=beta.device)
        return self.config.diversity * (overlap - apart).square().sum() / max(n, 1)
