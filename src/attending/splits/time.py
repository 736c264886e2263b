"""By time: train on the past, test on the future.

A subject whose whole record ends before `tuning_from` is for training; one whose record begins at or after
`held_out_from` is held out; one in between is for tuning. A record that straddles a boundary would show the model the
future of others, so its subject is left out; `straddling: by_start` keeps it where its first event falls.

Trap: data sets whose dates are shifted for each patient (MIMIC) have no common time. Use their own groups of years.
"""

from datetime import datetime
from typing import Literal, Self

import polars as pl
from pydantic import model_validator

from attending.config import Settings
from attending.schema import BIRTH, CODE, HELD_OUT, SPLIT, SUBJECT_ID, TIME, TRAIN, TUNING

FIRST, LAST = "first_time", "last_time"


class Config(Settings):
    """Settings: from when on subjects are for tuning, and from when on they are held out (UTC)."""

    tuning_from: datetime = datetime(2017, 1, 1)
    held_out_from: datetime = datetime(2018, 1, 1)
    straddling: Literal["left_out", "by_start"] = "left_out"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.tuning_from > self.held_out_from:
            raise ValueError("expected tuning_from at or before held_out_from")
        return self


def columns(config: Config) -> tuple[str, ...]:
    """Return the columns of events that are read."""
    return (SUBJECT_ID, TIME, CODE)


def traits(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return when each subject's record begins and ends; a birth is no part of it."""
    begun = pl.col(TIME).filter(pl.col(CODE) != BIRTH)
    return events.group_by(SUBJECT_ID).agg(begun.min().alias(FIRST), begun.max().alias(LAST))


def assign(traits: pl.DataFrame, config: Config, seed: int) -> pl.Series:
    """Return the split of each subject; null where its record straddles a boundary, or has no date."""
    first, last = pl.col(FIRST), pl.col(LAST)
    by_start = (
        pl.when(first >= config.held_out_from)
        .then(pl.lit(HELD_OUT))
        .when(first >= config.tuning_from)
        .then(pl.lit(TUNING))
        .when(first.is_not_null())
        .then(pl.lit(TRAIN))
    )
    straddles = (first < config.tuning_from) & (last >= config.tuning_from)
    straddles |= (first < config.held_out_from) & (last >= config.held_out_from)
    chosen = by_start if config.straddling == "by_start" else pl.when(~straddles).then(by_start)
    return traits.select(chosen.alias(SPLIT)).to_series()
