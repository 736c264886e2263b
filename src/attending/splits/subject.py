"""By subject: a hash of the id and the seed, so that a subject keeps its split when the data grow.

Splits that a data set brings along are kept, unless `published: false`.
"""

import polars as pl

from attending.schema import SPLIT, SUBJECT_ID
from attending.shares import Shares, split_of


class Config(Shares):
    """Settings: the shares of subjects, and whether splits that the data bring are kept.

    seed    of the hash; the study's own where none is given
    """

    published: bool = True
    seed: int | None = None


def columns(config: Config) -> tuple[str, ...]:
    """Return the columns of events that are read."""
    return (SUBJECT_ID,)


def traits(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return the subjects of a shard; nothing more of them is needed."""
    return events.select(SUBJECT_ID).unique()


def assign(traits: pl.DataFrame, config: Config, seed: int) -> pl.Series:
    """Return the split of each subject."""
    drawn = split_of(traits[SUBJECT_ID], config.to_dict(), seed)
    return traits[SPLIT].fill_null(drawn) if config.published else drawn
