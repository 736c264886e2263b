"""The ceiling: what a predictor that knew the simulated truth would say.

The simulator writes the true probability that each *condition* is recorded at the next visit. An outcome is a group
of codes; a recorded condition writes one code, drawn by its shares, so with p the condition's probability and s the
share of its codes that fall in the outcome:

    P(outcome) = 1 − Π_conditions (1 − s · p)

No model can do better in expectation, so the gap to it is what is left to learn.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from attending.errors import ArtifactError
from attending.metrics.ratio import Array, Floats
from attending.ontology import icd
from attending.schema import (
    CODE,
    CONDITION,
    DEATH_PROBABILITY,
    PREDICTION_TIME,
    PROBABILITY,
    READMISSION_PROBABILITY,
    SHARE,
    SUBJECT_ID,
    VISIT_ID,
)

GROUPED = ("full", "three_character", "ccs")
SIMULATED_DAYS = 30.0  # within which the simulator says who is readmitted
VISIT_TASKS = {"mortality": DEATH_PROBABILITY, "readmission": READMISSION_PROBABILITY}


def ceiling(truth: Path, samples: pl.DataFrame, outcomes: list[str], task: dict[str, Any]) -> Array | None:
    """Return the true probabilities (n, K) of `outcomes` for `samples`, None where the truth holds none of the task.

    Raises:
        ArtifactError: if the truth lacks some of the samples.
    """
    folder = truth / ("outcomes" if task.get("name") in VISIT_TASKS else "data")
    if not any(folder.glob("*.parquet")):  # a null cohort has no truth
        return None
    if task.get("name") in VISIT_TASKS:
        return (
            _of_visits(truth, samples, VISIT_TASKS[task["name"]]) if _as_simulated(task, outcomes) else None
        )
    if task.get("vocabulary") in GROUPED and not task.get("groups") and not task.get("icd9"):
        return _of_conditions(truth, samples, outcomes, task["vocabulary"])
    return None


def _as_simulated(task: dict[str, Any], outcomes: list[str]) -> bool:
    """Say whether the task asks what the simulator draws: death in hospital, or readmission in its window."""
    in_hospital = task.get("window", "in_hospital") == "in_hospital"
    days = task.get("days", SIMULATED_DAYS)
    return len(outcomes) == 1 and (
        in_hospital if task["name"] == "mortality" else days in (SIMULATED_DAYS, [SIMULATED_DAYS])
    )


def combine(probability: Array, shares: Array) -> Floats:
    """Return (n, K) probabilities of outcomes from those of conditions (n, C) and `shares` (C, K)."""
    log_of_none = np.zeros((len(probability), shares.shape[1]))
    for condition, outcome in zip(*np.nonzero(shares), strict=True):
        hit = np.minimum(shares[condition, outcome] * probability[:, condition].astype(np.float64), 1 - 1e-12)
        log_of_none[:, outcome] += np.log1p(-hit)
    return -np.expm1(log_of_none)


def _of_conditions(truth: Path, samples: pl.DataFrame, outcomes: list[str], vocabulary: str) -> Array:
    conditions = pl.read_parquet(truth / "conditions.parquet")
    keys = [SUBJECT_ID, PREDICTION_TIME]
    found = _join(truth / "data", samples, keys, PROBABILITY)
    return combine(found.to_numpy(), shares_of(conditions, outcomes, vocabulary)).astype(np.float32)


def shares_of(conditions: pl.DataFrame, outcomes: list[str], vocabulary: str) -> Floats:
    """Return (C, K): the share of each condition's records whose code is an instance of each outcome."""
    codes = conditions[CODE].unique().to_list()
    groups = icd.group(codes, cast(Any, vocabulary))
    place = {outcome: at for at, outcome in enumerate(outcomes)}
    shares = np.zeros((int(cast(int, conditions[CONDITION].max())) + 1, len(outcomes)))
    for condition, code, share in conditions.select(CONDITION, CODE, SHARE).iter_rows():
        at = place.get(groups[code])
        if at is not None:
            shares[condition, at] += share
    return shares


def _of_visits(truth: Path, samples: pl.DataFrame, column: str) -> Array:
    found = _join(truth / "outcomes", samples, [SUBJECT_ID, VISIT_ID], column)
    return found.cast(pl.Float32).to_numpy()[:, None]


def _join(folder: Path, samples: pl.DataFrame, keys: list[str], column: str) -> pl.Series:
    scan = pl.scan_parquet(folder / "*.parquet")
    if column not in scan.collect_schema().names():
        raise ArtifactError(
            f"expected a column '{column}' in the truth at {folder}: simulate the cohort again"
        )
    wanted = samples.select(keys).with_row_index("row")
    known = scan.select(*keys, column).filter(pl.col(column).is_not_null()).unique(keys).collect()
    found = wanted.join(known, on=keys, how="left", maintain_order="left")
    n_missing = found[column].null_count()
    if n_missing:
        raise ArtifactError(
            f"expected the truth at {folder} to hold every held-out sample; it lacks {n_missing} of {len(samples)}: "
            "give the truth of this very cohort, or leave the ceiling out"
        )
    return found[column]
