"""Gradient-boosted trees (LightGBM) on counts, recency and values of all codes: the other baseline to fear.

One booster an outcome on those of `nn.counts.features` that go with it most in the training split: the others cost
time and bring little (docs/log.md). Leaves, the smallest leaf and the learning rate are chosen on the tuning split, one
after another, by the outcomes that most training samples have; the number of trees by every outcome for itself. Values
are raised above 0, so that a tree can tell the median from no value. Boosters are kept as text inside the weights file,
so nothing but tensors is stored. An outcome with fewer than `min_positives` training samples keeps its prevalence.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array, csc_matrix, csr_array, csr_matrix
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.config import Positive
from attending.nn import interface
from attending.nn.counts.features import Layout, rows, value_of_token
from attending.nn.counts.matrix import Kept, count_matrix, filled, raise_values
from attending.nn.losses import VALUE_TARGET
from attending.progress import track

CHOOSING_SAMPLES = 10_000  # settings are chosen on so many training samples
Labels = NDArray[np.float32]


class Config(interface.ModelConfig):
    """Settings of the trees.

    n_leaves, min_leaf, learning_rate   to choose from, on `choosing_outcomes` outcomes
    n_columns                           features that an outcome's trees may use
    n_trees, patience                   at most so many trees; so many without a lower tuning loss end it
    min_positives                       training samples that have an outcome, needed to grow any tree for it
    """

    windows: tuple[float, ...] = (30.0, 365.0, 36_525.0)
    decays: tuple[float, ...] = (180.0,)
    n_columns: Positive = 1500
    n_trees: Positive = 200
    n_leaves: tuple[int, ...] = (15, 7)
    min_leaf: tuple[int, ...] = (20, 80)
    learning_rate: tuple[float, ...] = (0.1,)
    choosing_outcomes: Positive = 3
    feature_fraction: float = 0.3
    min_positives: Positive = 20
    patience: Positive = 10


EXAMPLE = Config(
    n_tokens=40,
    n_outcomes=5,
    n_trees=30,
    min_leaf=(1,),
    min_positives=1,
    n_leaves=(7,),
    learning_rate=(0.1,),
    feature_fraction=1.0,
)


@dataclass(frozen=True)
class Trees:
    """What is chosen for all outcomes."""

    n_leaves: int
    min_leaf: int
    learning_rate: float


class Model(interface.Model):
    """One booster an outcome."""

    fits = True
    differentiable = False
    sized = ("text",)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.amounts = False
        self.value_of_token = nn.Buffer(torch.full((config.n_tokens,), -1))
        self.kept = Kept()
        self.prior = nn.Buffer(torch.zeros(config.n_outcomes))
        self.text = nn.Buffer(torch.zeros(0, dtype=torch.uint8))
        self.text_offsets = nn.Buffer(torch.zeros(config.n_outcomes + 1, dtype=torch.int64))
        self._boosters: list[lightgbm.Booster | None] | None = None

    def use(self, facts: Facts) -> None:
        """Learn which tokens are values of one code, and start from the prevalence of each outcome."""
        self.amounts = facts.target == VALUE_TARGET
        self.value_of_token.copy_(value_of_token(facts.code_of_token))
        if not self.amounts:
            self.prior.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, object]:
        """Choose the settings, then grow one booster an outcome, stopping when the tuning loss stops falling."""
        x, labels = count_matrix(train, self._layout, raised=True)
        x_tuning, tuning_labels = count_matrix(tuning, self._layout, raised=True)
        self.kept.keep(filled(x))
        x, x_tuning = self.kept.narrow(x), self.kept.narrow(x_tuning)
        y, y_tuning = labels.T.contiguous().numpy(), tuning_labels.T.contiguous().numpy()
        if self.amounts:
            self.prior.copy_(torch.nan_to_num(labels.nanmean(0)))
        trees = self._choose(x, y, x_tuning, y_tuning, seed)
        n_threads = torch.get_num_threads()

        def grow(mine: Sequence[int]) -> list[bytes]:
            """Grow the boosters of some outcomes in one thread."""
            grower = Grower(x, x_tuning, self._settings(trees, seed), self.config)
            return [
                grower.grow(y[outcome], y_tuning[outcome])[1] if self._enough(y[outcome]) else b""
                for outcome in (track(mine, "growing gbm_counts") if 0 in mine else mine)
            ]

        with ThreadPoolExecutor(n_threads) as pool:
            shares = list(pool.map(grow, [range(first, len(y), n_threads) for first in range(n_threads)]))
        texts = [shares[outcome % n_threads][outcome // n_threads] for outcome in range(len(y))]
        self.text = nn.Buffer(
            torch.frombuffer(bytearray(b"".join(texts) or b"\0"), dtype=torch.uint8).clone()
        )
        self.text_offsets.copy_(torch.tensor([0, *np.cumsum([len(text) for text in texts])]))
        self._boosters = None
        return {"boosters": sum(bool(text) for text in texts)} | asdict(trees)

    def forward(self, batch: Batch) -> Output:
        """Return the boosters' raw scores, which are logits."""
        if self._boosters is None:
            self._boosters = self._read()
        logits = self.prior.expand(batch.n_subjects, -1).clone()
        if not batch.n_subjects or not any(self._boosters):
            return Output(logits=logits)
        found = self.kept.narrow_rows(raise_values(rows(batch, self._layout), self._layout))
        parts = (found.values.numpy(), found.columns.numpy(), found.offsets.numpy())
        features = csr_matrix(parts, shape=(batch.n_subjects, len(self.kept)))
        for outcome, booster in enumerate(self._boosters):
            if booster is not None:
                scores = booster.predict(features, raw_score=True, num_threads=1)
                logits[:, outcome] = torch.from_numpy(scores).float()
        return Output(logits=logits)

    @property
    def _layout(self) -> Layout:
        return Layout(
            windows=self.config.windows, decays=self.config.decays, value_of_token=self.value_of_token
        )

    def _choose(self, x: csr_array, y: Labels, x_tuning: csr_array, y_tuning: Labels, seed: int) -> Trees:
        """Choose one setting after another by the tuning loss of the most frequent outcomes."""
        found = Trees(self.config.n_leaves[0], self.config.min_leaf[0], self.config.learning_rate[0])
        frequent = np.argsort(-np.nansum(y, axis=1), kind="stable")[: self.config.choosing_outcomes]
        chosen = [outcome for outcome in frequent if self._enough(y[outcome])]
        options = [(name, value) for name in asdict(found) for value in getattr(self.config, name)[1:]]
        if not options or not chosen:
            return found
        some = np.sort(np.random.default_rng(seed).permutation(x.shape[0])[:CHOOSING_SAMPLES])
        part = x[some]

        def tuning_loss(trees: Trees) -> float:
            grower = Grower(part, x_tuning, self._settings(trees, seed), self.config)
            return sum(grower.grow(y[outcome][some], y_tuning[outcome])[0] for outcome in chosen)

        best = tuning_loss(found)
        for name, value in track(options, "choosing the settings of gbm_counts"):
            trees = replace(found, **{name: value})
            if (reached := tuning_loss(trees)) < best:
                best, found = reached, trees
        return found

    def _enough(self, y: NDArray[np.float32]) -> bool:
        known = y[~np.isnan(y)]
        if self.amounts:
            return len(known) >= self.config.min_positives
        return bool(self.config.min_positives <= known.sum() < len(known))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Forget the trees that were read before."""
        self._boosters = None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _read(self) -> list["lightgbm.Booster | None"]:
        text, offsets = self.text.numpy().tobytes(), self.text_offsets.tolist()
        parts = [text[first:end] for first, end in pairwise(offsets)]
        return [lightgbm.Booster(model_str=part.decode()) if part else None for part in parts]

    def _settings(self, trees: Trees, seed: int) -> dict[str, object]:
        return {
            "objective": "regression" if self.amounts else "binary",
            "num_leaves": trees.n_leaves,
            "learning_rate": trees.learning_rate,
            "min_data_in_leaf": trees.min_leaf,
            "feature_fraction": self.config.feature_fraction,
            "max_bin": 31,  # counts are small
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }


class Grower:
    """Grows boosters, each on the columns that go with its outcome most."""

    def __init__(
        self, x: csr_array, x_tuning: csr_array, parameters: dict[str, object], config: Config
    ) -> None:
        self.parameters, self.config = parameters, config
        self.x, self.x_tuning = x.tocsc(), x_tuning.tocsc()
        n = max(1, x.shape[0])
        self.spread = np.sqrt(np.maximum((x * x).sum(0) - np.asarray(x.sum(0)) ** 2 / n, 1e-6))

    def grow(self, y: Labels, y_tuning: Labels) -> tuple[float, bytes]:
        """Grow the booster of one outcome; return its tuning loss and its text."""
        columns = self._chosen(y)
        train = self._dataset(self.x, columns, y, None)
        tuning = self._dataset(self.x_tuning, columns, y_tuning, train)
        stop = lightgbm.early_stopping(self.config.patience, verbose=False)
        booster = lightgbm.train(
            self.parameters, train, self.config.n_trees, valid_sets=[tuning], callbacks=[stop]
        )
        loss = next(iter(booster.best_score["valid_0"].values()))
        text: str = booster.model_to_string(num_iteration=booster.best_iteration or -1)
        return float(loss), text.encode()

    def _chosen(self, y: Labels) -> NDArray[np.bool_]:
        """Return which columns are correlated most with an outcome."""
        off = np.nan_to_num(y - np.nanmean(y))
        order = np.argsort(-np.abs(off @ self.x) / self.spread, kind="stable")
        chosen = np.zeros(self.x.shape[1], dtype=np.bool_)
        chosen[order[: self.config.n_columns]] = True
        return chosen

    def _dataset(
        self, x: csc_array, columns: NDArray[np.bool_], y: Labels, reference: lightgbm.Dataset | None
    ) -> lightgbm.Dataset:
        """Bin the chosen columns; the others stand empty, where they cost nothing."""
        inside = np.repeat(columns, np.diff(x.indptr))
        offsets = np.concatenate([[0], np.cumsum(np.diff(x.indptr) * columns)]).astype(x.indptr.dtype)
        return lightgbm.Dataset(
            csc_matrix((x.data[inside], x.indices[inside], offsets), shape=x.shape),
            label=np.nan_to_num(y),
            weight=(~np.isnan(y)).astype(np.float32),  # what is not known weighs nothing
            reference=reference,
            params=self.parameters,
        )
