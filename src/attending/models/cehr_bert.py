"""CEHR-BERT: a timeline of codes with tokens for the time that passes, each code told when it came.

Pang, Jiang, Kalluri, Spotnitz, Chen, Perotte, Natarajan: "CEHR-BERT: Incorporating temporal information from
structured EHR data to improve prediction tasks", ML4H 2021. A history of visits is written

    VS  codes of visit 0  VE   M2   VS  codes of visit 1  VE   W1   VS  …

with a time token between neighbouring visits: W0 … W3 for weeks where less than 28 days passed, M1 … M11 for months
below a year, and LT beyond. Place j, at t_j years before the prediction and at age a_j, enters as

    e_j = tanh(W_e [ LayerNorm(E[code_j] + S[visit mod 2]) ; sin(w t_j + φ) ; sin(w' a_j + φ') ] + b_e)

BERT's encoder follows (`nn.bert`), and a recurrence in both directions reads it out, beside the age at the prediction:

    logits = W_o tanh(W_d [ LSTM→(h)_last ; LSTM←(h)_first ; age ] + b_d) + b_o.

Before that it learns masked codes (`nn.masking`, the decoder tied to E).

Notable: codes of a visit are a set, and a recurrence needs an order: simultaneous ones are read by their number. A
batch knows no calendar, so absolute time is told before the prediction. What kind of visit it was is not in a batch
either, and the paper's second objective, to say it, is left out. Sines of order one would drown embeddings that start
at 0.02, hence the LayerNorm before they meet.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.bert import Encoder, initialise
from attending.nn.canonical import canonical
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.masking import EPSILON, CodeHead, mask_tokens, masked_loss
from attending.nn.packed import last, run, segment_shares, token_weights
from attending.nn.places import numbers
from attending.nn.sentence import age_now, make_room, without_empty_visits
from attending.nn.time import DAYS_A_YEAR

WEEKS, MONTHS = 4, 11
N_EXTRA = 3 + WEEKS + MONTHS + 1  # mask, visit start, visit end, W0 … W3, M1 … M11, LT


class Config(interface.ModelConfig):
    """Settings of CEHR-BERT; `width_time` sines of time and as many of age, `width_state` of the readout's LSTMs."""

    width: Positive = 96
    width_feed: Positive = 192
    width_time: Positive = 16
    width_state: Positive = 64
    n_layers: Positive = 2
    n_heads: Positive = 4
    dropout: Share = 0.1


EXAMPLE = Config(
    n_tokens=40,
    n_outcomes=5,
    width=16,
    width_feed=32,
    width_time=8,
    width_state=16,
    n_layers=1,
    n_heads=2,
    dropout=0.0,
)


@dataclass(frozen=True)
class Timeline:
    """A batch with visit starts, visit ends and passing time between its tokens; what stands at each place.

    offsets   where each history starts, and the end
    token     the place of each token of the batch
    """

    codes: Int64[Tensor, " place"]
    days: Float[Tensor, " place"]
    ages: Float[Tensor, " place"]
    visits: Int64[Tensor, " place"]
    weights: Float[Tensor, " place"]
    offsets: Int64[Tensor, " bounds"]
    token: Int64[Tensor, " token"]


