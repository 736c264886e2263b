"""What a step is made of: its batches, each process's share of them, and what of them is hidden.

All of it is a pure function of the plan of the epoch and of (seed, step), the same on every process; it is made in the
thread that reads ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attending.batch import Batch
from attending.data.batches import Loader, Positions
from attending.train.config import Config
from attending.train.parallel import Team

HIDING = 1  # which of the random streams of a step


@dataclass(frozen=True)
class Part:
    """What one process computes at once of a step; `weights`: see `objective`."""

    batch: Batch
    weights: Tensor

    def pinned(self) -> "Part":
        """Return the part in memory that a GPU can fetch by itself."""
        return Part(self.batch.pinned(), self.weights.pin_memory())


@dataclass(frozen=True)
class Step:
    """What one process does in one step: its parts, and how many tokens all processes read."""

    parts: list[Part]
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Makes the steps of a run; where `hiding` is false, nothing is hidden from the model."""

    loader: Loader
    config: Config
    team: Team
    seed: int
    hiding: bool

    def of_epoch(self, plan: list[Positions], *, batch: int, step: int) -> list[tuple[int, list[Positions]]]:
        """Return number and batches of each step that is left of an epoch, from a batch and a step on."""
        size = self.config.accumulate
        left = [plan[first : first + size] for first in range(batch, len(plan), size)]
        return list(enumerate(left, start=step))

    def make(self, numbered: tuple[int, Sequence[Positions]]) -> Step:
        """Gather this process's share of each batch of a step."""
        number, batches = numbered
        generator = np.random.default_rng((self.seed, number, HIDING))
        pairs = max(sum(known_pairs(self.loader, batch) for batch in batches), 1)
        samples = sum(len(batch) for batch in batches)
        parts, tokens = [], 0
        for positions in batches:
            lengths = self.loader.lengths(positions)
            kept = hide(lengths, self.config, generator) if self.hiding else None
            mine = self.team.share(lengths)
            weights = torch.tensor([known_pairs(self.loader, positions[mine]) / pairs, len(mine) / samples])
            if not len(mine):  # every process must take part in the step: this one's sample weighs nothing
                mine = np.zeros(1, dtype=np.int64)
            parts.append(self._part(positions, mine, lengths, kept, weights))
            tokens += int(lengths.sum())
        return Step(parts, tokens)

    def _part(
        self,
        positions: Positions,
        mine: NDArray[np.int64],
        lengths: NDArray[np.int64],
        kept: NDArray[np.float32] | None,
        weights: Tensor,
    ) -> Part:
        batch = self.loader.batch(positions[mine])
        if kept is not None:
            chosen = np.isin(np.arange(len(lengths)), mine).repeat(lengths)
            batch = batch.with_weights(torch.from_numpy(kept[chosen]))
        part = Part(batch, weights)
        return part.pinned() if self.team.device.type == "cuda" else part


def hide(lengths: NDArray[np.int64], config: Config, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the weight of each token of histories of these lengths: 0 hides its code.

    Hidden are some events, and all events of some histories. It regularises, and it makes a history without content
    something that the model was trained on: explanations by removal need that (Hooker et al., NeurIPS 2019).
    """
    kept = generator.random(int(lengths.sum()), dtype=np.float32) >= config.hide_events
    content = generator.random(len(lengths), dtype=np.float32) >= config.hide_histories
    return (kept & content.repeat(lengths)).astype(np.float32)


def known_pairs(loader: Loader, positions: Positions) -> int:
    """Return how many pairs of sample and outcome have a known answer."""
    samples = loader.samples
    if samples.value is not None:
        return int(np.isfinite(samples.value[positions]).sum())
    unknown = samples.unknown_offset[positions + 1] - samples.unknown_offset[positions]
    return int(len(positions) * samples.n_outcomes - unknown.sum())
