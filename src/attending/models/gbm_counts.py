"""Gradient-boosted trees (LightGBM) on counts of all codes in several windows: the other baseline to fear.

One booster an outcome on `nn.counts.count_features`, binned once a thread for all its outcomes; the number of trees
is chosen on the tuning split. Boosters are kept as text inside the weights file, so nothing but tensors is stored.
An outcome with fewer than `min_positives` training samples keeps its prevalence.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import lightgbm
import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from attending.batch import Batch, Facts, Output
from attending.nn import interface
from attending.nn.counts import WINDOWS_DAYS, count_features, count_matrix
from attending.progress import track


class Config(interface.ModelConfig):
    """Settings of the trees; `min_positives` training samples are needed to grow any."""

    windows: tuple[float, ...] = WINDOWS_DAYS
    n_trees: int = 100
    n_leaves: int = 15
    learning_rate: float = 0.1
    min_leaf: int = 20
    feature_fraction: float = 0.3
    min_positives: int = 20
    patience: int = 10


EXAMPLE = Config(
    n_tokens=40, n_outcomes=5, n_trees=30, min_leaf=1, min_positives=1, n_leaves=7, feature_fraction=1.0
)


class Model(interface.Model):
    """One booster an outcome."""

    fits = True
    differentiable = False

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.prior = nn.Buffer(torch.zeros(config.n_outcomes))
        self.text = nn.Buffer(torch.zeros(0, dtype=torch.uint8))
        self.text_offsets = nn.Buffer(torch.zeros(config.n_outcomes + 1, dtype=torch.int64))
        self._boosters: list[lightgbm.Booster | None] | None = None

    def use(self, facts: Facts) -> None:
        """Start from the prevalence of each outcome."""
        self.prior.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, object]:
        """Grow one booster an outcome, stopping when the tuning loss stops falling."""
        x, labels = count_matrix(train, self.config.n_tokens, self.config.windows)
        x_tuning, tuning_labels = count_matrix(tuning, self.config.n_tokens, self.config.windows)
        y, y_tuning = np.ascontiguousarray(labels.T), np.ascontiguousarray(tuning_labels.T)
        settings, n_threads = self._settings(seed), torch.get_num_threads()

        def grow(mine: Sequence[int]) -> list[bytes]:
            """Grow the boosters of some outcomes on one binned copy of the data, in one thread."""
            binned = lightgbm.Dataset(csr_matrix(x), label=y[0], params=settings, free_raw_data=False)
            tuned = lightgbm.Dataset(
                csr_matrix(x_tuning),
                label=y_tuning[0],
                reference=binned,
                params=settings,
                free_raw_data=False,
            )
            return [
                self._grow(binned.set_label(y[outcome]), tuned.set_label(y_tuning[outcome]), settings)
                if self.config.min_positives <= y[outcome].sum() < len(y[outcome])
                else b""
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
        return {"boosters": sum(bool(text) for text in texts)}

    def forward(self, batch: Batch) -> Output:
        """Return the boosters' raw scores, which are logits."""
        if self._boosters is None:
            self._boosters = self._read()
        features = csr_matrix(count_features(batch, self.config.n_tokens, self.config.windows).numpy())
        logits = self.prior.expand(batch.n_subjects, -1).clone()
        for outcome, booster in enumerate(self._boosters):
            if booster is not None and batch.n_subjects:
                logits[:, outcome] = torch.from_numpy(
                    booster.predict(features, raw_score=True, num_threads=1)
                ).float()
        return Output(logits=logits)

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *rest: object) -> None:
        """Make room for text of any length before it is copied in."""
        self.text = nn.Buffer(torch.zeros_like(state_dict[f"{prefix}text"]))
        self._boosters = None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _read(self) -> list["lightgbm.Booster | None"]:
        text, offsets = self.text.numpy().tobytes(), self.text_offsets.tolist()
        parts = [text[first:end] for first, end in pairwise(offsets)]
        return [lightgbm.Booster(model_str=part.decode()) if part else None for part in parts]

    def _grow(
        self, train: lightgbm.Dataset, tuning: lightgbm.Dataset, parameters: dict[str, object]
    ) -> bytes:
        stop = lightgbm.early_stopping(self.config.patience, verbose=False)
        booster = lightgbm.train(
            parameters, train, self.config.n_trees, valid_sets=[tuning], callbacks=[stop]
        )
        text: str = booster.model_to_string(num_iteration=booster.best_iteration or -1)
        return text.encode()

    def _settings(self, seed: int) -> dict[str, object]:
        return {
            "objective": "binary",
            "num_leaves": self.config.n_leaves,
            "learning_rate": self.config.learning_rate,
            "min_data_in_leaf": self.config.min_leaf,
            "feature_fraction": self.config.feature_fraction,
            "max_bin": 31,  # counts are small
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
