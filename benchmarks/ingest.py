"""What ingest costs above bare polars and below PyHealth, and whether its memory grows, side by side in one run.

    python benchmarks/ingest.py [--subjects 10000 100000] [--rounds 3] [--peer-up-to 10000] [--write]

For each number of subjects a cohort is simulated in the layout of MIMIC-IV, and one after another, in turns, run

    attending ingest       `attending ingest mimic4`, with one worker and with one for each core
    bare polars            `bare_polars.py`, whose events must be the same: the same rows and the same order
    attending chain        ingest, label and tokenize for `next_diagnoses`, in one process: of all tables, and of the
                           tables that PyHealth reads
    PyHealth               `peers/pyhealth.py`, load and task, in an environment of its own, once, with one worker,
                           for cohorts of up to `--peer-up-to`

Every figure is of a whole tree of processes, start-up and imports included; of several rounds the median counts.
Cohorts above `--bare-up-to` are only ingested, with one worker.
`--write` adds the tables to `results/ingest.md`. One million subjects take about 40 minutes and 20 GB of disk.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import polars as pl
from measuring import machine
from peers.environment import python_of
from trees import Tree, run

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "ingest.md"
OURS, OURS_PARALLEL, BARE = "attending ingest, 1 worker", "attending ingest, {} workers", "bare polars"
CHAIN, CHAIN_CODED, PEER = (
    "attending chain, all tables",
    "attending chain, PyHealth's tables",
    "PyHealth load + task",
)
NOT_CODED = (
    "labevents",
    "omr",
    "microbiologyevents",
    "transfers",
    "services",
    "drgcodes",
)
"""The simulated tables that PyHealth's task does not read."""
STORED = (
    "PyHealth 2.1.0 was not run here ({}): 69 CPU-s and 2.6 GB for 10,000 patients were measured elsewhere"
)
HEAD = "| patients | what | wall s | CPU s | peak MB |\n|---|---|---|---|---|\n"


