"""Shares of subjects: which one a subject is in is a hash of its id and a seed, so that it stays when the data grow."""

from collections.abc import Mapping
from typing import Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from attending.config import Settings
from attending.engine.shuffle import uniform
from attending.schema import SPLIT, SPLITS

_SALT = 0x5B117


class Shares(Settings):
    """The shares of subjects in each split; which one a subject is in depends on its id and the seed alone."""

    train: float = Field(default=0.7, ge=0)
    tuning: float = Field(default=0.1, ge=0)
    held_out: float = Field(default=0.2, ge=0)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = self.train + self.tuning + self.held_out
        if abs(total - 1) > 1e-6:
            raise ValueError(f"expected shares that add up to 1, got {total:g}")
        return self


def split_of(ids: pl.Series, shares: Mapping[str, float], seed: int) -> pl.Series:
    """Return the split of each subject, a pure function of its id and the seed."""
    place = uniform(ids.to_numpy(), _SALT + seed)
    bounds = np.cumsum([shares[split] for split in SPLITS[:-1]])
    names = np.array(SPLITS)[np.searchsorted(bounds, place, side="right")]
    return pl.Series(SPLIT, names.tolist(), pl.String)


def fold_of(ids: pl.Series, n_folds: int, seed: int) -> pl.Series:
    """Return the fold of each subject, from 0, a pure function of its id and the seed."""
    place = uniform(ids.to_numpy(), _SALT + seed)
    return pl.Series("fold", np.minimum((place * n_folds).astype(np.int64), n_folds - 1))
