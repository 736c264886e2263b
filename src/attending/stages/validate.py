"""A run + the events of another data set → how its models do there, and how different the patients are.

Nothing is fitted on the other data: its samples get the run's outcomes, its histories the run's vocabulary, and every
one of its subjects is held out. Below `out`: `splits/`, `labels/`, `tokens/`, `predictions/NAME/` and `validation/`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from attending import parquet
from attending.artifact import (
    Manifest,
    Recipe,
    code_version,
    is_current,
    read_manifest,
    write_atomic,
    write_json,
    write_text,
    writing,
)
from attending.compare import page
from attending.compare.case_mix import case_mix, count_both, numbers, prevalences
from attending.compare.common import Common, common
from attending.compare.domain import domain_auroc
from attending.compare.histories import read_histories
from attending.compare.runs import Run
from attending.compare.table import Table
from attending.compare.validation import validate as score_both
from attending.config import Component
from attending.engine.local import Engine
from attending.errors import ArtifactError
from attending.report.names import Names
from attending.schema import (
    CODE,
    DESCRIPTION,
    HELD_OUT,
    INTERVAL,
    METRIC,
    MODEL,
    OUTCOME,
    SCOPE,
    SPLIT,
    SUBJECT_ID,
    SUBJECT_SPLITS,
)
from attending.stages.compare import open_run, settings_of
from attending.stages.label import label
from attending.stages.predict import predict
from attending.stages.split import KIND as SPLITS_KIND
from attending.stages.split import SPLITS_FILE
from attending.stages.tokenize import read_vocabulary, tokenize
from attending.tokens.vocabulary import UNKNOWN_TOKEN, Config, ancestors, kept

KIND = "validation"
FILES = ("validation.json", "validation.csv", "validation.html")


def validate(run: Path, events: Path, out: Path, *, engine: Engine, seed: int = 0) -> Manifest:
    """Validate all models of a run on the subjects of `events`.

    Raises:
        ArtifactError: if the run lacks an artifact, or its events are those of `events`.
    """
    own = read_manifest(run / "labels", "labels")
    other_events = read_manifest(events, "events")
    if own.parents["events"] == other_events.fingerprint:
        raise ArtifactError(
            f"the events in {events} are those that the run {run} was made from: give other data"
        )
    splits = _all_held_out(events, out / "splits")
    task = Component(**own.config["task"])
    label(events, out / "labels", task=task, engine=engine, splits=splits, outcomes=run / "labels")
    config = Config(**read_manifest(run / "tokens", "tokens").config)
    tokenize(events, out / "tokens", config=config, engine=engine, splits=splits, vocabulary=run / "tokens")
    for model in sorted(path.parent for path in (run / "models").glob("*/manifest.json")):
        predict(model, out / "tokens", out / "labels", out / "predictions" / model.name)
    return _compare(run, events, out, config, seed)


def _compare(run: Path, events: Path, out: Path, config: Config, seed: int) -> Manifest:
    opened, other = open_run(run), open_run(out, "other data")
    settings = settings_of(run)
    folders = [*opened.predictions.values(), *other.predictions.values()]
    recipe = Recipe(
        kind=KIND,
        config=settings.to_dict() | {"run": opened.name},
        parents={f"predictions {at}": read_manifest(path).fingerprint for at, path in enumerate(folders)}
        | {"events": read_manifest(events, "events").fingerprint},
        seed=seed,
    )
    target = out / "validation"
    if is_current(target, recipe):
        return read_manifest(target, KIND)
    with writing(target, recipe) as writer:
        sides = common([opened]), common([other])
        result = score_both(opened, sides[0], other, sides[1], config=settings, seed=seed)
        result["codes"] = coverage(events, run / "tokens", config)
        tables = _who(opened, run / "events", other, events, sides, writer.path, result, seed)
        for name in ("case_mix", "prevalences"):
            result[name] = asdict(tables[name])
        write_json(writer.path / FILES[0], result)
        write_atomic(writer.path / FILES[1], _long(result).write_csv)
        text = page.html(page.validation_page(result, tables, code_version()))
        write_text(writer.path / FILES[2], text)
        writer.counts = {"models": len(result["models"]), **result["external"]}
    return read_manifest(target, KIND)


def coverage(events: Path, tokens: Path, config: Config) -> dict[str, Any]:
    """Count the codes of `events` that the vocabulary of `tokens` knows, as they are or by a broader one."""
    counts = pl.scan_parquet(events / "data" / "*.parquet").group_by(CODE).len("n").collect()
    counts = kept(counts, config)
    vocabulary = read_vocabulary(tokens)
    ways = [_way(code, vocabulary.base) for code in counts[CODE]]
    table = counts.with_columns(pl.Series("way", ways, dtype=pl.String))
    n_events = int(table["n"].sum())
    found: dict[str, Any] = {"n_codes": table.height}
    for way in ("known", "by_ancestor", "unknown"):
        rows = table.filter(pl.col("way") == way)
        found[f"n_{way}"] = rows.height
        found[f"share_of_events_{way}"] = int(rows["n"].sum()) / n_events if n_events else 0.0
    return found


def _way(code: str, base: dict[str, int]) -> str:
    if code in base:
        return "known"
    return (
        "by_ancestor"
        if any(base.get(name, UNKNOWN_TOKEN) != UNKNOWN_TOKEN for name in ancestors(code))
        else "unknown"
    )


def _who(
    run: Run,
    own_events: Path,
    other: Run,
    events: Path,
    sides: tuple[Common, Common],
    folder: Path,
    result: dict[str, Any],
    seed: int,
) -> dict[str, Table]:
    """Describe the patients of both sides; the domain classifier's figures go into `result`."""
    internal, external = (
        read_histories(own_events, run.labels, seed),
        read_histories(events, other.labels, seed),
    )
    result["domain"] = domain_auroc(internal, external, n_replicates=result["n_replicates"], seed=seed)
    counts = count_both((own_events, run.labels), (events, other.labels), folder / "side.parquet")
    samples = [side.samples[HELD_OUT] for side in sides]
    names = _names(own_events, events, run)
    return {
        "case_mix": case_mix(internal, external, counts, names),
        "prevalences": numbers([side.values[HELD_OUT] for side in sides])
        if run.target == "value"
        else prevalences(samples, run.outcomes, names),
    }


