"""Med-BERT: a bag of codes and visit numbers, pretrained to say hidden codes and long stays.

Rasmy, Xiang, Xie, Tao, Zhi: "Med-BERT: pretrained contextualized embeddings on large-scale structured electronic
health records for disease prediction", npj Digital Medicine 2021. Code j of visit number p enters as

    e_j = LayerNorm(E[code_j] + V[p])

with no age, no time and no separators. BERT's encoder follows (`nn.bert`), and

    pooled = tanh(W_p mean_j h_j + b_p),    logits = W_o pooled + b_o.

Before that it learns two things at once: to say masked codes again (`nn.masking`, the decoder tied to E), and whether
the history ever holds a stay of more than seven days, from `pooled`.

Notable: the paper also numbers the codes of a visit by their priority; a visit here is a set, so that is left out. A
stay's length is read off its own events, the last less the first, as a history holds nothing else; where visits are
cut into steps of hours no step is that long, and this second task teaches nothing. The paper reads diagnoses only;
here every token of the history is a code.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.bert import Encoder, initialise
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.masking import EPSILON, CodeHead, mask_tokens, masked_loss
from attending.nn.packed import segment_mean, segment_sum, token_weights
from attending.nn.places import numbers
from attending.nn.sentence import without_empty_visits

VISITS = 512  # that have an embedding of their own; later ones share the last
LONG_DAYS = 7.0


class Config(interface.ModelConfig):
    """Settings of Med-BERT; `width` must divide into `n_heads` parts, `width_feed` is inside the feed-forward."""

    width: Positive = 96
    width_feed: Positive = 192
    n_layers: Positive = 2
    n_heads: Positive = 4
    dropout: Share = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_feed=32, n_layers=2, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """Med-BERT over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("med_bert", config.width, config.n_heads)
        self.config = config
        self.codes = nn.Embedding(config.n_tokens + 1, config.width)  # the vocabulary, mask
        self.visits = nn.Embedding(VISITS, config.width)
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.encoder = Encoder(
            config.width, config.width_feed, config.n_layers, config.n_heads, config.dropout
        )
        self.pool = nn.Linear(config.width, config.width)
        self.output = nn.Linear(config.width, config.n_outcomes)
        self.pretext = nn.ModuleDict(
            {"code": CodeHead(config.width, config.n_tokens, tied=True), "stay": nn.Linear(config.width, 1)}
        )
        self.dropout = Dropout(config.dropout)
        self.apply(initialise)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, and how much each token is looked at in the last layer."""
        states, seen = self._encode(batch)
        looks = None if self.training else self.encoder.received(seen, batch.token_offsets)
        return Output(logits=self.output(self.dropout(self._pool(states, batch))), token_attention=looks)

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the loss of saying masked codes again, and that of telling long stays."""
        masked, chosen = mask_tokens(batch, self.config.n_tokens)
        states, _ = self._encode(masked)
        said = self.pretext["code"](states[chosen], self.codes.weight)
        stay = self.pretext["stay"](self._pool(states, batch))[:, 0].float()
        told = binary_cross_entropy_with_logits(stay, long_stay(batch).to(stay.dtype), reduction="sum")
        return masked_loss(said, batch.tokens[chosen]) + told / max(len(stay), 1)

    def _encode(self, batch: Batch) -> tuple[Float[Tensor, "token width"], Float[Tensor, "token width"]]:
        batch = without_empty_visits(batch)
        number = numbers(batch.subject_offsets)[batch.visit_of_token]
        e = self.codes(batch.tokens) * token_weights(batch)[:, None]
        e = self.norm(e + self.visits(number.clamp(max=VISITS - 1)))
        return self.encoder(self.dropout(e), batch.token_offsets)

    def _pool(self, states: Float[Tensor, "token width"], batch: Batch) -> Float[Tensor, "subject width"]:
        return torch.tanh(self.pool(segment_mean(states, batch.token_offsets)))


def long_stay(batch: Batch) -> Bool[Tensor, " subject"]:
    """Say which histories hold a visit whose events are more than seven days apart."""
    batch = without_empty_visits(batch)
    first, last = batch.visit_offsets[:-1], batch.visit_offsets[1:] - 1
    is_long = (batch.days[last] - batch.days[first]) > LONG_DAYS
    return segment_sum(is_long.float(), batch.subject_of_visit, batch.n_subjects) > 0
