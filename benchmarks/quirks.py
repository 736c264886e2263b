"""What the quirks of released code cost: each model in the paper's form and in the authors', five seeds, paired.

    python benchmarks/quirks.py [NAME …] [--minutes 60] [--write]

The study is `studies/zoo/quirks.yaml`, on simulated patients. What is found of a model is one file in
`benchmarks/results/quirks/`; one that is there is not run again. `--write` makes `benchmarks/results/quirks.md`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from measuring import machine
from zoo import SEEDS, over_seeds, scores_of, study_of

from attending import registry
from attending.artifact import write_json
from attending.config import Component
from attending.stages.predict import predict
from attending.stages.train import train

CELLS = Path("benchmarks/results/quirks")
PAGE = Path("benchmarks/results/quirks.md")
FORMS = ("paper", "authors")
QUIRKS = {
    "behrt": "the table of visit positions is random and stays so, where the paper has a sinusoid",
    "concare": "layer norms are computed and not used; time counts steps and is appended to the score",
    "gram": "dropout leaves the state unscaled, and prediction halves it, whatever the rate (here .2)",
    "hitanet": "heads are blocks of time steps, under another's padding mask",
    "retain": "both recurrences' outputs are halved",
    "stagenet": "a window that reaches back before the first step holds zeros that share its softmax",
}


BOTH = {"hitanet": {"n_layers": 1}}  # what the released model is limited to


def main() -> None:
    """Run what is not there yet, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=models())
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="start no new model after so long"
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    given = parser.parse_args()
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * given.minutes
    CELLS.mkdir(parents=True, exist_ok=True)
    for name in given.names or models():
        if not (CELLS / f"{name}.json").exists() and time.monotonic() < until:
            write_json(CELLS / f"{name}.json", one(name))
    text = page()
    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")


def models() -> list[str]:
    """Return the models that have both forms."""
    known = ((name, registry.load("models", name).Config.model_fields) for name in registry.names("models"))
    return [name for name, fields in known if "strict" in fields]


def one(name: str) -> dict[str, Any]:
    """Train both forms of a model by each seed, and compare them on held-out subjects."""
    study = study_of("quirks")
    study.fit()
    tokens, labels = study.folder / "tokens", study.folder / "labels"
    predictions = {}
    for form in FORMS:
        for seed in SEEDS:
            model = Component(name=name, size="small", strict=form, **BOTH.get(name, {}))
            folder = study.folder / "models" / f"{name}-{form}-{seed}"
            options = {"config": study.config.train, "batching": study.config.batches, "seed": seed}
            train(tokens, labels, folder, model=model, **options)
            predictions[f"{form} {seed}"] = study.folder / "predictions" / folder.name
            predict(folder, tokens, labels, predictions[f"{form} {seed}"])
    work, _ = scores_of(study, predictions)
    of = {
        form: [work.scores[f"{form} {seed}"].metrics["all"][work.headline] for seed in SEEDS]
        for form in FORMS
    }
    difference = [authors.minus(paper) for authors, paper in zip(of["authors"], of["paper"], strict=True)]
    return {form: over_seeds(of[form]) for form in FORMS} | {
        "difference": over_seeds(difference),
        "headline": work.headline,
    }


def page() -> str:
    """Return the table of all that has been found."""
    lines = [
        "# What the quirks of released code cost",
        "",
        machine(),
        "",
        "`python benchmarks/quirks.py --write`: macro AUROC on held-out subjects of 5,000 simulated patients "
        "(`studies/zoo/quirks.yaml`), the mean of five seeds; intervals over a bootstrap of subjects, the difference "
        "paired by seed and subject, `sd` its spread over seeds.",
        "",
        "| model | the authors' code | paper's form | authors' form | authors − paper | sd |",
        "|---|---|---|---|---|---|",
    ]
    for path in sorted(CELLS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = [f"{found[form]['estimate']:.3f}" for form in FORMS]
        of = found["difference"]
        lines.append(
            f"| {path.stem} | {QUIRKS[path.stem]} | {' | '.join(cells)} "
            f"| {of['estimate']:+.4f} ({of['low']:+.4f} to {of['high']:+.4f}) | {of['sd']:.4f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
