"""Score the models of all runs on the same samples, and write down who stands where.

What is returned has the form of `metrics.json`, so that whatever shows an evaluation shows a comparison; beside it
stand the runs, the cost of each model, and what was left out.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

from attending.compare.common import Common
from attending.compare.multiverse import read
from attending.compare.runs import Cost, Run
from attending.errors import ArtifactError
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import BASELINES, best_of, headline_metric, summarise
from attending.evaluate.config import CONFIDENCE, Config
from attending.evaluate.definitions import definition
from attending.evaluate.samples import Samples
from attending.evaluate.scores import Scores, score
from attending.evaluate.sets import f1_threshold
from attending.metrics.ratio import Array
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
        ArtifactError: if predictions do not fit the labels, or the runs predict a number.
    """
    if runs[0].target == "value":
        raise ArtifactError("runs that predict a number cannot be compared yet: look at their own reports")
    entries = entries_of(runs, common)
    tuning, held_out = (Predictions(entries, common, split) for split in (TUNING, HELD_OUT))
    samples = common.samples[HELD_OUT]
    bootstrap = Bootstrap(samples.n_subjects, config.n_replicates, seed)
    limits = thresholds(tuning, common.samples[TUNING])
    scores = score_all(held_out, samples, limits, config, bootstrap)
    baselines = _in_order([entry for entry in entries if entry.model in BASELINES])
    models = [entry.name for entry in entries if entry.model not in BASELINES]
    baseline, decided_by = best_of(baselines, common.samples[TUNING], tuning, config)
    best = best_of(models, common.samples[TUNING], tuning, config)[0]
    summary = summarise(scores, baseline, CONFIDENCE, best)
    metrics = {name for scopes in summary.values() for of in scopes.values() for name in of}
    return {
        "task": runs[0].task,
        "n_samples": samples.n,
        "n_subjects": samples.n_subjects,
        "n_outcomes": len(common.outcomes),
        "headline": headline_metric(samples, config),
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


def thresholds(tuning: Mapping[str, Array], samples: Samples) -> dict[str, float]:
    """Return, for each model, the threshold of the weighted F1, chosen on tuning samples; none without any."""
    return {name: f1_threshold(samples, tuning[name]) for name in tuning} if samples.n else {}


def score_all(
    predictions: Mapping[str, Array],
    samples: Samples,
    limits: Mapping[str, float],
    config: Config,
    bootstrap: Bootstrap,
) -> dict[str, Scores]:
    """Return the scores of every model, one model's predictions in memory at a time."""
    scores = {}
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as executor:
        for name in track(list(predictions), "comparing"):
            limit = limits.get(name, float("nan"))
            scores[name] = score(samples, predictions[name], bootstrap, config, executor, limit)
    return scores


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
