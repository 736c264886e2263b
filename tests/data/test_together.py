"""Counts of tokens and of pairs in the visits of the training split."""

import numpy as np

from attending.data.together import count_tokens, together
from stores import random_store


def test_counts_are_those_of_plain_loops_over_training_visits():
    store, _ = random_store(n_subjects=12, seed=3)
    pairs, holders = {}, np.zeros(40)
    for row in np.flatnonzero(store.split == 0):
        span = slice(store.offset[row], store.offset[row + 1])
        np.add.at(holders, store.token[span], 1)
        for visit in range(1, store.visit[span].max() + 1):
            tokens = sorted(set(store.token[span][store.visit[span] == visit].tolist()))
            for one in tokens:
                for other in tokens:
                    pairs[one, other] = pairs.get((one, other), 0) + 1
    found = together(store, 40)
    assert {
        tuple(pair): count for pair, count in zip(found.pairs.T.tolist(), found.count.tolist(), strict=True)
    } == pairs
    assert found.pairs.T.tolist() == sorted(found.pairs.T.tolist())
    assert count_tokens(store, 40).tolist() == holders.tolist()
