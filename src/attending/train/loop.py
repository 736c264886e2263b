"""The training loop: plain, readable, and exact to the bit when it is killed and started again.

AdamW with warm-up and cosine, gradient clipping, early stopping on the tuning split. What makes resuming exact:
the order of samples is a pure function of (seed, epoch); the random numbers of a step are a pure function of
(seed, step); the position is an integer; weights, optimiser and best weights are in one file that appears whole or
not at all. The last two states are kept, so a damaged one costs a few steps and no more.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from attending.artifact import write_atomic
from attending.batch import Batch
from attending.checkpoint import load_tensors, save_tensors
from attending.config import Settings
from attending.data.batches import Loader, Positions, ahead
from attending.errors import ArtifactError, ModelError
from attending.nn.interface import Model
from attending.nn.losses import loss
from attending.progress import track

LOG = "train.jsonl"
STATE = "state-{:09d}.safetensors"
KEPT_STATES = 2


class Config(Settings):
    """Settings of training.

    epochs                at most so many passes over the training split
    samples               `every` sample each epoch, or `one_a_subject` drawn anew each epoch
    patience              stop after so many epochs without a lower tuning loss
    max_steps             stop after so many steps, whatever the epoch; 0 is no limit
    checkpoint_seconds    write a state at most this often within an epoch (one is always written at its end)
    hide_events           the share of events whose code is hidden from the model in a step, at random
    hide_histories        the share of histories whose codes are all hidden: what the model then says is what it
                          knows of a patient without content, the base that explanations start from
    precision             `bf16` computes the matrix products in bfloat16
    """

    epochs: int = 30
    samples: Literal["every", "one_a_subject"] = "every"
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip: float = 1.0
    patience: int = 4
    max_steps: int = 0
    hide_events: float = Field(default=0.05, ge=0, lt=1)
    hide_histories: float = Field(default=0.02, ge=0, lt=1)
    checkpoint_seconds: float = 60.0
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass
class Position:
    """Where a run is: everything that a state file holds beside tensors."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    bad_epochs: int = 0
    finished: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One model's training: what learns, from which samples, by which settings, and where its states are kept."""

    model: Model
    loader: Loader
    train: Positions
    tuning: Positions
    config: Config
    folder: Path
    seed: int
    target: str = "multilabel"

    def go(self, label: str) -> Position:
        """Train to the end, from the last state if there is one, and leave the best weights in the model."""
        optimizer = self._optimizer()
        at, best = self._resume(optimizer)
        started = time.monotonic() - at.seconds
        last_saved = time.monotonic()
        epochs = range(at.epoch, self.config.epochs) if not at.finished else range(0)
        for epoch in track(epochs, label):
            plan = self._plan(epoch)
            for batch in ahead(self.loader.batch, plan[at.batch :]):
                self._step(optimizer, batch, at, progress=(epoch + at.batch / len(plan)) / self.config.epochs)
                at.batch += 1
                at.step += 1
                if self.config.max_steps and at.step >= self.config.max_steps:
                    break
                if time.monotonic() - last_saved > self.config.checkpoint_seconds:
                    at.seconds = time.monotonic() - started
                    self._save(optimizer, at, best)
                    last_saved = time.monotonic()
            best = self._close_epoch(at, best)
            at.seconds = time.monotonic() - started
            self._save(optimizer, at, best)
            if at.finished:
                break
        self.model.load_state_dict(best)
        return at

    def _plan(self, epoch: int) -> list[Positions]:
        one = self.config.samples == "one_a_subject"
        return self.loader.train_plan(self.train, seed=self.seed, epoch=epoch, one_a_subject=one)

    def _step(self, optimizer: torch.optim.Optimizer, batch: Batch, at: Position, *, progress: float) -> None:
        rate = self.config.learning_rate * schedule(progress, self.config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_000_003 + at.step)
            step_loss = self._loss(batch)
        if not bool(torch.isfinite(step_loss)):
            raise ModelError(f"the training loss is not finite at step {at.step}: lower train.learning_rate")
        optimizer.zero_grad(set_to_none=True)
        step_loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        optimizer.step()
        self._log(
            step=at.step,
            loss=float(step_loss.detach()),
            rate=rate,
            norm=float(norm),
            tokens=len(batch.tokens),
        )

    def _loss(self, batch: Batch) -> Tensor:
        assert batch.labels is not None
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision == "bf16"):
            logits = self.model(hide(batch, self.config).without_labels()).logits
        return loss(logits.float(), batch.labels, self.target)

    def _close_epoch(self, at: Position, best: dict[str, Tensor]) -> dict[str, Tensor]:
        """Measure the tuning loss, note whether it is the best, and decide whether to go on."""
        tuned = ahead(self.loader.batch, self.loader.plan(self.tuning))
        mean = tuning_loss(self.model, tuned, self.target)
        self._log(step=at.step, epoch=at.epoch, tuning_loss=mean)
        at.epoch, at.batch = at.epoch + 1, 0
        if mean < at.best_loss:
            at.best_loss, at.best_step, at.bad_epochs = mean, at.step, 0
            best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        else:
            at.bad_epochs += 1
        out_of_steps = bool(self.config.max_steps) and at.step >= self.config.max_steps
        at.finished = at.bad_epochs >= self.config.patience or at.epoch >= self.config.epochs or out_of_steps
        return best

    def _optimizer(self) -> torch.optim.AdamW:
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.config.learning_rate, betas=(0.9, 0.98))

    def _save(self, optimizer: torch.optim.Optimizer, at: Position, best: dict[str, Tensor]) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
        save_tensors(self.folder / STATE.format(at.step), tensors, asdict(at))
        for stale in self._states()[KEPT_STATES:]:
            stale.unlink()

    def _states(self) -> list[Path]:
        return sorted(self.folder.glob(STATE.replace("{:09d}", "*")), reverse=True)

    def _resume(self, optimizer: torch.optim.Optimizer) -> tuple[Position, dict[str, Tensor]]:
        """Take up the newest state that is whole, or start anew."""
        at = Position()
        best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        for path in self._states():
            try:
                tensors, facts = load_tensors(path)
            except ArtifactError:
                continue
            at = Position(**facts)
            self.model.load_state_dict(_below(tensors, "model"))
            best = _below(tensors, "best")
            self._restore_optimizer(optimizer, _below(tensors, "optimizer"))
            break
        self._cut_log(at.step)
        return at, best

    def _restore_optimizer(self, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

    def _log(self, **facts: int | float) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def _cut_log(self, step: int) -> None:
        """Drop what was logged after the state that the run resumes from."""
        path = self.folder / LOG
        kept = [line for line in _lines(path) if _logged_before(line, step)]
        write_atomic(path, lambda temporary: temporary.write_text("".join(kept), encoding="utf-8"))


def hide(batch: Batch, config: Config) -> Batch:
    """Hide the codes of some events, and of all events of some histories, by a weight of 0.

    It regularises, and it makes a history without content something that the model was trained on: explanations by
    removal need that (Hooker et al., NeurIPS 2019).
    """
    kept = (torch.rand_like(batch.values) >= config.hide_events).float()
    blank = torch.rand(batch.n_subjects) < config.hide_histories
    return batch.with_weights(torch.where(blank[batch.subject_of_token], 0.0, kept))


def schedule(progress: float, warmup: float) -> float:
    """Return the share of the peak learning rate: a linear rise over `warmup`, then a half cosine to 2 %."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


@torch.no_grad()
def tuning_loss(model: Model, batches: Iterator[Batch], target: str) -> float:
    """Return the mean loss over labelled batches, every sample weighing the same."""
    model.eval()
    total, n = 0.0, 0
    for batch in batches:
        assert batch.labels is not None
        total += float(loss(model(batch.without_labels()).logits, batch.labels, target)) * batch.n_subjects
        n += batch.n_subjects
    return total / max(n, 1)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}."): one for name, one in tensors.items() if name.startswith(f"{prefix}.")
    }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []


def _logged_before(line: str, step: int) -> bool:
    try:
        facts = json.loads(line)
    except ValueError:
        return False
    return bool(facts["step"] < step or ("tuning_loss" in facts and facts["step"] <= step))
