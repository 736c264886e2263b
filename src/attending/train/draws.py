"""Random numbers that are a function of a seed, and leave the global state as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def drawn_from(seed: int, device: torch.device) -> Iterator[None]:
    """Within, what torch draws on the CPU and on `device` follows from `seed`.

    `torch.manual_seed` would do; but where a kind of device is missing it keeps a note and a stack trace of every
    call, which took a fifth of the time of a small model's step.
    """
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            torch.cuda.manual_seed(seed)
        yield
