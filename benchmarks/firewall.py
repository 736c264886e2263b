"""Whether the firewall catches ten planted leaks and lets ten clean studies pass, and what its checks cost.

    python benchmarks/firewall.py [--subjects 2000] [--write]

The leaks and the clean studies are those of `tests/audit`. The cost is that of the checks that every study makes, on a
simulated study of `--subjects` with two baselines and one network, beside what the study itself takes. `--write` puts
the tables into `benchmarks/results/firewall.md`.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measuring import machine

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "firewall.md"
sys.path.insert(0, str(ROOT / "tests"))


def planted(base: Any, folder: Path) -> list[str]:  # noqa: ANN401 - a study of the tests
    """Plant each leak, audit it, and return a line a leak."""
    from audit.leaks import LEAKS
    from audit.studies import found

    lines = ["| leak | check meant for it | caught | what it said | also failed |", "|---|---|---|---|---|"]
    n_caught = 0
    for leak in LEAKS:
        findings = found(leak.plant(base, folder / leak.check), retrained=leak.retrained)
        failed = [name for name, one in findings.items() if one["verdict"] == "failed"]
        caught = leak.check in failed
        n_caught += caught
        others = ", ".join(name for name in failed if name != leak.check) or "–"
        said = findings[leak.check]["evidence"]
        lines.append(f"| {leak.what} | `{leak.check}` | {'yes' if caught else 'NO'} | {said} | {others} |")
    return [f"## {n_caught} of {len(LEAKS)} planted leaks caught\n", *lines, ""]


def clean(base: Any, folder: Path) -> list[str]:  # noqa: ANN401 - a study of the tests
    """Audit each clean study, and return a line a study."""
    from audit.clean import CLEAN
    from audit.studies import found

    lines = [
        "| study | split | models | passed | not applicable | not run | failed |",
        "|---|---|---|---|---|---|---|",
    ]
    n_alarms = 0
    for one in CLEAN:
        findings = found(one.make(base, folder / one.name), retrained=one.retrained)
        verdicts = [finding["verdict"] for finding in findings.values()]
        n_alarms += "failed" in verdicts
        counts = " | ".join(
            str(verdicts.count(verdict)) for verdict in ("passed", "not_applicable", "not_run", "failed")
        )
        lines.append(f"| {one.name} | {one.by} | {', '.join(one.models)} | {counts} |")
    return [f"## {n_alarms} of {len(CLEAN)} clean studies raise an alarm\n", *lines, ""]


def cost(n_subjects: int, folder: Path) -> list[str]:
    """Time a study and its audit, and return a line."""
    from attending.pipeline import Study

    study = Study(
        name="cost",
        output=folder / "cost",
        workers=1,
        simulate={"n_subjects": n_subjects, "seed": 7},
        baselines=["popularity", "logistic_counts"],
        models=[{"name": "gru", "width": 64, "width_state": 64}],
        train={"epochs": 3},
    )
    study.simulate()
    seconds = []
    for work in (
        study.run,
        lambda: study.audit(again=True),
        lambda: study.audit(everything=True, again=True),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
    (run, run_cpu), (cheap, cheap_cpu), (whole, whole_cpu) = seconds
    return [
        "## What the checks cost\n",
        "| subjects | study, wall s (CPU s) | checks that are always on | share of CPU | `--all` |",
        "|---|---|---|---|---|",
        f"| {n_subjects:,} | {run:.0f} ({run_cpu:.0f}) | {cheap:.1f} ({cheap_cpu:.1f}) | {cheap_cpu / run_cpu:.1%} "
        f"| {whole:.0f} ({whole_cpu:.0f}) |",
        "",
    ]


def main() -> None:
    """Run all three and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=2_000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    from audit.studies import cohort, make

    lines = [
        "# The leakage firewall\n",
        f"{machine()}; load of other work before: {os.getloadavg()[0]:.1f}\n",
        f"`python benchmarks/firewall.py --subjects {given.subjects} --write`\n",
    ]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        task: dict[str, object] = {"name": "length_of_stay", "kind": "over", "over": [3.0]}
        base = make(cohort(folder), folder / "study", task)
        for part in (
            lambda: planted(base, folder / "leaks"),
            lambda: clean(base, folder / "clean"),
            lambda: cost(given.subjects, folder),
        ):
            lines += part()
            if given.write:
                RESULTS.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
