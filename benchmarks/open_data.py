"""Run the study of each open data set and write what came of it: every model and baseline, on held-out subjects.

    python benchmarks/open_data.py [--runs FOLDER] [--write] [NAME …]

The studies are `studies/open-data/NAME.yaml`; without names all of them. A study that is up to date is not run again.
`--write` makes `benchmarks/results/open-data.md`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from measuring import machine

from attending import config
from attending.artifact import read_manifest
from attending.pipeline import Study
from attending.schema import P_HOLM
from attending.study import StudyConfig

STUDIES = Path("studies/open-data")
RESULTS = Path("benchmarks/results/open-data.md")
MULTI = (
    ("all", "macro_auroc", "macro AUROC"),
    ("all", "micro_auroc", "micro AUROC"),
    ("all", "recall_at_10", "R@10"),
    ("all", "weighted_f1", "weighted F1"),
    ("new_onset", "recall_at_10", "R@10, new onset"),
    ("recurrent", "recall_at_10", "R@10, recurrent"),
)
BINARY = (
    ("all", "auroc", "AUROC"),
    ("all", "auprc", "AUPRC"),
    ("all", "brier", "Brier"),
    ("all", "calibration_slope", "calibration slope"),
)


def main() -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which studies; all of them without a name")
    parser.add_argument("--runs", type=Path, default=Path("runs/open-data"), help="where the runs lie")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    given = parser.parse_args()
    names = given.names or sorted(path.stem for path in STUDIES.glob("*.yaml"))
    parts = []
    for name in names:
        study = Study.from_yaml(STUDIES / f"{name}.yaml", f"output={given.runs / name}")
        study.run()
        parts.append(section(name, study.folder))
    text = "\n\n".join([head(), *parts]) + "\n"
    print(text)
    if given.write:
        RESULTS.write_text(text, encoding="utf-8")


def head() -> str:
    """Return what the whole page says."""
    return (
        "# What open data can show\n\n"
        f"{machine()}\n\n"
        "`python benchmarks/open_data.py --write`: every number is of held-out subjects, with 95 % intervals of a "
        "bootstrap of subjects; models and penalties were chosen on tuning subjects. `−` is the paired difference to "
        "the best baseline, which tuning subjects chose (in italics); `*` survives Holm's correction over all models "
        "at 5 %. Seconds are of training, on a shared machine."
    )


def section(name: str, folder: Path) -> str:
    """Return the table of one study."""
    study = config.read(folder / "study.yaml", StudyConfig)
    metrics = json.loads((folder / "metrics" / "metrics.json").read_text(encoding="utf-8"))
    columns = [one for one in (MULTI if metrics["n_outcomes"] > 1 else BINARY) if _has(metrics, one)]
    headline = metrics["headline"]
    lines = [
        f"## {study.name}",
        "",
        f"`studies/open-data/{name}.yaml`: {metrics['n_samples']:,} samples of {metrics['n_subjects']:,} held-out "
        f"subjects, {metrics['n_outcomes']} outcomes{_scored(metrics)}.",
        "",
        f"| model | {' | '.join(label for _, _, label in columns)} | − best baseline | s |",
        "|" + "---|" * (len(columns) + 3),
    ]
    ranked = sorted(metrics["models"], key=lambda one: -(_at(metrics, one, "all", headline)["estimate"] or 0))
    for model in ranked:
        values = [cell(_at(metrics, model, scope, metric)) for scope, metric, _ in columns]
        shown = f"*{model}*" if model == metrics["best_baseline"] else model
        seconds = read_manifest(folder / "models" / model, "model").counts.get("seconds", 0)
        lines.append(f"| {shown} | {' | '.join(values)} | {_difference(metrics, model)} | {seconds:.0f} |")
    if metrics["ceiling"]:
        ceiling = metrics["ceiling"]["metrics"]
        values = [cell(ceiling[scope][metric]) for scope, metric, _ in columns]
        lines.append(f"| (true probability) | {' | '.join(values)} | | |")
    return "\n".join(lines)


def cell(result: dict[str, Any]) -> str:
    """Return an estimate and its interval."""
    if result["estimate"] is None:
        return "–"
    if result["low"] is None:
        return f"{result['estimate']:.3f}"
    return f"{result['estimate']:.3f} ({result['low']:.3f}–{result['high']:.3f})"


def _difference(metrics: dict[str, Any], model: str) -> str:
    entry = _at(metrics, model, "all", metrics["headline"])["difference"]
    if model == metrics["best_baseline"] or not entry or entry["estimate"] is None:
        return ""
    mark = "*" if (entry.get(P_HOLM) or 1) < 0.05 else ""
    return f"{entry['estimate']:+.3f} ({entry['low']:+.3f} to {entry['high']:+.3f}){mark}"


def _scored(metrics: dict[str, Any]) -> str:
    return (
        ""
        if metrics["n_outcomes"] == 1
        else f", of which {metrics['n_scored_outcomes']['all']} are scored alone"
    )


def _has(metrics: dict[str, Any], column: tuple[str, str, str]) -> bool:
    scope, metric, _ = column
    return all(metric in scopes.get(scope, {}) for scopes in metrics["models"].values())


def _at(metrics: dict[str, Any], model: str, scope: str, metric: str) -> dict[str, Any]:
    found: dict[str, Any] = metrics["models"][model][scope][metric]
    return found


if __name__ == "__main__":
    main()
