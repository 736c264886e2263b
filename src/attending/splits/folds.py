"""In k folds: one of them is held out, and a share of the others is for tuning.

Run a study once for each fold (`split.fold=0`, `1`, …): every subject is held out exactly once.
"""

from typing import Self

import polars as pl
from pydantic import Field, model_validator

from attending.config import Settings
from attending.schema import HELD_OUT, SPLIT, SUBJECT_ID, TRAIN, TUNING
from attending.shares import fold_of, split_of

_OTHER = 0xF01D  # so that tuning does not follow from the fold


class Config(Settings):
    """Settings: how many folds, which of them is held out, and the share of the others that is for tuning."""

    folds: int = Field(default=5, ge=2)
    fold: int = Field(default=0, ge=0)
    tuning: float = Field(default=0.125, ge=0, lt=1)
    seed: int | None = None

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(f"expected a fold from 0 to {self.folds - 1}; got {self.fold}")
        return self


def columns(config: Config) -> tuple[str, ...]:
    """Return the columns of events that are read."""
    return (SUBJECT_ID,)


def traits(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return the subjects of a shard; nothing more of them is needed."""
    return events.select(SUBJECT_ID).unique()


def assign(traits: pl.DataFrame, config: Config, seed: int) -> pl.Series:
    """Return the split of each subject."""
    held_out = fold_of(traits[SUBJECT_ID], config.folds, seed) == config.fold
    shares = {TRAIN: 1 - config.tuning, TUNING: config.tuning, HELD_OUT: 0.0}
    others = split_of(traits[SUBJECT_ID], shares, seed + _OTHER)
    return others.zip_with(~held_out, pl.Series(SPLIT, [HELD_OUT])).rename(SPLIT)
