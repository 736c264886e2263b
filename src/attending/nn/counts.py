"""Counts of codes in windows before the prediction: what the count baselines see."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from torch import Tensor

from attending.batch import Batch
from attending.nn.packed import token_weights

WINDOWS_DAYS = (30.0, 365.0, 36_525.0)  # a month, a year, a century (everything)


def n_count_features(n_tokens: int, windows: tuple[float, ...]) -> int:
    """Return how many columns `count_features` has."""
    return n_tokens * (len(windows) + 1) + 3


def count_features(
    batch: Batch, n_tokens: int, windows: tuple[float, ...]
) -> Float[Tensor, "subject feature"]:
    """Return log(1 + count) of each token in each window and in the last visit, then age, visits and recency.

    The columns of one window stand together; the last three are the age in centuries, log(1 + visits) and
    log(1 + days since the last event) / 8.
    """
    n, subject, weights = batch.n_subjects, batch.subject_of_token, token_weights(batch)
    last_visit = batch.subject_offsets[1:][subject] - 1 == batch.visit_of_token
    within = [*(batch.days >= -window for window in windows), last_visit]
    counts = []
    for inside in within:
        flat = torch.zeros(n * n_tokens, dtype=weights.dtype)
        counts.append(
            flat.index_add(0, subject * n_tokens + batch.tokens, weights * inside).view(n, n_tokens).log1p()
        )
    return torch.cat([*counts, _summary(batch)], dim=1)


def count_matrix(
    batches: Iterable[Batch], n_tokens: int, windows: tuple[float, ...]
) -> tuple[csr_array, NDArray[np.float32]]:
    """Return the features of all samples of labelled batches as a sparse matrix, and their labels."""
    features, labels = [], []
    for batch in batches:
        assert batch.labels is not None, "fitting needs labels"
        features.append(csr_array(count_features(batch, n_tokens, windows).numpy()))
        labels.append(batch.labels.numpy())
    return vstack(features, format="csr"), np.concatenate(labels)


def _summary(batch: Batch) -> Float[Tensor, "subject 3"]:
    ends = (batch.token_offsets[1:] - 1).clamp(min=0)
    present = batch.token_offsets.diff() > 0
    if len(batch.tokens) == 0:
        return torch.zeros(batch.n_subjects, 3)
    age, ago = batch.ages[ends] / 100, torch.log1p((-batch.days[ends]).clamp(min=0)) / 8
    visits = batch.subject_offsets.diff().float().log1p()
    return torch.stack([age, visits, ago], dim=1) * present[:, None]
