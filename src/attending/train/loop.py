"""The training loop: plain, readable, and exact to the bit when it is killed and started again.

AdamW with warm-up and cosine, gradient clipping, early stopping on the tuning split. What makes resuming exact:
the order of samples is a pure function of (seed, epoch); the random numbers of a step are a pure function of
(seed, step); the position is integers; weights, their average, optimiser and best weights are in one file that appears
whole or not at all.

One loop serves both phases, learning from labels and, before it, from histories alone; and one process or several.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from attending.data.batches import Loader, Positions, ahead
from attending.errors import Diverged
from attending.nn.interface import Model
from attending.progress import track
from attending.train.config import Config as Config
from attending.train.draws import drawn_from
from attending.train.learner import Learner, below, weights_of
from attending.train.objective import Objective, OfHistories, OfLabels
from attending.train.optimizer import schedule
from attending.train.parallel import Team
from attending.train.state import LOG, Log, Position, States
from attending.train.steps import Step, Steps, known_pairs

BETWEEN_QUESTIONS = 20  # steps, where several processes must agree whether to write a state


@dataclass(frozen=True, kw_only=True)
class Run:
    """One phase of a model's training: what learns, from which samples, by which settings, and where its states are.

    own       learn from histories alone, by the model's own objective, and not from labels
    factors   scales the learning rate of the parameters that are named
    """

    model: Model
    loader: Loader
    train: Positions
    tuning: Positions
    config: Config
    folder: Path
    seed: int
    target: str = "multilabel"
    own: bool = False
    factors: Mapping[str, float] = field(default_factory=dict)
    team: Team = field(default_factory=Team)

    def go(self, label: str) -> Position:
        """Train to the end, from the last state if there is one, and leave the best weights in the model."""
        learner = Learner(self.objective(), self.config, self.team, self.factors)
        log = Log(self.folder / LOG if self.team.leads else None)
        steps = Steps(
            loader=self.loader, config=self.config, team=self.team, seed=self.seed, hiding=not self.own
        )
        at, best = self._resume(learner, log)
        started = time.monotonic() - at.seconds
        last_saved = time.monotonic()
        epochs = range(at.epoch, self.config.epochs) if not at.finished else range(0)
        for epoch in track(epochs, label) if self.team.leads else epochs:
            plan = self.plan(epoch)
            learner.ready()
            for step in ahead(steps.make, steps.of_epoch(plan, batch=at.batch, step=at.step)):
                self._step(
                    learner, step, at, log, progress=(epoch + at.batch / len(plan)) / self.config.epochs
                )
                if self._out_of_steps(at):
                    break
                if self._time_to_save(at, last_saved):
                    at.seconds = time.monotonic() - started
                    self._save(learner, at, best, log)
                    last_saved = time.monotonic()
            best = self._close_epoch(learner, at, best, log)
            at.seconds = time.monotonic() - started
            self._save(learner, at, best, log)
            last_saved = time.monotonic()
            if at.finished:
                break
        self.model.cpu().load_state_dict(best)
        return at

    def objective(self) -> Objective:
        """Return what is minimised, around the model."""
        bf16 = self.config.precision == "bf16"
        return (
            OfHistories(self.model, bf16=bf16) if self.own else OfLabels(self.model, self.target, bf16=bf16)
        )

    def plan(self, epoch: int) -> list[Positions]:
        """Return the batches of an epoch."""
        one = self.config.samples == "one_a_subject"
        return self.loader.train_plan(self.train, seed=self.seed, epoch=epoch, one_a_subject=one)

    def _step(self, learner: Learner, step: Step, at: Position, log: Log, *, progress: float) -> None:
        rate = self.config.learning_rate * schedule(progress, self.config.warmup)
        loss, norm = learner.step(step.parts, rate=rate, seed=self.seed * 1_000_003 + at.step)
        learner.follow(at.step)
        log.step(loss, norm, step=at.step, rate=rate, tokens=step.tokens)
        at.batch += len(step.parts)
        at.step += 1

    def _out_of_steps(self, at: Position) -> bool:
        return bool(self.config.max_steps) and at.step >= self.config.max_steps

    def _time_to_save(self, at: Position, last_saved: float) -> bool:
        if self.team.size > 1 and at.step % BETWEEN_QUESTIONS:
            return False
        return self.team.agree(time.monotonic() - last_saved > self.config.checkpoint_seconds)

    def _close_epoch(
        self, learner: Learner, at: Position, best: dict[str, Tensor], log: Log
    ) -> dict[str, Tensor]:
        """Measure the tuning loss, note whether it is the best, and decide whether to go on.

        Raises:
            Diverged: if it is not finite.
        """
        self._write(log)
        measured = learner.measured()
        mean = self.tuning_loss(measured)
        if not math.isfinite(mean):
            raise Diverged(f"the tuning loss is not finite after step {at.step}: lower train.learning_rate")
        log.epoch(step=at.step, epoch=at.epoch, tuning_loss=mean)
        at.epoch, at.batch = at.epoch + 1, 0
        if mean < at.best_loss:
            at.best_loss, at.best_step, at.bad_epochs = mean, at.step, 0
            best = weights_of(measured.model)
        else:
            at.bad_epochs += 1
        at.finished = (
            at.bad_epochs >= self.config.patience or at.epoch >= self.config.epochs or self._out_of_steps(at)
        )
        return best

    @torch.no_grad()
    def tuning_loss(self, objective: Objective) -> float:
        """Return the mean loss over the tuning split's known answers (its samples, of the model's own objective).

        Random choices are fixed.
        """
        objective.eval()
        plan = list(enumerate(self._tuning_plan()))[self.team.rank :: self.team.size]
        total = torch.zeros(2, dtype=torch.float64)
        batches = ahead(self.loader.batch, [positions for _, positions in plan])
        for (number, positions), batch in zip(plan, batches, strict=True):
            with drawn_from(number, self.team.device):
                mean = objective(batch.to(self.team.device), torch.ones(2, device=self.team.device))
            n = len(positions) if self.own else known_pairs(self.loader, positions)
            total += torch.tensor([float(mean) * n, n])
        summed, n = self.team.total(total).tolist()
        return float(summed / max(n, 1))

    def _tuning_plan(self) -> list[Positions]:
        if self.own:
            return self.loader.train_plan(self.tuning, seed=self.seed, epoch=0, one_a_subject=True)
        return self.loader.plan(self.tuning)

    def _resume(self, learner: Learner, log: Log) -> tuple[Position, dict[str, Tensor]]:
        """Take up the newest state that is whole, or start anew."""
        found = States(self.folder).newest()
        self.team.wait()  # until all have read: the leading process removes what is old
        if found is None:
            at, best = Position(), weights_of(learner.measured().model)
        else:
            tensors, at = found
            learner.restore(tensors)
            best = below(tensors, "best")
        log.cut(at)
        return at, best

    def _save(self, learner: Learner, at: Position, best: dict[str, Tensor], log: Log) -> None:
        self._write(log)
        tensors = learner.state() | {f"best.{name}": tensor for name, tensor in best.items()}
        if self.team.leads:
            States(self.folder).save(tensors, at)

    def _write(self, log: Log) -> None:
        if not log.steps:  # on all processes alike
            return
        loss, norm = log.read()
        log.write(torch.stack([self.team.total(loss), norm]))
