"""Regression on counts, recency and values of all codes: the baseline that published studies fear.

One elastic net an outcome on `nn.counts.features` (logistic; least squares where a number is predicted), all outcomes
solved together. How strongly weights are held at zero, by their squares and by their size, is chosen on the tuning
split, in common for all outcomes. Features are not scaled to unit spread: that would let rare codes, which have little
evidence, weigh as much as common ones (docs/log.md).
"""

from collections.abc import Iterable

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.nn import interface
from attending.nn.counts.features import Layout, rows, value_of_token
from attending.nn.counts.matrix import Kept, count_matrix, filled
from attending.nn.counts.regression import Matrix, Penalty, Problem, intercepts, predict, solve
from attending.nn.losses import VALUE_TARGET
from attending.progress import track

CHOOSING_SAMPLES = 8_000  # the penalty is chosen on so many training samples, …
CHOOSING_PAIRS = 100_000  # … or on as many as have so many pairs of sample and outcome


class Config(interface.ModelConfig):
    """Settings: windows and decays in days, and the penalties to choose from, for a loss per sample.

    strengths    penalties on squared weights alone …
    sparsities   … and on the size of weights, each beside the penalty `ridge` on squared ones
    """

    windows: tuple[float, ...] = (30.0, 365.0, 36_525.0)  # a month, a year, a century (everything)
    decays: tuple[float, ...] = (30.0, 180.0, 1000.0)
    strengths: tuple[float, ...] = (3e-2, 3e-3)
    sparsities: tuple[float, ...] = (3e-3, 1e-3, 3e-4)
    ridge: float = 1e-4
    iterations: int = 60


EXAMPLE = Config(n_tokens=40, n_outcomes=5, strengths=(1e-5,), sparsities=())


class Model(interface.Model):
    """Linear in log counts and in values, so any gradient method explains it exactly."""

    fits = True

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
        n_choosing = max(CHOOSING_SAMPLES, CHOOSING_PAIRS // y.shape[1])
        some = np.random.default_rng(seed).permutation(x.shape[0])[:n_choosing]
        tuned = self._problem(x_tuning, y_tuning)
        best, penalty, start = torch.inf, Penalty(l2=0.0), torch.zeros(0)
        choosing = self._problem(x[some], y[torch.from_numpy(some)])
        beta = first = torch.cat([torch.zeros(len(self.kept), y.shape[1]), intercepts(choosing)[None]])
        for one in track(self._penalties(), "choosing the penalty of logistic_counts"):
            if one.l1 == max(self.config.sparsities, default=0):
                beta = first  # from the sparsest on, each solution is a warm start for the next
            beta = solve(choosing, one, beta, iterations=self.config.iterations // 2)
            loss = float(tuned.losses(predict(tuned.x, beta)).nanmean())
            if loss < best:
                best, penalty, start = loss, one, beta
        beta = solve(self._problem(x, y), penalty, start, iterations=self.config.iterations)
        self.weight = nn.Buffer(beta[:-1].contiguous())
        self.bias.copy_(beta[-1])
        share = float((self.weight != 0).float().mean())
        return {"strength": penalty.l2, "sparsity": penalty.l1, "share_of_weights_not_0": round(share, 4)}

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

    def _penalties(self) -> list[Penalty]:
        ridges = [Penalty(l2=one) for one in sorted(self.config.strengths, reverse=True)]
        sparse = sorted(self.config.sparsities, reverse=True)
        return ridges + [Penalty(l2=self.config.ridge, l1=one) for one in sparse]

    def _problem(self, x: csr_array, y: Tensor) -> Problem:
        return Problem(x=Matrix(x), y=y, amounts=self.amounts)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Make room for any number of weights before they are copied in."""
        self.weight = nn.Buffer(torch.zeros_like(state_dict[f"{prefix}weight"]))
        super()._load_from_state_dict(state_dict, prefix, *rest)
