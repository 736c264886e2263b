"""Holm against statsmodels, bootstrap p-values against the t-test and their own promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from attending.metrics.multiplicity import difference_p_value, holm


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.3, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=20
    )
)
def test_holm_equals_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


def test_golden_values_of_holm():
    # Recipe, by hand: .01 · 4, .02 · 3, .03 · 2, .04 · 1; never below an earlier one.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_what_was_not_tested_is_not_counted():
    adjusted = holm([0.01, np.nan, 0.04])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(adjusted[1])
    assert holm([]).shape == (0,)
    assert np.isnan(holm([np.nan])).all()


def bootstrap_of_mean(values, n_replicates=4000, seed=0):
    generator = np.random.default_rng(seed)
    return values[generator.integers(0, len(values), (n_replicates, len(values)))].mean(axis=1)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2, 0.3])
def test_the_p_value_of_a_mean_is_close_to_that_of_a_t_test(shift):
    values = np.random.default_rng(3).normal(shift, 1, 150)
    expected = stats.ttest_1samp(values, 0).pvalue
    got = difference_p_value(values.mean(), bootstrap_of_mean(values))
    assert got == pytest.approx(expected, abs=0.02)  # 4,000 replicates, and normal against t


def test_a_true_null_is_rejected_as_often_as_the_level_says():
    generator = np.random.default_rng(1)
    drawn = [generator.normal(0, 1, 60) for _ in range(400)]
    p_values = np.array(
        [difference_p_value(v.mean(), bootstrap_of_mean(v, 300, i)) for i, v in enumerate(drawn)]
    )
    assert 0.02 <= (p_values <= 0.05).mean() <= 0.09  # 400 draws: 0.05 ± 2 · 0.011, and n = 60
    assert 0.40 <= (p_values <= 0.5).mean() <= 0.60


def test_the_p_value_is_two_sided_and_never_zero():
    replicates = np.random.default_rng(0).normal(5, 1, 999)
    assert difference_p_value(5, replicates) == 1 / 1000
    assert difference_p_value(-5, replicates) == difference_p_value(5, replicates)


def test_no_difference_at_all_has_p_one():
    assert difference_p_value(0.0, np.zeros(50)) == 1
    assert difference_p_value(0.1, np.full(50, 0.1)) == 1 / 51  # no spread: certain, as far as 50 can tell


def test_undefined_replicates_are_left_out():
    values = np.array([0.1, 0.2, 0.3])
    assert difference_p_value(0.2, [*values, np.nan, np.inf]) == difference_p_value(0.2, values)
    assert np.isnan(difference_p_value(np.nan, values))
    assert np.isnan(difference_p_value(0.2, [np.nan]))
    assert np.isnan(difference_p_value(0.2, []))
