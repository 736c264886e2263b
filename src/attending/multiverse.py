"""A study over many splits and seeds: what would have been found had chance fallen otherwise.

Each variant is a whole study below `OUTPUT/multiverse/split-I/seed-J`, with metrics of its own, on the events of the
study, which are ingested once. Variants of one split share its labels and tokens as hard links.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from attending import registry
from attending.artifact import write_json, write_text
from attending.compare.multiverse import FILE, FOLDER, first_counts, in_short, instability, spread
from attending.config import Component
from attending.errors import ArtifactError, ConfigError, nearest
from attending.evaluate.definitions import definition
from attending.evaluate.samples import ALL
from attending.metrics.ratio import Floats
from attending.pipeline import Study
from attending.progress import say
from attending.schema import ESTIMATE, HELD_OUT, PREDICTION_TIME, PROBABILITY, SPLIT, SUBJECT_ID
from attending.study import StudyConfig

OF_SPLIT = ("splits", "labels", "tokens")
FALLBACK = "micro_auroc"


def multiverse(
    config: StudyConfig, *, n_splits: int = 3, n_seeds: int = 2, models: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Run a study for each split and seed and write down how far its results move.

    Without `models`, all of the study's are run.

    Raises:
        ConfigError: if the study's split is not drawn at random, or has no such model.
    """
    if n_splits < 1 or n_seeds < 1:
        raise ConfigError(f"expected at least one split and one seed; got {n_splits} and {n_seeds}")
    study = Study(_only(config, models))
    study.ingest()
    place = study.folder / FOLDER
    variants = [[_variant(study, split, seed, place) for seed in range(n_seeds)] for split in range(n_splits)]
    for split, of_split in enumerate(variants):
        for seed, variant in enumerate(of_split):
            say(f"\nsplit {split}, seed {seed}")
            if seed:
                _share(of_split[0].folder, variant.folder)
            _run(variant)
    found = _summary(variants)
    write_json(place / FILE, found)
    return found


def _only(config: StudyConfig, models: tuple[str, ...]) -> StudyConfig:
    """Return the study with some of its models only, and nothing to explain."""
    known = [one.name for one in (*config.baselines, *config.models)]
    for name in models:
        if name not in known:
            raise ConfigError(f"the study '{config.name}' has no model '{name}'{nearest(name, known)}")
    kept = set(models or known)
    return config.model_copy(
        update={
            "baselines": tuple(one for one in config.baselines if one.name in kept),
            "models": tuple(one for one in config.models if one.name in kept),
            "train_each": {name: of for name, of in config.train_each.items() if name in kept},
            "explain": (),
        }
    )


def _variant(study: Study, split: int, seed: int, place: Path) -> Study:
    own = study.config.split
    fields = registry.load("splits", own.name).Config.model_fields
    if "seed" not in fields:
        raise ConfigError(f"the split '{own.name}' is not drawn at random: there is only one of it")
    drawn = own.settings | {"seed": split} | ({"published": False} if "published" in fields else {})
    update = {
        "name": f"{study.config.name}, split {split}, seed {seed}",
        "output": place / f"split-{split}" / f"seed-{seed}",
        "seed": seed,
        "split": Component(name=own.name, **drawn),
        "events": study.events,
        "truth": study.truth,
        "data": None,
        "simulate": None,
    }
    return Study(study.config.model_copy(update=update))


def _share(first: Path, folder: Path) -> None:
    """Give a variant what the first of its split has made; hard links cost no room, and artifacts never change."""
    for name in OF_SPLIT:
        if not (folder / name).exists():
            partial_folder = folder / f".{name}.shared"
            shutil.rmtree(partial_folder, ignore_errors=True)
            shutil.copytree(first / name, partial_folder, copy_function=os.link)
            partial_folder.rename(folder / name)


def _run(variant: Study) -> None:
    variant.folder.mkdir(parents=True, exist_ok=True)
    write_text(variant.folder / "study.yaml", variant.config.to_yaml())
    variant.fit()
    for name in variant.components:
        variant.predict(name)
    variant.evaluate()


def _summary(variants: list[list[Study]]) -> dict[str, Any]:
    metrics = [[_metrics(variant) for variant in of_split] for of_split in variants]
    headlines = {one["headline"] for of_split in metrics for one in of_split}
    headline = headlines.pop() if len(headlines) == 1 else FALLBACK
    names = list(variants[0][0].components)
    values = {
        name: np.array([[_value(one, name, headline) for one in of] for of in metrics]) for name in names
    }
    lower = definition(headline).better == "lower"
    first = first_counts(values, lower_is_better=lower)
    return {
        "headline": headline,
        "lower_is_better": lower,
        "n_splits": len(variants),
        "n_seeds": len(variants[0]),
        "models": {
            name: spread(values[name])
            | {
                "n_first": first[name],
                "values": values[name].tolist(),
                "instability": _instability(variants, name),
            }
            for name in names
        },
    }


def _metrics(variant: Study) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (variant.folder / "metrics" / "metrics.json").read_text(encoding="utf-8")
    )
    return found


def _value(metrics: dict[str, Any], model: str, headline: str) -> float:
    found = metrics["models"][model][ALL].get(headline, {}).get(ESTIMATE)
    if found is None:
        raise ArtifactError(
            f"the {headline} of '{model}' is not defined in one of the splits: use more subjects"
        )
    return float(found)


def _instability(variants: list[list[Study]], model: str) -> dict[str, float | None]:
    of_subjects: list[Floats] = []
    for of_split in variants if len(variants[0]) > 1 else []:
        frames = [_held_out(variant.folder / "predictions" / model) for variant in of_split]
        owner = np.unique(frames[0][SUBJECT_ID].to_numpy(), return_inverse=True)[1]
        of_subjects.append(instability([frame[PROBABILITY].to_numpy() for frame in frames], owner))
    return in_short(of_subjects)


def _held_out(predictions: Path) -> pl.DataFrame:
    scan = pl.scan_parquet(predictions / "data.parquet").filter(pl.col(SPLIT) == HELD_OUT)
    return scan.sort(SUBJECT_ID, PREDICTION_TIME).collect()
