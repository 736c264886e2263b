"""The vocabulary: which code, at which value, becomes which token. Fitted on the training split only.

A code is kept if at least `min_subjects` distinct training subjects have it. A rarer one falls back to its nearest
ancestor that is kept (an ICD code to its three-character category, then any code to its parts before the last `//`),
and to the token "unknown" if none is. So no token can point at a handful of people.

A code with numeric values has one token for each value bin, and one for "no value".
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.config import Settings
from attending.schema import (
    BIN,
    BIRTH,
    CENTER,
    CODE,
    DEATH,
    DIAGNOSIS,
    EDGES,
    N_TRAIN_SUBJECTS,
    NUMERIC_VALUE,
    PROCEDURE,
    SCALE,
    SEPARATOR,
    SUBJECT_ID,
    TOKEN,
    VOCABULARY,
)
from attending.tokens.values import bins, merge, standardise, summarise

UNKNOWN = "unknown"
UNKNOWN_TOKEN = 0


class Config(Settings):
    """Settings of tokens.

    min_subjects   a code held by fewer training subjects falls back to its ancestor
    n_bins         value bins of a numeric code
    leave_out      prefixes of codes that never become tokens; birth is an age and death an outcome
    """

    min_subjects: int = 11
    n_bins: int = 5
    min_values: int = 50
    leave_out: tuple[str, ...] = (BIRTH, DEATH)


def ancestors(code: str) -> list[str]:
    """Return what a code falls back to, nearest first: `…//10//I509` to `…//10//I50`, `…//10` and so on."""
    parts = code.split(SEPARATOR)
    found = []
    if parts[0] in (DIAGNOSIS, PROCEDURE) and len(parts) > 1 and len(parts[-1]) > 3:
        found.append(SEPARATOR.join([*parts[:-1], parts[-1][:3]]))
    found += [SEPARATOR.join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]
    return found


def kept(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return the events that become tokens."""
    for prefix in config.leave_out:
        events = events.filter((pl.col(CODE) != prefix) & ~pl.col(CODE).str.starts_with(prefix + SEPARATOR))
    return events


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What one shard's training subjects add to the vocabulary; adding shards is a concatenation."""

    subjects: pl.DataFrame
    values: pl.DataFrame


def count(train_events: pl.DataFrame, config: Config) -> Counts:
    """Count the distinct training subjects of each code and of each of its ancestors, and summarise values."""
    events = kept(train_events, config)
    holders = events.group_by(CODE).agg(pl.col(SUBJECT_ID).unique())
    codes = holders[CODE].to_list()
    lineage = pl.DataFrame(
        {CODE: codes, "lineage": [[code, *ancestors(code)] for code in codes]},
        schema={CODE: pl.String, "lineage": pl.List(pl.String)},
    ).explode("lineage", empty_as_null=False)
    subjects = (
        lineage.join(holders, on=CODE)
        .group_by(pl.col("lineage").alias(CODE))
        .agg(pl.col(SUBJECT_ID).explode().n_unique().cast(pl.Int64).alias(N_TRAIN_SUBJECTS))
    )
    own = pl.DataFrame({CODE: codes, "own": True}, schema={CODE: pl.String, "own": pl.Boolean})
    return Counts(subjects=subjects.join(own, on=CODE, how="left"), values=summarise(events))


@dataclass(frozen=True)
class Vocabulary:
    """`table` has one row a token, in the order of tokens (`schema.VOCABULARY`)."""

    table: pl.DataFrame

    def __len__(self) -> int:
        return self.table.height

    @cached_property
    def base(self) -> dict[str, int]:
        """The first token of each code: the one for "no value"."""
        first = self.table.filter(pl.col(BIN).is_null())
        return dict(zip(first[CODE].to_list(), first[TOKEN].to_list(), strict=True))

    def lookup(self, code: str) -> int:
        """Return the base token of a code, or of its nearest kept ancestor, or "unknown"."""
        for name in (code, *ancestors(code)):
            if name in self.base:
                return self.base[name]
        return UNKNOWN_TOKEN

    def encode(self, events: pl.DataFrame) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the token and the standardised value of each event; only its code's own bins apply to a value."""
        codes = events[CODE].unique()
        mapping = pl.DataFrame(
            {
                CODE: codes,
                TOKEN: [self.lookup(code) for code in codes],
                "exact": [code in self.base for code in codes],
            },
            schema_overrides={TOKEN: pl.Int32, "exact": pl.Boolean},
        )
        found = events.select(CODE, NUMERIC_VALUE).join(mapping, on=CODE, how="left", maintain_order="left")
        token = found[TOKEN].to_numpy().astype(np.int64)
        value = found[NUMERIC_VALUE].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        edges = [
            np.asarray(one if one is not None else [], dtype=np.float64)
            for one in self.table[EDGES].to_list()
        ]
        numeric = (
            np.isfinite(value) & found["exact"].to_numpy() & self.table[EDGES].is_not_null().to_numpy()[token]
        )
        owner, measured = token[numeric], value[numeric]
        center, scale = self.table[CENTER].to_numpy(), self.table[SCALE].to_numpy()
        standard = np.zeros(len(token), dtype=np.float32)
        standard[numeric] = standardise(measured, center[owner], scale[owner])
        token[numeric] += 1 + bins(owner, measured, edges)
        return token.astype(np.int32), standard


def build(counts: list[Counts], config: Config, descriptions: dict[str, str]) -> Vocabulary:
    """Merge the counts of all shards into a vocabulary, sorted by code so that it depends on nothing else."""
    subjects = (
        pl.concat([one.subjects for one in counts])
        .group_by(CODE)
        .agg(pl.col(N_TRAIN_SUBJECTS).sum(), pl.col("own").any())
        .filter(pl.col(N_TRAIN_SUBJECTS) >= config.min_subjects)
        .sort(CODE)
    )
    values = merge(
        pl.concat([one.values for one in counts]), n_bins=config.n_bins, min_values=config.min_values
    )
    numeric = {row[0]: row[1:] for row in values.iter_rows()}
    rows: list[tuple[object, ...]] = [(0, UNKNOWN, None, "Unknown or rare code", 0, None, None, None)]
    for code, n_subjects, own in subjects.select(CODE, N_TRAIN_SUBJECTS, "own").iter_rows():
        name = descriptions.get(code) or code
        edges, center, scale = numeric.get(code, (None, None, None)) if own else (None, None, None)
        rows.append((len(rows), code, None, name, n_subjects, edges, center, scale))
        n_tokens = len(edges) + 1 if edges is not None else 0
        for position in range(n_tokens):
            described = f"{name}, {_range(edges, position)}"
            rows.append((len(rows), code, position, described, n_subjects, None, None, None))
    return Vocabulary(
        VOCABULARY.check(pl.DataFrame(rows, schema=VOCABULARY.columns, orient="row"), "the vocabulary")
    )


def _range(edges: list[float], position: int) -> str:
    if not edges:
        return "any value"
    if position == 0:
        return f"below {edges[0]:g}"
    if position == len(edges):
        return f"{edges[-1]:g} or above"
    return f"{edges[position - 1]:g} to {edges[position]:g}"
