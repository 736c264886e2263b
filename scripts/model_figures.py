"""Draw what each model attends to: docs/images/models/NAME.svg, one simulated patient, each model trained for a minute.

    python scripts/model_figures.py [NAME …] [--runs FOLDER]

The same patient and the same question for all: the outcome that the first model finds most likely. Bars are the share
of attention that each visit gets, dots its events, darker the more attention they get. A model without an attention of
its own is drawn by its gradient: how much the answer moves with each event.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray

from attending import registry
from attending.batch import Batch
from attending.checkpoint import load_model
from attending.data.batches import Loader
from attending.nn.interface import Model
from attending.pipeline import Study
from attending.schema import DESCRIPTION, HELD_OUT
from attending.stages.label import read_labels
from attending.stages.predict import open_samples
from attending.stages.tokenize import read_vocabulary

IMAGES = Path(__file__).parent.parent / "docs" / "images" / "models"
INK, BAR = "#1f3a5f", "#9db8d9"
LONGEST_NAME = 30
N_VISITS, MOST_TOKENS = 6, 60
STUDY = {
    "name": "Figures of the models",
    "simulate": {"n_subjects": 2000, "seed": 5},
    "task": {"name": "next_diagnoses", "vocabulary": "ccs"},
    "tokens": {
        "leave_out": [
            *(
                "MEDS_BIRTH",
                "MEDS_DEATH",
                "LAB",
                "OMR",
                "MICROBIOLOGY",
                "DRG",
                "TRANSFER_TO",
                "SERVICE",
                "INSURANCE",
            ),
            *(
                "LANGUAGE",
                "MARITAL_STATUS",
                "RACE",
                "ED_REGISTRATION",
                "ED_OUT",
                "ICU_ADMISSION",
                "ICU_DISCHARGE",
            ),
            *("HOSPITAL_ADMISSION", "HOSPITAL_DISCHARGE"),
        ]
    },
    "baselines": [],
    "train": {"epochs": 6, "samples": "one_a_subject", "learning_rate": 0.003},
    "batches": {"max_tokens": 128, "batch_samples": 32},
}


def main() -> None:
    """Train what is not trained, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which models; all that have gradients without a name")
    parser.add_argument("--runs", type=Path, default=Path("runs/figures"))
    given = parser.parse_args()
    names = given.names or [
        one for one in registry.names("models") if not registry.load("models", one).Model.fits
    ]
    models = [{"name": name, "size": "small"} for name in names]
    study = Study(**STUDY, models=models, output=given.runs).fit()
    IMAGES.mkdir(parents=True, exist_ok=True)
    described = read_vocabulary(study.folder / "tokens").table[DESCRIPTION].to_list()
    outcome = None
    for name in names:
        folder = study.model_folder(name)
        _, model = load_model(folder)
        samples, loader = open_samples(folder, study.folder / "tokens", read_labels(study.folder / "labels"))
        batch = patient(loader, samples.of_split(HELD_OUT))
        if outcome is None:
            outcome = int(model(batch).logits[0].argmax())
        draw(IMAGES / f"{name}.svg", batch, *shares(model, batch, outcome), described)


def patient(loader: Loader, positions: NDArray[np.int64]) -> Batch:
    """Return the history of the first sample that has visits enough to attend to and few enough to draw."""
    batches = (loader.batch(np.array([position])).without_labels() for position in positions)
    return next(one for one in batches if one.n_visits == N_VISITS and len(one.tokens) <= MOST_TOKENS)


def shares(model: Model, batch: Batch, outcome: int) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Return the share of each visit, of each event, and what the shares are of."""
    weights = torch.ones_like(batch.values, requires_grad=True)
    output = model(batch.with_weights(weights))
    if output.token_attention is not None:
        of_token, what = output.token_attention.detach(), "attention"
    else:
        output.logits[0, outcome].backward()  # type: ignore[no-untyped-call]
        assert weights.grad is not None
        of_token, what = weights.grad.abs(), "gradient"
        of_token = of_token / of_token.sum().clamp(min=1e-9)
    visits = torch.zeros(batch.n_visits).index_add(0, batch.visit_of_token, of_token)
    if output.visit_attention is not None:
        visits, what = output.visit_attention.detach(), "attention of visits; events by gradient"
    return visits.numpy(), of_token.numpy(), what


def draw(
    path: Path,
    batch: Batch,
    of_visit: NDArray[np.float32],
    of_token: NDArray[np.float32],
    what: str,
    described: list[str],
) -> None:
    """Draw one patient's visits and events, from the first to the last."""
    mpl.rcParams.update({"svg.hashsalt": "attending", "font.size": 8, "svg.fonttype": "none"})
    rows = {visit: np.flatnonzero(batch.visit_of_token.numpy() == visit) for visit in range(batch.n_visits)}
    deepest = max(len(of) for of in rows.values())
    figure, (above, below) = plt.subplots(
        2,
        1,
        figsize=(1.2 + 1.75 * batch.n_visits, 1.6 + 0.17 * deepest),
        height_ratios=(1, 0.17 * deepest),
        sharex=True,
    )
    above.bar(range(batch.n_visits), of_visit, color=BAR, width=0.8)
    above.set_ylabel(f"share of\n{what.split(';')[0]}")
    for visit, of in rows.items():
        for row, token in enumerate(of):
            shade = float(of_token[token] / max(of_token.max(), 1e-9))
            below.scatter(visit - 0.36, row, s=16, color=INK, alpha=0.2 + 0.8 * shade, linewidths=0)
            name = described[int(batch.tokens[token])] or "?"
            name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
            below.text(visit - 0.28, row, name, va="center", fontsize=6.5, color=INK)
    below.set_ylim(deepest - 0.5, -0.8)
    below.set_yticks([])
    ago = [float(-batch.days[of[-1]]) if len(of) else 0.0 for of in rows.values()]
    below.set_xticks(range(batch.n_visits), [words(days, float(batch.ages[rows[0][0]])) for days in ago])
    for axes in (above, below):
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def words(days: float, youngest: float) -> str:
    """Return how long before the prediction a visit was."""
    if youngest <= 0 and days > 365.25 * 15:
        return "at birth"
    return "now" if days < 1 else f"{days:.0f} days ago" if days < 100 else f"{days / 30.4:.0f} months ago"


if __name__ == "__main__":
    main()
