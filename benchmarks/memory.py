"""Does the peak memory of ingest grow with the number of patients? It must not: shards set it.

    python benchmarks/memory.py [--subjects 10000 100000] [--write]

Cohorts are simulated in the layout of MIMIC-IV and ingested by one process each.
"""

import argparse
import tempfile
from pathlib import Path

from measuring import machine, measure

RESULTS = Path(__file__).parent / "results" / "memory.md"


def simulate(folder: str, subjects: int) -> dict[str, int]:
    """Write a cohort as csv.gz."""
    from attending.simulate.config import Config
    from attending.simulate.mimic4 import simulate_mimic4

    return simulate_mimic4(Config(n_subjects=subjects, seed=5), Path(folder) / "raw")


def ingest(folder: str) -> dict[str, object]:
    """Read the cohort into events."""
    from attending.config import Component
    from attending.engine.local import Local
    from attending.stages.ingest import ingest as stage

    root = Path(folder)
    return stage(Component(name="mimic4"), root / "raw", root / "events", engine=Local(1)).counts


def main() -> None:
    """Measure each size once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = f"\n{machine()}\n\n| patients | events | step | wall s | CPU s | peak MB |\n|---|---|---|---|---|---|\n"
    for subjects in options.subjects:
        with tempfile.TemporaryDirectory() as folder:
            made = measure(simulate, folder, subjects)
            read = measure(ingest, folder)
        events = read.value["events"]  # type: ignore[index]
        for name, cost in (("simulate", made), ("ingest", read)):
            text += f"| {subjects:,} | {events:,} | {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak_mb:,.0f} |\n"
    print(text)
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Peak memory of ingest\n"
        RESULTS.write_text(before + text, encoding="utf-8")


if __name__ == "__main__":
    main()
