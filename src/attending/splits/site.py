"""By site: whole hospitals are held out.

A subject's sites are the codes below `prefix` in its record, such as `HOSPITAL//73`. A subject of a held-out site is
held out, one of a tuning site is for tuning, all others train, of whom a share may be drawn for tuning. A subject seen
on both sides is left out, and so is one without a site. Leave-one-site-out is one run a site: `split.held_out=[73]`.
"""

import polars as pl
from pydantic import Field

from attending.config import Settings
from attending.schema import CODE, HELD_OUT, SEPARATOR, SPLIT, SUBJECT_ID, TRAIN, TUNING
from attending.shares import split_of

SITES = "sites"


class Config(Settings):
    """Settings: which codes name a site, which sites are held out or tuned on, how many of the rest are tuned on."""

    prefix: str = "HOSPITAL"
    held_out: tuple[str, ...] = ()
    tuning: tuple[str, ...] = ()
    tuning_share: float = Field(default=0.125, ge=0, lt=1)
    seed: int | None = None


def columns(config: Config) -> tuple[str, ...]:
    """Return the columns of events that are read."""
    return (SUBJECT_ID, CODE)


def traits(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return the sites of each subject."""
    start = config.prefix + SEPARATOR
    site = pl.col(CODE).str.strip_prefix(start)
    named = (
        events.filter(pl.col(CODE).str.starts_with(start))
        .group_by(SUBJECT_ID)
        .agg(site.unique().alias(SITES))
    )
    return events.select(SUBJECT_ID).unique().join(named, on=SUBJECT_ID, how="left")


def assign(traits: pl.DataFrame, config: Config, seed: int) -> pl.Series:
    """Return the split of each subject; null where it has no site, or sites on both sides.

    Raises:
        ValueError: if a site that is to be held out or tuned on has no subject.
    """
    present = set(traits[SITES].drop_nulls().explode().to_list())
    absent = [site for site in (*config.held_out, *config.tuning) if str(site) not in present]
    if absent or not config.held_out:
        some = ", ".join(sorted(present)[:10])
        raise ValueError(
            f"expected sites below '{config.prefix}{SEPARATOR}' to hold out; got {', '.join(absent) or 'none'}, "
            f"and the data have {len(present)}: {some}{' …' if len(present) > 10 else ''}"
        )
    tuned = 0.0 if config.tuning else config.tuning_share
    drawn = split_of(traits[SUBJECT_ID], {TRAIN: 1 - tuned, TUNING: tuned, HELD_OUT: 0.0}, seed)
    sides = pl.col(SITES).list.eval(
        pl.when(pl.element().is_in(config.held_out))
        .then(pl.lit(HELD_OUT))
        .when(pl.element().is_in(config.tuning))
        .then(pl.lit(TUNING))
        .otherwise(pl.lit(TRAIN))
    )
    side = pl.when(sides.list.n_unique() == 1).then(sides.list.first())
    chosen = pl.when(side == TRAIN).then(drawn).otherwise(side)
    return traits.select(chosen.alias(SPLIT)).to_series()
