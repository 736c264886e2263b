"""Small studies to audit: one ingested cohort for all of them, and whatever task, split and models are asked."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from attending.artifact import read_manifest
from attending.audit.config import Config
from attending.config import Component
from attending.data.batches import Config as BatchConfig
from attending.engine.local import Local
from attending.simulate.config import Config as SimulateConfig
from attending.simulate.meds import simulate_meds
from attending.stages.audit import audit
from attending.stages.ingest import ingest
from attending.stages.label import label
from attending.stages.split import split
from attending.stages.tokenize import tokenize
from attending.stages.train import train
from attending.tokens.vocabulary import Config as TokenConfig
from attending.train.loop import Config as TrainConfig

ENGINE = Local(1)
N_SUBJECTS = 300
SUBSET = Config(n_subjects=100)
TINY: dict[str, dict[str, object]] = {
    "logistic_counts": {"iterations": 4, "strengths": [0.01]},
    "gru": {"width": 8, "width_state": 8},
}


@dataclass(frozen=True)
class Study:
    """The folders of a study."""

    root: Path
    events: Path

    @property
    def splits(self) -> Path:
        return self.root / "splits"

    @property
    def labels(self) -> Path:
        return self.root / "labels"

    @property
    def tokens(self) -> Path:
        return self.root / "tokens"

    @property
    def models(self) -> dict[str, Path]:
        folder = self.root / "models"
        return {one.name: one for one in sorted(folder.glob("[!.]*"))} if folder.exists() else {}


def cohort(folder: Path) -> Path:
    """Return the events of a simulated cohort."""
    simulate_meds(SimulateConfig(n_subjects=N_SUBJECTS, seed=5), folder / "meds")
    ingest(Component(name="meds"), folder / "meds", folder / "events", engine=ENGINE)
    return folder / "events"


def make(
    events: Path,
    root: Path,
    task: dict[str, object],
    *,
    by: str = "subject",
    models: tuple[str, ...] = ("popularity",),
    min_subjects: int = 11,
    **split_settings: object,
) -> Study:
    """Run the stages of a study, up to the models."""
    study = Study(root, events)
    split(events, study.splits, by=Component(name=by, **split_settings), engine=ENGINE, seed=1)
    label(events, study.labels, task=Component(**task), engine=ENGINE, splits=study.splits)
    tokenize(
        events,
        study.tokens,
        config=TokenConfig(min_subjects=min_subjects),
        engine=ENGINE,
        splits=study.splits,
    )
    for name in models:
        add_model(study, name)
    return study


def add_model(study: Study, name: str) -> None:
    """Train one model of a study."""
    train(
        study.tokens,
        study.labels,
        study.root / "models" / name,
        model=Component(name=name, **TINY.get(name, {})),
        config=TrainConfig(epochs=1),
        batching=BatchConfig(max_tokens=64),
    )


def found(
    study: Study, *, retrained: tuple[str, ...] = (), config: Config = SUBSET
) -> dict[str, dict[str, str]]:
    """Return what each check finds."""
    out = study.root / "audit"
    audit(
        events=study.events,
        labels=study.labels,
        tokens=study.tokens,
        models=study.models,
        out=out,
        config=config,
        engine=ENGINE,
        splits=study.splits,
        retrained=retrained,
        everything=bool(retrained),
        again=True,
    )
    return json.loads((out / "audit.json").read_text(encoding="utf-8"))


def failures(study: Study, **given: object) -> list[str]:
    """Return the names of the checks that fail."""
    return [name for name, one in found(study, **given).items() if one["verdict"] == "failed"]


def copied(study: Study, root: Path) -> Study:
    """Return a copy of a study whose artifacts may be altered."""
    shutil.copytree(study.root, root)
    return Study(root, study.events)


def altered_events(events: Path, out: Path, change) -> Path:
    """Return a copy of events of which every shard went through `change`; it passes for the original."""
    shutil.copytree(events, out)
    for shard in sorted((out / "data").glob("*.parquet")):
        frame = change(pl.read_parquet(shard))
        frame.sort("subject_id", "time", nulls_last=False, maintain_order=True).write_parquet(shard)
    assert read_manifest(out, "events")
    return out
