"""What a killed run finds again: its states, each whole or not there, and its log.

The last two states are kept, so a damaged one costs a few steps and no more. The log is written when a state is, or
an epoch ends: what it says after the state that a run resumes from is cut off, and said again.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from attending.artifact import write_text
from attending.checkpoint import load_tensors, save_tensors
from attending.errors import ArtifactError, Diverged

LOG = "train.jsonl"
STATE = "state-{:09d}.safetensors"
KEPT_STATES = 2


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


@dataclass(frozen=True)
class States:
    """The state files of a run's folder."""

    folder: Path

    def save(self, tensors: dict[str, Tensor], at: Position) -> None:
        """Write a state, and remove all but the last two."""
        save_tensors(self.folder / STATE.format(at.step), tensors, asdict(at))
        for stale in self._listed()[KEPT_STATES:]:
            stale.unlink(missing_ok=True)

    def newest(self) -> tuple[dict[str, Tensor], Position] | None:
        """Return the newest state that is whole, if there is one."""
        for path in self._listed():
            try:
                tensors, facts = load_tensors(path)
            except ArtifactError:
                continue
            return tensors, Position(**facts)
        return None

    def remove(self) -> None:
        """Remove all states, once nothing will go on from them."""
        for path in self._listed():
            path.unlink()

    def _listed(self) -> list[Path]:
        return sorted(self.folder.glob(STATE.replace("{:09d}", "*")), reverse=True)


@dataclass(frozen=True)
class Log:
    """One line a step and one an epoch, held back until `write`: reading a loss would make a GPU wait.

    Without a path, nothing is written.
    """

    path: Path | None
    steps: list[dict[str, int | float]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    norms: list[Tensor] = field(default_factory=list)

    def step(self, loss: Tensor, norm: Tensor, **facts: int | float) -> None:
        """Note a step."""
        self.steps.append(facts)
        self.losses.append(loss)
        self.norms.append(norm)

    def read(self) -> Tensor:
        """Return the loss and the gradient's length of each step noted, a row each."""
        return torch.stack([torch.stack(self.losses), torch.stack(self.norms)])

    def write(self, found: Tensor) -> None:
        """Append the steps noted, whose losses and lengths are `found`.

        Raises:
            Diverged: if a loss or a gradient is not finite.
        """
        lines = []
        for facts, loss, norm in zip(self.steps, *found.tolist(), strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                what = "gradient" if math.isfinite(loss) else "loss"
                raise Diverged(
                    f"the training {what} is not finite at step {facts['step']}: lower train.learning_rate"
                )
            lines.append({"step": facts["step"], "loss": loss, "norm": norm} | facts)
        self._append(lines)
        for listed in (self.steps, self.losses, self.norms):
            listed.clear()

    def epoch(self, **facts: int | float) -> None:
        """Append a line of an epoch."""
        self._append([facts])

    def cut(self, at: Position) -> None:
        """Drop what was logged after the state that the run resumes from."""
        if self.path is None:
            return
        kept = [line for line in _lines(self.path) if _logged_before(line, at)]
        write_text(self.path, "".join(kept))

    def _append(self, lines: list[dict[str, int | float]]) -> None:
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []


def _logged_before(line: str, at: Position) -> bool:
    try:
        facts = json.loads(line)
    except ValueError:
        return False
    return bool(facts["epoch"] < at.epoch if "epoch" in facts else facts["step"] < at.step)
