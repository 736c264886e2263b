"""Which learning rate to try first: the loss of one short run whose rate rises exponentially.

After Smith: "Cyclical Learning Rates for Training Neural Networks", WACV 2017. The run starts where training would and
ends when the loss has lost all that it won. Two rates can be read off it: where the loss fell fastest, and a tenth of
where it came apart. The lower of the two is suggested: a place to start a search, no more.
"""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from attending.data.batches import ahead
from attending.errors import ModelError
from attending.train.learner import Learner
from attending.train.loop import Run
from attending.train.steps import Step, Steps

LOWEST, HIGHEST, N_STEPS = 1e-6, 1.0, 120
SMOOTH = 0.9  # of the loss so far that a step keeps
MARGIN = 0.1  # of where the loss came apart


@dataclass(frozen=True)
class Found:
    """What the run showed: a loss for each rate, smoothed, and what is read off it.

    steepest    where the loss fell fastest
    diverged    where the loss had lost all that it won; infinite if it never did
    """

    rates: list[float]
    losses: list[float]
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
    learner = Learner(run.objective(), run.config, run.team, run.factors)
    learner.objective.train()
    rates, losses = [], []
    every = np.geomspace(lowest, highest, n_steps).tolist()
    for number, (rate, step) in enumerate(zip(every, _steps(run), strict=False)):
        loss, _ = learner.step(step.parts, rate=rate, seed=run.seed * 1_000_003 + number)
        if not math.isfinite(float(loss)):
            break
        rates.append(rate)
        losses.append(float(loss))
        smoothed = smooth(losses)
        if smoothed[-1] > smoothed[0] and number > n_steps // 10:
            break
    return read(rates, losses, finished=len(rates) == n_steps)


def read(rates: list[float], losses: list[float], *, finished: bool) -> Found:
    """Return what the losses at rising rates say; `finished` says that the run did not come apart.

    Raises:
        ModelError: if there are fewer than three.
    """
    if len(rates) < 3:
        raise ModelError(
            "the training loss is not finite at the lowest learning rates: the model is at fault"
        )
    smoothed = smooth(losses)
    slopes = np.gradient(smoothed, np.log(rates))
    return Found(
        rates=rates,
        losses=smoothed.tolist(),
        steepest=rates[int(np.argmin(slopes))],
        diverged=math.inf if finished else rates[-1],
    )


def smooth(losses: list[float]) -> NDArray[np.float64]:
    """Return the moving average of losses, each weighing less the longer ago it was."""
    age = np.arange(len(losses))[:, None] - np.arange(len(losses))
    weights = np.where(age >= 0, SMOOTH ** np.maximum(age, 0), 0.0)
    return weights @ np.array(losses) / weights.sum(1)


def _steps(run: Run) -> Iterator[Step]:
    """Yield steps as training would take them, epoch after epoch."""
    steps = Steps(loader=run.loader, config=run.config, team=run.team, seed=run.seed, hiding=True)
    number = 0
    for epoch in count():
        plan = run.plan(epoch)
        listed = steps.of_epoch(plan, batch=0, step=number)
        yield from ahead(steps.make, listed)
        number += len(listed)
