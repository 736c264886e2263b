"""Which learning rate to try first: the loss of one short run whose rate rises exponentially.

After Smith: "Cyclical Learning Rates for Training Neural Networks", WACV 2017. Batches differ more than a hundred steps
can teach, so each step's loss is held against that of the model as it started, on the same batch and with the same
random numbers; what is left is what was learned. Two rates can be read off it: where the loss fell fastest, and a tenth
of where all that was won was lost again. The lower of the two is suggested: a place to start a search, no more.
"""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from attending.data.batches import ahead
from attending.errors import ModelError
from attending.train.draws import drawn_from
from attending.train.learner import Learner
from attending.train.loop import Run
from attending.train.objective import Objective
from attending.train.parallel import Team
from attending.train.steps import Step, Steps

LOWEST, HIGHEST, N_STEPS = 1e-6, 1.0, 120
SMOOTH = 0.9  # of the mean so far that a step keeps
APART = 0.2  # of the loss at the start: so far above it, the run ends
MARGIN = 0.1  # of where the loss came apart


@dataclass(frozen=True)
class Found:
    """What the run showed: what it won at each rate, and what is read off it.

    won         how far the smoothed loss is above the model's at the start; below 0 it learned
    steepest    where the loss fell fastest
    diverged    where all was lost again; infinite if it never was
    """

    rates: list[float]
    won: list[float]
    steepest: float
    diverged: float

    @property
    def suggested(self) -> float:
        """The rate to try first."""
        return min(self.steepest, MARGIN * self.diverged)


def find(run: Run, *, lowest: float = LOWEST, highest: float = HIGHEST, n_steps: int = N_STEPS) -> Found:
    """Let the rate rise from `lowest` to `highest` on a copy of the run's model.

    Raises:
        ModelError: if the loss is not finite at the lowest rates already.
    """
    run = replace(run, model=deepcopy(run.model))
    start = deepcopy(run.objective()).to(run.team.device).train()
    learner = Learner(run.objective(), run.config, run.team, run.factors)
    learner.objective.train()
    rates: list[float] = []
    won: list[float] = []
    for number, (rate, step) in enumerate(
        zip(np.geomspace(lowest, highest, n_steps).tolist(), _steps(run), strict=False)
    ):
        seed = run.seed * 1_000_003 + number
        before = _loss(start, step, seed, run.team)
        loss, _ = learner.step(step.parts, rate=rate, seed=seed)
        if not math.isfinite(float(loss)):
            break
        rates.append(rate)
        won.append(float(loss) - before)
        if smooth(won)[-1] > APART * before:
            break
    return read(rates, won, apart=len(rates) < n_steps)


def read(rates: list[float], won: list[float], *, apart: bool) -> Found:
    """Return what the losses at rising rates say; `apart` says that the run ended early.

    Raises:
        ModelError: if there are fewer than three.
    """
    if len(rates) < 3:
        raise ModelError(
            "the training loss is not finite at the lowest learning rates: the model is at fault"
        )
    smoothed = smooth(won)
    better = np.flatnonzero(smoothed < 0)
    lost = min(int(better[-1]) + 1 if len(better) else 0, len(rates) - 1)
    return Found(
        rates=rates,
        won=smoothed.tolist(),
        steepest=rates[int(np.argmin(np.gradient(smoothed, np.log(rates))))],
        diverged=rates[lost] if apart or smoothed[-1] > 0 else math.inf,
    )


def smooth(values: list[float]) -> NDArray[np.float64]:
    """Return the moving average of numbers, each weighing less the longer ago it was."""
    age = np.arange(len(values))[:, None] - np.arange(len(values))
    weights = np.where(age >= 0, SMOOTH ** np.maximum(age, 0), 0.0)
    return weights @ np.array(values) / weights.sum(1)


@torch.no_grad()
def _loss(objective: Objective, step: Step, seed: int, team: Team) -> float:
    """Return the loss of a step as `Learner.step` draws it."""
    with drawn_from(seed, team.device):
        parts = [objective(one.batch.to(team.device), one.weights.to(team.device)) for one in step.parts]
    return float(torch.stack(parts).sum())


def _steps(run: Run) -> Iterator[Step]:
    """Yield steps as training would take them, epoch after epoch."""
    steps = Steps(loader=run.loader, config=run.config, team=run.team, seed=run.seed, hiding=True)
    number = 0
    for epoch in count():
        plan = run.plan(epoch)
        listed = steps.of_epoch(plan, batch=0, step=number)
        yield from ahead(steps.make, listed)
        number += len(listed)
