"""Artifacts → the verdict of ten checks against leakage."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_json, writing
from attending.audit.checks import CHECKS
from attending.audit.config import Config
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, not_run
from attending.audit.scan import add, scan
from attending.config import Component
from attending.data.batches import Config as BatchConfig
from attending.engine.local import Engine
from attending.errors import AttendingError
from attending.progress import track
from attending.stages.label import KIND as LABELS
from attending.stages.label import read_outcomes
from attending.stages.predict import predict
from attending.stages.split import splits_file, splits_parent
from attending.stages.tokenize import read_vocabulary
from attending.stages.train import train
from attending.tokens.vocabulary import Config as TokenConfig
from attending.train.loop import Config as TrainConfig

KIND = "audit"
FILE = "audit.json"


def audit(
    *,
    events: Path,
    labels: Path,
    tokens: Path,
    models: Mapping[str, Path],
    out: Path,
    config: Config,
    engine: Engine,
    splits: Path | None = None,
    retrained: Sequence[str] = (),
    everything: bool = False,
    again: bool = False,
    seed: int = 0,
) -> Manifest:
    """Check a study's artifacts, and write what each check found to `out/audit.json`.

    With `everything`, the models in `retrained` are trained anew on shuffled labels. An audit that is up to date is not
    made again, unless `again` says so; one of everything does for one of less.
    """
    folders = {"events": events, "labels": labels, "tokens": tokens} | {
        f"model {n}": f for n, f in models.items()
    }
    manifests = {name: read_manifest(folder) for name, folder in folders.items()}
    recipes = [
        Recipe(
            kind=KIND,
            config={"audit": config.to_dict(), "everything": whole, "retrained": list(retrained) * whole},
            parents={name: manifest.fingerprint for name, manifest in manifests.items()}
            | splits_parent(splits),
            seed=seed,
        )
        for whole in ((True,) if everything else (True, False))
    ]
    if not again and any(is_current(out, recipe) for recipe in recipes):
        return read_manifest(out, KIND)
    asked, token_config = manifests["labels"].config, TokenConfig(**manifests["tokens"].config)
    settings = Component(**asked["task"]).config("tasks")
    work = partial(
        scan,
        labels=labels / "data",
        splits=splits_file(splits or events),
        vocabulary=read_vocabulary(tokens).table,
        tokens=token_config,
        task=settings,
        name=asked["task"]["name"],
    )
    scans = engine.map(work, sorted((events / "data").glob("*.parquet")), "auditing")
    of_models = [manifest for name, manifest in manifests.items() if name.startswith("model ")]
    evidence = Evidence(
        events=events,
        splits=splits_file(splits or events),
        labels=labels,
        tokens=tokens,
        models=models,
        manifests=manifests,
        task=asked["task"]["name"],
        settings=settings,
        target=asked["target"],
        token_config=token_config,
        batches=BatchConfig(**of_models[0].config["batches"]) if of_models else BatchConfig(),
        config=config,
        scan=add(scans),
        seed=seed,
        retrain=partial(
            _retrained, tokens=tokens, labels=labels, models=models, epochs=config.permutation_epochs
        )
        if everything
        else None,
        retrained=tuple(retrained),
    )
    findings = {
        check.name: (check.claim, _checked(check.run, evidence)) for check in track(CHECKS, "checking")
    }
    with writing(out, recipes[-1]) as writer:
        verdicts = [found.verdict for _, found in findings.values()]
        writer.counts = {
            name: verdicts.count(name) for name in ("passed", "failed", "not_applicable", "not_run")
        }
        write_json(
            writer.path / FILE,
            {name: {"claim": claim} | vars(found) for name, (claim, found) in findings.items()},
        )
    return read_manifest(out, KIND)


def _checked(run: Any, evidence: Evidence) -> Finding:  # noqa: ANN401 - a check
    try:
        found: Finding = run(evidence)
    except AttendingError as error:
        return not_run(f"it could not be made: {error}")
    return found


def _retrained(
    shuffled: pl.DataFrame, name: str, *, tokens: Path, labels: Path, models: Mapping[str, Path], epochs: int
) -> pl.DataFrame:
    """Train a model of the study on other labels, in a folder that is thrown away, and return what it predicts."""
    made = read_manifest(models[name], "model")
    training = TrainConfig(**made.config["train"])
    training = training.model_copy(update={"epochs": min(training.epochs, epochs)})
    settings = {
        key: value for key, value in made.config["model"].items() if key not in ("n_tokens", "n_outcomes")
    }
    original = read_manifest(labels, LABELS)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        recipe = Recipe(
            kind=LABELS, config=original.config, parents=original.parents | {"shuffled": "labels"}
        )
        with writing(place / "labels", recipe) as writer:
            (writer.path / "data").mkdir()
            shuffled.write_parquet(writer.path / "data" / "000.parquet")
            read_outcomes(labels).write_parquet(writer.path / "outcomes.parquet")
        train(
            tokens,
            place / "labels",
            place / "model",
            model=Component(**settings),
            config=training,
            batching=BatchConfig(**made.config["batches"]),
            seed=made.seed,
        )
        predict(place / "model", tokens, place / "labels", place / "predictions")
        return pl.read_parquet(place / "predictions" / "data.parquet")
