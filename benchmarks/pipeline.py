"""Events and patients per second of every stage, on a simulated cohort in the layout of MIMIC-IV.

    python benchmarks/pipeline.py [--subjects 5000] [--write]

Each stage runs in a process of its own; CPU seconds are user and system of all its processes, start-up of Python and
imports included. The neural models train for one epoch over every sample. `--write` adds the table to
`benchmarks/results/pipeline.md`.
"""

import argparse
import tempfile
from pathlib import Path

from measuring import Cost, machine, measure

NEURAL = {
    "retain": {"width": 96, "width_alpha": 96, "width_beta": 96},
    "gru": {"width": 96, "width_state": 96},
    "transformer": {"width": 64},
}
BASELINES = ("copy_history", "logistic_counts", "gbm_counts")
RESULTS = Path(__file__).parent / "results" / "pipeline.md"


def study(folder: str, subjects: int):  # noqa: ANN201 - imported in the process that runs it
    """Return the study that is measured."""
    from attending.pipeline import Study

    return Study(
        name="benchmark",
        output=folder,
        simulate={"n_subjects": subjects, "seed": 5},
        models=[{"name": name} | settings for name, settings in NEURAL.items()],
        train={"epochs": 1},
        batches={"max_tokens": 256},
        evaluate={"n_replicates": 1000},
    )


def stage(folder: str, subjects: int, name: str, *arguments: str) -> dict[str, object]:
    """Run one stage of the study and return its counts."""
    return getattr(study(folder, subjects), name)(*arguments).counts


def main() -> None:
    """Measure every stage once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=5000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    steps = [(name, ()) for name in ("simulate", "ingest", "label", "tokenize")]
    steps += [("train", (model,)) for model in ("popularity", *BASELINES, *NEURAL)]
    steps += [("predict", (model,)) for model in ("popularity", *BASELINES, *NEURAL)] + [("evaluate", ())]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        n_events = 0
        for name, arguments in steps:
            cost = measure(stage, folder, options.subjects, name, *arguments)
            if name == "ingest":
                n_events = int(cost.value["events"])  # type: ignore[index]
            rows.append(row(" ".join([name, *arguments]), cost, options.subjects, n_events))
            print(rows[-1], flush=True)
    head = f"\n## {options.subjects:,} patients, {n_events:,} events\n\n{machine()}\n\n"
    head += "| stage | wall s | CPU s | peak MB | events per CPU-s | patients per CPU-s |\n"
    head += "|---|---|---|---|---|---|\n"
    print(head + "\n".join(rows))
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Every stage, timed\n"
        RESULTS.write_text(before + head + "\n".join(rows) + "\n", encoding="utf-8")


def row(name: str, cost: Cost, subjects: int, n_events: int) -> str:
    """Return one line of the table."""
    events = f"{n_events / cost.cpu:,.0f}" if n_events else ""
    patients = f"{subjects / cost.cpu:,.0f}"
    return f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak_mb:,.0f} | {events} | {patients} |"


if __name__ == "__main__":
    main()
