"""All that a part of an evaluation may look at: samples, predictions, scores, and where the events lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.config import Config
from attending.evaluate.reading import Cohort
from attending.evaluate.scores import Scores
from attending.metrics.ratio import Array
from attending.schema import Target


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The state of an evaluation once every model has its scores.

    tuning, held_out    the samples of the two splits, in the row order of their predictions
    predictions         by split, then by model: (n, K), read when asked for
    events, splits      the artifacts: what is known of the subjects, and which split they are in
    """

    task: dict[str, Any]
    target: Target
    outcomes: pl.DataFrame
    tuning: Cohort
    held_out: Cohort
    predictions: Mapping[str, Mapping[str, Array]]
    scores: Mapping[str, Scores]
    bootstrap: Bootstrap
    config: Config
    best_baseline: str | None
    best_model: str | None
    events: Path
    splits: Path
