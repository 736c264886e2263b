"""Packed batches of made-up histories, written as lists so that a test reads like what it says."""

from dataclasses import replace

import numpy as np
import torch

from attending.batch import KINDS, Batch, Facts, Ontology, Together

History = list[tuple[float, list[int]]]  # visits: (days before the prediction, tokens)


def batch_of(histories: list[History], labels: np.ndarray | None = None, age: float = 50.0) -> Batch:
    """Pack histories whose visits are (days before the prediction, tokens); an empty list is an empty visit."""
    visits = [visit for history in histories for visit in history]
    tokens = [token for _, visit in visits for token in visit]
    days = [-float(ago) for ago, visit in visits for _ in visit]
    visit_offsets = np.concatenate([[0], np.cumsum([len(visit) for _, visit in visits])]).astype(np.int64)
    subject_offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(
        np.int64
    )
    return Batch(
        tokens=torch.tensor(tokens, dtype=torch.int64),
        days=torch.tensor(days, dtype=torch.float32),
        ages=torch.tensor([age + one / 365.25 for one in days], dtype=torch.float32),
        values=torch.zeros(len(tokens)),
        visit_offsets=torch.from_numpy(visit_offsets),
        subject_offsets=torch.from_numpy(subject_offsets),
        labels=None if labels is None else torch.from_numpy(labels.astype(np.float32)),
    )


def random_histories(n: int, *, n_tokens: int = 40, seed: int = 0, max_visits: int = 6) -> list[History]:
    """Return histories of 1 to `max_visits` visits with 1 to 8 tokens, oldest first."""
    generator = np.random.default_rng(seed)
    histories = []
    for _ in range(n):
        ago = np.sort(generator.uniform(0, 900, generator.integers(1, max_visits + 1)))[::-1]
        histories.append(
            [(float(one), generator.integers(0, n_tokens, generator.integers(1, 9)).tolist()) for one in ago]
        )
    return histories


def random_batch(n: int, *, n_outcomes: int = 5, seed: int = 0, **options: int) -> Batch:
    """Return a labelled batch of random histories with random values."""
    generator = np.random.default_rng(seed + 1)
    batch = batch_of(random_histories(n, seed=seed, **options), generator.integers(0, 2, (n, n_outcomes)))
    return replace(
        batch, values=torch.from_numpy(generator.normal(size=len(batch.tokens)).astype(np.float32))
    )


def with_static_facts(batch: Batch, *, every: int = 2) -> Batch:
    """Make the first visit of every so many histories one of facts known at birth, fifty years ago."""
    opens = batch.visit_of_token == batch.subject_offsets[:-1][batch.subject_of_token]
    static = opens & (batch.subject_of_token % every == 0)
    ages = torch.where(static, 0.0, batch.ages)
    return replace(batch, ages=ages, days=torch.where(static, -50 * 365.25, batch.days))


def double(batch: Batch) -> Batch:
    """Return the batch with its values and times in float64."""
    return replace(batch, values=batch.values.double(), days=batch.days.double(), ages=batch.ages.double())


def with_values(batch: Batch) -> Batch:
    """Give each event a value that its code and its day decide, whoever shares the batch."""
    return replace(batch, values=torch.sin(37.0 * batch.tokens + batch.days))


def turned(batch: Batch) -> Batch:
    """Return the batch with the events of each visit, which are simultaneous, in the opposite order."""
    start, end = batch.visit_offsets[:-1], batch.visit_offsets[1:]
    place = (start + end - 1)[batch.visit_of_token] - torch.arange(len(batch.tokens))
    return replace(batch, tokens=batch.tokens[place], values=batch.values[place])


def facts(outcome_of_token: torch.Tensor, prevalence: torch.Tensor, target: str = "multilabel") -> Facts:
    """Return facts of a vocabulary in which every token is a code of its own and the first two state a sex.

    The kinds of tokens take turns; the ontology has a concept over every four tokens, one over every two of those,
    and a root; every token shares a visit with itself and with its neighbours.
    """
    n_tokens = len(outcome_of_token)
    sex_of_token = torch.full((n_tokens,), -1)
    sex_of_token[:2] = torch.arange(min(n_tokens, 2))
    return Facts(
        outcome_of_token=outcome_of_token,
        prevalence=prevalence,
        code_of_token=torch.arange(n_tokens),
        sex_of_token=sex_of_token,
        kind_of_token=torch.arange(n_tokens) % len(KINDS),
        count_of_token=torch.arange(n_tokens) + 1,
        target=target,
        ontology=ontology(n_tokens),
        together=together(n_tokens),
    )


def ontology(n_tokens: int) -> Ontology:
    """Return a tree of four levels: tokens, fours of them, eights of them, and the root."""
    tokens = torch.arange(n_tokens)
    fours, eights = -(-n_tokens // 4), -(-n_tokens // 8)
    of_four, of_eight = n_tokens + tokens // 4, n_tokens + fours + tokens // 8
    root = n_tokens + fours + eights
    above = torch.stack([tokens, of_four, of_eight, torch.full_like(tokens, root)], 1).flatten()
    edges = [
        torch.stack([tokens, of_four]),
        torch.stack([n_tokens + torch.arange(fours), n_tokens + fours + torch.arange(fours) // 2]),
        torch.stack([n_tokens + fours + torch.arange(eights), torch.full((eights,), root)]),
    ]
    return Ontology(
        n_concepts=root + 1,
        above=torch.stack([tokens.repeat_interleave(4), above]),
        parents=torch.cat(edges, 1),
    )


def together(n_tokens: int) -> Together:
    """Return counts of a vocabulary whose tokens share visits with themselves and their two neighbours."""
    pairs = [
        (one, other) for one in range(n_tokens) for other in range(max(one - 1, 0), min(one + 2, n_tokens))
    ]
    count = [10.0 if one == other else 1.0 + min(one, other) % 5 for one, other in pairs]
    return Together(pairs=torch.tensor(pairs).T, count=torch.tensor(count))
