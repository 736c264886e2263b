"""Does the learning rate that is best at one width stay best at others? Tuning loss by rate and width.

    python benchmarks/transfer.py [--subjects 2000] [--model gru] [--epochs 4] [--rates …] [--widths …] [--write]

Simulated subjects, next diagnoses; each cell is one training run. `plain` uses the rate as it is, `scaled` sets
`rate_width` to the middle width. `--write` adds the table to `benchmarks/results/transfer.md`.
"""

import argparse
import os
import tempfile
from pathlib import Path

from measuring import machine

RESULTS = Path(__file__).parent / "results" / "transfer.md"
RATES = [5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2]


def data(folder: Path, n_subjects: int) -> Path:
    """Simulate subjects, and return the folder of a study whose tokens and labels are made."""
    from attending.pipeline import Study

    study = Study(
        name="transfer",
        output=folder / "run",
        simulate={"n_subjects": n_subjects, "seed": 0},
        task={"name": "next_diagnoses", "vocabulary": "ccs"},
        models=[],
        baselines=["popularity"],
        workers=1,
    )
    study.fit()
    return study.folder


def tuning_loss(folder: Path, model: str, width: int, rate: float, rate_width: int, epochs: int) -> float:
    """Train once and return the best tuning loss."""
    from attending import registry
    from attending.config import Component
    from attending.data import batches
    from attending.stages.train import train
    from attending.train.config import Config

    fields = registry.load("models", model).Config.model_fields
    widths = {name: width for name in fields if name.startswith("width")}
    manifest = train(
        folder / "tokens",
        folder / "labels",
        folder / "trial",
        model=Component(name=model, **widths),
        config=Config(epochs=epochs, patience=epochs, learning_rate=rate, rate_width=rate_width),
        batching=batches.Config(max_tokens=128),
    )
    return float(manifest.counts["tuning_loss"])


def main() -> None:
    """Train at every rate and width, print the table, and keep it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=2000)
    parser.add_argument("--model", default="gru")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    base = given.widths[len(given.widths) // 2]
    columns = [(width, scaled) for scaled in (False, True) for width in given.widths]
    found: dict[tuple[int, bool, float], float] = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = data(Path(temporary), given.subjects)
        for rate in given.rates:
            for width, scaled in columns:
                found[width, scaled, rate] = (
                    found[width, False, rate]
                    if scaled and width == base
                    else tuning_loss(folder, given.model, width, rate, scaled * base, given.epochs)
                )
            print(rate, *(f"{found[width, scaled, rate]:.4f}" for width, scaled in columns), flush=True)
    names = [f"{'scaled' if scaled else 'plain'} {width}" for width, scaled in columns]
    lines = [f"\n{machine()}; load of other work before: {load:.1f}\n"]
    lines += [f"`{given.model}`, {given.subjects:,} simulated subjects, {given.epochs} epochs\n"]
    lines += [f"| learning rate | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]
    best = {one: min(given.rates, key=lambda rate, one=one: found[*one, rate]) for one in columns}
    for rate in given.rates:
        cells = [f"{found[*one, rate]:.4f}" for one in columns]
        marked = [
            f"**{cell}**" if best[one] == rate else cell for cell, one in zip(cells, columns, strict=True)
        ]
        lines.append(f"| {rate:.1e} | {' | '.join(marked)} |")
    text = "\n".join(lines) + "\n"
    if given.write:
        title = "# One learning rate for several widths: tuning loss\n"
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else title
        RESULTS.write_text(before + text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
