"""How far a result moves when only the split, or only the seed of training, changes.

A study is run for each of I splits and J seeds; x_ij is a model's headline in split i with seed j. Seeds are repeats
within a split, so by the one-way analysis of variance

    MS_within  = Σ_ij (x_ij − x̄_i)² / (I · (J − 1))          σ²_seed  = MS_within
    MS_between = J · Σ_i (x̄_i − x̄)² / (I − 1)                σ²_split = max(0, (MS_between − MS_within) / J)

and the share of the variance by split is σ²_split / (σ²_split + σ²_seed) (Searle, Casella, McCulloch 1992). It
needs two of either.

The *instability* of a subject is the standard deviation, over the seeds of one split, of the probability that the
same model predicts for the same sample and outcome, averaged over the subject's samples and outcomes: what a patient
is told that depends on the seed alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attending.compare.table import Line, Table, Value
from attending.metrics.ratio import Array, Floats
from attending.report.comparison import NOTHING, metric_name

FOLDER, FILE = "multiverse", "multiverse.json"
LARGE_SHARE = 0.9


def read(folder: Path) -> dict[str, Any] | None:
    """Return what was found of the study whose output folder is given; None where it was not asked."""
    path = folder / FOLDER / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def spread(values: Floats) -> dict[str, float | None]:
    """Return mean, SD, range and the shares of variance of `values` (I splits, J seeds)."""
    n_splits, n_seeds = values.shape
    whole = {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if values.size > 1 else None,
        "min": float(values.min()),
        "max": float(values.max()),
    }
    return whole | _shares(values, n_splits, n_seeds)


def first_counts(values: dict[str, Floats], *, lower_is_better: bool = False) -> dict[str, int]:
    """Return in how many variants each model is first; those that tie for it all are."""
    sign = -1 if lower_is_better else 1
    stacked = sign * np.stack(list(values.values()))
    first = stacked == stacked.max(axis=0)
    return {name: int(first[at].sum()) for at, name in enumerate(values)}


def instability(of_seeds: Sequence[Array], owner: Array) -> Floats:
    """Return each subject's instability from probabilities (n, K) of each seed; `owner` (n,) numbers the subjects."""
    spread_of = np.stack([one.astype(np.float64) for one in of_seeds]).std(axis=0, ddof=1).mean(axis=1)
    n_samples = np.bincount(owner)
    return np.asarray(np.bincount(owner, spread_of) / np.maximum(n_samples, 1), np.float64)


def in_short(of_subjects: Sequence[Floats]) -> dict[str, float | None]:
    """Return mean, median and 90th percentile over subjects; None where nothing was repeated."""
    if not len(of_subjects):
        return {"mean": None, "median": None, "p90": None}
    every = np.concatenate(of_subjects)
    return {
        "mean": float(every.mean()),
        "median": float(np.median(every)),
        "p90": float(np.quantile(every, LARGE_SHARE)),
    }


def as_table(found: dict[str, Any]) -> Table:
    """Lay out what `attending multiverse` found, best mean first."""
    sign = 1 if found["lower_is_better"] else -1
    ranked = sorted(found["models"].items(), key=lambda one: (sign * one[1]["mean"], one[0]))
    n = found["n_splits"] * found["n_seeds"]
    columns = ["Mean", "SD", "Min–max", "By split", "By seed", f"First, of {n}", "Instability", "90th pct"]
    name = metric_name(found["headline"])
    return Table(
        groups=[
            (name, 3),
            ("Share of variance", 2),
            ("", 1),
            ("Per patient", 2),
        ],
        columns=columns,
        lines=[Line(name=model, tag="", cells=_cells(values)) for model, values in ranked],
        notes=[
            f"{found['n_splits']} splits of the subjects × {found['n_seeds']} seeds of training.",
            "Shares of variance are variance components: splits differ, and seeds within a split.",
            "Instability: the standard deviation of the probability predicted for the same held-out patient over "
            "seeds of training on the same split, averaged over samples and outcomes; its mean and 90th percentile "
            "over patients.",
        ],
    )


def _shares(values: Floats, n_splits: int, n_seeds: int) -> dict[str, float | None]:
    nothing: dict[str, float | None] = {"share_by_split": None, "share_by_seed": None}
    if n_splits < 2 or n_seeds < 2:
        return nothing
    means = values.mean(axis=1)
    within = float(((values - means[:, None]) ** 2).sum() / (n_splits * (n_seeds - 1)))
    between = float(n_seeds * means.var(ddof=1))
    by_split = max(0.0, (between - within) / n_seeds)
    if by_split + within <= 0:
        return nothing
    return {"share_by_split": by_split / (by_split + within), "share_by_seed": within / (by_split + within)}


def _cells(values: dict[str, Any]) -> list[Value]:
    texts = [_text(values["mean"]), _text(values["sd"]), f"{_text(values['min'])}–{_text(values['max'])}"]
    texts += [_percent(values["share_by_split"]), _percent(values["share_by_seed"]), str(values["n_first"])]
    texts += [_text(values["instability"]["mean"]), _text(values["instability"]["p90"])]
    return [Value(text=text) for text in texts]


def _text(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f} %"
