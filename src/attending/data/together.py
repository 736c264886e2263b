"""What the training split says of its tokens: how often each occurs, and which share visits."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attending.batch import Together
from attending.schema import SPLITS, TRAIN
from attending.tokens.store import TokenStore

Pairs = NDArray[np.int64]
Counts = NDArray[np.float32]
BLOCK = 1_024  # tokens whose pairs are counted at once
STRONGEST = 512  # pairs of a token beside itself


def count_tokens(store: TokenStore, n_tokens: int) -> NDArray[np.int64]:
    """Return how many events of the training split each token is."""
    return np.bincount(store.token[_training(store)], minlength=n_tokens)


def together(store: TokenStore, n_tokens: int) -> Together:
    """Count the training visits that hold both of two tokens, of each token the `STRONGEST` and itself.

    Static facts are in no visit. Counts are made for some tokens at a time, so that memory does not grow with pairs.
    """
    chosen = _training(store) & (store.visit > 0)
    subject = np.repeat(np.arange(len(store.subject)), np.diff(store.offset))[chosen]
    key = subject * (int(store.visit.max(initial=0)) + 1) + store.visit[chosen]
    visits, row = np.unique(key, return_inverse=True)
    holds = csr_array(
        (np.ones(len(row), dtype=np.float32), (row, store.token[chosen])), shape=(len(visits), n_tokens)
    )
    holds.sum_duplicates()
    holds.data[:] = 1.0
    by_token = holds.T.tocsr()
    blocks = [_strongest(by_token, holds, first) for first in range(0, n_tokens, BLOCK)]
    pairs = np.concatenate([block[0] for block in blocks], axis=1)
    count = np.concatenate([block[1] for block in blocks])
    return Together(pairs=torch.from_numpy(pairs), count=torch.from_numpy(count))


def _strongest(by_token: csr_array, holds: csr_array, first: int) -> tuple[Pairs, Counts]:
    """Return the pairs of the tokens from `first` on, sorted, and their counts."""
    counts = (by_token[first : first + BLOCK] @ holds).tocoo()
    row, column, count = counts.row.astype(np.int64) + first, counts.col.astype(np.int64), counts.data
    order = np.lexsort(
        (column, -count, row != column, row)
    )  # of each token itself first, then the most frequent
    starts = np.searchsorted(row[order], row[order])
    kept = np.sort(order[np.arange(len(order)) - starts <= STRONGEST])
    kept = kept[np.lexsort((column[kept], row[kept]))]
    return np.stack([row[kept], column[kept]]), count[kept]


def _training(store: TokenStore) -> NDArray[np.bool_]:
    return np.repeat(store.split == SPLITS.index(TRAIN), np.diff(store.offset))
