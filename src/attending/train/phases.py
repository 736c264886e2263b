"""The phases of a model's training: first on histories alone, where asked and where the model can, then on labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from attending.config import Settings
from attending.nn.interface import Model, SelfSupervised
from attending.progress import say
from attending.train.loop import Run
from attending.train.optimizer import rate_factors
from attending.train.state import Position, States

PRETRAIN = "pretrain"


def learn(run: Run, name: str) -> dict[str, Any]:
    """Train through all phases, from where they were, and return what to tell of them."""
    before = _pretrained(run, name)
    at = run.go(f"training {name}")
    seconds = at.seconds + (before.seconds if before else 0.0)
    told = {
        "seconds": round(seconds, 1),
        "steps": at.step,
        "best_step": at.best_step,
        "tuning_loss": at.best_loss,
    }
    if before:
        told |= {"pretrain_steps": before.step, "pretrain_tuning_loss": before.best_loss}
    return told


def _pretrained(run: Run, name: str) -> Position | None:
    """Leave in the model the weights that its own objective likes best, if it has one and this is asked."""
    if not run.config.pretrain_epochs:
        return None
    if not isinstance(run.model, SelfSupervised):
        if run.team.leads:
            say(f"{name} has no objective of its own: it is not pretrained, and learns from labels alone")
        return None
    folder = run.folder / PRETRAIN
    folder.mkdir(exist_ok=True)
    phase = {"epochs": run.config.pretrain_epochs, "samples": "one_a_subject"}
    first = replace(run, own=True, folder=folder, config=run.config.model_copy(update=phase))
    return first.go(f"pretraining {name}")


def forget(folder: Path) -> None:
    """Remove the states of all phases; the logs stay."""
    States(folder).remove()
    States(folder / PRETRAIN).remove()


def factors(model: Model, settings: Settings, width: int, n_outcomes: int) -> dict[str, float]:
    """Return what scales the learning rate of each parameter, for a rate chosen at `width`; 0 scales nothing.

    All widths of the model are thought smaller or larger in proportion. Where there are heads, `width` is taken as the
    nearest that they can share, the nearest multiple of twice as many.
    """
    own = getattr(settings, "width", 0)
    if not width or not own:
        return {}
    if n_heads := getattr(settings, "n_heads", 0):
        width = max(round(width / (2 * n_heads)), 1) * 2 * n_heads
    widths = {
        name: width if name == "width" else max(round(getattr(settings, name) * width / own), 1)
        for name in type(settings).model_fields
        if name.startswith("width")
    }
    with torch.random.fork_rng(devices=[]):
        base = type(model)(settings.model_copy(update=widths))
    return rate_factors(model, base, n_outcomes)
