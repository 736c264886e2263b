"""Export an events artifact into the files of another format."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from attending import registry
from attending.artifact import Manifest, Recipe, is_current, read_manifest, writing
from attending.config import Component, Settings
from attending.engine.local import Engine
from attending.ledger.outgoing import Part, Whole

KIND = "export"


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One shard to write."""

    name: str
    config: Settings
    shard: Path
    part: Part


def export(events: Path, out: Path, *, to: Component, engine: Engine) -> Manifest:
    """Write the events at `events` as files of the format `to` at `out`.

    Raises:
        ArtifactError: if there is no events artifact.
        UnknownComponent: if there is no such format.
    """
    parent = read_manifest(events, "events")
    config = to.config("exports")
    recipe = Recipe(
        kind=KIND,
        config={"export": {"name": to.name} | config.to_dict()},
        parents={"events": parent.fingerprint},
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        tasks = _tasks(events, writer.path, to.name, config)
        written = engine.map(_write, tasks, f"writing {to.name}")
        registry.load("exports", to.name).finish(Whole(events=events, out=writer.path), config)
        files = sorted({name for one in written for name in one})
        rows = {name: sum(one.get(name, 0) for one in written) for name in files}
        writer.counts = {"events": parent.counts["events"], "rows": sum(rows.values()), "files": rows}
    return read_manifest(out, KIND)


def _tasks(events: Path, out: Path, name: str, config: Settings) -> list[_Task]:
    tasks, first = [], 0
    for number, shard in enumerate(sorted((events / "data").glob("*.parquet"))):
        part = Part(events=events, out=out, number=number, first_event=first)
        tasks.append(_Task(name=name, config=config, shard=shard, part=part))
        first += pq.read_metadata(shard).num_rows
    return tasks


def _write(task: _Task) -> dict[str, int]:
    written: dict[str, int] = registry.load("exports", task.name).write(
        pl.read_parquet(task.shard), task.part, task.config
    )
    return written
