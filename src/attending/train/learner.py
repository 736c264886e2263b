"""One step of learning: the gradient of its parts, AdamW, and the moving average of the weights."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from attending.train.config import Config
from attending.train.draws import drawn_from
from attending.train.objective import Objective
from attending.train.optimizer import adamw, set_rate
from attending.train.parallel import Team, fill, own, parted, whole
from attending.train.steps import Part


class Learner:
    """A model that learns: its weights, their average if one is kept, and the optimiser."""

    def __init__(
        self, objective: Objective, config: Config, team: Team, factors: Mapping[str, float]
    ) -> None:
        self.config, self.team = config, team
        self.plain = objective
        average = deepcopy(objective) if config.ema else None
        self.objective = team.place(objective)
        self.average = team.place(average) if average is not None else None
        self.joined = team.joined(self.objective, compiled=config.compile)
        self.parameters = list(self.objective.parameters())
        self.optimizer = adamw(self.objective.model, config, factors, fused=team.way != "fsdp")

    def ready(self) -> None:
        """Make ready for steps, after measuring or at the start."""
        self.objective.train()
        if self.plain is not self.objective:
            self.plain.cpu()  # its place on a GPU is wanted for gradients

    def step(self, parts: Sequence[Part], *, rate: float, seed: int) -> tuple[Tensor, Tensor]:
        """Take one step; return this process's part of the loss, and the length of the whole gradient.

        All random numbers are drawn from `seed` and the process's rank.
        """
        set_rate(self.optimizer, rate)
        losses = []
        with drawn_from(seed + (self.team.rank << 40), self.team.device):
            for place, part in enumerate(parts, start=1):
                with self.team.adding(self.joined, last=place == len(parts)):
                    found = self.joined(part.batch.to(self.team.device), part.weights.to(self.team.device))
                    (found * self.team.size).backward()
                losses.append(found.detach())
        norm = whole(nn.utils.clip_grad_norm_(self.parameters, self.config.clip))
        self.optimizer.step()
        self.optimizer.zero_grad()
        return torch.stack(losses).sum(), norm

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Let the average follow the weights, and the statistics of norms, quickly in the first steps."""
        if self.average is None:
            return
        kept = min(self.config.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(_averaged(self.average), _averaged(self.objective), 1 - kept)

    @torch.no_grad()
    def measured(self) -> Objective:
        """Return what is measured and kept, the average or the weights themselves, whole on this process."""
        found = self.objective
        if self.average is not None:
            found = self.average
            theirs = dict(self.objective.named_buffers())
            for name, ours in found.named_buffers():
                if not _is_statistic(name):
                    ours.copy_(theirs[name])  # what is counted in training
        if self.plain is not self.objective:
            self.plain.to(self.team.device)
            fill(self.plain.model.state_dict(), weights_of(found.model))
            return self.plain
        return found

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that going on needs, whole."""
        tensors = {f"model.{name}": tensor for name, tensor in self.objective.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": one for name, one in self.average.model.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
        return {name: whole(tensor) for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        fill(self.objective.model.state_dict(), below(tensors, "model"))
        if self.average is not None:
            fill(self.average.model.state_dict(), below(tensors, "average"))
        listed = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in below(tensors, "optimizer").items():
            number, _, key = name.partition(".")
            of_parameter = listed[int(number)]
            state.setdefault(int(number), {})[key] = parted(tensor, of_parameter) if tensor.ndim else tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _averaged(module: nn.Module) -> list[Tensor]:
    """Return this process's part of what is averaged: weights, and the statistics of norms."""
    statistics = (buffer for name, buffer in module.named_buffers() if _is_statistic(name))
    return [own(tensor) for tensor in (*module.parameters(), *statistics)]


def _is_statistic(name: str) -> bool:
    """Say whether a buffer holds the running mean or variance of a norm, which torch names so."""
    return name.rpartition(".")[2].startswith("running_")


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a model's state, whole and on the CPU."""
    return {name: whole(one).detach().to("cpu", copy=True) for name, one in model.state_dict().items()}


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name starts with `prefix.`, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): one for name, one in tensors.items() if name.startswith(start)}