class Sines(nn.Module):
    """sin(w t + φ), w and φ learnt."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.randn(width))
        self.phase = nn.Parameter(torch.randn(width))

    def forward(self, time: Float[Tensor, " place"]) -> Float[Tensor, "place width"]:
        """Return the sines of each time."""
        return torch.sin(time[:, None] * self.rate + self.phase)


class Model(interface.Model):
    """CEHR-BERT over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("cehr_bert", config.width, config.n_heads)
        self.config = config
        width, state = config.width, config.width_state
        self.codes = nn.Embedding(config.n_tokens + N_EXTRA, width)
        self.segments = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.time, self.age = Sines(config.width_time), Sines(config.width_time)
        self.join = nn.Linear(width + 2 * config.width_time, width)
        self.encoder = Encoder(width, config.width_feed, config.n_layers, config.n_heads, config.dropout)
        self.forwards, self.backwards = nn.LSTM(width, state), nn.LSTM(width, state)
        self.dense = nn.Linear(2 * state + 1, state)
        self.output = nn.Linear(state, config.n_outcomes)
        self.pretext = CodeHead(width, config.n_tokens, tied=True)
        self.dropout = Dropout(config.dropout)
        self.apply(initialise)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, and how much each token is looked at in the last layer."""
        ordered, order = canonical(batch)
        line = self._write(ordered)
        states, seen = self._encode(line)
        logits = self.output(self.dropout(self._read(states, line, batch)))
        looks = None if self.training else self._looks(seen, line, batch, order)
        return Output(logits=logits, token_attention=looks)

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the loss of saying masked codes again."""
        masked, chosen = mask_tokens(batch, self.config.n_tokens)
        line = self._write(masked)
        states, _ = self._encode(line)
        return masked_loss(self.pretext(states[line.token[chosen]], self.codes.weight), batch.tokens[chosen])

    def _write(self, batch: Batch) -> Timeline:
        """Put a start before and an end behind each visit, and passing time before all but a history's first."""
        batch = without_empty_visits(batch)
        number, n_tokens = numbers(batch.subject_offsets), self.config.n_tokens
        room = make_room(batch.visit_offsets, before=1 + (number > 0).long(), after=1)
        opening, closing = batch.visit_offsets[:-1], batch.visit_offsets[1:] - 1
        later = (number > 0).nonzero()[:, 0]
        passed = batch.days[opening[later]] - batch.days[closing[later - 1]]
        start, end = room.items[opening] - 1, room.items[closing] + 1
        codes = batch.tokens[room.nearest]
        codes[start], codes[end] = n_tokens + 1, n_tokens + 2
        codes[start[later] - 1] = n_tokens + 3 + time_token(passed)
        days, ages = batch.days[room.nearest], batch.ages[room.nearest]
        visits = number[batch.visit_of_token][room.nearest]
        weights = batch.values.new_ones(len(codes)).index_copy(0, room.items, token_weights(batch))
        return Timeline(codes, days, ages, visits, weights, room.offsets[batch.subject_offsets], room.items)

    def _encode(self, line: Timeline) -> tuple[Float[Tensor, "place width"], Float[Tensor, "place width"]]:
        e = self.codes(line.codes) * line.weights[:, None] + self.segments(line.visits % 2)
        told = [self.norm(e), self.time(line.days / DAYS_A_YEAR), self.age(line.ages / 10)]
        e = torch.tanh(self.join(torch.cat(told, 1)))
        return self.encoder(self.dropout(e), line.offsets)

    def _read(
        self, states: Float[Tensor, "place width"], line: Timeline, batch: Batch
    ) -> Float[Tensor, "subject state"]:
        onwards = last(run(self.forwards, states, line.offsets), line.offsets)
        back = run(self.backwards, states, line.offsets, backwards=True)
        present = line.offsets.diff() > 0
        first = torch.zeros_like(onwards)
        first[present] = back[line.offsets[:-1][present]]
        age = age_now(batch)[:, None] / 100
        return torch.tanh(self.dense(self.dropout(torch.cat([onwards, first, age], 1))))

    def _looks(
        self, seen: Float[Tensor, "place width"], line: Timeline, batch: Batch, order: Int64[Tensor, " token"]
    ) -> Float[Tensor, " token"]:
        """Return how the attention that tokens receive is shared among them, in the batch's own order."""
        received = self.encoder.received(seen, line.offsets)[line.token]
        shares = segment_shares(received, batch.subject_of_token, batch.n_subjects)
        return torch.empty_like(received).index_copy(0, order, shares)


def time_token(days: Float[Tensor, " gap"]) -> Int64[Tensor, " gap"]:
    """Return which time token tells so many days: 0 … 3 for W0 … W3, 4 … 14 for M1 … M11, 15 for LT."""
    weeks = (days / 7).floor().clamp(0, WEEKS - 1)
    months = WEEKS - 1 + (days * 12 / DAYS_A_YEAR).floor().clamp(1, MONTHS)
    named = torch.where(days < 7 * WEEKS, weeks, months)
    return torch.where(days < 365, named, WEEKS + MONTHS).long()
