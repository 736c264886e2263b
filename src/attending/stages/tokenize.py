"""Events → vocabulary and token store."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from attending import parquet
from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_atomic, writing
from attending.engine.local import Engine
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    NUMERIC_VALUE,
    PARENT_CODES,
    SPLIT,
    SUBJECT_ID,
    TIME,
    TRAIN,
    VISIT_ID,
)
from attending.stages.split import read_splits, splits_parent
from attending.tokens import concepts
from attending.tokens.store import encode_shard, join_shards
from attending.tokens.vocabulary import Config, Counts, Vocabulary, build, count

KIND = "tokens"
CODES_FILE = Path("metadata", "codes.parquet")
VOCABULARY = "vocabulary"
VOCABULARY_FILE = "vocabulary.parquet"


def tokenize(
    events: Path,
    out: Path,
    *,
    config: Config,
    engine: Engine,
    splits: Path | None = None,
    vocabulary: Path | None = None,
) -> Manifest:
    """Fit the vocabulary on the training split and write every subject's history as tokens.

    `vocabulary` is another tokens artifact, whose vocabulary is then taken as it is: models that know it can read
    these histories.
    """
    parents = {"events": read_manifest(events, "events").fingerprint} | splits_parent(splits)
    if vocabulary is not None:
        parents[VOCABULARY] = read_manifest(vocabulary, KIND).fingerprint
    recipe = Recipe(kind=KIND, config=config.to_dict(), parents=parents)
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    shards = sorted((events / "data").glob("*.parquet"))
    with writing(out, recipe) as writer:
        if vocabulary is None:
            count_shard = partial(_count, splits=splits or events, config=config)
            counts = engine.map(count_shard, shards, "counting codes")
            known = build(counts, config, _descriptions(events))
            above = concepts.concepts(
                known.table, pl.read_parquet(events / CODES_FILE, columns=[CODE, PARENT_CODES])
            )
        else:
            known = read_vocabulary(vocabulary)
            above = concepts.read(vocabulary)
        write_atomic(writer.path / VOCABULARY_FILE, known.table.write_parquet)
        write_atomic(writer.path / concepts.FILE, above.write_parquet)
        work = partial(
            _encode,
            splits=splits or events,
            staging=writer.path / "staging",
            config=config,
            vocabulary=known.table,
        )
        parts = engine.map(work, shards, "writing tokens")
        writer.counts = join_shards(parts, writer.path) | {"tokens": len(known)}
        for part in parts:
            for file in part.iterdir():
                file.unlink()
            part.rmdir()
        (writer.path / "staging").rmdir()
    return read_manifest(out, KIND)


def read_vocabulary(folder: Path) -> Vocabulary:
    """Read the vocabulary of a tokens or model artifact."""
    return Vocabulary(pl.read_parquet(folder / VOCABULARY_FILE))


def _count(shard: Path, *, splits: Path, config: Config) -> Counts:
    train = read_splits(splits).filter(pl.col(SPLIT) == TRAIN)
    rows = parquet.read(shard, (SUBJECT_ID, CODE, NUMERIC_VALUE))
    return count(rows.join(train, on=SUBJECT_ID, how="semi"), config)


def _encode(shard: Path, *, splits: Path, staging: Path, config: Config, vocabulary: pl.DataFrame) -> Path:
    out = staging / shard.stem
    out.mkdir(parents=True, exist_ok=True)
    per_event, per_subject = encode_shard(
        parquet.read(shard, (SUBJECT_ID, TIME, CODE, NUMERIC_VALUE, AVAILABLE_TIME, VISIT_ID)),
        read_splits(splits),
        Vocabulary(vocabulary),
        config,
    )
    np.savez(out / "events.npz", allow_pickle=False, **per_event)
    np.savez(out / "subjects.npz", allow_pickle=False, **per_subject)
    return out


def _descriptions(events: Path) -> dict[str, str]:
    codes = pl.read_parquet(events / CODES_FILE, columns=[CODE, DESCRIPTION]).drop_nulls()
    return dict(zip(codes[CODE].to_list(), codes[DESCRIPTION].to_list(), strict=True))