def _names(own_events: Path, events: Path, run: Run) -> Names:
    codes: dict[str, str] = {}
    for folder in (events, own_events):
        table = pl.read_parquet(
            folder / "metadata" / "codes.parquet", columns=[CODE, DESCRIPTION]
        ).drop_nulls()
        codes |= dict(table.iter_rows())
    return Names(codes, dict(run.outcomes.select(OUTCOME, DESCRIPTION).iter_rows()))


def _all_held_out(events: Path, out: Path) -> Path:
    """Write a splits artifact in which every subject is held out."""
    recipe = Recipe(
        kind=SPLITS_KIND,
        config={"split": {"name": "all held out"}},
        parents={"events": read_manifest(events, "events").fingerprint},
    )
    if not is_current(out, recipe):
        with writing(out, recipe) as writer:
            subjects = pl.scan_parquet(events / "data" / "*.parquet").select(SUBJECT_ID).unique().collect()
            frame = subjects.sort(SUBJECT_ID).with_columns(pl.lit(HELD_OUT).alias(SPLIT))
            parquet.write(writer.path / SPLITS_FILE, SUBJECT_SPLITS.check(frame, "the splits"))
            writer.counts = {HELD_OUT: frame.height}
    return out


def _long(result: dict[str, Any]) -> pl.DataFrame:
    rows = [
        {MODEL: model, SCOPE: scope, METRIC: metric, "data": side} | {key: values[key] for key in INTERVAL}
        for model, sides in result["models"].items()
        for side, scopes in sides.items()
        for scope, metrics in scopes.items()
        for metric, values in metrics.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)
