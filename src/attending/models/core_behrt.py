"""CORE-BEHRT: BEHRT rebuilt step by step, with continuous time, rotary positions and a gated feed-forward.

Odgaard, Klein, Thysen, Jimenez-Solem, Sillesen, Nielsen: "CORE-BEHRT: A Carefully Optimized and Rigorously Evaluated
BEHRT", MLHC 2024. Token j of a history, at age a_j (years) and h_j hours from an origin, in visit number s_j, enters as

    e_j = LayerNorm(E[code_j] + T_age(a_j) + T_abs(h_j) + S[s_j])

T is Time2Vec, (w_0 t + b_0, sin(w_1 t + b_1), …), its w starting at 1e-2 for ages and 1e-4 for hours, the first
dimension held within ±100. RoFormer's layers with SwiGLU (`nn.layers`) follow, turned by the token's place, and all
tokens see each other. One attention reads the history,

    α = softmax_j(u · z_j),    logits = W_o Σ_j α_j z_j + b_o.

Before that it learns masked codes (`nn.masking`).

Notable: the paper's origin is a date; a batch knows no date, so h_j counts from the prediction time (h_j ≤ 0), which
is the same for all times between tokens, and lets the model see how old the record is. Tokens of one time have no
order, so they are put in one (`nn.canonical`), after masking: a mask among sorted codes would tell what it hides.
The layers are pre-norm, where the paper's are post-norm; and attention, where the paper reads by a recurrence.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.attention import layout
from attending.nn.canonical import canonical
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.layers import Encoder
from attending.nn.masking import CodeHead, mask_tokens, masked_loss
from attending.nn.packed import attended, token_weights
from attending.nn.places import numbers
from attending.nn.time import Time2Vec, place_frequencies

VISITS_TOLD_APART = 512
SPREAD = 0.02
AGE_SCALE, HOUR_SCALE = 1e-2, 1e-4


class Config(interface.ModelConfig):
    """Settings of CORE-BEHRT; `width` must divide into `n_heads` even parts."""

    width: Positive = 96
    n_layers: Positive = 2
    n_heads: Positive = 4
    dropout: Share = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_layers=2, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """CORE-BEHRT over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("core_behrt", config.width, config.n_heads, even=True)
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens + 1, config.width) * SPREAD)
        self.age = Time2Vec(config.width, scale=AGE_SCALE)
        self.absolute = Time2Vec(config.width, scale=HOUR_SCALE)
        self.segment = nn.Parameter(torch.randn(VISITS_TOLD_APART, config.width) * SPREAD)
        self.norm = nn.LayerNorm(config.width)
        self.encoder = Encoder(
            width=config.width,
            n_layers=config.n_layers,
            n_heads=config.n_heads,
            dropout=config.dropout,
            frequencies=place_frequencies(config.width // config.n_heads),
            sees="all",
        )
        self.read = nn.Linear(config.width, 1, bias=False)
        self.output = nn.Linear(config.width, config.n_outcomes)
        self.pretext = CodeHead(config.width, config.n_tokens)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and the attention that reads the history."""
        ordered, order = canonical(batch)
        z, owner = self._encode(ordered), batch.subject_of_token
        context, alpha = attended(z, self.read(z)[:, 0].to(z.dtype), owner, batch.n_subjects)
        attention = torch.zeros_like(alpha).scatter(0, order, alpha)
        return Output(logits=self.output(self.dropout(context)), token_attention=attention)

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the loss of saying masked codes again."""
        masked, chosen = mask_tokens(batch, self.config.n_tokens)
        ordered, order = canonical(masked)
        wanted = chosen[order]
        return masked_loss(self.pretext(self._encode(ordered)[wanted]), batch.tokens[order][wanted])

    def _encode(self, batch: Batch) -> Float[Tensor, "token width"]:
        visit = numbers(batch.subject_offsets)[batch.visit_of_token]
        x = self.embedding[batch.tokens] * token_weights(batch)[:, None]
        x = x + self.age(batch.ages) + self.absolute(24 * batch.days)
        x = self.norm(x + self.segment[visit.clamp(max=VISITS_TOLD_APART - 1)])
        place = numbers(batch.token_offsets).to(x.dtype)
        return self.encoder(self.dropout(x), place, layout(batch.token_offsets))
