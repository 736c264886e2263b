"""Gaps between groups agree with fairlearn."""

import warnings

import numpy as np
import pytest

from attending.metrics.fairness import gaps_of_counts, largest_gap

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fairlearn = pytest.importorskip("fairlearn.metrics")


def counts(labels, alerts, group):
    cells = (alerts & labels, alerts & ~labels, ~alerts & labels, ~alerts & ~labels)
    return [np.bincount(group, cell, minlength=group.max() + 1) for cell in cells]


@pytest.mark.parametrize("seed", range(5))
def test_the_differences_are_those_of_fairlearn(seed):
    generator = np.random.default_rng(seed)
    group = generator.integers(0, 4, 400)
    labels = generator.random(400) < 0.3
    alerts = generator.random(400) < 0.2 + 0.1 * group * labels
    found = gaps_of_counts(*counts(labels, alerts, group))
    for name, of_fairlearn in (
        ("demographic_parity_difference", fairlearn.demographic_parity_difference),
        ("equalised_odds_difference", fairlearn.equalized_odds_difference),
        ("equal_opportunity_difference", fairlearn.equal_opportunity_difference),
    ):
        expected = of_fairlearn(labels, alerts, sensitive_features=group)
        assert found[name] == pytest.approx(expected, abs=1e-9)


def test_replicates_are_columns():
    generator = np.random.default_rng(0)
    cells = generator.integers(1, 50, (4, 3, 7))
    together = gaps_of_counts(*cells)["equalised_odds_difference"]
    alone = [float(gaps_of_counts(*cells[..., at])["equalised_odds_difference"]) for at in range(7)]
    assert together.tolist() == pytest.approx(alone)


def test_a_group_without_a_rate_has_no_say_and_one_rate_has_no_gap():
    assert largest_gap([[0.2], [np.nan], [0.5]])[0] == pytest.approx(0.3)
    assert np.isnan(largest_gap([[0.2], [np.nan]])[0])
    assert largest_gap([[0.4], [0.4]])[0] == 0
