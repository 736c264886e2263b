"""Elastic-net regressions on sparse features, many outcomes at once: what the linear baselines are fitted by.

For each outcome, over its n known samples, with loss ℓ the cross-entropy, or half the squared error:

    1/n Σ ℓ(b + x·β, y) + l2/2 |β|² + l1 |β|₁,   b not penalised

by OWL-QN (Andrew and Gao, "Scalable training of L1-regularized log-linear models", ICML 2007): L-BFGS on the
pseudo-gradient, every step held within its orthant; plain L-BFGS where l1 = 0. All outcomes share the passes over the
features, and each has its own curvature, step and end.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.sparse import csr_array
from torch import Tensor, nn

MEMORY = 8  # pairs of steps and changes of the gradient that L-BFGS keeps
BLOCK = 4_000_000  # weights that are solved for at once: bounds the memory
NARROW = 4  # up to so many outcomes scipy's product is faster
HALVINGS = 12


class Matrix:
    """A sparse matrix ready for products from both sides."""

    def __init__(self, matrix: csr_array) -> None:
        self.shape: tuple[int, int] = matrix.shape
        self._forwards, self._backwards = matrix, matrix.T.tocsr()
        self._packed: dict[bool, tuple[Tensor, Tensor, Tensor]] = {}

    def times(self, right: Float[Tensor, "column outcome"]) -> Float[Tensor, "row outcome"]:
        """Return matrix @ right."""
        return self._product(right, backwards=False)

    def transposed_times(self, right: Float[Tensor, "row outcome"]) -> Float[Tensor, "column outcome"]:
        """Return matrixᵀ @ right."""
        return self._product(right, backwards=True)

    def _product(self, right: Tensor, *, backwards: bool) -> Tensor:
        matrix = self._backwards if backwards else self._forwards
        if right.shape[1] <= NARROW:
            return torch.from_numpy(matrix @ right.numpy())
        if backwards not in self._packed:
            self._packed[backwards] = (
                torch.from_numpy(matrix.indices.astype(np.int64)),
                torch.from_numpy(matrix.indptr.astype(np.int64)),
                torch.from_numpy(matrix.data),
            )
        index, offsets, values = self._packed[backwards]
        return nn.functional.embedding_bag(
            index, right, offsets, mode="sum", per_sample_weights=values, include_last_offset=True
        )


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """How strongly weights are held at zero, for a mean loss over samples."""

    l2: float
    l1: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is fitted: labels that may be NaN (not known), and whether they are amounts."""

    x: Matrix
    y: Float[Tensor, "row outcome"]
    amounts: bool = False

    def of(self, outcomes: Tensor | slice) -> "Problem":
        """Return the problem of some outcomes."""
        return Problem(x=self.x, y=self.y[:, outcomes].contiguous(), amounts=self.amounts)

    def losses(self, logits: Float[Tensor, "row outcome"]) -> Float[Tensor, " outcome"]:
        """Return the mean loss of each outcome over its known samples."""
        y = torch.nan_to_num(self.y)
        if self.amounts:
            each = (logits - y).square() / 2
        else:
            each = nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
        return torch.where(self._known, each, 0.0).sum(0) / self._n

    def mean_loss(self, beta: Float[Tensor, "weight outcome"]) -> float:
        """Return the mean loss over outcomes of which any sample is known, with these weights."""
        return float(self.losses(predict(self.x, beta))[self._known.any(0)].mean())

    def errors(self, logits: Float[Tensor, "row outcome"]) -> Float[Tensor, "row outcome"]:
        """Return the derivative of `losses` by each logit."""
        predicted = logits if self.amounts else torch.sigmoid(logits)
        return torch.where(self._known, predicted - torch.nan_to_num(self.y), 0.0) / self._n

    @property
    def _known(self) -> Bool[Tensor, "row outcome"]:
        return ~torch.isnan(self.y)

    @property
    def _n(self) -> Float[Tensor, " outcome"]:
        return self._known.sum(0).clamp(min=1).float()


