"""Counts of tokens and of pairs in the visits of the training split."""

import numpy as np

from attending.data import together as module
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


def test_a_token_keeps_itself_and_those_it_meets_most(monkeypatch):
    store, _ = random_store(n_subjects=40, seed=3)
    whole = together(store, 40)
    monkeypatch.setattr(module, "STRONGEST", 3)
    monkeypatch.setattr(module, "BLOCK", 7)
    few = together(store, 40)
    assert few.pairs.T.tolist() == sorted(few.pairs.T.tolist())
    for token in whole.pairs[0].unique().tolist():
        of, kept = whole.pairs[0] == token, few.pairs[0] == token
        others = sorted(whole.count[of & (whole.pairs[1] != token)].tolist(), reverse=True)
        assert sorted(few.count[kept & (few.pairs[1] != token)].tolist(), reverse=True) == others[:3]
        assert token in few.pairs[1][kept].tolist()
