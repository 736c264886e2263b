"""One pass over the events: when everything became known, and which diagnoses a sample's own visit had by then.

What a token store should hold is worked out here a second time, from the events alone. A subject's events are summed up
as a number, the sum (modulo 2^64) of a hash of each event's second of becoming known and its token, so that two records
are compared without sorting them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

from attending import registry
from attending.config import Settings
from attending.schema import (
    AVAILABLE_TIME,
    BIRTH,
    CODE,
    DIAGNOSIS,
    DISCHARGE,
    LABEL_CODES,
    ORIGIN,
    OUTCOME,
    PREDICTION_TIME,
    SPLIT,
    SUBJECT_ID,
    TIME,
    TOKEN,
    TRAIN,
    VISIT_ID,
)
from attending.tokens.vocabulary import Config as TokenConfig
from attending.tokens.vocabulary import Counts, Vocabulary, count, kept
from attending.visits import END, START, is_code, stays, with_visit_ids

KNOWN = "known"
_VISIT = [SUBJECT_ID, VISIT_ID]
_SAMPLE = [SUBJECT_ID, PREDICTION_TIME]
_MOMENT = pl.duration(seconds=1)  # a prediction this close to the end of a visit stands at its end
_SECOND_BITS = np.uint64(24)  # tokens stay below 2^24


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What the shards hold.

    subject, digest   each subject with an event, and the sum of its events
    n_early           events that were known before they happened
    n_undated         events that happened, and nothing says when they became known
    origins           by source table: `n` diagnoses of stays with a discharge, of which `n_stamped` became known at the
                      admission, `n_inside` between it and the discharge, after `n_offsets` different times;
                      `n_samples` asked within a stay, whose own diagnoses were known
    n_inside          samples that are asked within a visit that still runs
    counts            what its training subjects add to the vocabulary
    n_own, n_labels   labels that a known diagnosis of the sample's own visit already names, of all
    """

    subject: NDArray[np.int64]
    digest: NDArray[np.uint64]
    n_early: int
    n_undated: int
    origins: pl.DataFrame
    n_inside: int
    n_own: int
    n_labels: int
    counts: list[Counts]

    @cached_property
    def kept_in_time(self) -> list[str]:
        """The tables whose diagnoses are entered during the stay, at times of their own, and not coded afterwards."""
        during = (col("n_inside") * 2 > col("n")) & (col("n_offsets") * 4 > col("n_visits"))
        return self.origins.filter(during)[ORIGIN].to_list()


def scan(
    shard: Path,
    *,
    labels: Path,
    splits: Path,
    vocabulary: pl.DataFrame,
    tokens: TokenConfig,
    task: Settings,
    name: str,
) -> Scan:
    """Read one shard of events, and of the labels in a folder; `splits` is the split file."""
    events = pl.read_parquet(shard)
    train = pl.read_parquet(splits).filter(col(SPLIT) == TRAIN).unique(SUBJECT_ID)
    for column in (AVAILABLE_TIME, ORIGIN):
        if column not in events.columns:
            value = col(TIME) if column == AVAILABLE_TIME else pl.lit("")
            events = events.with_columns(value.alias(column))
    events = with_visit_ids(events).with_columns(col(ORIGIN).fill_null("").cast(pl.String))
    subject, digest = digests(events, Vocabulary(vocabulary), tokens)
    dated = col(TIME).is_not_null()
    samples = pl.read_parquet(labels / shard.name)
    visits = stays(events)
    diagnoses = events.filter(is_code(DIAGNOSIS) & dated & col(VISIT_ID).is_not_null()).select(
        *_VISIT, ORIGIN, CODE, pl.coalesce(AVAILABLE_TIME, TIME).alias(KNOWN)
    )
    left = events.filter(is_code(DISCHARGE)).select(_VISIT).unique()
    origins = _origins(diagnoses.join(visits.join(left, on=_VISIT, how="semi"), on=_VISIT))
    asked = samples.join(visits, on=_VISIT).with_columns(
        (col(PREDICTION_TIME) + _MOMENT < col(END)).alias("inside")
    )
    seen = asked.join(diagnoses, on=_VISIT).filter(col(KNOWN) <= col(PREDICTION_TIME))
    own = seen.filter("inside").group_by(ORIGIN).agg(pl.struct(_SAMPLE).n_unique().alias("n_samples"))
    n_own, n_labels = _own_labels(samples, seen, registry.load("tasks", name), task)
    return Scan(
        subject=subject,
        digest=digest,
        n_early=events.filter(dated & (col(AVAILABLE_TIME) < col(TIME))).height,
        n_undated=events.filter(dated & col(AVAILABLE_TIME).is_null()).height,
        origins=origins.join(own, on=ORIGIN, how="full", coalesce=True).fill_null(0),
        n_inside=int(asked["inside"].sum()),
        n_own=n_own,
        n_labels=n_labels,
        counts=[count(events.join(train, on=SUBJECT_ID, how="semi"), tokens)],
    )


