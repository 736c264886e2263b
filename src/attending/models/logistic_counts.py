"""Regression on counts, recency and values of all codes: the baseline that published studies fear.

One elastic net an outcome on `nn.counts.features` (logistic; least squares where a number is predicted), all outcomes
solved together. How strongly weights are held at zero, by their squares and by their size, is chosen on the tuning
split, in common for all outcomes, by a part of the training samples and of the outcomes; no weights at all is among the
choices. Features are not scaled to unit spread: that would let rare codes, which have little
evidence, weigh as much as common ones (docs/log.md).
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.sparse import csr_array
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.config import Positive
from attending.nn import interface
from attending.nn.counts.features import Layout, rows, value_of_token
from attending.nn.counts.matrix import Kept, count_matrix, filled
from attending.nn.counts.regression import Matrix, Penalty, Problem, intercepts, solve
from attending.nn.losses import VALUE_TARGET
from attending.progress import track

CHOOSING_SAMPLES = 8_000  # the penalty is chosen on so many training samples …
CHOOSING_PAIRS = 160_000  # … and on as many outcomes (or, of few outcomes, samples) as make so many pairs
TOLERANCE = 1e-4  # an outcome is done when an iteration lowers its objective by less than this share


class Config(interface.ModelConfig):
    """Settings: windows and decays in days, and the penalties to choose from, for a loss per sample.

    strengths    penalties on squared weights alone …
    sparsities   … and on the size of weights, each beside the penalty `ridge` on squared ones
    """

    windows: tuple[float, ...] = (30.0, 365.0, 36_525.0)  # a month, a year, a century (everything)
    decays: tuple[float, ...] = (30.0, 180.0, 1000.0)
    strengths: tuple[float, ...] = (10.0, 3.0, 1.0, 0.1, 1e-2)
    sparsities: tuple[float, ...] = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
    ridge: float = 1e-4
    iterations: Positive = 60


EXAMPLE = Config(n_tokens=40, n_outcomes=5, strengths=(1e-5,), sparsities=())


class Model(interface.Model):
    """Linear in log counts and in values, so any gradient method explains it exactly."""

    fits = True
    sized = ("weight",)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.amounts = False
        self.value_of_token = nn.Buffer(torch.full((config.n_tokens,), -1))
        self.kept = Kept()
        self.weight = nn.Buffer(torch.zeros(0, config.n_outcomes))
        self.bias = nn.Buffer(torch.zeros(config.n_outcomes))

    def use(self, facts: Facts) -> None:
        """Learn which tokens are values of one code, and start at the log-odds of each outcome."""
        self.amounts = facts.target == VALUE_TARGET
        self.value_of_token.copy_(value_of_token(facts.code_of_token))
        if not self.amounts:
            self.bias.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, object]:
        """Choose the penalty on a part of the training split by the tuning loss, then fit on all of it."""
        x, y = count_matrix(train, self._layout)
        x_tuning, y_tuning = count_matrix(tuning, self._layout)
        self.kept.keep(filled(x))
        x, x_tuning = self.kept.narrow(x), self.kept.narrow(x_tuning)
        penalty = self._choose(x, y, x_tuning, y_tuning, seed)
        whole = self._problem(x, y)
        beta = self._null(whole)
        if penalty is not None:
            beta = solve(whole, penalty, beta, iterations=self.config.iterations, tolerance=TOLERANCE)
        self.weight = nn.Buffer(beta[:-1].contiguous())
        self.bias.copy_(beta[-1])
        share = float((self.weight != 0).float().mean())
        found: dict[str, object] = {"share_of_weights_not_0": round(share, 4)}
        return found if penalty is None else found | {"strength": penalty.l2, "sparsity": penalty.l1}

    def forward(self, batch: Batch) -> Output:
        """Return the logits of the features."""
        found = self.kept.narrow_rows(rows(batch, self._layout))
        logits = nn.functional.embedding_bag(
            found.columns,
            self.weight,
            found.offsets,
            mode="sum",
            per_sample_weights=found.values,
            include_last_offset=True,
        )
        return Output(logits=logits + self.bias)

    @property
    def _layout(self) -> Layout:
        return Layout(
            windows=self.config.windows, decays=self.config.decays, value_of_token=self.value_of_token
        )

    def _choose(
        self, x: csr_array, y: Tensor, x_tuning: csr_array, y_tuning: Tensor, seed: int
    ) -> Penalty | None:
        """Return the penalty of the lowest tuning loss; None where weights of 0 are better than all others."""
        n_samples = max(CHOOSING_SAMPLES, CHOOSING_PAIRS // y.shape[1])
        some = np.sort(np.random.default_rng(seed).permutation(x.shape[0])[:n_samples])
        outcomes = _spread(y, max(1, CHOOSING_PAIRS // len(some)))
        choosing = self._problem(x[some], y[torch.from_numpy(some)][:, outcomes])
        tuned = self._problem(x_tuning, y_tuning[:, outcomes])
        chosen, null = None, self._null(choosing)
        best = tuned.mean_loss(null)
        for path in self._paths():
            beta, before = null, torch.inf
            for penalty in track(path, "choosing the penalty of logistic_counts"):
                beta = solve(
                    choosing, penalty, beta, iterations=self.config.iterations // 2, tolerance=TOLERANCE
                )
                loss = tuned.mean_loss(beta)
                if loss < best:
                    best, chosen = loss, penalty
                if loss > before:
                    break  # weaker penalties overfit more
                before = loss
        return chosen

    def _paths(self) -> list[list[Penalty]]:
        """Return the penalties by kind, from the strongest on: each solution is a start for the next."""
        ridges = [Penalty(l2=one) for one in sorted(self.config.strengths, reverse=True)]
        sparse = sorted(self.config.sparsities, reverse=True)
        return [ridges, [Penalty(l2=self.config.ridge, l1=one) for one in sparse]]

    def _null(self, problem: Problem) -> Tensor:
        """Return weights of 0 and the intercepts that are best alone."""
        return torch.cat([torch.zeros(len(self.kept), problem.y.shape[1]), intercepts(problem)[None]])

    def _problem(self, x: csr_array, y: Tensor) -> Problem:
        return Problem(x=Matrix(x), y=y, amounts=self.amounts)


def _spread(y: Float[Tensor, "sample outcome"], n: int) -> Int64[Tensor, " chosen"]:
    """Return up to `n` outcomes, spread evenly from the most frequent to the rarest."""
    by_frequency = torch.argsort(y.nansum(0), descending=True, stable=True)
    return by_frequency[torch.linspace(0, len(by_frequency) - 1, min(n, len(by_frequency))).long()]
