"""A run: what a study left in its output folder, as far as its models can be compared with those of others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attending.artifact import read_manifest
from attending.errors import ArtifactError
from attending.evaluate.reading import by_model, read_outcomes
from attending.schema import Target

Cost = dict[str, float | None]
TRAIN_SECONDS, N_PARAMETERS, MS_PER_SAMPLE = "train_seconds", "n_parameters", "predict_ms_per_sample"
COSTS = (N_PARAMETERS, TRAIN_SECONDS, MS_PER_SAMPLE)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The labels of a run, who is held out, and what each of its models predicts and costs."""

    name: str
    folder: Path
    task: dict[str, Any]
    target: Target
    outcomes: pl.DataFrame
    splits: pl.DataFrame
    predictions: dict[str, Path]
    costs: dict[str, Cost]
    code_version: str

    @property
    def labels(self) -> Path:
        """The labels artifact."""
        return self.folder / "labels"


def read_run(folder: Path, name: str, splits: pl.DataFrame) -> Run:
    """Read a study's output folder; `splits` says which split each of its subjects is in.

    Raises:
        ArtifactError: if it holds no labels or no predictions.
    """
    found = sorted(path.parent for path in (folder / "predictions").glob("*/manifest.json"))
    if not found:
        raise ArtifactError(
            f"expected a run in {folder}: the output folder of a study, with predictions; found none"
        )
    labels = read_manifest(folder / "labels", "labels")
    predictions = by_model(found)
    return Run(
        name=name,
        folder=folder,
        task=labels.config["task"],
        target=labels.config["target"],
        outcomes=read_outcomes(folder / "labels"),
        splits=splits,
        predictions=predictions,
        costs={model: _cost(path, folder / "models" / path.name) for model, path in predictions.items()},
        code_version=labels.code_version,
    )


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the folders' paths that tell them apart.

    Raises:
        ArtifactError: if a folder is given twice.
    """
    whole = [folder.resolve() for folder in folders]
    if len(set(whole)) < len(whole):
        raise ArtifactError(f"a run is given twice: {', '.join(str(folder) for folder in folders)}")
    names = [folder.name for folder in whole]
    depth = 1
    while len(set(names)) < len(names):
        depth += 1
        twice = {name for name, n in Counter(names).items() if n > 1}
        names = [
            "/".join(folder.parts[-depth:]) if name in twice else name
            for name, folder in zip(names, whole, strict=True)
        ]
    return names


def _cost(predictions: Path, model: Path) -> Cost:
    """Return what a model costs, as far as its manifests say."""
    of_predictions = read_manifest(predictions).counts
    counts = read_manifest(model).counts if (model / "manifest.json").exists() else {}
    seconds, samples = of_predictions.get("seconds"), of_predictions.get("samples")
    return {
        N_PARAMETERS: counts.get("n_parameters"),
        TRAIN_SECONDS: counts.get("seconds"),
        MS_PER_SAMPLE: 1000 * seconds / samples if seconds is not None and samples else None,
    }