class Cohort:
    """One simulated cohort and everything that is made of it, in one folder."""

    def __init__(self, folder: Path, n_subjects: int) -> None:
        self.folder, self.n_subjects = folder, n_subjects
        self.raw = folder / "raw"
        self.costs: dict[str, list[Tree]] = {}

    def simulate(self) -> None:
        """Write the tables."""
        size = ["--subjects", str(self.n_subjects), "--seed", "5", "--layout", "mimic4"]
        self.measure("simulate", [*attending(), "simulate", str(self.raw), *size])

    def measure(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> Tree:
        """Run a command and keep what it took."""
        cost = run(command, environment)
        self.costs.setdefault(name, []).append(cost)
        print(f"  {self.n_subjects:,} {name}: {cost.cpu:.1f} CPU-s, {cost.peak_mb:,.0f} MB", file=sys.stderr)
        return cost

    def fresh(self, name: str) -> Path:
        """Return the path of an output that is not there."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    def ingest(self, n_workers: int) -> None:
        """Ingest by the command line."""
        name = OURS if n_workers == 1 else OURS_PARALLEL.format(n_workers)
        command = [*attending(), "ingest", "mimic4", str(self.raw), str(self.fresh("events"))]
        self.measure(name, [*command, "--workers", str(n_workers)])

    def bare(self) -> None:
        """Make the same events with polars alone."""
        self.measure(BARE, script("bare_polars.py", self.raw, self.fresh("bare")))

    def chain(self, name: str, leave_out: tuple[str, ...]) -> str:
        """Run ingest, label and tokenize."""
        cost = self.measure(name, [*script("chain.py", self.raw, self.fresh("chain")), *leave_out])
        return cost.output.splitlines()[-1]

    def peer(self, python: Path) -> str:
        """Run PyHealth."""
        peer = [
            str(python),
            "-I",
            str(HERE / "peers" / "pyhealth.py"),
            str(self.raw),
            str(self.fresh("cache")),
            "1",
        ]
        cost = self.measure(PEER, peer, {"LITDATA_DISABLE_VERSION_CHECK": "1"})
        return cost.output.splitlines()[-1]

    def cpu(self, name: str) -> float:
        """Return the median of a command's CPU seconds."""
        return median(cost.cpu for cost in self.costs[name])

    def peak(self, name: str) -> float:
        """Return the median of a command's peak memory."""
        return median(cost.peak_mb for cost in self.costs[name])

    def rows(self) -> str:
        """Return the lines of the table."""
        text = ""
        for name, costs in self.costs.items():
            wall = median(cost.wall for cost in costs)
            text += f"| {self.n_subjects:,} | {name} | {wall:.1f} | {self.cpu(name):.1f} | {self.peak(name):,.0f} |\n"
        return text


def attending() -> list[str]:
    """Return the command `attending` of this environment."""
    return [sys.executable, "-c", "from attending.cli.main import main; raise SystemExit(main())"]


def script(name: str, *arguments: Path) -> list[str]:
    """Return the command of a script that lies beside this one."""
    return [sys.executable, str(HERE / name), *map(str, arguments)]


def same_events(ours: Path, bare: Path) -> int:
    """Return the number of events of two folders of Parquet files that hold the same rows, in order.

    Raises:
        RuntimeError: if they differ, or a file is out of order.
    """
    found = {}
    for folder in (ours, bare):
        n_rows = checksum = 0
        for path in sorted(folder.glob("*.parquet")):
            frame = pl.read_parquet(path)
            n_rows += frame.height
            checksum = (checksum + int(frame.hash_rows(seed=5).sum())) % 2**64
            key = frame.select(
                pl.struct("subject_id", pl.col("time").fill_null(pl.datetime(1, 1, 1)))
            ).to_series()
            if not key.is_sorted():
                raise RuntimeError(f"{path} is out of order")
        found[folder] = (n_rows, checksum)
    if found[ours] != found[bare]:
        raise RuntimeError(
            f"the events differ: (rows, checksum) {found[ours]} here, {found[bare]} of bare polars"
        )
    return found[ours][0]


def compare(cohort: Cohort, rounds: int, python: Callable[[], Path] | None) -> list[str]:
    """Run everything on one cohort; return what it says in words."""
    says = []
    n_workers = os.cpu_count() or 1
    for _ in range(rounds):
        for workers in sorted({1, n_workers}):
            cohort.ingest(workers)
        cohort.bare()
    n_events = same_events(cohort.folder / "events" / "data", cohort.folder / "bare")
    ratios = [
        cohort.cpu(name) / cohort.cpu(BARE)
        for name in (OURS, OURS_PARALLEL.format(n_workers))
        if name in cohort.costs
    ]
    says.append(
        f"{cohort.n_subjects:,} patients, {n_events:,} events, the same rows from both: CPU time over bare polars "
        + " and ".join(f"{ratio:.2f}×" for ratio in ratios)
        + f" (1 and {n_workers} workers; at most 1.5×)"
    )
    for name, leave_out in ((CHAIN, ()), (CHAIN_CODED, NOT_CODED)):
        for _ in range(rounds):
            made = cohort.chain(name, leave_out)
        says.append(f"{name}: {made}")
    if python is not None:
        says += against_peer(cohort, python)
    return says


def against_peer(cohort: Cohort, python: Callable[[], Path]) -> list[str]:
    """Run PyHealth, or say why not and cite what was measured before."""
    try:
        made = cohort.peer(python())
    except (RuntimeError, OSError) as error:
        return [STORED.format(str(error).splitlines()[0])]
    says = [f"{PEER}: {made}"]
    for name in (CHAIN, CHAIN_CODED):
        less, smaller = cohort.cpu(PEER) / cohort.cpu(name), cohort.peak(PEER) / cohort.peak(name)
        says.append(
            f"{name}: {less:.1f}× less CPU (target 25×) and {smaller:.1f}× less memory (target 5×) than {PEER}"
        )
    return says


def growth(cohorts: list[Cohort]) -> list[str]:
    """Say how the peak memory of ingest grows."""
    return [
        f"peak memory of ingest, {small.n_subjects:,} → {large.n_subjects:,} patients: "
        + ", ".join(
            f"{small.peak(name):,.0f} → {large.peak(name):,.0f} MB ({name.rpartition(', ')[2]})"
            for name in small.costs
            if name in large.costs and name.startswith("attending ingest")
        )
        for small, large in pairwise(cohorts)
    ]


def main() -> None:
    """Measure, print, and keep the tables if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument(
        "--rounds", type=int, default=3, help="for cohorts of up to 20,000; larger ones run once"
    )
    parser.add_argument(
        "--bare-up-to", type=int, default=100_000, help="bare polars holds the hospital in memory"
    )
    parser.add_argument("--peer-up-to", type=int, default=10_000, help="0: without PyHealth")
    parser.add_argument("--python", default="", help="a Python 3.12 for PyHealth's environment")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text, says, cohorts = HEAD, [], []
    for n_subjects in sorted(options.subjects):
        with tempfile.TemporaryDirectory() as folder:
            cohort = Cohort(Path(folder), n_subjects)
            cohorts.append(cohort)
            cohort.simulate()
            if n_subjects <= options.bare_up_to:
                rounds = options.rounds if n_subjects <= 20_000 else 1
                peer = (
                    (lambda: python_of("pyhealth", options.python))
                    if n_subjects <= options.peer_up_to
                    else None
                )
                says += compare(cohort, rounds, peer)
            else:
                cohort.ingest(1)
        text += cohort.rows()
    says += growth(cohorts)
    text = f"\n{machine()}\n\n{text}\n" + "".join(f"- {line}\n" for line in says)
    print(text)
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        before = (
            RESULTS.read_text(encoding="utf-8")
            if RESULTS.exists()
            else "# Ingest, beside bare polars and PyHealth\n"
        )
        RESULTS.write_text(before + text, encoding="utf-8")


if __name__ == "__main__":
    main()
