"""Read labels and predictions onto common samples, and refuse what does not match."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from attending.artifact import read_manifest
from attending.errors import ArtifactError
from attending.evaluate.samples import Samples, check_probabilities, check_values
from attending.metrics.ratio import Array
from attending.schema import (
    CENSORED_CODES,
    HELD_OUT,
    HISTORY_CODES,
    LABEL_CODES,
    OUTCOME,
    OUTCOMES,
    PREDICTION_TIME,
    PROBABILITY,
    SPLIT,
    SUBJECT_ID,
    Target,
)

KEYS = [SUBJECT_ID, PREDICTION_TIME]
ROW = "row"


@dataclass(frozen=True)
class Cohort:
    """The samples of one split: `frame` their rows, `samples` what is scored, and labels that no outcome covers."""

    frame: pl.DataFrame
    samples: Samples
    n_unseen_labels: int
    n_unseen_codes: int


def read_outcomes(folder: Path) -> pl.DataFrame:
    """Read the outcomes of a label or predictions artifact, in the order of their index."""
    return OUTCOMES.check(pl.read_parquet(folder / "outcomes.parquet"), f"{folder / 'outcomes.parquet'}")


def read_cohort(labels: Path, splits: pl.DataFrame, split: str, outcomes: pl.DataFrame) -> Cohort:
    """Read the samples of `split`, by subject and prediction time.

    Raises:
        ArtifactError: if there is none in the held-out split, or a sample stands twice.
    """
    of_split = splits.lazy().filter(pl.col(SPLIT) == split)
    frame = (
        pl.scan_parquet(labels / "data" / "*.parquet")
        .join(of_split, on=SUBJECT_ID, how="semi")
        .collect()
        .sort(KEYS)
    )
    if split == HELD_OUT and frame.is_empty():
        raise ArtifactError(
            f"expected held-out samples in {labels}; got none: use more data, or another seed for the split"
        )
    n_twice = len(frame) - frame.select(KEYS).n_unique()
    if n_twice:
        raise ArtifactError(
            f"expected each subject and time once in {labels}; {n_twice} samples repeat: label again"
        )
    names = outcomes[OUTCOME].to_list()
    happens, n_unseen, n_codes = _matrix(frame, LABEL_CODES, names)
    history = _matrix(frame, HISTORY_CODES, names)[0]
    known = ~_matrix(frame, CENSORED_CODES, names)[0] if CENSORED_CODES in frame.columns else None
    samples = Samples(frame[SUBJECT_ID].to_numpy(), happens, history, known)
    return Cohort(frame, samples, n_unseen, n_codes)


class Predictions(Mapping[str, Array]):
    """The probabilities (n, K), or values, of each model for the samples of a cohort, read when asked for.

    Raises, when a model is read:
        ArtifactError: if its samples or outcomes are not those of the labels, or one is no probability, or no number.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        cohort: Cohort,
        split: str,
        outcomes: pl.DataFrame,
        target: Target = "multilabel",
    ) -> None:
        self.folders, self.cohort, self.split, self.outcomes = folders, cohort, split, outcomes
        self._check_numbers = check_values if target == "value" else check_probabilities

    def __getitem__(self, model: str) -> Array:
        folder = self.folders[model]
        if not read_outcomes(folder)[OUTCOME].equals(self.outcomes[OUTCOME]):
            raise ArtifactError(
                f"the model '{model}' ({folder}) predicts other outcomes than the labels hold: train and predict again"
            )
        scan = pl.scan_parquet(folder / "data.parquet").filter(pl.col(SPLIT) == self.split)
        frame = scan.select(*KEYS, PROBABILITY).collect().sort(KEYS)
        self._check(model, frame)
        probability = frame[PROBABILITY].to_numpy()
        self._check_numbers(model, probability, len(frame), len(self.outcomes))
        return probability

    def __iter__(self) -> Iterator[str]:
        return iter(self.folders)

    def __len__(self) -> int:
        return len(self.folders)

    def _check(self, model: str, frame: pl.DataFrame) -> None:
        wanted, got = self.cohort.frame.select(KEYS), frame.select(KEYS)
        if wanted.equals(got):
            return
        missing, unknown = (
            len(wanted.join(got, on=KEYS, how="anti")),
            len(got.join(wanted, on=KEYS, how="anti")),
        )
        raise ArtifactError(
            f"expected predictions of the model '{model}' for exactly the {len(wanted)} {self.split} samples of the "
            f"labels; got {len(got)}, of which {unknown} are unknown, and {missing} are missing: predict again"
        )


def by_model(predictions: list[Path]) -> dict[str, Path]:
    """Return the predictions artifacts by the name of their model, sorted.

    Raises:
        ArtifactError: if two are of one model, or there is none.
    """
    named = [(str(read_manifest(folder, "predictions").counts["model"]), folder) for folder in predictions]
    folders = dict(sorted(named))
    if len(folders) < len(named) or not named:
        raise ArtifactError(
            f"expected one predictions artifact for each model; got {len(named)} of {len(folders)} models"
        )
    return folders


def _matrix(frame: pl.DataFrame, column: str, outcomes: list[str]) -> tuple[Array, int, int]:
    """Return (n, K) whether `column` lists each outcome; how many entries are no outcome, and of how many codes."""
    entries = (
        frame.with_row_index(ROW).select(ROW, pl.col(column).alias(OUTCOME)).explode(OUTCOME).drop_nulls()
    )
    place = pl.DataFrame({OUTCOME: outcomes}, schema={OUTCOME: pl.String}).with_row_index("place")
    placed = entries.unique().join(place, on=OUTCOME, how="left")
    unseen = placed.filter(pl.col("place").is_null())
    seen = placed.drop_nulls()
    matrix = np.zeros((len(frame), len(outcomes)), dtype=bool)
    matrix[seen[ROW].to_numpy(), seen["place"].to_numpy()] = True
    return matrix, len(unseen), unseen[OUTCOME].n_unique()
