"""All that a report is made of, read from artifacts; what an artifact does not hold is absent, not an error."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attending import schema as s
from attending.artifact import Manifest, read_manifest
from attending.errors import ArtifactError
from attending.progress import track
from attending.report import cohort
from attending.report.audit import FILE as AUDIT_FILE
from attending.report.names import Names
from attending.tokens.vocabulary import UNKNOWN

VOCABULARY = "vocabulary.parquet"
KIND, N_CODES = "kind", "n_codes"
Json = Any  # whatever a JSON file holds


@dataclass(frozen=True, kw_only=True)
class Attributions:
    """The explained samples of one model by one method, and their events."""

    method: str
    model: str
    samples: pl.DataFrame
    events: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the report shows, before it is laid out; `parts` are the JSON files of the evaluation, by name."""

    events: Manifest
    labels: Manifest
    evaluation: Manifest
    models: list[Manifest]
    metrics: dict[str, Any]
    curves: dict[str, Any]
    per_outcome: pl.DataFrame
    ledger: dict[str, Any]
    flow: list[dict[str, Any]]
    audit: dict[str, dict[str, str]]
    parts: dict[str, dict[str, Any]]
    codes: pl.DataFrame
    counts: pl.DataFrame
    kinds: dict[str, int]
    names: Names
    attributions: list[Attributions]


def read(
    events: Path,
    labels: Path,
    metrics: Path,
    models: list[Path],
    attributions: list[Path],
    n_timelines: int,
    splits: Path | None = None,
    audit: Path | None = None,
) -> Evidence:
    """Read every artifact that a report is made of; `splits` is the file that says which split a subject is in.

    Raises:
        ArtifactError: if one is missing, damaged, or of another kind.
    """
    codes = pl.read_parquet(events / "metadata" / "codes.parquet")
    return Evidence(
        events=read_manifest(events, "events"),
        labels=read_manifest(labels, "labels"),
        evaluation=read_manifest(metrics, "metrics"),
        models=[read_manifest(model, "model") for model in models],
        metrics=_json(metrics / "metrics.json"),
        curves=_json(metrics / "curves.json", {}),
        per_outcome=_table(metrics / "per_outcome.parquet"),
        ledger=_json(events / "ledger.json", {}),
        flow=_json(labels / "flow.json", []),
        parts={path.stem: _json(path) for path in sorted(metrics.glob("*.json"))},
        audit=_json(audit / AUDIT_FILE, {}) if audit else {},
        codes=codes,
        counts=_counts(events, labels, splits or events / "metadata" / "subject_splits.parquet"),
        kinds=_kinds(models),
        names=_names(codes, pl.read_parquet(labels / "outcomes.parquet")),
        attributions=[_attributions(folder, n_timelines) for folder in attributions if n_timelines],
    )


def _counts(events: Path, labels: Path, splits: Path) -> pl.DataFrame:
    """Count Table 1, shard by shard."""
    shards = sorted((labels / "data").glob("*.parquet"))
    return cohort.add_up(
        cohort.count_shard(events / "data" / shard.name, shard, splits)
        for shard in track(shards, "counting the cohort")
    )


def _kinds(models: list[Path]) -> dict[str, int]:
    """Return how many codes of each kind the models know: those of the vocabulary, which no few people make up."""
    for path in (model / VOCABULARY for model in models):
        if path.exists():
            kind = pl.col(s.CODE).str.split(s.SEPARATOR).list.first().alias(KIND)
            codes = pl.read_parquet(path).filter(pl.col(s.CODE) != UNKNOWN).unique(s.CODE)
            counts = codes.group_by(kind).len(N_CODES).sort(N_CODES, KIND, descending=[True, False])
            return dict(counts.iter_rows())
    return {}


def _names(codes: pl.DataFrame, outcomes: pl.DataFrame) -> Names:
    tables = []
    for frame, key in ((codes, s.CODE), (outcomes, s.OUTCOME)):
        named = (
            frame.select(key, s.DESCRIPTION).drop_nulls() if s.DESCRIPTION in frame.columns else frame.clear()
        )
        tables.append(dict(named.select(key, s.DESCRIPTION).iter_rows()) if named.height else {})
    return Names(*tables)


def _attributions(folder: Path, n: int) -> Attributions:
    manifest = read_manifest(folder, "attributions")
    samples = pl.read_parquet(folder / "samples.parquet", n_rows=n)
    explained = pl.scan_parquet(folder / "events.parquet").filter(
        pl.col(s.SAMPLE).is_in(samples[s.SAMPLE].to_list())
    )
    return Attributions(
        method=str(manifest.config.get("method", "")),
        model=str(manifest.config.get("model", "")),
        samples=samples,
        events=explained.collect(),
    )


def _table(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path) if path.exists() else pl.DataFrame()


def _json(path: Path, default: Json = None) -> Json:
    if default is not None and not path.exists():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ArtifactError(f"cannot read {path}: delete its folder and run the stage again") from None
