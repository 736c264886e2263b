"""Several processes as one: the only file that knows of them.

`torchrun` starts the processes and tells each its rank. All compute the same plan of batches, each takes its share of
every batch (whole samples, about as many tokens each), and the gradients are added up, so that a step is the step that
one process would take (`objective` says how nearly). The first process alone writes and speaks.

    ddp     every process holds all weights
    fsdp    between steps each holds its part of weights, gradients and optimiser; before a step they are gathered
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from attending.errors import ConfigError

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class Team:
    """The processes that train one model, seen from one of them; without others, it is alone."""

    rank: int = 0
    size: int = 1
    way: Literal["none", "ddp", "fsdp"] = "none"
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - it does not change

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which samples of a batch are this process's, dealt out longest first, to and fro.

        Where there are fewer samples than processes, some get none.
        """
        if self.size == 1:
            return np.arange(len(lengths))
        place = np.arange(len(lengths)) % (2 * self.size)
        dealt = np.minimum(place, 2 * self.size - 1 - place)
        return np.sort(np.argsort(-lengths, kind="stable")[dealt == self.rank])

    def place(self, module: M) -> M:
        """Return the module on this process's device; if weights are parted, a copy that holds its part."""
        if self.way != "fsdp":
            return module.to(self.device)
        copy = deepcopy(module).to(self.device)
        fully_shard(copy, mesh=init_device_mesh(self.device.type, (self.size,)))
        return copy

    def joined(self, module: nn.Module, *, compiled: bool) -> nn.Module:
        """Return a placed module whose gradients are averaged over all processes, compiled if asked."""
        if compiled:
            module.compile(dynamic=True)
        if self.way != "ddp":
            return module
        return DistributedDataParallel(module, find_unused_parameters=True)

    def adding(self, module: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Say whether the next backward pass is the last of its step; only then gradients travel."""
        if isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(last)
        if isinstance(module, DistributedDataParallel) and not last:
            return module.no_sync()
        return nullcontext()

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all processes."""
        if self.size > 1:
            values = values.to(self.device, copy=True)
            dist.all_reduce(values)
        return values

    def agree(self, wish: bool) -> bool:
        """Return what the leading process wishes."""
        if self.size == 1:
            return wish
        found = torch.tensor([wish], dtype=torch.uint8, device=self.device)
        dist.broadcast(found, 0)
        return bool(found)

    def told(self, text: str) -> str:
        """Return what the leading process says."""
        if self.size == 1:
            return text
        told: list[str] = [text]
        dist.broadcast_object_list(told, 0, device=self.device)
        return told[0]

    def wait(self) -> None:
        """Wait until every process is here."""
        self.agree(True)


@contextmanager
def team(device: Literal["auto", "cpu", "cuda"], way: Literal["none", "ddp", "fsdp"]) -> Iterator[Team]:
    """Join the processes that `torchrun` started, or be alone; leave them at the end.

    Raises:
        ConfigError: if CUDA is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "expected a CUDA device, as train.device says; this machine, or this torch, has none"
        )
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if not in_company():
        yield Team(device=torch.device(kind))
        return
    local = int(os.environ["LOCAL_RANK"])
    place = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield Team(
            rank=dist.get_rank(),
            size=dist.get_world_size(),
            way="fsdp" if way == "fsdp" else "ddp",
            device=place,
        )
    finally:
        dist.destroy_process_group()


def in_company() -> bool:
    """Say whether `torchrun` started this process together with others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def speaks() -> bool:
    """Say whether this process is the one of its company that speaks, or alone."""
    return not in_company() or os.environ["RANK"] == "0"


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor without its parting; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own(tensor: Tensor) -> Tensor:
    """Return this process's part of a tensor, which shares its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def parted(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor parted as `like` is."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


@torch.no_grad()
def fill(state: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy whole tensors into a module's state, parted or not."""
    for name, tensor in state.items():
        tensor.copy_(parted(values[name], tensor))
