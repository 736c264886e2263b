"""What the training split says of its tokens: how often each occurs, and which share visits."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attending.batch import Together
from attending.schema import SPLITS, TRAIN
from attending.tokens.store import TokenStore


def count_tokens(store: TokenStore, n_tokens: int) -> NDArray[np.int64]:
    """Return how many events of the training split each token is."""
    return np.bincount(store.token[_training(store)], minlength=n_tokens)


def together(store: TokenStore, n_tokens: int) -> Together:
    """Count the training visits that hold both of two tokens; static facts are in no visit."""
    chosen = _training(store) & (store.visit > 0)
    subject = np.repeat(np.arange(len(store.subject)), np.diff(store.offset))[chosen]
    key = subject * (int(store.visit.max(initial=0)) + 1) + store.visit[chosen]
    visits, row = np.unique(key, return_inverse=True)
    holds = csr_array(
        (np.ones(len(row), dtype=np.float32), (row, store.token[chosen])), shape=(len(visits), n_tokens)
    )
    holds.sum_duplicates()
    holds.data[:] = 1.0
    counts = (holds.T @ holds).tocsr()
    counts.sort_indices()
    counts = counts.tocoo()
    pairs = np.stack([counts.row, counts.col]).astype(np.int64)
    return Together(pairs=torch.from_numpy(pairs), count=torch.from_numpy(counts.data))


def _training(store: TokenStore) -> NDArray[np.bool_]:
    return np.repeat(store.split == SPLITS.index(TRAIN), np.diff(store.offset))
