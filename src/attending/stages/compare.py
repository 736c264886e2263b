"""Runs → one table of all their models on the same held-out subjects, in the forms that people and papers need."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attending.artifact import read_manifest
from attending.compare.common import common
from attending.compare.runs import Run, names_of, read_run
from attending.compare.scoring import compare as score_runs
from attending.errors import ArtifactError
from attending.evaluate.config import Config
from attending.stages.split import read_splits, splits_file


def open_run(folder: Path, name: str | None = None) -> Run:
    """Open the output folder of a study as a run.

    Raises:
        ArtifactError: if it holds no labels, no predictions, or does not say who is held out.
    """
    splits = folder / "splits"
    beside = splits if splits.exists() else folder / "events"
    if not splits_file(beside).exists():
        raise ArtifactError(
            f"expected a run in {folder}: the output folder of a study; it holds no splits of subjects"
        )
    return read_run(folder, name or folder.resolve().name, read_splits(beside))


def compare(
    folders: Sequence[Path], *, config: Config | None = None, intersect: bool = False, seed: int = 0
) -> dict[str, Any]:
    """Compare all models of the runs in `folders`; the settings are those of the first run's evaluation.

    Raises:
        ArtifactError: if the runs do not hold out the same samples with the same answers; `intersect` takes those
            that all hold out.
    """
    runs = [open_run(folder, name) for folder, name in zip(folders, names_of(folders), strict=True)]
    return score_runs(
        runs, common(runs, intersect=intersect), config=config or settings_of(folders[0]), seed=seed
    )


def settings_of(folder: Path) -> Config:
    """Return the settings of a run's evaluation, the usual ones where it has none."""
    if not (folder / "metrics" / "manifest.json").exists():
        return Config()
    return Config(**read_manifest(folder / "metrics", "metrics").config)
