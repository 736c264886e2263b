"""What workers do in tests: functions that another process can import, which those of a test file are not."""

import os
import time


def slow_first(number: int) -> int:
    """Give the first items more to do than the last, so that they finish in another order."""
    return number + sum(range((20 - number) * 20_000)) * 0


def process(_: int) -> int:
    return os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def wait(seconds: float) -> int:
    """Take so long that another process has started."""
    time.sleep(seconds)
    return os.getpid()
