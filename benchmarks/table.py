"""The held-out table of a finished study, as Markdown: every model, its intervals, and its gap to the ceiling.

    python benchmarks/table.py METRICS [--write NAME]

METRICS is the metrics artifact of a study, such as `runs/simulated-20k/metrics`; `--write` appends the table to
`benchmarks/results/NAME.md`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from measuring import machine

COLUMNS = (
    ("all", "macro_auroc"),
    ("all", "micro_auroc"),
    ("new_onset", "macro_auroc"),
    ("new_onset", "recall_at_10"),
)


def cell(result: dict[str, Any]) -> str:
    """Return an estimate and its interval."""
    return f"{result['estimate']:.4f} ({result['low']:.4f}–{result['high']:.4f})"


def table(metrics: dict[str, Any]) -> str:
    """Return the Markdown table, best first by macro AUROC."""
    head = [
        "model",
        *(f"{scope} {metric}" for scope, metric in COLUMNS),
        "− logistic_counts",
        "gap to the ceiling",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    models = metrics["models"]
    if metrics["ceiling"]:
        models = models | {"(true probability)": metrics["ceiling"]["metrics"]}
    plain = models["logistic_counts"]["all"]["macro_auroc"]["estimate"]
    for name in sorted(models, key=lambda one: -models[one]["all"]["macro_auroc"]["estimate"]):
        result = models[name]["all"]["macro_auroc"]
        gap = result["gap_to_ceiling"]
        cells = [cell(models[name][scope][metric]) for scope, metric in COLUMNS]
        more = [f"{result['estimate'] - plain:+.4f}", cell(gap) if gap else ""]
        lines.append(f"| {' | '.join([name, *cells, *more])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and keep it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("metrics", type=Path)
    parser.add_argument("--write", default="")
    options = parser.parse_args()
    metrics = json.loads((options.metrics / "metrics.json").read_text(encoding="utf-8"))
    counts = f"{metrics['n_samples']:,} held-out samples of {metrics['n_subjects']:,} subjects"
    scored = metrics["n_scored_outcomes"]["all"]
    made_by = json.loads((options.metrics / "manifest.json").read_text(encoding="utf-8"))["code_version"]
    head = (
        f"\n{machine(made_by)}\n\n{counts}; {scored} outcomes scored; {metrics['n_replicates']:,} replicates"
    )
    text = f"{head}\n\n{table(metrics)}"
    print(text)
    if options.write:
        out = Path(__file__).parent / "results" / f"{options.write}.md"
        before = out.read_text(encoding="utf-8") if out.exists() else f"# {options.write}\n"
        out.write_text(before + text, encoding="utf-8")


if __name__ == "__main__":
    main()
