"""Trained on labels that are dealt out at random, a model is at chance: whatever is better has seen the answer.

Labels are shuffled among the samples of each split, held-out ones too, a model is trained anew, and its predictions are
held against the shuffled labels. No honest input can know these. The interval is that of the same predictions against
many other shuffles.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from attending.audit.dealt_labels import dealt_out
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, not_applicable, not_run, passed
from attending.schema import (
    HELD_OUT,
    LABEL_CODES,
    OUTCOME,
    PREDICTION_TIME,
    PROBABILITY,
    SPLIT,
    SPLITS,
    SUBJECT_ID,
    VALUE,
)

N_SHUFFLES = 1_000
CONFIDENCE = 0.999
FEWEST_POSITIVES = 10

Floats = NDArray[np.float64]


def check(evidence: Evidence) -> Finding:
    """Fail if a model that is trained on shuffled labels predicts the shuffled labels of held-out samples."""
    if evidence.retrain is None:
        return not_run("models are not trained again unless asked", "attending audit STUDY --all")
    if not evidence.retrained:
        return not_run("the study has no trained model")
    shuffled = dealt_out(evidence, SPLITS)
    told = []
    for name in evidence.retrained:
        predicted = evidence.retrain(shuffled, name).filter(pl.col(SPLIT) == HELD_OUT)
        found = _scored(evidence, shuffled, predicted)
        if found is None:
            return not_applicable(f"no outcome happens to {FEWEST_POSITIVES} held-out samples")
        auroc, low, high = found
        told.append(f"'{name}' {auroc:.3f} (chance: {low:.3f}–{high:.3f})")
        if auroc > high:
            return failed(
                f"trained on shuffled labels, {told[-1]}: AUROC above chance",
                "the model or its input has seen the labels: look at what it reads beside the history",
            )
    return passed(f"AUROC of models trained on shuffled labels: {', '.join(told)}")


def _scored(
    evidence: Evidence, shuffled: pl.DataFrame, predicted: pl.DataFrame
) -> tuple[float, float, float] | None:
    """Return the mean AUROC over outcomes, and between what it lies by chance."""
    keys = [SUBJECT_ID, PREDICTION_TIME]
    labels = predicted.select(keys).join(shuffled, on=keys, how="left", maintain_order="left")
    happens = _happens(evidence, labels)
    n = happens.sum(axis=0)
    enough = np.flatnonzero((n >= FEWEST_POSITIVES) & (len(happens) - n >= FEWEST_POSITIVES))
    if not len(enough):
        return None
    ranks = rankdata(predicted[PROBABILITY].to_numpy()[:, enough], axis=0)
    happens = happens[:, enough]
    generator = np.random.default_rng(evidence.seed + 1)
    by_chance = np.array(
        [_auroc(ranks, happens[generator.permutation(len(happens))]) for _ in range(N_SHUFFLES)]
    )
    tail = (1 - CONFIDENCE) / 2
    spread = float(by_chance.std()) * 3.3  # a normal tail beyond what so few shuffles reach
    low = min(float(np.quantile(by_chance, tail)), 0.5 - spread)
    high = max(float(np.quantile(by_chance, 1 - tail)), 0.5 + spread)
    return _auroc(ranks, happens), low, high


def _happens(evidence: Evidence, labels: pl.DataFrame) -> NDArray[np.bool_]:
    if evidence.target == "value":
        value = labels[VALUE].to_numpy()
        above: NDArray[np.bool_] = (value > np.median(value))[:, None]
        return above
    outcomes = evidence.outcomes[OUTCOME].to_list()
    index = {outcome: at for at, outcome in enumerate(outcomes)}
    happens = np.zeros((labels.height, len(outcomes)), dtype=bool)
    for at, codes in enumerate(labels[LABEL_CODES].to_list()):
        happens[at, [index[code] for code in codes if code in index]] = True
    return happens


def _auroc(ranks: Floats, happens: NDArray[np.bool_]) -> float:
    """Return the mean AUROC over the columns, by the sum of the ranks of what happens."""
    n = happens.sum(axis=0)
    sums = (ranks * happens).sum(axis=0)
    return float(np.mean((sums - n * (n + 1) / 2) / (n * (len(happens) - n))))
