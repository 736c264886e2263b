"""The samples that all runs are scored on: the same subjects, the same prediction times, the same answers.

Runs whose held-out samples or outcomes differ are refused, unless what they have in common is asked for: then a
sample counts that every run holds out, so that no model has trained on it. Runs that give different answers for the
same sample ask different questions, and are always refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from attending.compare.runs import Run
from attending.errors import ArtifactError
from attending.evaluate.reading import KEYS, ROW, Cohort, read_cohort
from attending.evaluate.reading import read_outcomes as read_outcome_table
from attending.evaluate.samples import Samples, check_probabilities, check_values
from attending.metrics.ratio import Array, Floats
from attending.schema import HELD_OUT, OUTCOME, PROBABILITY, SPLIT, SUBJECT_ID, TUNING, VALUE, Target

HINT = "give --common to compare on what all have in common"


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all runs share, in the order of the first of them.

    keys        by split: subject and prediction time of each sample
    samples     by split: what happens in them
    values      by split: the numbers that are predicted (n,), where the target is a number
    n_dropped   by run: held-out samples that not all runs hold out
    n_outcomes_dropped    by run: outcomes that not all runs predict
    """

    target: Target
    outcomes: pl.DataFrame
    keys: dict[str, pl.DataFrame]
    samples: dict[str, Samples]
    values: dict[str, Floats]
    n_dropped: dict[str, int]
    n_outcomes_dropped: dict[str, int]

    def read(self, model: str, predictions: Path, split: str) -> Array:
        """Return the probabilities (n, K) of a predictions artifact for the common samples and outcomes.

        Raises:
            ArtifactError: if samples or outcomes are missing, or one is no probability, or no number.
        """
        scan = pl.scan_parquet(predictions / "data.parquet").filter(pl.col(SPLIT) == split)
        frame = scan.select(*KEYS, PROBABILITY).collect().with_row_index(ROW)
        found = self.keys[split].join(frame.select(*KEYS, ROW), on=KEYS, how="left", maintain_order="left")
        names = read_outcome_table(predictions)[OUTCOME].to_list()
        place = {name: at for at, name in enumerate(names)}
        missing = found[ROW].null_count()
        if missing or not set(self.outcomes[OUTCOME]) <= set(place):
            raise ArtifactError(
                f"the predictions of '{model}' ({predictions}) lack {missing} of {len(found)} {split} samples, or "
                "outcomes that the labels hold: predict again"
            )
        columns = [place[name] for name in self.outcomes[OUTCOME]]
        whole = frame[PROBABILITY].to_numpy()
        probability = whole[found[ROW].to_numpy()][:, columns] if len(found) else np.zeros((0, len(columns)))
        check = check_values if self.target == "value" else check_probabilities
        check(model, probability, len(found), len(columns))
        return probability


