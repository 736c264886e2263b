"""Score the models of all runs on the same samples, and write down who stands where.

What is returned has the form of `metrics.json`, so that whatever shows an evaluation shows a comparison; beside it
stand the runs, the cost of each model, and what was left out.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

from attending.compare.common import Common
from attending.compare.multiverse import read
from attending.compare.runs import Cost, Run
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import BASELINES, choose, headline_metric, summarise, tuning_auroc
from attending.evaluate.config import CONFIDENCE, Config
from attending.evaluate.definitions import definition
from attending.evaluate.question import unit
from attending.evaluate.samples import ALL
from attending.evaluate.scores import Scores, score
from attending.evaluate.sets import f1_threshold
from attending.evaluate.values import DAYS, HEADLINE, Measured, errors_of
from attending.metrics.ratio import Array
from attending.metrics.regression import errors
from attending.progress import track
from attending.schema import HELD_OUT, TUNING


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the table: a model, the runs that it is from, and where its predictions lie."""

    name: str
    model: str
    runs: tuple[str, ...]
    predictions: Path
    cost: Cost


class Predictions(Mapping[str, Array]):
    """The probabilities of each entry for the common samples of a split, read when asked for."""

    def __init__(self, entries: Sequence[Entry], common: Common, split: str) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._common, self._split = common, split

    def __getitem__(self, name: str) -> Array:
        return self._common.read(name, self._entries[name].predictions, self._split)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def compare(runs: Sequence[Run], common: Common, *, config: Config, seed: int = 0) -> dict[str, Any]:
    """Return the comparison of all models of all runs, ready for JSON.

    Raises:
        ArtifactError: if predictions do not fit the labels.
    """
    entries = entries_of(runs, common)
    tuning, held_out = (Predictions(entries, common, split) for split in (TUNING, HELD_OUT))
    samples = common.samples[HELD_OUT]
    bootstrap = Bootstrap(samples.n_subjects, config.n_replicates, seed)
    judge = Judge(common, runs[0].task, config)
    scores = judge.score_all(held_out, judge.thresholds(tuning), bootstrap)
    baselines = _in_order([entry for entry in entries if entry.model in BASELINES])
    models = [entry.name for entry in entries if entry.model not in BASELINES]
    baseline, decided_by = choose(baselines, tuning, judge.quality)
    best = choose(models, tuning, judge.quality)[0]
    summary = summarise(scores, baseline, CONFIDENCE, best)
    metrics = {name for scopes in summary.values() for of in scopes.values() for name in of}
    return {
        "task": runs[0].task,
        "n_samples": samples.n,
        "n_subjects": samples.n_subjects,
        "n_outcomes": len(common.outcomes),
        "headline": judge.headline,
        "confidence": CONFIDENCE,
        "n_replicates": config.n_replicates,
        "best_baseline": baseline,
        "best_baseline_decided_by": decided_by,
        "best_model": best,
        "baselines": baselines,
        "runs": [_about(run, common) for run in runs],
        "entries": {
            entry.name: {"model": entry.model, "runs": list(entry.runs), **entry.cost} for entry in entries
        },
        "definitions": {name: vars(definition(name)) for name in sorted(metrics)},
        "multiverse": {run.name: found for run in runs if (found := read(run.folder)) is not None},
        "models": summary,
    }


def entries_of(runs: Sequence[Run], common: Common) -> list[Entry]:
    """Return one entry a model; what two runs predict alike, to the bit, stands once.

    A model's name is enough where it stands once, else it is named `run/model`.
    """
    found: dict[tuple[str, str], list[tuple[Run, Path]]] = {}
    for run in runs:
        for model, path in run.predictions.items():
            found.setdefault((model, _digest(common, model, path)), []).append((run, path))
    n_of = Counter(model for model, _ in found)
    return [
        Entry(
            name=model if n_of[model] == 1 else f"{those[0][0].name}/{model}",
            model=model,
            runs=tuple(run.name for run, _ in those),
            predictions=those[0][1],
            cost=those[0][0].costs[model],
        )
        for (model, _), those in found.items()
    ]


@dataclass(frozen=True)
class Judge:
    """Scores models on common samples, whatever the target is."""

    common: Common
    task: dict[str, Any]
    config: Config

    @property
    def is_number(self) -> bool:
        """Whether a number is predicted."""
        return self.common.target == "value"

    @property
    def headline(self) -> str:
        """The metric that ranks models."""
        return HEADLINE if self.is_number else headline_metric(self.common.samples[HELD_OUT], self.config)

    def quality(self, predicted: Array) -> float:
        """Return how good predictions for tuning samples are, more is better; NaN where nothing tells."""
        if not self.is_number:
            return tuning_auroc(self.common.samples[TUNING], predicted, self.config)
        observed = self.common.values[TUNING]
        return -errors(observed, predicted[:, 0])[HEADLINE] if len(observed) else float("nan")

    def thresholds(self, tuning: Mapping[str, Array]) -> dict[str, float]:
        """Return, for each model, the threshold of the weighted F1, chosen on tuning samples; none without any."""
        samples = self.common.samples[TUNING]
        if self.is_number or not samples.n:
            return {}
        return {name: f1_threshold(samples, tuning[name]) for name in tuning}

    def score_all(
        self, predictions: Mapping[str, Array], limits: Mapping[str, float], bootstrap: Bootstrap
    ) -> dict[str, Scores]:
        """Return the scores of every model, one model's predictions in memory at a time."""
        scores = {}
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as executor:
            for name in track(list(predictions), "comparing"):
                limit = limits.get(name, float("nan"))
                scores[name] = self._score(predictions[name], limit, bootstrap, executor)
        return scores

    def _score(self, predicted: Array, limit: float, bootstrap: Bootstrap, executor: Executor) -> Scores:
        samples = self.common.samples[HELD_OUT]
        if not self.is_number:
            return score(samples, predicted, bootstrap, self.config, executor, limit)
        measured = Measured(samples.subject, self.common.values[HELD_OUT])
        of_days = unit(self.task) == DAYS
        found = errors_of(measured, predicted[:, 0].astype(np.float64), bootstrap, of_days=of_days)
        return Scores({ALL: found}, {})


def _in_order(entries: Sequence[Entry]) -> list[str]:
    """Return the names of baselines, those that are usually strong first."""
    return [entry.name for entry in sorted(entries, key=lambda entry: BASELINES.index(entry.model))]


def _digest(common: Common, model: str, predictions: Path) -> str:
    digest = hashlib.sha256()
    for split in (TUNING, HELD_OUT):
        digest.update(common.read(model, predictions, split).tobytes())
    return digest.hexdigest()


def _about(run: Run, common: Common) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "task": run.task,
        "code_version": run.code_version,
        "n_samples_left_out": common.n_dropped[run.name],
        "n_outcomes_left_out": common.n_outcomes_dropped[run.name],
    }
