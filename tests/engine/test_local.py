"""The default engine: processes of this machine."""

import os
import subprocess
import sys

import pytest

from attending.engine.local import Local
from worker_items import process, refuse_three, slow_first, wait


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


def test_one_of_several_workers_is_this_process():
    engine = Local(2)
    found = set(engine.map(wait, [0.2] * 40, "numbers"))
    assert len(found) == 2
    assert os.getpid() in found


def test_processes_stay_until_the_engine_is_closed():
    engine = Local(2)
    first, second = (set(engine.map(wait, [0.2] * 40, "numbers")) for _ in range(2))
    assert first == second
    engine.close()
    assert set(engine.map(wait, [0.2] * 40, "numbers")) != first
    engine.close()
    engine.close()


def test_an_engine_is_of_use_after_an_error():
    engine = Local(2)
    with pytest.raises(ValueError, match="three"):
        engine.map(refuse_three, list(range(20)), "numbers")
    assert engine.map(slow_first, list(range(20)), "numbers") == list(range(20))


def test_no_more_processes_start_than_there_is_work_for():
    assert len(set(Local(8).map(wait, [1.0] * 2, "numbers"))) <= 2


def test_an_open_engine_does_not_keep_the_interpreter():
    code = "from attending.engine.local import Local; engine = Local(2); print(engine.map(abs, [-1] * 9, 'numbers'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str([1] * 9), "")
