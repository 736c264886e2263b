"""Conformal cuts: the definition by hand, and the promise by simulation."""

import numpy as np
import pytest

from attending.metrics.conformal import Misses, choose_cut


def drawn(generator, n_subjects):
    """Draw subjects with one to six samples that resemble each other, of five outcomes, and a mediocre model."""
    owner = np.repeat(np.arange(n_subjects), generator.integers(1, 7, n_subjects))
    frailty = generator.normal(0, 1.5, n_subjects)[owner, None]
    eta = frailty + generator.normal(-1, 0.5, (len(owner), 5))
    happened = generator.random(eta.shape) < 1 / (1 + np.exp(-eta))
    seen = 0.7 * eta + generator.normal(0, 0.8, eta.shape)
    return 1 / (1 + np.exp(-seen)), happened, owner


def by_hand(probability, happened, owner, cut):
    losses = {}
    for p, y, subject in zip(probability, happened, owner, strict=True):
        if y.any():
            losses.setdefault(subject, []).append(np.mean(p[y] < cut))
    return {subject: np.mean(values) for subject, values in losses.items()}


def test_the_loss_is_the_missed_share_averaged_within_each_subject():
    probability, happened, owner = drawn(np.random.default_rng(0), 30)
    misses = Misses.of(probability, happened, owner)
    for cut in (0.0, 0.2, 0.5, 1.0):
        expected = by_hand(probability, happened, owner, cut)
        found = misses.losses(cut, 30)
        assert {at: found[at] for at in expected} == pytest.approx(expected)
        assert sorted(expected) == misses.subjects.tolist()


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_the_cut_is_the_highest_that_keeps_the_promise(alpha):
    probability, happened, owner = drawn(np.random.default_rng(1), 80)
    misses = Misses.of(probability, happened, owner)
    cut = choose_cut(misses, alpha)

    def bound(at):
        losses = by_hand(probability, happened, owner, at)
        return (sum(losses.values()) + 1) / (len(losses) + 1)

    assert bound(cut) <= alpha < bound(np.nextafter(cut, 1))


def test_too_few_subjects_get_the_set_of_everything():
    probability, happened, owner = drawn(np.random.default_rng(2), 5)
    assert choose_cut(Misses.of(probability, happened, owner), 0.1) == 0
    assert choose_cut(Misses.of(probability, np.zeros_like(happened), owner), 0.1) == 0


def test_samples_of_one_subject_weigh_as_one():
    probability, happened, owner = drawn(np.random.default_rng(3), 40)
    twice = [np.concatenate([one, one]) for one in (probability, happened, owner)]
    once = choose_cut(Misses.of(probability, happened, owner), 0.2)
    assert choose_cut(Misses.of(*twice), 0.2) == once


@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_new_subjects_miss_no_more_than_alpha_on_average_over_many_draws(alpha):
    generator = np.random.default_rng(4)
    risks = []
    for _ in range(400):
        cut = choose_cut(Misses.of(*drawn(generator, 60)), alpha)
        fresh = Misses.of(*drawn(generator, 60))
        risks.append(fresh.losses(cut, 60)[fresh.subjects].mean())
    error = np.std(risks) / np.sqrt(len(risks))
    assert np.mean(risks) <= alpha + 3 * error
    assert (
        np.mean(risks) >= alpha - 2 / 50 - 3 * error
    )  # not by giving everyone everything: within 2 / (n + 1)
