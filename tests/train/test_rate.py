"""The learning rate that a short run suggests."""

import math

import numpy as np
import pytest

from attending.checkpoint import digest
from attending.errors import ModelError
from attending.train.rate import find, read, smooth
from small_runs import run_in


def test_a_valley_is_read_as_it_was_made() -> None:
    """The loss falls fastest at 1e-3 and comes apart at 1e-1."""
    rates = np.geomspace(1e-6, 1e-1, 200)
    won = -0.5 / (1 + np.exp(-4 * np.log(rates / 1e-3)))
    found = read(rates.tolist(), won.tolist(), apart=True)
    assert 1e-3 <= found.steepest < 3e-3  # a moving average comes late
    assert found.diverged == rates[-1]
    assert found.suggested == found.steepest
    assert read(rates.tolist(), won.tolist(), apart=False).diverged == math.inf


def test_a_tenth_of_where_it_comes_apart_is_the_most_that_is_suggested() -> None:
    rates = np.geomspace(1e-6, 1e-1, 200)
    won = -0.5 / (1 + np.exp(-4 * np.log(rates / 5e-2)))
    assert read(rates.tolist(), won.tolist(), apart=True).suggested == pytest.approx(1e-2)


def test_a_moving_average_of_a_constant_is_the_constant() -> None:
    np.testing.assert_allclose(smooth([2.0] * 9), 2.0)
    assert smooth([1.0, 0.0])[1] == pytest.approx(0.9 / 1.9)


def test_the_search_leaves_the_model_as_it_was_and_finds_a_rate_that_trains(tmp_path) -> None:
    run = run_in(tmp_path, model="gru")
    before = digest(run.model.state_dict())
    found = find(run)
    assert digest(run.model.state_dict()) == before
    assert 1e-4 < found.suggested < 0.1
    assert not list(tmp_path.iterdir())


def test_losses_that_are_never_finite_are_an_error() -> None:
    with pytest.raises(ModelError, match="the model is at fault"):
        read([1e-6], [1.0], apart=True)
