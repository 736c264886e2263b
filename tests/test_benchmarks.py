"""Small runs of the benchmarks of models; those beside loops check that both compute the same before they time them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("command", "n_rows"),
    [
        ("loops.py --steps 5 --repeats 1", 4),
        ("chet_loop.py --visits 3", 1),
        ("models.py retain --no-peer --seconds 0.01", 1),
    ],
)
def test_a_benchmark_runs_and_prints_its_rows(command, n_rows):
    script, *arguments = command.split()
    run = subprocess.run(
        [sys.executable, f"benchmarks/{script}", *arguments],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    rows = {line for line in run.stdout.splitlines() if line.startswith("| ") and line[-3].isdigit()}
    assert len(rows) == n_rows