def add(scans: Sequence[Scan]) -> Scan:
    """Add what shards hold; a subject lives in one of them, or is found twice."""
    return Scan(
        subject=np.concatenate([one.subject for one in scans]),
        digest=np.concatenate([one.digest for one in scans]),
        n_early=sum(one.n_early for one in scans),
        n_undated=sum(one.n_undated for one in scans),
        origins=pl.concat([one.origins for one in scans], how="diagonal_relaxed")
        .group_by(ORIGIN)
        .agg(pl.all().sum())
        .sort(ORIGIN),
        n_inside=sum(one.n_inside for one in scans),
        n_own=sum(one.n_own for one in scans),
        n_labels=sum(one.n_labels for one in scans),
        counts=[part for one in scans for part in one.counts],
    )


def digests(
    events: pl.DataFrame, vocabulary: Vocabulary, config: TokenConfig
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return each subject, ascending, and the sum of what its token store should hold."""
    births = events.filter(col(CODE) == BIRTH).group_by(SUBJECT_ID).agg(col(TIME).min().alias("birth"))
    tokens = kept(events, config).join(births, on=SUBJECT_ID, how="left")
    known = pl.coalesce(AVAILABLE_TIME, TIME) if AVAILABLE_TIME in events.columns else col(TIME)
    moment = pl.coalesce(known, "birth", known.min().over(SUBJECT_ID), pl.lit(0).cast(pl.Datetime("us")))
    rounded_up = -((-moment.dt.timestamp("us")).floordiv(1_000_000))
    codes = tokens[CODE].unique()
    base = pl.DataFrame(
        {CODE: codes, TOKEN: [vocabulary.lookup(code) for code in codes]},
        schema={CODE: pl.String, TOKEN: pl.Int64},
    )
    found = (
        tokens.select(SUBJECT_ID, CODE, TIME, rounded_up.alias("second")).join(base, on=CODE).sort(SUBJECT_ID)
    )
    first = col("second").min().over(SUBJECT_ID)
    second = found.select(pl.when(col(TIME).is_null()).then(first).otherwise("second")).to_series()
    subject = events[SUBJECT_ID].unique().sort().to_numpy()
    offset = np.append(np.searchsorted(found[SUBJECT_ID].to_numpy(), subject), found.height)
    return subject, summed(second.to_numpy(), found[TOKEN].to_numpy(), offset)


def summed(
    second: NDArray[np.int64], token: NDArray[np.int64], offset: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return the sum of the hashes of the events `[offset[i], offset[i + 1])` of each subject."""
    mixed = mix((second.astype(np.uint64) << _SECOND_BITS) ^ token.astype(np.uint64))
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    sums: NDArray[np.uint64] = total[offset[1:]] - total[offset[:-1]]
    return sums


def mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of each number (the finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _origins(diagnoses: pl.DataFrame) -> pl.DataFrame:
    lasting = diagnoses.filter(col(END) > col(START))
    stamped = (col(KNOWN) == col(START)) | (col(KNOWN) == col(START).dt.truncate("1d"))
    inside = (col(KNOWN) > col(START)) & (col(KNOWN) < col(END))
    counts = {
        "n": pl.len(),
        "n_stamped": stamped.sum(),
        "n_inside": inside.sum(),
        "n_offsets": (col(KNOWN) - col(START)).filter(inside).n_unique(),
        "n_visits": pl.struct(_VISIT).filter(inside).n_unique(),
    }
    return lasting.group_by(ORIGIN).agg(count.cast(pl.Int64).alias(name) for name, count in counts.items())


def _own_labels(samples: pl.DataFrame, seen: pl.DataFrame, task: object, config: Settings) -> tuple[int, int]:
    """Count the labels that a known diagnosis of the sample's own visit already names, and all labels."""
    labels = samples.select(*_SAMPLE, col(LABEL_CODES).alias(OUTCOME)).explode(OUTCOME, empty_as_null=False)
    named: dict[str, str] = task.outcome_of_code(seen[CODE].unique().to_list(), config)  # type: ignore[attr-defined]
    grouping = pl.DataFrame(
        {CODE: list(named), OUTCOME: list(named.values())}, schema={CODE: pl.String, OUTCOME: pl.String}
    )
    mine = seen.select(*_SAMPLE, CODE).join(grouping, on=CODE)
    return labels.join(mine, on=[*_SAMPLE, OUTCOME], how="semi").height, labels.height
