"""What is known of each subject at its last prediction: age, length of history, how often each code.

Read shard by shard: the subjects of a shard as a small table, and its codes as counts, of which only those of drawn
subjects are kept whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from attending.progress import track
from attending.schema import AVAILABLE_TIME, BIRTH, CODE, DEATH, PREDICTION_TIME, SEPARATOR, SUBJECT_ID, TIME

AGE, YEARS, N_KNOWN, N_SUBJECTS, N = "age", "years_of_history", "n_known", "n_subjects", "n"
DAYS_A_YEAR = 365.25
MOST_SUBJECTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Histories:
    """The subjects of a data set that have a prediction.

    subjects    subject_id, age, years of history and number of events known at the last prediction
    holders     code, n_subjects: how many subjects' histories hold it
    counts      subject_id, code, n: of at most `MOST_SUBJECTS` subjects, drawn at random
    drawn       those subjects
    """

    subjects: pl.DataFrame
    holders: pl.DataFrame
    counts: pl.DataFrame
    drawn: pl.Series


def read_histories(events: Path, labels: Path, seed: int = 0) -> Histories:
    """Read the histories of all subjects of a labels artifact."""
    last = (
        pl.scan_parquet(labels / "data" / "*.parquet")
        .group_by(SUBJECT_ID)
        .agg(pl.col(PREDICTION_TIME).max())
        .sort(SUBJECT_ID)
        .collect()
    )
    n = min(len(last), MOST_SUBJECTS)
    rows = np.sort(np.random.default_rng(seed).choice(len(last), n, replace=False))
    drawn = last[SUBJECT_ID][rows]
    shards = sorted((events / "data").glob("*.parquet"))
    found = [_shard(shard, last, drawn) for shard in track(shards, "reading histories")]
    return Histories(
        subjects=pl.concat(one[0] for one in found).sort(SUBJECT_ID),
        holders=_add(one[1] for one in found),
        counts=pl.concat(one[2] for one in found).sort(SUBJECT_ID, CODE),
        drawn=drawn,
    )


def _shard(
    shard: Path, last: pl.DataFrame, drawn: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    events = pl.read_parquet(shard).join(last, on=SUBJECT_ID, how="inner")
    births = events.filter(pl.col(CODE) == BIRTH).group_by(SUBJECT_ID).agg(pl.col(TIME).min().alias(BIRTH))
    known = pl.coalesce(AVAILABLE_TIME, TIME) if AVAILABLE_TIME in events.columns else pl.col(TIME)
    no_code = (
        (pl.col(CODE) == BIRTH) | (pl.col(CODE) == DEATH) | pl.col(CODE).str.starts_with(DEATH + SEPARATOR)
    )
    events = events.filter((known <= pl.col(PREDICTION_TIME)) | pl.col(TIME).is_null()).filter(~no_code)
    span = (pl.col(PREDICTION_TIME).first() - pl.col(TIME).min()).dt.total_seconds() / 86_400 / DAYS_A_YEAR
    subjects = (
        last.filter(
            pl.col(SUBJECT_ID).is_in(pl.read_parquet(shard, columns=[SUBJECT_ID])[SUBJECT_ID].implode())
        )
        .join(births, on=SUBJECT_ID, how="left")
        .join(
            events.group_by(SUBJECT_ID).agg(span.alias(YEARS), pl.len().alias(N_KNOWN)),
            on=SUBJECT_ID,
            how="left",
        )
        .select(
            SUBJECT_ID,
            ((pl.col(PREDICTION_TIME) - pl.col(BIRTH)).dt.total_days() / DAYS_A_YEAR).alias(AGE),
            pl.col(YEARS).fill_null(0.0),
            pl.col(N_KNOWN).fill_null(0).cast(pl.Int64),
        )
    )
    counts = events.group_by(SUBJECT_ID, CODE).agg(pl.len().cast(pl.Int64).alias(N))
    holders = counts.group_by(CODE).agg(pl.len().cast(pl.Int64).alias(N_SUBJECTS))
    return subjects, holders, counts.filter(pl.col(SUBJECT_ID).is_in(drawn.implode()))


def _add(holders: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(list(holders)).group_by(CODE).agg(pl.col(N_SUBJECTS).sum()).sort(CODE)
