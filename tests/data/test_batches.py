from dataclasses import replace

import numpy as np
import torch

from attending.data.batches import SECONDS_A_YEAR, Config, Loader, ahead, assemble
from attending.nn.packed import visit_gaps
from attending.nn.time import known_from_birth
from attending.tokens.store import NO_BIRTH
from stores import random_store


def loader_of(**settings: int) -> Loader:
    store, samples = random_store(n_subjects=30, seed=1)
    return Loader(store=store, samples=samples, config=Config(**settings))


def test_a_batch_holds_each_prefix_and_nothing_else() -> None:
    loader = loader_of()
    store, samples = loader.store, loader.samples
    positions = np.array([7, 3, 20])
    batch = loader.batch(positions)
    for place, sample in enumerate(positions):
        first, end = batch.token_offsets[place : place + 2].tolist()
        prefix = slice(samples.start[sample], samples.cut[sample])
        assert batch.tokens[first:end].tolist() == store.token[prefix].tolist()
        days = (store.second[prefix] - samples.moment[sample]) / 86400
        np.testing.assert_allclose(batch.days[first:end].numpy(), days, rtol=1e-6)
        visits = batch.visit_of_token[first:end] - batch.subject_offsets[place]
        assert visits.tolist() == (store.visit[prefix] - store.visit[samples.start[sample]]).tolist()
    assert float(batch.days.max()) <= 0.0


def test_labels_are_the_positives_of_each_sample() -> None:
    loader = loader_of()
    samples = loader.samples
    batch = loader.batch(np.arange(len(samples)))
    for sample in range(len(samples)):
        expected = samples.positive[samples.positive_offset[sample] : samples.positive_offset[sample + 1]]
        assert torch.nonzero(batch.labels[sample])[:, 0].tolist() == sorted(expected.tolist())


def test_shifting_all_dates_changes_no_input() -> None:
    from dataclasses import replace

    loader = loader_of()
    shift = 123 * 86_400
    later = Loader(
        store=replace(loader.store, second=loader.store.second + shift, birth=loader.store.birth + shift),
        samples=replace(loader.samples, moment=loader.samples.moment + shift),
        config=loader.config,
    )
    positions = np.arange(10)
    before, after = loader.batch(positions), later.batch(positions)
    assert torch.equal(before.days, after.days)
    assert torch.equal(before.ages, after.ages)


def test_without_a_birth_time_counts_from_the_first_event() -> None:
    """Static facts, which such a store dates there, stay static facts, and gaps are what they are."""
    loader = loader_of()
    store, static = loader.store, loader.store.visit == 0
    first = store.second[np.flatnonzero(static) + 1]
    second = store.second.copy()
    second[static] = first
    unborn = replace(store, second=second, birth=np.full_like(store.birth, NO_BIRTH))
    positions = np.array([4, 9, 1])
    born, batch = loader.batch(positions), replace(loader, store=unborn).batch(positions)
    happened = batch.ages > 0
    assert torch.equal(happened, born.ages > 0)
    assert torch.equal(known_from_birth(batch), known_from_birth(born))
    torch.testing.assert_close(visit_gaps(batch), visit_gaps(born))
    begun = torch.from_numpy(first[loader.samples.row[positions]] / SECONDS_A_YEAR)[batch.subject_of_token]
    torch.testing.assert_close(
        batch.ages[happened], (born.ages - begun)[happened].float(), atol=1e-5, rtol=1e-5
    )
    facts_missing = replace(unborn, visit=store.visit + 1)
    assert not known_from_birth(replace(loader, store=facts_missing).batch(positions)).any()


def test_an_epoch_holds_each_sample_once_within_the_budget() -> None:
    loader = loader_of(batch_tokens=200, batch_samples=8)
    positions = loader.samples.of_split("train")
    plan = loader.train_plan(positions, seed=3, epoch=5, one_a_subject=False)
    assert sorted(np.concatenate(plan).tolist()) == positions.tolist()
    for batch in plan:
        assert len(batch) <= 8
        assert len(batch) == 1 or loader.lengths(batch).sum() <= 200


def test_the_plan_is_a_pure_function_of_seed_and_epoch() -> None:
    loader = loader_of(batch_samples=4)
    positions = loader.samples.of_split("train")

    def plan(seed: int, epoch: int) -> list[list[int]]:
        return [
            one.tolist() for one in loader.train_plan(positions, seed=seed, epoch=epoch, one_a_subject=False)
        ]

    assert plan(1, 2) == plan(1, 2)
    assert plan(1, 2) != plan(1, 3)


def test_one_a_subject_draws_one_sample_of_each() -> None:
    loader = loader_of()
    positions = loader.samples.of_split("train")
    plan = np.concatenate(loader.train_plan(positions, seed=0, epoch=0, one_a_subject=True))
    assert sorted(loader.samples.row[plan].tolist()) == sorted(set(loader.samples.row[positions].tolist()))


def test_a_cut_history_keeps_its_static_facts_and_newest_events() -> None:
    loader = loader_of()
    store, samples = loader.store, loader.samples
    sample = int(np.argmax(samples.cut - samples.start))
    batch = assemble(store, samples, np.array([sample]), 6)
    expected = [
        store.token[samples.start[sample]],
        *store.token[samples.cut[sample] - 5 : samples.cut[sample]],
    ]
    assert batch.tokens.tolist() == [int(token) for token in expected]


def test_reading_ahead_gives_the_same_batches_and_passes_errors_on() -> None:
    loader = loader_of()
    plan = loader.plan(np.arange(len(loader.samples)))
    for ready, made in zip(ahead(loader.batch, plan), map(loader.batch, plan), strict=True):
        assert torch.equal(ready.tokens, made.tokens)

    def broken(_: object) -> None:
        raise ValueError("as planned")

    try:
        list(ahead(broken, [1]))  # type: ignore[arg-type]
    except ValueError as error:
        assert str(error) == "as planned"
    else:
        raise AssertionError("the error was lost")


def test_a_long_visit_is_cut_into_steps_counted_back_from_the_prediction(store_with_samples) -> None:
    store, samples = store_with_samples
    positions = np.arange(len(samples))
    whole = assemble(store, samples, positions, 512)
    steps = assemble(store, samples, positions, 512, step_hours=24.0 * 400)
    assert torch.equal(whole.tokens, steps.tokens)
    age_in_steps = np.ceil(steps.days.numpy() / 400)
    same_step = steps.visit_of_token.numpy()
    for step in range(steps.n_visits):
        assert len(np.unique(age_in_steps[same_step == step])) == 1
    assert set(whole.visit_offsets.tolist()) <= set(steps.visit_offsets.tolist()), "no step spans two visits"
    at_once = replace(store, visit=np.minimum(store.visit, 1))
    cut = assemble(at_once, samples, positions, 512, step_hours=24.0 * 400)
    assert cut.n_visits > assemble(at_once, samples, positions, 512).n_visits
