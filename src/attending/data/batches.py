"""Batches: which samples go together, and how they are gathered without per-patient work.

The plan is a pure function of (seed, epoch): samples are shuffled, sorted by length within large groups so that
histories of a batch are of about equal length, cut at a token budget, and the batches shuffled.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from attending.batch import Batch
from attending.config import Positive, Settings
from attending.data.samples import Samples
from attending.tokens.store import NO_BIRTH, TokenStore, ranges

SECONDS_AN_HOUR = 3_600.0
SECONDS_A_DAY = 86_400.0
SECONDS_A_YEAR = 31_557_600.0
GROUP = 64  # batches that are sorted by length together

T = TypeVar("T")
Made = TypeVar("Made")
Positions = NDArray[np.int64]


class Config(Settings):
    """Settings of batches.

    max_tokens      a longer history loses its oldest events (the static facts stay)
    batch_tokens    a batch holds at most so many tokens …
    batch_samples   … and at most so many samples
    step_hours      a visit that lasts longer is cut into steps of so many hours, counted back from the prediction;
                    models of visits then see the course of a stay; 0 leaves visits whole
    """

    max_tokens: Positive = 512
    batch_tokens: Positive = 16_384
    batch_samples: Positive = 256
    step_hours: float = Field(default=0.0, ge=0)


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Gathers samples into packed batches."""

    store: TokenStore
    samples: Samples
    config: Config

    def lengths(self, positions: Positions) -> NDArray[np.int64]:
        """Return how many tokens each sample has after cutting."""
        return np.minimum(self.samples.cut[positions] - self.samples.start[positions], self.config.max_tokens)

    def train_plan(
        self, positions: Positions, *, seed: int, epoch: int, one_a_subject: bool
    ) -> list[Positions]:
        """Return the batches of an epoch; with `one_a_subject`, a random sample of each subject."""
        generator = np.random.default_rng((seed, epoch))
        order = generator.permutation(positions)
        if one_a_subject:
            order = order[np.sort(np.unique(self.samples.row[order], return_index=True)[1])]
        group = GROUP * self.config.batch_samples
        batches = [
            batch
            for first in range(0, len(order), group)
            for batch in self._cut(self._by_length(order[first : first + group]))
        ]
        return [batches[position] for position in generator.permutation(len(batches))]

    def plan(self, positions: Positions) -> list[Positions]:
        """Return batches of all samples at `positions`, sorted by length."""
        return self._cut(self._by_length(positions))

    def batch(self, positions: Positions) -> Batch:
        """Gather the samples at `positions`, in this order, with their labels."""
        return assemble(
            self.store, self.samples, positions, self.config.max_tokens, step_hours=self.config.step_hours
        )

    def _by_length(self, positions: Positions) -> Positions:
        return positions[np.argsort(self.lengths(positions), kind="stable")]

    def _cut(self, positions: Positions) -> list[Positions]:
        lengths = self.lengths(positions)
        batches, first, tokens = [], 0, 0
        for place, length in enumerate(lengths.tolist()):
            full = tokens + length > self.config.batch_tokens or place - first >= self.config.batch_samples
            if full and place > first:
                batches.append(positions[first:place])
                first, tokens = place, 0
            tokens += length
        if first < len(positions):
            batches.append(positions[first:])
        return batches


def assemble(
    store: TokenStore, samples: Samples, positions: Positions, max_tokens: int, *, step_hours: float = 0.0
) -> Batch:
    """Gather samples into one packed batch: static facts, then the newest events, oldest first."""
    start, cut, row = samples.start[positions], samples.cut[positions], samples.row[positions]
    where, subject = _places(store, start, cut, max_tokens)
    lengths = np.bincount(subject, minlength=len(positions))
    second, visit = store.second[where], store.visit[where]
    first_of_subject = np.zeros(len(where), dtype=bool)
    token_offsets = np.concatenate([[0], np.cumsum(lengths)])
    first_of_subject[token_offsets[:-1][lengths > 0]] = True
    elapsed = second - samples.moment[positions][subject]
    new_visit = first_of_subject | _changes(visit)
    if step_hours:
        new_visit |= _changes(np.ceil(elapsed / (step_hours * SECONDS_AN_HOUR)))
    visit_starts = np.flatnonzero(new_visit)
    visits_each = np.bincount(subject[visit_starts], minlength=len(positions))
    birth, earliest = store.birth[row][subject], store.second[start[subject]]
    known = birth != NO_BIRTH
    lived = second - np.where(known, birth, earliest - 1)  # all that happened is later than a birth
    age = np.where(known | (visit > 0), lived, 0) / SECONDS_A_YEAR
    return Batch(
        tokens=torch.from_numpy(store.token[where].astype(np.int64)),
        days=torch.from_numpy((elapsed / SECONDS_A_DAY).astype(np.float32)),
        ages=torch.from_numpy(age.astype(np.float32)),
        values=torch.from_numpy(store.value[where]),
        visit_offsets=torch.from_numpy(np.append(visit_starts, len(where))),
        subject_offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(visits_each)])),
        labels=torch.from_numpy(_labels(samples, positions)),
    )


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Say at which places the value differs from the one before; at the first, always."""
    return np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]


def ahead(make: Callable[[T], Made], plan: Sequence[T], depth: int = 4) -> Iterator[Made]:
    """Yield `make(item)` for each item of the plan, made by a thread that runs ahead."""
    ready: queue.Queue[Made | BaseException | None] = queue.Queue(depth)
    stopped = threading.Event()

    def work() -> None:
        try:
            for item in plan:
                if stopped.is_set():
                    return
                ready.put(make(item))
            ready.put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            ready.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            try:
                ready.get(timeout=0.01)
            except queue.Empty:
                continue


def _places(
    store: TokenStore, start: Positions, cut: Positions, max_tokens: int
) -> tuple[Positions, NDArray[np.int64]]:
    """Return the store positions of each sample's events and which sample they are of."""
    length = cut - start
    long = length > max_tokens
    if not long.any():
        return ranges(start, length), np.repeat(np.arange(len(start)), length)
    # Static facts are the events of visit 0, first in the store; a long history keeps them and its newest events.
    n_static = np.zeros(len(start), dtype=np.int64)
    head = ranges(start[long], np.minimum(length[long], max_tokens))
    owner = np.repeat(np.flatnonzero(long), np.minimum(length[long], max_tokens))
    np.add.at(n_static, owner, store.visit[head] == 0)
    n_static = np.minimum(n_static, max_tokens // 2)
    tail = np.where(long, max_tokens - n_static, length)
    starts = np.stack([start, cut - tail], axis=1).ravel()
    lengths = np.stack([np.where(long, n_static, 0), tail], axis=1).ravel()
    return ranges(starts, lengths), np.repeat(np.arange(len(start)), lengths.reshape(-1, 2).sum(1))


def _labels(samples: Samples, positions: Positions) -> NDArray[np.float32]:
    if samples.value is not None:
        return ((samples.value[positions] - samples.center) / samples.scale)[:, None].astype(np.float32)
    labels = np.zeros((len(positions), samples.n_outcomes), dtype=np.float32)
    labels[_at(samples.positive_offset, samples.positive, positions)] = 1.0
    labels[_at(samples.unknown_offset, samples.unknown, positions)] = np.nan
    return labels


def _at(offset: Positions, listed: Positions, positions: Positions) -> tuple[Positions, Positions]:
    """Return row and column of what is listed for the samples at `positions`."""
    first = offset[positions]
    counts = offset[positions + 1] - first
    return np.repeat(np.arange(len(positions)), counts), listed[ranges(first, counts)]
