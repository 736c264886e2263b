"""Decoder: a causal transformer over tokens in order, which first learns what comes next, and when.

The two objectives of today's foundation models of records, in one model: the next token, as ETHOS (Renc et al., npj
Digital Medicine 2024) reads a history of fused code-and-value tokens, and the time to each of many events, as MOTOR
does (Steinberg, Fries, Xu, Shah: "MOTOR: A Time-To-Event Foundation Model for Structured Medical Records", ICLR 2024).
Token j of a history, at age a_j, enters as

    e_j = E[token_j] + A · (a_j, a_j²)                  a_j in centuries; the vocabulary holds value bins as tokens

The layers are those of `nn.layers`: token j sees itself and the tokens before it, queries and keys turn by age in days,
θ_k = age · 10,000^{-2k/(K-1)}. The prediction reads the last token, and how long ago it was:

    logits = W_o (z_T + D · (recency of T)) + b_o

Learned first, without labels, at a random few of the places j of each batch (`n_positions`, so memory is bounded):

    loss = -log softmax(W_n z_j + b_n)[token_{j+1}]  -  log-likelihood of the days to each next event

with the piecewise-exponential likelihood of `nn.time_to_event`; the events are the `n_events` most frequent codes of
training, and a record's end censors what has not come by then.

Notable: days before the prediction are not among the inputs of a token, or pretraining would know when the record
ends. Tokens of one time have no order, so they are put in one (`nn.canonical`): the usual way to factor a set.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attending.batch import Batch, Facts, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.attention import layout
from attending.nn.canonical import canonical
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.layers import Encoder
from attending.nn.packed import last, token_weights
from attending.nn.places import followed
from attending.nn.precision import exact
from attending.nn.time import DAYS_A_YEAR, age_frequencies, time_features
from attending.nn.time_to_event import TimeToEvent, next_events


class Config(interface.ModelConfig):
    """Settings of the decoder; `width` must divide into `n_heads` even parts.

    n_events      codes whose next time is learned, the most frequent ones
    n_pieces      pieces of time with a hazard each
    rank          dimensions through which hazards pass
    n_positions   places of a batch that its own objective reads
    """

    width: Positive = 96
    n_layers: Positive = 2
    n_heads: Positive = 4
    dropout: Share = 0.1
    n_events: Positive = 256
    n_pieces: Positive = 8
    rank: Positive = 16
    n_positions: Positive = 512


EXAMPLE = Config(
    n_tokens=40, n_outcomes=5, width=16, n_layers=2, n_heads=2, dropout=0.0, n_events=8, n_pieces=4, rank=4
)


class Model(interface.Model):
    """A causal transformer over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("decoder", config.width, config.n_heads, even=True)
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) * 0.5)
        self.age = nn.Linear(2, config.width, bias=False)
        self.encoder = Encoder(
            width=config.width,
            n_layers=config.n_layers,
            n_heads=config.n_heads,
            dropout=config.dropout,
            frequencies=age_frequencies(config.width // config.n_heads),
            sees="before",
            normalised=True,
        )
        self.recency = nn.Linear(4, config.width, bias=False)
        self.output = nn.Linear(config.width, config.n_outcomes)
        self.pretext = Pretext(config)
        self.dropout = Dropout(config.dropout)
        self.event_of_token = nn.Buffer(torch.full((config.n_tokens,), -1))

    def use(self, facts: Facts) -> None:
        """Start the output at a first guess, and name the events: the most frequent codes of training, sexes aside."""
        super().use(facts)
        count = facts.count_of_code
        chosen = count.argsort(descending=True, stable=True)[: self.config.n_events]
        chosen = chosen[count[chosen] > 0]
        event_of_code = torch.full_like(count, -1)
        event_of_code[chosen] = torch.arange(len(chosen), device=count.device)
        self.event_of_token.copy_(event_of_code[facts.code_of_token])

    def forward(self, batch: Batch) -> Output:
        """Return the logits, and how the last token of each history shares its last attention."""
        ordered, order = canonical(batch)
        x, years = self._embed(ordered), ordered.ages * DAYS_A_YEAR
        laid, attention = layout(batch.token_offsets), None
        if self.training:
            states = self.encoder(x, years, laid)
        else:
            states, shares = self.encoder.watched(x, years, laid, batch.token_offsets)
            attention = torch.zeros_like(shares).scatter(0, order, shares)
        recency = self.recency(time_features(ordered.days, ordered.ages))
        read = last(states + recency, batch.token_offsets)
        return Output(logits=self.output(self.dropout(read)), token_attention=attention)

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the loss of the next token and of the times to the next events, at a random few places."""
        ordered, _ = canonical(batch)
        states = self.encoder(self._embed(ordered), ordered.ages * DAYS_A_YEAR, layout(batch.token_offsets))
        places = followed(batch.token_offsets, self.config.n_positions)
        if len(places) == 0:
            return states.sum() * 0
        days, came = next_events(ordered, self.event_of_token, places, self.config.n_events)
        x = states[places]
        next_token = cross_entropy(exact(self.pretext.next_token(x)), ordered.tokens[places + 1])
        return next_token + self.pretext.times.loss(x, days, came)

    def _embed(self, batch: Batch) -> Float[Tensor, "token width"]:
        codes = self.embedding[batch.tokens] * token_weights(batch)[:, None]
        century = batch.ages / 100
        return self.dropout(codes + self.age(torch.stack([century, century**2], 1)))


class Pretext(nn.Module):
    """What only pretraining uses: the heads of the next token and of the times to events."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.next_token = nn.Linear(config.width, config.n_tokens)
        self.times = TimeToEvent(
            config.width, n_events=config.n_events, n_pieces=config.n_pieces, rank=config.rank
        )
