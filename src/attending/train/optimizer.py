"""AdamW and its learning rates: how they change in time, and what part of the model has which.

Rates that hold at every width follow the maximal update parametrization (Yang, Hu et al.: "Tensor Programs V", NeurIPS
2021, table 3). With Adam every entry of a matrix moves by about the learning rate, so what the matrix gives moves by
that times its inputs: for a matrix whose inputs grow with the width, hidden or reading out, the rate is divided by how
much they grew. Tables that are looked up (embeddings), biases, norms, and matrices with a fixed number of inputs keep
theirs.

    rate = learning_rate · inputs at `rate_width` / inputs

How many inputs a matrix has at `rate_width` is read off a second model, built at that width.
"""

import math
from collections.abc import Mapping

import torch
from torch import nn

from attending.train.config import Config

LEAST = 0.02  # of the highest learning rate, at the end
MULTIPLY = (nn.Linear, nn.RNNBase, nn.Conv1d, nn.Conv2d)


def schedule(progress: float, warmup: float) -> float:
    """Return the share of the peak learning rate: a linear rise over `warmup`, then a half cosine to 2 %."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def adamw(
    model: nn.Module, config: Config, factors: Mapping[str, float], *, fused: bool
) -> torch.optim.AdamW:
    """Return the optimiser; a parameter's rate is scaled by its factor.

    Matrices shrink; vectors do not, nor what a module names in `undecayed`: biases and rates of many side by side.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for prefix, module in model.named_modules():
        kept: frozenset[str] = getattr(module, "undecayed", frozenset())
        for name, parameter in module.named_parameters(prefix, recurse=False):
            plain = parameter.ndim <= 1 or name.rpartition(".")[2] in kept
            groups.setdefault((plain, factors.get(name, 1.0)), []).append(parameter)
    listed = [
        {"params": params, "weight_decay": 0.0 if plain else config.weight_decay, "factor": factor}
        for (plain, factor), params in sorted(groups.items(), key=lambda group: group[0])
    ]
    return torch.optim.AdamW(listed, lr=config.learning_rate, betas=(0.9, 0.98), fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let every group learn at `rate` times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def rate_factors(model: nn.Module, base: nn.Module, n_outcomes: int) -> dict[str, float]:
    """Return each parameter's factor, given the same model at the width for which the learning rate was chosen."""
    at_base = {name: tuple(parameter.shape) for name, parameter in base.named_parameters()}
    factors = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            shape = tuple(parameter.shape)
            inputs = _inputs(module, shape, at_base.get(name, shape), n_outcomes)
            factors[name] = inputs[1] / inputs[0]
    return factors


def _inputs(
    module: nn.Module, shape: tuple[int, ...], base: tuple[int, ...], n_outcomes: int
) -> tuple[int, int]:
    """Return how many inputs each output of a parameter has, here and in the base model."""
    if len(shape) < 2 or len(shape) != len(base) or isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return 1, 1
    if isinstance(module, MULTIPLY):
        return math.prod(shape[1:]), math.prod(base[1:])
    if shape[0] == base[0] == n_outcomes:  # an outcome a row: it reads out
        return shape[-1], base[-1]
    if shape[-2] != base[-2] and shape[-1] != base[-1]:
        return shape[-2], base[-2]
    return 1, 1  # a table: an item a row
