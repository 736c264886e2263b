"""Logistic regression on counts of all codes in several windows: the baseline that published studies fear.

One L2-regularised logistic regression an outcome on `nn.counts.count_features`, all outcomes solved together by
L-BFGS. The strength is chosen on the tuning split. Counts are not scaled to unit spread: that would let rare codes,
which have little evidence, weigh as much as common ones (docs/log.md).
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.nn import interface
from attending.nn.counts import WINDOWS_DAYS, count_features, count_matrix, n_count_features
from attending.progress import track

Array = NDArray[np.float32]
CHOOSING_SAMPLES = 8_000  # the strength is chosen on so many training samples


class Config(interface.ModelConfig):
    """Settings: windows in days, and the strengths to choose from (per sample, so that they suit any size)."""

    windows: tuple[float, ...] = WINDOWS_DAYS
    strengths: tuple[float, ...] = (3e-2, 1e-2, 3e-3, 1e-3)
    iterations: int = 60


EXAMPLE = Config(n_tokens=40, n_outcomes=5, strengths=(1e-5,))


class Model(interface.Model):
    """Linear in log counts, so any gradient method explains it exactly."""

    fits = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        n_features = n_count_features(config.n_tokens, config.windows)
        self.weight = nn.Buffer(torch.zeros(n_features, config.n_outcomes))
        self.bias = nn.Buffer(torch.zeros(config.n_outcomes))

    def use(self, facts: Facts) -> None:
        """Start the bias at the log-odds of each outcome."""
        self.bias.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, object]:
        """Choose the strength on a part of the training split by the tuning loss, then fit on all of it."""
        x, y = count_matrix(train, self.config.n_tokens, self.config.windows)
        x_tuning, y_tuning = count_matrix(tuning, self.config.n_tokens, self.config.windows)
        some = np.random.default_rng(seed).permutation(x.shape[0])[:CHOOSING_SAMPLES]
        solution = np.zeros((x.shape[1] + 1, y.shape[1]), dtype=np.float32)
        solution[-1] = self.bias.numpy()
        solutions = {}
        strengths = sorted(self.config.strengths, reverse=True)  # each a warm start for the next
        for strength in track(strengths, "choosing the strength of logistic_counts"):
            solution = _solve(x[some], y[some], strength, solution, self.config.iterations // 2)
            solutions[_loss(x_tuning @ solution[:-1] + solution[-1], y_tuning)] = (strength, solution)
        strength, start = solutions[min(solutions)]
        solution = _solve(x, y, strength, start, self.config.iterations)
        self.weight.copy_(torch.from_numpy(solution[:-1]))
        self.bias.copy_(torch.from_numpy(solution[-1]))
        return {"strength": strength}

    def forward(self, batch: Batch) -> Output:
        """Return the logits of the counts."""
        features = count_features(batch, self.config.n_tokens, self.config.windows)
        return Output(logits=features @ self.weight + self.bias)


def _solve(x: csr_array, y: Array, strength: float, start: Array, iterations: int) -> Array:
    """Minimise the mean loss plus strength/2 · |weights|² over all outcomes at once; the last row is the bias."""
    shape = start.shape
    transposed = x.T.tocsr()

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        beta = flat.reshape(shape).astype(np.float32)
        logits = x @ beta[:-1] + beta[-1]
        error = (_sigmoid(logits) - y) / len(y)
        gradient = np.concatenate([transposed @ error, error.sum(0, keepdims=True)])
        gradient[:-1] += strength * beta[:-1]
        penalty = strength / 2 * float(np.square(beta[:-1], dtype=np.float64).sum())
        return _loss(logits, y) * y.shape[1] + penalty, gradient.ravel().astype(np.float64)

    first: NDArray[np.float64] = start.ravel().astype(np.float64)
    found = minimize(objective, first, (), "L-BFGS-B", jac=True, options={"maxiter": iterations})
    return found.x.reshape(shape).astype(np.float32)


def _sigmoid(logits: Array) -> Array:
    return torch.sigmoid(torch.from_numpy(logits)).numpy()


def _loss(logits: Array, y: Array) -> float:
    tensor: Tensor = nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits), torch.from_numpy(y)
    )
    return float(tensor)
