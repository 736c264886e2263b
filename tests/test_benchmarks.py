"""Small runs of the benchmarks of models: each checks that what it compares computes the same before it times it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "loops.py": ("--steps", "5", "--repeats", "1"),
    "chet_loop.py": ("--visits", "3"),
    "models.py": ("retain", "--no-peer", "--seconds", "0.01"),
}
ROWS = {"loops.py": 4, "chet_loop.py": 1, "models.py": 1}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_runs_and_prints_its_rows(name):
    run = subprocess.run(
        [sys.executable, f"benchmarks/{name}", *COMMANDS[name]],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    rows = {line for line in run.stdout.splitlines() if line.startswith("| ") and line[-3].isdigit()}
    assert len(rows) == ROWS[name]
