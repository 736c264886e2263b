"""The default engine: processes of this machine."""

import os

import pytest

from attending.engine.local import Local


def slow_first(number: int) -> int:
    """Give the first items more to do than the last, so that they finish in another order."""
    return number + sum(range((20 - number) * 20_000)) * 0


def process(_: int) -> int:
    return os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


@pytest.mark.parametrize("n_workers", [1, 2])
def test_results_keep_the_order_of_the_items(n_workers):
    assert Local(n_workers).map(slow_first, list(range(20)), "numbers") == list(range(20))


@pytest.mark.parametrize("n_workers", [1, 2])
def test_the_first_error_is_the_one_that_is_raised(n_workers):
    with pytest.raises(ValueError, match="three"):
        Local(n_workers).map(refuse_three, list(range(20)), "numbers")


@pytest.mark.parametrize("n_workers", [1, 2])
def test_no_items_give_no_results(n_workers):
    assert Local(n_workers).map(process, [], "nothing") == []


def test_one_worker_or_one_item_runs_in_this_process():
    assert set(Local(1).map(process, [1, 2, 3], "numbers")) == {os.getpid()}
    assert Local(2).map(process, [1], "numbers") == [os.getpid()]


def test_several_workers_run_in_other_processes():
    assert os.getpid() not in Local(2).map(process, list(range(8)), "numbers")
