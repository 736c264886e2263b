"""Hi-BEHRT: a long history in overlapping segments, read segment by segment and then as a sequence of segments.

Li, Mamouei, Salimi-Khorshidi, Rao, Hassaine, Canoy, Lukasiewicz, Rahimi: "Hi-BEHRT: Hierarchical Transformer-Based
Model for Accurate Prediction of Clinical Events Using Multimodal Longitudinal Electronic Health Records", IEEE Journal
of Biomedical and Health Informatics 2023. Tokens enter as in BEHRT,

    e_j = LayerNorm(E[code_j] + A[⌊age_j⌋] + S[p mod 2] + P(p))             p the number of the visit

a window of `segment` tokens slides over them by `stride`, and two encoders follow (`nn.bert`): the first reads each
segment i by itself, the second the sequence of segments:

    h_j of segment i = Local(e_j of segment i),     s_i = LayerNorm(tanh(W_s mean_j h_j + b_s))
    g_1 g_2 … = Whole(s_1 s_2 …),                   logits = W_o tanh(W_p mean_i g_i + b_p) + b_o

so attention costs T · segment instead of T². Before that it learns without labels to tell the same of two views of a
history, each with other tokens hidden: with z = project(g_i) and q = predict(z) of every segment,

    loss = ½ Σ over both directions of mean_i (2 - 2 cos(q_i of one view, z_i of the other, held fixed)).

Notable: the paper's BYOL compares with a slowly moving copy of the network. Here the other view comes from the network
itself, its gradient stopped (SimSiam, Chen and He, CVPR 2021): no second network to keep, and z is standardised over
the segments of the batch, which keeps it from shrinking to a point. The paper hides whole segments; many histories are
one segment, so tokens are hidden. The released code reads each segment, and the history, off its first place; their
mean stands here, so that no code is special, and s_i is normalised as tokens are: read off one place, two such encoders
in a row stall at learning rates at which BEHRT learns. Simultaneous tokens are put in the order of their numbers before
they are cut into segments.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from attending.batch import Batch, Output, offsets_of, owners
from attending.config import Positive, Share
from attending.errors import ConfigError
from attending.nn import interface
from attending.nn.bert import Encoder, Inputs, initialise
from attending.nn.canonical import canonical
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.masking import EPSILON, mask_tokens
from attending.nn.packed import segment_mean, segment_sum, token_weights
from attending.nn.places import numbers
from attending.nn.sentence import without_empty_visits

HIDDEN_SHARE = 0.3  # of a view's tokens


class Config(interface.ModelConfig):
    """Settings of Hi-BEHRT.

    width, n_layers, n_heads   of each of the two encoders; `width` must divide into `n_heads` parts
    width_feed                 inside the feed-forward
    segment, stride            tokens in a window, and how far the next window starts
    """

    width: Positive = 96
    width_feed: Positive = 192
    n_layers: Positive = 2
    n_heads: Positive = 4
    segment: int = Field(default=50, ge=1)
    stride: int = Field(default=30, ge=1)
    dropout: Share = 0.1


EXAMPLE = Config(
    n_tokens=40,
    n_outcomes=5,
    width=16,
    width_feed=32,
    n_layers=1,
    n_heads=2,
    segment=8,
    stride=5,
    dropout=0.0,
)


@dataclass(frozen=True)
class Windows:
    """Overlapping segments of a batch's tokens.

    source     the token of each item of a segment
    segments   where each segment starts in the items, and the end
    subjects   where each history starts in the segments, and the end
    """

    source: Int64[Tensor, " item"]
    segments: Int64[Tensor, " segment_bounds"]
    subjects: Int64[Tensor, " subject_bounds"]


@dataclass(frozen=True)
class Reading:
    """What the encoders made of the windows.

    seen, read   what the last layer of either encoder attended to
    states       each segment within its history
    """

    seen: Float[Tensor, "item width"]
    read: Float[Tensor, "segment width"]
    states: Float[Tensor, "segment width"]


class Model(interface.Model):
    """Hi-BEHRT over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("hi_behrt", config.width, config.n_heads)
        if config.stride > config.segment:
            raise ConfigError(
                f"the 'stride' of models.hi_behrt must not exceed the 'segment', or tokens between windows are lost; "
                f"got stride {config.stride}, segment {config.segment}"
            )
        self.config = config
        width = config.width
        self.inputs = Inputs(config.n_tokens + 1, width)  # the vocabulary, mask
        self.segment_norm = nn.LayerNorm(width, eps=EPSILON)
        sizes = (width, config.width_feed, config.n_layers, config.n_heads, config.dropout)
        self.local, self.whole = Encoder(*sizes), Encoder(*sizes)
        self.segment_pool, self.pool = nn.Linear(width, width), nn.Linear(width, width)
        self.output = nn.Linear(width, config.n_outcomes)
        self.pretext = nn.ModuleDict({"project": _perceptron(width), "predict": _perceptron(width)})
        self.dropout = Dropout(config.dropout)
        self.apply(initialise)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, and how much each token is looked at in its segments, times these in the history."""
        ordered, order = canonical(without_empty_visits(batch))
        windows = self._cut(ordered)
        reading = self._read(ordered, windows)
        pooled = torch.tanh(self.pool(segment_mean(reading.states, windows.subjects)))
        looks = None if self.training else self._looks(reading, windows, order)
        return Output(logits=self.output(self.dropout(pooled)), token_attention=looks)

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return how far two views of each segment, with other tokens hidden, are from telling the same."""
        ordered, _ = canonical(without_empty_visits(batch))
        windows = self._cut(ordered)
        aims, guesses = [], []
        for _ in range(2):
            view, _ = mask_tokens(ordered, self.config.n_tokens, HIDDEN_SHARE)
            aims.append(_standardise(self.pretext["project"](self._read(view, windows).states)))
            guesses.append(self.pretext["predict"](aims[-1]))
        apart = [
            2 - 2 * cosine_similarity(guess.float(), aim.detach().float(), dim=1)
            for guess, aim in zip(guesses, reversed(aims), strict=True)
        ]
        return torch.cat(apart).sum() / max(2 * len(aims[0]), 1)

    def _cut(self, batch: Batch) -> Windows:
        """Slide a window over each history; the last one ends with it."""
        segment, stride = self.config.segment, self.config.stride
        first, lengths = batch.token_offsets[:-1], batch.token_offsets.diff()
        subjects = offsets_of((lengths > 0) + ((lengths - segment).clamp(min=0) + stride - 1) // stride)
        subject = owners(subjects)
        skipped = numbers(subjects) * stride
        segments = offsets_of((lengths[subject] - skipped).clamp(max=segment))
        owner = owners(segments)
        return Windows((first[subject] + skipped)[owner] + numbers(segments), segments, subjects)

    def _read(self, batch: Batch, windows: Windows) -> Reading:
        number = numbers(batch.subject_offsets)[batch.visit_of_token]
        tokens = self.inputs(batch.tokens, token_weights(batch), batch.ages, number)
        items = self.dropout(tokens)[windows.source]
        states, seen = self.local(items, windows.segments)
        segments = self.segment_norm(torch.tanh(self.segment_pool(segment_mean(states, windows.segments))))
        states, read = self.whole(segments, windows.subjects)
        return Reading(seen, read, states)

    def _looks(
        self, reading: Reading, windows: Windows, order: Int64[Tensor, " token"]
    ) -> Float[Tensor, " token"]:
        within = self.local.received(reading.seen, windows.segments)
        among = self.whole.received(reading.read, windows.subjects)
        return segment_sum(within * among[owners(windows.segments)], order[windows.source], len(order))


def _perceptron(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width), nn.LayerNorm(width, eps=EPSILON), nn.ReLU(), nn.Linear(width, width)
    )


def _standardise(z: Float[Tensor, "segment width"]) -> Float[Tensor, "segment width"]:
    centred = z - z.mean(0)
    return centred / (centred.square().mean(0) + 1e-5).sqrt()
