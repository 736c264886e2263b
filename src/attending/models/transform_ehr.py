"""TransformEHR: an encoder reads the history, a decoder asks it for the next visit, whole.

Yang, Mitra, Liu, Berlowitz, Yu: "TransformEHR: transformer-based encoder-decoder generative model to enhance prediction
of disease outcomes using electronic health records", Nature Communications 2023. For tokens j of a history, t_j days
before the prediction:

    x_j = E[code_j] + value_j U[code_j] + W [sin(ω t_j), cos(ω t_j), age_j]      ω: periods of two days to forty years
    z = Encoder(x)                                          every token sees every other
    s = q                                                   the next visit, of which nothing is known: a learned vector
    s ← norm(s + W_v Σ_j a_j V z_j),  a_j = softmax_j(W_q s · K z_j / √size)     each layer of the decoder asks the
    s ← feed-forward(s)                                                          whole history, by several heads
    logits = W_o s + b_o

It pretrains on whole visits (`self_loss`): one visit of the history, drawn at random, is the target; what came before
it is encoded, as seen from its first event, and all of its codes are predicted at once,

    loss = mean over codes c of the target visit of -log softmax(P s)_c.

Notable: the paper's decoder writes the codes of the visit one after another, in an order of its own; a visit is a
*set* here, so the decoder has one place, and what it says does not depend on an order. Layers are those of the first
Transformer. The encoder looks both ways, within a prefix that ends at the prediction time.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Output, offsets_of
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.packed import multi_hot, segment_softmax, segment_sum, token_weights
from attending.nn.post_norm import FeedForward, PostNormLayer, encode
from attending.nn.precision import exact
from attending.nn.time import rotary_frequencies


class Config(interface.ModelConfig):
    """Settings of TransformEHR; `width` must divide into `n_heads`, `n_layers` are those of each of its halves."""

    width: Positive = 128
    n_layers: Positive = 2
    n_heads: Positive = 4
    dropout: Share = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_layers=1, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """An encoder over packed tokens, and a decoder with one place a history."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("transform_ehr", config.width, config.n_heads)
        width, heads, dropout = config.width, config.n_heads, config.dropout
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, width) * 0.5)
        self.value = nn.Parameter(torch.zeros(config.n_tokens, width))
        self.frequencies = nn.Buffer(rotary_frequencies(width), persistent=False)
        self.time = nn.Linear(2 * len(self.frequencies) + 1, width)
        self.encoder = nn.ModuleList(PostNormLayer(width, heads, dropout) for _ in range(config.n_layers))
        self.query = nn.Parameter(torch.randn(width))
        self.decoder = nn.ModuleList(Asking(width, heads, dropout) for _ in range(config.n_layers))
        self.output = nn.Linear(width, config.n_outcomes)
        self.pretext = nn.Linear(width, config.n_tokens)
        self.dropout = Dropout(dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, and whom the decoder's last layer asked, averaged over heads."""
        state, attention = self._read(batch)
        return Output(logits=self.output(self.dropout(state)), token_attention=attention)

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of the codes of a visit, drawn for each history, given those before it."""
        first, end = batch.subject_offsets[:-1], batch.subject_offsets[1:]
        drawn = torch.rand(len(first), device=first.device) * (end - first - 1)
        target = torch.minimum(first + 1 + drawn.long(), end)  # the end where there is no visit but the first
        state, _ = self._read(before(batch, target))
        chances = exact(self.pretext(state)).log_softmax(1)
        owner = batch.subject_of_token
        asked = (batch.visit_of_token == target[owner]) & multi_hot(batch)
        found = chances[owner[asked], batch.tokens[asked]]
        return -found.sum() / max(len(found), 1)

    def _read(self, batch: Batch) -> tuple[Float[Tensor, "subject width"], Float[Tensor, " token"]]:
        tokens = encode(self.encoder, self.dropout(self._embed(batch)), batch.token_offsets)
        state, attention = self.query.expand(batch.n_subjects, -1), torch.zeros_like(batch.days)
        for layer in self.decoder:
            state, attention = layer(state, tokens, batch.subject_of_token)
        return state, attention

    def _embed(self, batch: Batch) -> Float[Tensor, "token width"]:
        codes = self.embedding[batch.tokens] + batch.values[:, None] * self.value[batch.tokens]
        angle = batch.days[:, None] * self.frequencies
        times = torch.cat([angle.sin(), angle.cos(), batch.ages[:, None] / 100], 1)
        return codes * token_weights(batch)[:, None] + self.time(times)


class Asking(nn.Module):
    """A layer of the decoder: each history's state asks the history's tokens, then thinks for itself."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mixed = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.feed = FeedForward(width, 4 * width, dropout)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        state: Float[Tensor, "subject width"],
        tokens: Float[Tensor, "token width"],
        owner: Int64[Tensor, " token"],
    ) -> tuple[Float[Tensor, "subject width"], Float[Tensor, " token"]]:
        """Return the states, and the attention that each token got, averaged over heads."""
        n, heads = len(state), self.n_heads
        query = self.query(state).unflatten(1, (heads, -1))
        key, value = self.key_value(tokens).unflatten(1, (2, heads, -1)).unbind(1)
        scores = (query[owner] * key).sum(2) / query.shape[2] ** 0.5
        attention = segment_softmax(scores, owner, n)
        asked = segment_sum(attention[:, :, None] * value, owner, n).flatten(1)
        state = self.norm(state + self.dropout(self.mixed(asked)))
        return self.feed(state), attention.mean(1)


def before(batch: Batch, target: Int64[Tensor, " subject"]) -> Batch:
    """Return each history up to its `target` visit, as seen from that visit's first event.

    A target at a history's end is no visit: the whole history is kept as it is.
    """
    first, end = batch.subject_offsets[:-1], batch.subject_offsets[1:]
    visits = torch.arange(batch.n_visits, device=target.device) < target[batch.subject_of_visit]
    tokens = visits[batch.visit_of_token]
    starts = torch.cat([batch.days, batch.days.new_zeros(1)])[batch.visit_offsets[target]]
    now = torch.where(target < end, starts, 0.0)
    return replace(
        batch,
        tokens=batch.tokens[tokens],
        days=(batch.days - now[batch.subject_of_token])[tokens],
        ages=batch.ages[tokens],
        values=batch.values[tokens],
        weights=None if batch.weights is None else batch.weights[tokens],
        visit_offsets=offsets_of(batch.visit_offsets.diff()[visits]),
        subject_offsets=offsets_of(target - first),
    ).without_labels()
