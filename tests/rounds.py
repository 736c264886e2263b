"""Rounds of damage: a number for every file of a made-up folder, again and again, until enough files were damaged.

A file's damage is a function of its number, and most are damaged in each round. `ATTENDING_FUZZ=10000` damages so many
files of each format, other ones each time; the suite damages the same thousand. `ATTENDING_FUZZ_TALLY=FILE` appends
what was counted, a line of JSON a test.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from math import ceil
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trials import Trials

N_FILES = int(os.environ.get("ATTENDING_FUZZ", "1000"))
TIMEOUT = max(300, N_FILES)
SEED = st.integers(0, 2**32 - 1)
Damage = Callable[[str, Random], bytes]


def rounds(examples: int) -> settings:
    """Return the settings of so many rounds."""
    return settings(
        max_examples=examples,
        derandomize="ATTENDING_FUZZ" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def damage_files(whole: Trials, kind: str, per_round: int, damage: Damage) -> None:
    """Ingest the folder with most of its files damaged, again and again.

    `per_round` is how many files a round damages, about, in the folders of all sources of this kind together.
    """
    names = sorted(whole.files)

    @rounds(ceil(N_FILES / per_round))
    @given(st.booleans(), st.lists(SEED, min_size=len(names), max_size=len(names)))
    def attempt(leaves_only: bool, seeds: list[int]) -> None:
        allowed = whole.leaves if leaves_only and len(whole.leaves) > 1 else set(names)
        chosen = {name: seed for name, seed in zip(names, seeds, strict=True) if seed % 5 and name in allowed}
        whole.attempt({name: damage(name, Random(seed)) for name, seed in chosen.items()})

    attempt()
    record(whole, kind)


def record(whole: Trials, kind: str) -> None:
    """Append what was counted to the file that the environment names."""
    path = os.environ.get("ATTENDING_FUZZ_TALLY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            counted = {"format": kind, "source": whole.component.name} | asdict(whole.tally)
            file.write(json.dumps(counted) + "\n")