def solve(
    problem: Problem,
    penalty: Penalty,
    start: Float[Tensor, "weight outcome"],
    *,
    iterations: int,
    tolerance: float = 1e-5,
) -> Float[Tensor, "weight outcome"]:
    """Return the weights of each outcome, its intercept last, from a start of that shape.

    An outcome is done when an iteration lowers its objective by less than `tolerance` of it.
    """
    width = max(1, BLOCK // len(start))
    blocks = [slice(first, first + width) for first in range(0, start.shape[1], width)]
    return torch.cat(
        [_solve(problem.of(block), penalty, start[:, block], iterations, tolerance) for block in blocks],
        dim=1,
    )


def intercepts(problem: Problem) -> Float[Tensor, " outcome"]:
    """Return the intercepts that are best alone: log-odds, or means; 0 where no sample is known."""
    mean = torch.nan_to_num(problem.y.nanmean(0))
    return mean if problem.amounts else torch.logit(mean.double().clamp(1e-6, 1 - 1e-6)).float()


def predict(x: Matrix, beta: Float[Tensor, "weight outcome"]) -> Float[Tensor, "row outcome"]:
    """Return the logits that weights, the intercept last, give."""
    return x.times(beta[:-1].contiguous()) + beta[-1]


def _solve(problem: Problem, penalty: Penalty, start: Tensor, iterations: int, tolerance: float) -> Tensor:
    result = start.clone()
    active = torch.arange(start.shape[1])
    beta, memory = start.clone(), Memory()
    logits = predict(problem.x, beta)
    value, gradient = _value(problem, penalty, beta, logits), _gradient(problem, penalty, beta, logits)
    for _ in range(iterations):
        slope = _pseudo_gradient(beta, gradient, penalty.l1)
        direction = memory.direction(slope)
        if penalty.l1:
            direction = torch.where(direction * slope < 0, direction, 0.0)
        after, new_value, logits = _step(problem, penalty, beta, value, slope, direction, first=not memory)
        going = value - new_value > tolerance * value.abs()
        result[:, active] = after
        if not bool(going.any()):
            break
        new_gradient = _gradient(problem, penalty, after, logits)
        memory.add(after - beta, new_gradient - gradient)
        beta, value, gradient = after, new_value, new_gradient
        if not bool(going.all()):
            active, beta, value, gradient = active[going], beta[:, going], value[going], gradient[:, going]
            memory.keep(going)
            problem = problem.of(going)
    return result


def _gradient(problem: Problem, penalty: Penalty, beta: Tensor, logits: Tensor) -> Tensor:
    """Return the gradient of the smooth part of the objective."""
    errors = problem.errors(logits)
    gradient = torch.cat([problem.x.transposed_times(errors), errors.sum(0, keepdim=True)])
    gradient[:-1] += penalty.l2 * beta[:-1]
    return gradient


def _value(problem: Problem, penalty: Penalty, beta: Tensor, logits: Tensor) -> Tensor:
    weights = beta[:-1]
    value = problem.losses(logits) + penalty.l2 / 2 * weights.square().sum(0)
    return value + penalty.l1 * weights.abs().sum(0) if penalty.l1 else value


def _pseudo_gradient(beta: Tensor, gradient: Tensor, l1: float) -> Tensor:
    """Return the gradient with the penalty's; at 0, the one-sided derivative that descends, or 0 where none does."""
    if not l1:
        return gradient
    held = torch.sign(gradient) * (gradient.abs() - l1).clamp(min=0)
    slope = torch.where(beta == 0, held, gradient + l1 * torch.sign(beta))
    slope[-1] = gradient[-1]
    return slope


def _step(
    problem: Problem,
    penalty: Penalty,
    beta: Tensor,
    value: Tensor,
    slope: Tensor,
    direction: Tensor,
    *,
    first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Go along each outcome's direction, halving, until its objective falls enough; an outcome may stay.

    Return the weights, their objectives and their logits (of outcomes that moved).
    """
    length = torch.ones_like(value)
    if first:
        length = 1 / slope.norm(dim=0).clamp(min=1e-12)
    orthant = torch.where(beta == 0, -torch.sign(slope), torch.sign(beta))
    after, new_value, logits = beta.clone(), value.clone(), torch.zeros_like(problem.y)
    left = torch.arange(len(value))
    for _ in range(HALVINGS):
        tried = beta[:, left] + length[left] * direction[:, left]
        if penalty.l1:
            crossed = tried[:-1] * orthant[:-1, left] < 0
            tried[:-1] = torch.where(crossed, 0.0, tried[:-1])
        part = problem if len(left) == len(value) else problem.of(left)
        reached_logits = predict(problem.x, tried)
        reached = _value(part, penalty, tried, reached_logits)
        expected = (slope[:, left] * (tried - beta[:, left])).sum(0)
        enough = reached <= value[left] + 1e-4 * expected
        moved = left[enough]
        after[:, moved], new_value[moved] = tried[:, enough], reached[enough]
        logits[:, moved] = reached_logits[:, enough]
        left = left[~enough]
        if not len(left):
            break
        length[left] /= 2
    return after, new_value, logits


class Memory:
    """The last steps and changes of the gradient, each outcome's its own."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.scale: Tensor | None = None

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def add(self, step: Tensor, change: Tensor) -> None:
        """Remember a step; one without curvature counts for nothing."""
        along, size = (step * change).sum(0), change.square().sum(0)
        curved = along > 1e-10 * size
        inverse = torch.where(curved, 1 / along.clamp(min=1e-30), 0.0)
        before = self.scale if self.scale is not None else torch.ones_like(along)
        self.scale = torch.where(curved, along / size.clamp(min=1e-30), before)
        self.pairs = [*self.pairs[-(MEMORY - 1) :], (step, change, inverse)]

    def keep(self, outcomes: Bool[Tensor, " outcome"]) -> None:
        """Forget the outcomes that are done."""
        self.pairs = [
            (step[:, outcomes], change[:, outcomes], inverse[outcomes])
            for step, change, inverse in self.pairs
        ]
        self.scale = None if self.scale is None else self.scale[outcomes]

    def direction(self, slope: Tensor) -> Tensor:
        """Return minus the inverse curvature times the slope: the two loops of L-BFGS."""
        left, shares = -slope, []
        for step, change, inverse in reversed(self.pairs):
            share = inverse * (step * left).sum(0)
            left = left - share * change
            shares.append(share)
        left = left if self.scale is None else left * self.scale
        for (step, change, inverse), share in zip(self.pairs, reversed(shares), strict=True):
            left = left + (share - inverse * (change * left).sum(0)) * step
        return left
