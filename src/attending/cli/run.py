"""Whole studies, and cohorts to study."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter


def run(
    study: Path, *overrides: str, json_: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> None:
    """Run a study: raw tables to report, doing only what is not up to date.

    Parameters
    ----------
    study
        The study's YAML file.
    overrides
        Settings to change, such as `train.epochs=3` or `simulate.n_subjects=20000`.
    json_
        Print the report's path and its numbers as JSON.
    """
    from attending.pipeline import Study
    from attending.progress import say
    from attending.stages.report import three_numbers

    started = Study.from_yaml(study, *overrides)
    report = started.run()
    metrics = json.loads((started.folder / "metrics" / "metrics.json").read_text(encoding="utf-8"))
    numbers = three_numbers(metrics)
    say("")
    for label, value in numbers:
        say(f"  {label}: {value}")
    for name, gap in _gaps(metrics):
        say(f"  Gap of {name} to the true probability: {gap}")
    say(f"\n  The report is at {report}")
    if json_:
        print(json.dumps({"report": str(report), "numbers": dict(numbers)}))


def _gaps(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each model's distance to the ceiling in the headline metric, nearest first, where a truth is known."""
    found = {
        name: scopes["all"][metrics["headline"]]["gap_to_ceiling"]
        for name, scopes in metrics["models"].items()
    }
    known = {name: gap for name, gap in found.items() if gap and gap["estimate"] is not None}
    return [
        (name, f"{gap['estimate']:.3f} ({gap['low']:.3f}–{gap['high']:.3f})")
        for name, gap in sorted(known.items(), key=lambda one: one[1]["estimate"])
    ]


def simulate(
    out: Path,
    *,
    subjects: int = 5000,
    seed: int = 0,
    layout: Literal["mimic4", "meds"] = "mimic4",
    shuffle: Literal["none", "subject", "cohort"] = "none",
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Make a cohort whose truth is known: tables, and the true probability and causes of every label.

    Parameters
    ----------
    out
        The folder to write.
    subjects
        How many subjects. The first of them are the same for every number.
    seed
        The seed of the whole cohort.
    layout
        Write MIMIC-IV's csv.gz tables, or MEDS.
    shuffle
        Null mode: deal out what happened among the visits of each subject, so that nothing temporal can be
        learned, or of the whole cohort, so that nothing can.
    json_
        Print the counts as JSON.
    """
    from attending.progress import say
    from attending.simulate.config import Config
    from attending.simulate.meds import simulate_meds
    from attending.simulate.mimic4 import simulate_mimic4

    write = {"mimic4": simulate_mimic4, "meds": simulate_meds}[layout]
    counts = write(Config(n_subjects=subjects, seed=seed, shuffle=shuffle), out)
    say(f"wrote {out}: " + ", ".join(f"{value:,} {name}" for name, value in counts.items()))
    if json_:
        print(json.dumps(counts))
