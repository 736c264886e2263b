"""Several ways at once: held out are those whom every part holds out, as the future of another hospital.

Whom one part holds out and another does not is left out, so nothing that is held out anywhere is trained on. Of the
rest, those whom any part tunes on are for tuning, and the others train.
"""

from types import ModuleType

import polars as pl

from attending import registry
from attending.config import Component, Settings, build
from attending.schema import HELD_OUT, SPLIT, SUBJECT_ID, TRAIN, TUNING

NAME = "name"


class Config(Settings):
    """Settings: the parts, each a split by name with its settings."""

    parts: tuple[Component, ...] = (Component(name="time"), Component(name="subject"))


def traits(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return what each part wants to know of the subjects, in columns of its own."""
    found = events.select(SUBJECT_ID).unique()
    for number, part in enumerate(config.parts):
        module, settings = _part(part)
        own = module.traits(events, settings)
        own = own.rename({name: f"{number}.{name}" for name in own.columns if name != SUBJECT_ID})
        found = found.join(own, on=SUBJECT_ID, how="left")
    return found


def assign(traits: pl.DataFrame, config: Config, seed: int) -> pl.Series:
    """Return the split that the parts agree on; null where some hold a subject out, and some do not."""
    parts = []
    for number, part in enumerate(config.parts):
        module, settings = _part(part)
        mark = f"{number}."
        mine = {name: name.removeprefix(mark) for name in traits.columns if name.startswith(mark)}
        own = traits.select(SUBJECT_ID, SPLIT, *mine).rename(mine)
        of_part = getattr(settings, "seed", None)
        parts.append(
            module.assign(own, settings, seed if of_part is None else of_part).alias(f"part {number}")
        )
    votes = pl.DataFrame(parts)
    names = votes.columns
    chosen = (
        pl.when(pl.any_horizontal(pl.col(names).is_null()))
        .then(None)
        .when(pl.all_horizontal(pl.col(names) == HELD_OUT))
        .then(pl.lit(HELD_OUT))
        .when(pl.any_horizontal(pl.col(names) == HELD_OUT))
        .then(None)
        .when(pl.any_horizontal(pl.col(names) == TUNING))
        .then(pl.lit(TUNING))
        .otherwise(pl.lit(TRAIN))
    )
    return votes.select(chosen.alias(SPLIT)).to_series()


def _part(part: Component) -> tuple[ModuleType, Settings]:
    module = registry.load("splits", part.name)
    return module, build(module.Config, part.settings, where=f"split.parts, {part.name}")
