"""Events → splits: which subjects train, tune, and are held out."""

from functools import partial
from pathlib import Path

import polars as pl

from attending import parquet, registry
from attending.artifact import Manifest, Recipe, is_current, read_manifest, writing
from attending.config import Component, Settings
from attending.engine.local import Engine
from attending.errors import TaskError
from attending.schema import SPLIT, SPLITS, SUBJECT_ID, SUBJECT_SPLITS

KIND = "splits"
SPLITS_FILE = "subject_splits.parquet"
LEFT_OUT = "left_out"
PUBLISHED = "published_splits"


def split(events: Path, out: Path, *, by: Component, engine: Engine, seed: int = 0) -> Manifest:
    """Divide the subjects of `events` and write the split file of MEDS; who is left out stands in no split.

    Raises:
        TaskError: if no subject is left to train on, or none is held out.
    """
    config = by.config("splits")
    parent = read_manifest(events, "events")
    own = getattr(config, "seed", None)
    recipe = Recipe(
        kind=KIND,
        config={"split": {"name": by.name} | config.to_dict()},
        parents={"events": parent.fingerprint},
        seed=seed if own is None else own,
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        shards = sorted((events / "data").glob("*.parquet"))
        found = engine.map(partial(_traits, name=by.name, config=config), shards, "splitting")
        traits = pl.concat(found).join(_published(events, parent), on=SUBJECT_ID, how="left").sort(SUBJECT_ID)
        try:
            assigned = registry.load("splits", by.name).assign(traits, config, recipe.seed)
        except ValueError as error:
            raise TaskError(f"the split '{by.name}': {error}") from None
        splits = traits.select(SUBJECT_ID).with_columns(assigned.alias(SPLIT)).drop_nulls()
        writer.counts = {name: int((splits[SPLIT] == name).sum()) for name in SPLITS}
        writer.counts[LEFT_OUT] = traits.height - splits.height
        empty = [name for name in SPLITS if not writer.counts[name]]
        if empty:
            raise TaskError(
                f"the split '{by.name}' leaves nobody in {', '.join(empty)}, of {traits.height} subjects: "
                "change its settings, or use more data"
            )
        parquet.write(writer.path / SPLITS_FILE, SUBJECT_SPLITS.check(splits, "the splits"))
    return read_manifest(out, KIND)


def splits_file(folder: Path) -> Path:
    """Return the split file of a splits artifact, or the one that stands beside events."""
    file = folder / SPLITS_FILE
    return file if file.exists() else folder / "metadata" / SPLITS_FILE


def read_splits(folder: Path) -> pl.DataFrame:
    """Read which split each subject is in, from a splits artifact or beside events."""
    return pl.read_parquet(splits_file(folder))


def splits_parent(splits: Path | None) -> dict[str, str]:
    """Return the splits artifact as the parent of another, none where the events' own splits are used."""
    return {} if splits is None else {"splits": read_manifest(splits, KIND).fingerprint}


def _traits(shard: Path, *, name: str, config: Settings) -> pl.DataFrame:
    module = registry.load("splits", name)
    columns = module.columns(config) if hasattr(module, "columns") else None
    found: pl.DataFrame = module.traits(parquet.read(shard, columns), config)
    return found


def _published(events: Path, manifest: Manifest) -> pl.DataFrame:
    """Return the splits that the data brought along, none where they brought none."""
    own = read_splits(events)
    return own if manifest.counts.get(PUBLISHED) else own.clear()
