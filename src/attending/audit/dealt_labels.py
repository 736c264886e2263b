"""Labels that are dealt out anew among the samples of a split: each gets the whole answer of another."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from attending.audit.evidence import Evidence
from attending.schema import (
    CENSORED_CODES,
    EVENT,
    EVENT_DAYS,
    HISTORY_CODES,
    LABEL_CODES,
    SPLIT,
    SUBJECT_ID,
    VALUE,
)

ANSWERS = (LABEL_CODES, HISTORY_CODES, CENSORED_CODES, VALUE, EVENT_DAYS, EVENT)


def dealt_out(evidence: Evidence, splits: Sequence[str]) -> pl.DataFrame:
    """Return the samples, those of `splits` with the answers of others of their split."""
    samples = evidence.samples.join(evidence.one_split_of, on=SUBJECT_ID, how="left", maintain_order="left")
    generator = np.random.default_rng(evidence.seed)
    split = samples[SPLIT].fill_null("").to_numpy()
    source = np.arange(samples.height)
    for name in splits:
        places = np.flatnonzero(split == name)
        source[places] = generator.permutation(places)
    answers = [column for column in ANSWERS if column in samples.columns]
    return samples.with_columns(samples.select(answers)[source].get_columns()).drop(SPLIT)
