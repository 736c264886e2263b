"""A token store in memory, without any files."""

import numpy as np
import polars as pl

from attending.data.samples import Samples, find_samples
from attending.schema import LABEL_CODES, PREDICTION_TIME, SUBJECT_ID
from attending.tokens.store import TokenStore

DAY = 86_400
OUTCOMES = [f"outcome-{number}" for number in range(5)]


def random_store(*, n_subjects: int, seed: int, n_tokens: int = 40) -> tuple[TokenStore, Samples]:
    """Return a store with one static fact and four to nine visits a subject, and its samples.

    Samples stand at the end of the second visit and of the last but one.
    """
    generator = np.random.default_rng(seed)
    token, second, visit, offset, labels = [], [], [], [0], []
    for subject in range(n_subjects):
        n_visits = int(generator.integers(4, 10))
        ends = np.cumsum(generator.integers(5, 300, n_visits)) * DAY + 10_000 * DAY
        sizes = generator.integers(2, 8, n_visits)
        token += [subject % 2, *generator.integers(2, n_tokens, sizes.sum()).tolist()]
        second += [0, *np.repeat(ends, sizes).tolist()]
        visit += [0, *np.repeat(np.arange(1, n_visits + 1), sizes).tolist()]
        offset.append(len(token))
        for position in (1, n_visits - 2):
            happened = [one for one in OUTCOMES if generator.random() < 0.4]
            labels.append((subject, int(ends[position]) * 1_000_000, happened))
    store = TokenStore(
        token=np.array(token, dtype=np.int32),
        second=np.array(second, dtype=np.int64),
        value=generator.normal(size=len(token)).astype(np.float32),
        visit=np.array(visit, dtype=np.int32),
        offset=np.array(offset, dtype=np.int64),
        subject=np.arange(n_subjects, dtype=np.int64),
        birth=np.zeros(n_subjects, dtype=np.int64),
        split=(np.arange(n_subjects) % 3).astype(np.int8),
    )
    frame = pl.DataFrame(labels, schema=[SUBJECT_ID, PREDICTION_TIME, LABEL_CODES], orient="row")
    frame = frame.with_columns(pl.col(PREDICTION_TIME).cast(pl.Datetime("us")))
    return store, find_samples(store, frame, OUTCOMES)
