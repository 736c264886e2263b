"""BEHRT: a history as a sentence of codes, each with the age at which it came and the visit it came in.

Li, Rao, Solares, Hassaine, Ramakrishnan, Canoy, Zhu, Rahimi, Salimi-Khorshidi: "BEHRT: Transformer for Electronic
Health Records", Scientific Reports 2020. A history of visits is written

    [CLS]  codes of visit 0  [SEP]  codes of visit 1  [SEP]  …

and place j, of visit number p, enters as

    e_j = LayerNorm(E[code_j] + A[⌊age_j⌋] + S[p mod 2] + P(p))

(S tells neighbouring visits apart; P(p) is a sinusoid of the visit's number). BERT's encoder follows (`nn.bert`), and

    logits = W_o tanh(W_p h_[CLS] + b_p) + b_o.

Before that it learns masked codes: 15 % of them are hidden and said again from what is around them (`nn.masking`, the
decoder tied to E).

Notable: codes of a visit share all of age, segment and position, so their order cannot matter. The released code means
P to be a sinusoid, overwrites it with random numbers and never trains it: `strict="authors"` does so too, and parity
with that code is proven in that form. A sinusoid of order one would drown embeddings that start at 0.02, so it is
scaled to that. The paper reads diagnoses only; here every token of the history is a word. [CLS] has the age at the
prediction time.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.bert import SPREAD, Encoder, Inputs, initialise
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.masking import CodeHead, mask_tokens, masked_loss
from attending.nn.packed import token_weights
from attending.nn.places import numbers
from attending.nn.sentence import age_now, make_room, without_empty_visits

POSITIONS = 512  # visits that have a random position of their own, in the authors' form


class Config(interface.ModelConfig):
    """Settings of BEHRT; `width` must divide into `n_heads` parts, `width_feed` is inside the feed-forward."""

    width: Positive = 96
    width_feed: Positive = 192
    n_layers: Positive = 2
    n_heads: Positive = 4
    dropout: Share = 0.1
    strict: Literal["paper", "authors"] = "paper"


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_feed=32, n_layers=2, n_heads=2, dropout=0.0)


@dataclass(frozen=True)
class Sentence:
    """A batch with [CLS] and [SEP] between its tokens; what stands at each place.

    offsets   where each history starts, and the end: its [CLS] stands first
    token     the place of each token of the batch
    """

    words: Int64[Tensor, " place"]
    ages: Float[Tensor, " place"]
    visits: Int64[Tensor, " place"]
    weights: Float[Tensor, " place"]
    offsets: Int64[Tensor, " bounds"]
    token: Int64[Tensor, " token"]


class Model(interface.Model):
    """BEHRT over packed histories."""

    positions: Tensor | None

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("behrt", config.width, config.n_heads)
        self.config = config
        width = config.width
        self.inputs = Inputs(config.n_tokens + 3, width)  # the vocabulary, mask, [CLS], [SEP]
        random = torch.randn(POSITIONS, width) * SPREAD if config.strict == "authors" else None
        self.register_buffer("positions", random)
        self.encoder = Encoder(width, config.width_feed, config.n_layers, config.n_heads, config.dropout)
        self.pool = nn.Linear(width, width)
        self.output = nn.Linear(width, config.n_outcomes)
        self.pretext = CodeHead(width, config.n_tokens, tied=True)
        self.dropout = Dropout(config.dropout)
        self.apply(initialise)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, and how the last attention of [CLS] is shared among the tokens."""
        sentence = self._write(batch)
        states, seen = self._encode(sentence)
        start = sentence.offsets[:-1]
        pooled = torch.tanh(self.pool(states[start]))
        gaze = None if self.training else self.encoder.gaze(seen, sentence.offsets, start, sentence.token)
        return Output(logits=self.output(self.dropout(pooled)), token_attention=gaze)

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the loss of saying masked codes again."""
        masked, chosen = mask_tokens(batch, self.config.n_tokens)
        sentence = self._write(masked)
        states, _ = self._encode(sentence)
        return masked_loss(self._say(states[sentence.token[chosen]]), batch.tokens[chosen])

    def _write(self, batch: Batch) -> Sentence:
        """Put a [SEP] behind each visit that holds tokens and a [CLS] before each history."""
        batch = without_empty_visits(batch)
        visits = make_room(batch.visit_offsets, after=1)
        histories = make_room(visits.offsets[batch.subject_offsets], before=1)
        start, n, inside = histories.offsets[:-1], int(histories.offsets[-1]), histories.items
        words = batch.tokens.new_full((n,), self.config.n_tokens + 1)
        words[inside] = batch.tokens[visits.nearest]
        words[inside[visits.offsets[1:] - 1]] = self.config.n_tokens + 2
        ages, number = batch.ages.new_zeros(n), torch.zeros_like(words)
        ages[inside], ages[start] = batch.ages[visits.nearest], age_now(batch)
        number[inside] = numbers(batch.subject_offsets)[batch.visit_of_token][visits.nearest]
        token = inside[visits.items]
        weights = batch.values.new_ones(n).index_copy(0, token, token_weights(batch))
        return Sentence(words, ages, number, weights, histories.offsets, token)

    def _encode(
        self, sentence: Sentence
    ) -> tuple[Float[Tensor, "place width"], Float[Tensor, "place width"]]:
        x = self.inputs(sentence.words, sentence.weights, sentence.ages, sentence.visits, self.positions)
        return self.encoder(self.dropout(x), sentence.offsets)

    def _say(self, states: Float[Tensor, "chosen width"]) -> Float[Tensor, "chosen vocabulary"]:
        return self.pretext(states, self.inputs.words.weight)
