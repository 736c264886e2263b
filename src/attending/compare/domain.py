"""Can one tell which of two data sets a subject is from? The AUROC of a classifier that tries.

A ridge logistic regression on what is known at each subject's last prediction: age, years of history, number of
events, and log(1 + count) of each code that at least eleven subjects have. It is fitted on four fifths of the
subjects and scores the fifth; scores are ranked within their fold, since folds have an intercept of their own. An
AUROC of .5 says that the case mix is the same as far as such a classifier sees; 1 that every subject gives its data
set away, as where two sets use different codes (the membership model of Debray et al., J Clin Epidemiol 2015).
"""

from typing import Any

import numpy as np
import polars as pl
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from attending.compare.histories import AGE, N_KNOWN, YEARS, Histories, N
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import interval
from attending.evaluate.config import CONFIDENCE
from attending.evaluate.discrimination import discrimination
from attending.evaluate.samples import SMALLEST_CELL
from attending.metrics.ratio import Array, Floats
from attending.schema import CODE, SUBJECT_ID

N_FOLDS = 5
MOST_CODES = 2_000
PENALTY = 0.01
SOURCE, COLUMN, ROW = "source", "column", "row"
SparseTable = Any  # a scipy csr matrix, whose stubs want a scalar type for each


def domain_auroc(
    internal: Histories, external: Histories, *, n_replicates: int, seed: int = 0
) -> dict[str, Any]:
    """Return how well subjects of the two data sets can be told apart: AUROC with its interval, and in words."""
    table, is_external = _matrix(internal, external)
    n_each = min(int(is_external.sum()), int((~is_external).sum()))
    if n_each < N_FOLDS * 2:
        return {
            "auroc": {"estimate": None, "low": None, "high": None},
            "n_codes": 0,
            "words": "too few subjects",
        }
    scores = _scores(table, is_external, np.random.default_rng(seed))
    bootstrap = Bootstrap(len(scores), n_replicates, seed)
    area = interval(discrimination(scores, is_external, np.arange(len(scores)), bootstrap)[0], CONFIDENCE)
    return {
        "auroc": area,
        "n_internal": int((~is_external).sum()),
        "n_external": int(is_external.sum()),
        "n_codes": table.shape[1] - 3,
        "words": _words(area["estimate"]),
    }


def _matrix(internal: Histories, external: Histories) -> tuple[SparseTable, Array]:
    """Return (n, 3 + codes) features scaled to unit variance, and which subjects are external (n,)."""
    sides = (internal, external)
    rows = pl.concat(
        one.subjects.filter(pl.col(SUBJECT_ID).is_in(one.drawn.implode())).with_columns(
            pl.lit(at).alias(SOURCE)
        )
        for at, one in enumerate(sides)
    ).with_row_index(ROW)
    counts = pl.concat(one.counts.with_columns(pl.lit(at).alias(SOURCE)) for at, one in enumerate(sides))
    codes = (
        counts.group_by(CODE)
        .len()
        .filter(pl.col("len") >= SMALLEST_CELL)
        .sort("len", CODE, descending=[True, False])
        .head(MOST_CODES)
        .select(CODE)
        .with_row_index(COLUMN)
    )
    placed = counts.join(codes, on=CODE).join(rows.select(ROW, SOURCE, SUBJECT_ID), on=[SOURCE, SUBJECT_ID])
    entries: Any = np.log1p(placed[N].to_numpy().astype(np.float64))
    where = (placed[ROW].to_numpy(), placed[COLUMN].to_numpy())
    of_codes = sparse.coo_matrix((entries, where), (len(rows), len(codes))).tocsr()
    age = rows[AGE].fill_null(rows[AGE].median() if rows[AGE].null_count() < len(rows) else 0.0)
    facts: Any = np.stack(
        [age.to_numpy(), rows[YEARS].to_numpy(), np.log1p(rows[N_KNOWN].to_numpy())], axis=1
    )
    facts = facts - facts.mean(axis=0)
    whole = sparse.hstack([sparse.csr_matrix(facts), of_codes]).tocsr()
    return _scaled(whole), (rows[SOURCE] == 1).to_numpy()


def _scaled(table: SparseTable) -> SparseTable:
    mean = np.asarray(table.mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(np.asarray(table.multiply(table).mean(axis=0)).ravel() - mean**2, 0))
    return (table @ sparse.diags(1 / np.where(spread > 0, spread, 1.0))).tocsr()


def _scores(table: SparseTable, labels: Array, generator: np.random.Generator) -> Floats:
    """Return each subject's rank within its fold (n,), by a classifier that has not seen it."""
    fold = np.empty(len(labels), np.int64)
    for of_class in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        fold[generator.permutation(of_class)] = np.arange(len(of_class)) % N_FOLDS
    scores = np.empty(len(labels))
    for number in range(N_FOLDS):
        inside = fold == number
        weights = _fit(table[~inside], labels[~inside].astype(np.float64))
        scores[inside] = rankdata(table[inside] @ weights[1:]) / inside.sum()
    return scores


def _fit(table: SparseTable, labels: Floats) -> Floats:
    """Return intercept and weights of a ridge logistic regression."""

    def loss(weights: Floats) -> tuple[float, Floats]:
        eta = weights[0] + table @ weights[1:]
        error = (expit(eta) - labels) / len(labels)
        value = float(np.mean(np.logaddexp(0, eta) - labels * eta) + PENALTY / 2 * weights[1:] @ weights[1:])
        return value, np.concatenate([[error.sum()], table.T @ error + PENALTY * weights[1:]])

    start = np.zeros(table.shape[1] + 1)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x)


def _words(area: float | None) -> str:
    if area is None:
        return "not known"
    if area < 0.6:
        return "the two case mixes are much the same: a difference in performance is not one of case mix"
    if area < 0.8:
        return "the case mixes differ: performance may differ for that reason alone"
    return "the data sets are told apart with ease: this is as much a test of transport as of reproduction"