def common(runs: Sequence[Run], *, intersect: bool = False) -> Common:
    """Find what the runs have in common; without `intersect` it must be all of what each of them holds out.

    Raises:
        ArtifactError: naming how many samples or outcomes differ, or that nothing is in common.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.target != first.target:
            raise ArtifactError(
                f"the run '{first.name}' answers a {first.target} task, '{run.name}' a {run.target} one: "
                "they cannot stand in one table"
            )
    outcomes = _outcomes(runs, intersect)
    cohorts = {split: [_cohort(run, split, outcomes) for run in runs] for split in (TUNING, HELD_OUT)}
    keys = {split: _keys([cohort.frame for cohort in of]) for split, of in cohorts.items()}
    n_dropped = {
        run.name: len(cohort.frame) - len(keys[HELD_OUT])
        for run, cohort in zip(runs, cohorts[HELD_OUT], strict=True)
    }
    if not len(keys[HELD_OUT]):
        raise ArtifactError(f"the runs {_named(runs)} hold out no sample in common: nothing can be compared")
    if any(n_dropped.values()) and not intersect:
        raise ArtifactError(
            f"expected the same held-out samples in all runs; {len(keys[HELD_OUT])} are in all, and beside them "
            f"{_counted(n_dropped)}: run them on the same split, or {HINT}"
        )
    _check_answers(runs, cohorts[HELD_OUT], keys[HELD_OUT])
    return Common(
        target=first.target,
        outcomes=outcomes,
        keys=keys,
        samples={split: _samples(cohorts[split][0], keys[split]) for split in cohorts},
        values={split: _values(cohorts[split][0], keys[split]) for split in cohorts},
        n_dropped=n_dropped,
        n_outcomes_dropped={run.name: len(run.outcomes) - len(outcomes) for run in runs},
    )


def _outcomes(runs: Sequence[Run], intersect: bool) -> pl.DataFrame:
    shared = runs[0].outcomes
    for run in runs[1:]:
        shared = shared.join(run.outcomes, on=OUTCOME, how="semi", maintain_order="left")
    extra = {run.name: len(run.outcomes) - len(shared) for run in runs}
    if not len(shared):
        raise ArtifactError(f"the runs {_named(runs)} predict no outcome in common: they ask other questions")
    if any(extra.values()) and not intersect:
        raise ArtifactError(
            f"expected the same outcomes in all runs; {len(shared)} are in all, and beside them "
            f"{_counted(extra, 'outcomes')}: use the same task and training subjects, or {HINT}"
        )
    return shared


def _cohort(run: Run, split: str, outcomes: pl.DataFrame) -> Cohort:
    return read_cohort(run.labels, run.splits, split, outcomes)


def _keys(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    shared = frames[0].select(KEYS)
    for frame in frames[1:]:
        shared = shared.join(frame.select(KEYS), on=KEYS, how="semi", maintain_order="left")
    return shared


def _samples(cohort: Cohort, keys: pl.DataFrame) -> Samples:
    rows = _rows(cohort, keys)
    of = cohort.samples
    return Samples(
        keys[SUBJECT_ID].to_numpy(),
        of.labels[rows],
        of.history[rows],
        None if of.known is None else of.known[rows],
    )


def _values(cohort: Cohort, keys: pl.DataFrame) -> Floats:
    """Return the numbers of the samples (n,), NaN where the labels hold none."""
    if VALUE not in cohort.frame.columns:
        return np.full(len(keys), np.nan)
    return cohort.frame[VALUE].to_numpy().astype(np.float64)[_rows(cohort, keys)]


def _rows(cohort: Cohort, keys: pl.DataFrame) -> Array:
    placed = cohort.frame.select(KEYS).with_row_index(ROW)
    return keys.join(placed, on=KEYS, how="left", maintain_order="left")[ROW].to_numpy()


def _check_answers(runs: Sequence[Run], cohorts: Sequence[Cohort], keys: pl.DataFrame) -> None:
    first, *others = (_samples(cohort, keys) for cohort in cohorts)
    for run, other in zip(runs[1:], others, strict=True):
        differ = np.zeros(first.n, bool)
        for scope in first.scopes:
            mine, its = first.pairs(scope), other.pairs(scope)
            differ |= ((mine != its) | (mine & (first.labels != other.labels))).any(axis=1)
        my_values, its_values = (_values(cohorts[at], keys) for at in (0, runs.index(run)))
        differ |= (its_values != my_values) & ~(np.isnan(its_values) & np.isnan(my_values))
        if differ.any():
            raise ArtifactError(
                f"the runs '{runs[0].name}' and '{run.name}' give different answers for {int(differ.sum())} of "
                f"{first.n} samples that both hold out: they ask different questions, or of different data"
            )


def _counted(counts: dict[str, int], what: str = "samples") -> str:
    return ", ".join(f"{n} {what} in '{name}' that not all have" for name, n in counts.items() if n)


def _named(runs: Sequence[Run]) -> str:
    return ", ".join(f"'{run.name}'" for run in runs)
