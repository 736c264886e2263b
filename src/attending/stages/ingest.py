"""Ingest source folders: raw tables in, sorted events by shard out, and every line accounted for.

The form is map and reduce by files (`ledger.work`). Map reads a part of one file into typed rows by shard; reduce
assembles one shard's events. Both are pure and idempotent, so an interrupted ingest resumes and any engine may
run them.

Where the typed rows are kept (`keep_rows`), `update` merges a further folder into the events: only its files are
read, and only the shards that they touch are assembled again. The result is that of one ingest of all folders.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from attending import registry
from attending.artifact import (
    Manifest,
    Recipe,
    code_version,
    folder_fingerprint,
    is_current,
    read_manifest,
    write_json,
    writing,
)
from attending.config import Component, Settings
from attending.engine.local import Engine
from attending.errors import SourceError
from attending.ledger import accounts, files, metadata, quarantine, reading
from attending.ledger.accounts import Account
from attending.ledger.files import Found
from attending.ledger.reading import Tail
from attending.ledger.shard import (
    CODES_FILE,
    QUARANTINE_FILE,
    SUBJECTS_FILE,
    ShardCounts,
    events_file,
    shard_folder,
)
from attending.ledger.table import Source, Table
from attending.ledger.units import Unit
from attending.ledger.work import Work
from attending.ontology import ndc
from attending.ontology.vocabularies import Vocabularies
from attending.progress import say
from attending.shares import Shares

KIND = "events"
LEDGER = "ledger.json"
_STATE = "state.json"
_SOURCE = "source"
_FEW = 8


class Sizes(Settings):
    """How finely the work is cut. It decides memory and the number of shards, not what the events are.

    block_bytes   read and parsed at a time, of text
    shard_bytes   text that one shard stands for, at most, about
    fine_bytes    the same of data that make at most 64 such shards
    part_bytes    text of one file that one worker reads; larger files are shared
    """

    block_bytes: int = 8 * 2**20
    shard_bytes: int = 64 * 2**20
    fine_bytes: int = 16 * 2**20
    part_bytes: int = 1024 * 2**20


def ingest(
    source: Component,
    folder: Path | Sequence[Path],
    out: Path,
    *,
    engine: Engine,
    split: Shares | None = None,
    seed: int = 0,
    keep_raw: bool = False,
    keep_rows: bool = False,
    vocabularies: Path | None = None,
    sizes: Sizes | None = None,
) -> Manifest:
    """Read the tables of `source` in `folder`, or in several folders as one, and write an events artifact at `out`.

    `keep_raw` writes the text of quarantined lines beside them: that is patient data. `keep_rows` keeps the typed
    rows, about as large as the compressed source, so that `update` can merge more. `vocabularies` is a folder of
    terminology files that names codes.

    Raises:
        SourceError: if a folder, a required table, or a required column of one is not there.
        LedgerError: if the lines of a file do not add up.
    """
    folders = [folder] if isinstance(folder, Path) else list(folder)
    split, sizes = split or Shares(), sizes or Sizes()
    config = source.config("sources")
    described = [_describe(source, config, one) for one in folders]
    found = [files.find(one, folder) for one, folder in zip(described, folders, strict=True)]
    files.require(described[0], [unit for one in found for unit in one.units], folders)
    recipe = Recipe(
        kind=KIND,
        config={
            "source": {"name": source.name} | config.to_dict(),
            "split": split.to_dict(),
            "keep_raw": keep_raw,
            "keep_rows": keep_rows,
            "sizes": sizes.to_dict(),
            "vocabularies": vocabularies and str(vocabularies),
            "drug_directory": ndc.is_packaged(),
        },
        parents=_terms(vocabularies)
        | {
            _parent(number): _fingerprint(one, folder)
            for number, (one, folder) in enumerate(zip(described, folders, strict=True))
        },
        seed=seed,
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    units = [unit for number, one in enumerate(found) for unit in _named(one.units, number)]
    others = [other for number, one in enumerate(found) for other in _others(one, described[number], number)]
    with writing(out, recipe) as writer:
        work = _work(_joined(described), units, writer.path, sizes)
        work.map(engine)
        counts = _finish(work, engine, others, folders, recipe)
        writer.counts = counts
    _tell(out)
    return read_manifest(out, KIND)


def update(events: Path, folder: Path, *, engine: Engine) -> Manifest:
    """Merge a further folder of the same source into an events artifact, and read nothing else again.

    The result is what one ingest of all the folders gives, byte for byte.

    Raises:
        SourceError: if the artifact's rows were not kept, or another version of the library made it.
    """
    manifest = read_manifest(events, KIND)
    state = _state(events, manifest)
    given = dict(manifest.config["source"])
    source = Component(**given)
    config, number = source.config("sources"), sum(name.startswith(_SOURCE) for name in manifest.parents)
    described = _describe(source, config, folder)
    found = files.find(described, folder)
    parents = manifest.parents | {_parent(number): _fingerprint(described, folder)}
    recipe = Recipe(kind=KIND, config=manifest.config, parents=parents, seed=manifest.seed)
    old = [
        Unit(**one | {"tables": tuple(one["tables"]), "path": one["path"] and Path(one["path"])})
        for one in state["units"]
    ]
    units = [*old, *_named(found.units, number)]
    others = [*(Account(**one) for one in state["others"]), *_others(found, described, number)]
    with writing(events, recipe) as writer:
        work = _work(described, units, writer.path, Sizes(**manifest.config["sizes"]))
        work.first = len(old)
        work.tails = {place: Tail(**tail) for place, tail in enumerate(state["tails"])}
        _link_tree(events / "rows", work.rows, but="shards")
        work.map(engine)
        _link_shards(events, work)
        writer.counts = _finish(work, engine, others, [folder], recipe)
    _tell(events)
    return read_manifest(events, KIND)


def _describe(source: Component, config: Settings, folder: Path) -> Source:
    described: Source = registry.load("sources", source.name).source(folder, config)
    return described


def _joined(described: Sequence[Source]) -> Source:
    """Return the source with the tables of all folders."""
    tables: dict[str, Table] = {}
    for one in described:
        tables = {table.name: table for table in one.tables} | tables
    first = described[0]
    order = {table.name: table for table in first.tables} | tables
    return replace(first, tables=tuple(order.values()))


def _parent(number: int) -> str:
    return _SOURCE if not number else f"{_SOURCE} {number + 1}"


def _vocabularies(recipe: Recipe) -> Vocabularies | None:
    path = recipe.config["vocabularies"]
    return Vocabularies.load([Path(path)]) if path else None


def _terms(vocabularies: Path | None) -> dict[str, str]:
    return {} if vocabularies is None else {"vocabularies": folder_fingerprint(vocabularies)}


def _fingerprint(source: Source, folder: Path) -> str:
    """Return what changes when the folder's content does, or that of a database that is read beside it."""
    here = folder_fingerprint(folder) if folder.exists() else ""
    if source.units is None:
        return here
    units = "\n".join(unit.fingerprint for unit in source.units())
    return sha256(f"{here}\n{units}".encode()).hexdigest()[:32]


def _named(units: Sequence[Unit], number: int) -> list[Unit]:
    """Give the units of a further folder names that tell them from those of the first."""
    return [replace(unit, name=_name(unit.name, number)) for unit in units]


def _name(name: str, number: int) -> str:
    return name if not number else f"{number + 1}:{name}"


def _work(source: Source, units: list[Unit], out: Path, sizes: Sizes) -> Work:
    return Work(
        source=source,
        units=units,
        out=out,
        shard_bytes=sizes.shard_bytes,
        fine_bytes=sizes.fine_bytes,
        part_bytes=sizes.part_bytes,
        block_bytes=sizes.block_bytes,
    )


def _others(found: Found, source: Source, number: int) -> list[Account]:
    """Return the account of the files that nothing reads."""
    result = []
    for other in found.others:
        status = accounts.METADATA if other.name in source.metadata else accounts.NOT_READ
        n_lines = files.count_lines(other.path)
        result.append(Account(file=_name(other.name, number), status=status, lines=n_lines, not_read=n_lines))
    return result


def _finish(
    work: Work, engine: Engine, others: list[Account], folders: Sequence[Path], recipe: Recipe
) -> dict[str, Any]:
    """Reduce, check the account, write what stands beside the events; return the manifest's counts."""
    shards = work.reduce(engine)
    own, events = work.accounts(shards)
    ledger = [*own, *others]
    accounts.check(ledger)
    beside = work.out / "metadata"
    metadata.write_dataset(beside / "dataset.json", work.source.name)
    given = [one for folder in folders if (one := work.source.splits(folder)) is not None]
    n_codes = metadata.write_codes(
        beside / "codes.parquet",
        work.shard_files(CODES_FILE),
        work.source,
        work.dictionaries(),
        _vocabularies(recipe),
    )
    n_subjects = metadata.write_splits(
        beside / "subject_splits.parquet",
        work.shard_files(SUBJECTS_FILE),
        pl.concat(given) if given else None,
        recipe.config["split"],
        recipe.seed,
    )
    metadata.write_subject_ids(
        beside / "subject_ids.parquet", sorted((work.rows / "ids").glob("[0-9]*.parquet"))
    )
    metadata.write_quarantine(
        work.out / "quarantine",
        [*sorted((work.rows / "quarantine").glob("[0-9]*.parquet")), *work.shard_files(QUARANTINE_FILE)],
        dict(enumerate(work.units)),
        keep_raw=recipe.config["keep_raw"],
    )
    write_json(work.out / LEDGER, accounts.to_json(ledger, events))
    if recipe.config["keep_rows"]:
        _keep(work, others)
    else:
        shutil.rmtree(work.rows)
    for unfinished in work.out.rglob(".*.tmp"):
        unfinished.unlink()
    published = sum(one.height for one in given)
    counts = _counts(ledger, events, shards, n_subjects, n_codes)
    return counts | ({"published_splits": published} if published else {})


# Rows that are kept --------------------------------------------------------------------------------


def _keep(work: Work, others: Sequence[Account]) -> None:
    """Write down what an update needs to know of what was read."""
    units = [
        asdict(replace(unit, reader=None)) | {"path": unit.path and str(unit.path.resolve())}
        for unit in work.units
    ]
    write_json(
        work.rows / _STATE,
        {
            "units": units,
            "tails": [asdict(work.tails[number]) for number in range(len(work.units))],
            "others": [asdict(other) for other in others],
        },
    )


def _state(events: Path, manifest: Manifest) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((events / "rows" / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(
            f"expected the typed rows of {events} in its folder rows; they were not kept: "
            "ingest again with --keep-rows, then update"
        ) from None
    if manifest.code_version != code_version():
        raise SourceError(
            f"{events} was made by version {manifest.code_version} and this is {code_version()}: "
            "their rows may differ; ingest all folders again"
        )
    return state


def _link_tree(old: Path, new: Path, but: str = "") -> None:
    """Give every file of a folder a second name in another; what is there already stays."""
    for path in old.rglob("*"):
        inside = path.relative_to(old)
        if path.is_file() and inside.parts[0] not in (but, _STATE):
            _link(path, new / inside)


def _link_shards(events: Path, work: Work) -> None:
    """Take over the shards that no new row touches."""
    n_old = len(list((events / "data").glob("*.parquet")))
    if n_old != work.n_shards:
        return
    for number in set(range(work.n_shards)) - work.touched():
        _link_tree(shard_folder(events / "rows", number), shard_folder(work.rows, number))
        _link(events_file(events, number), events_file(work.out, number))


def _link(path: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copy2(path, target)


# What is told --------------------------------------------------------------------------------------


def _counts(
    ledger: list[Account], events: dict[str, int], shards: list[ShardCounts], n_subjects: int, n_codes: int
) -> dict[str, Any]:
    """Return the counts of the manifest."""
    return {
        "subjects": n_subjects,
        "events": sum(shard.n_events for shard in shards),
        "visits": sum(shard.n_visits for shard in shards),
        "codes": n_codes,
        "lines": sum(account.lines for account in ledger),
        "quarantined": sum(quarantine.total(account.quarantined) for account in ledger),
        "n_shards": len(shards),
        "tables": {table: n for table, n in events.items() if n},
    }


def _tell(out: Path) -> None:
    """Say what a person should know before trusting the result."""
    found = json.loads((out / LEDGER).read_text(encoding="utf-8"))["files"]
    ledger = [Account(**one) for one in found]
    absent = [account.file for account in ledger if account.status == accounts.ABSENT]
    if absent:
        more = f" and {len(absent) - _FEW} more" if len(absent) > _FEW else ""
        say(f"  not in the folder, and left out: {', '.join(absent[:_FEW])}{more}")
    for account in ledger:
        if account.status == reading.EMPTY:
            say(f"  {account.file} is empty")
        if account.missing_columns:
            say(f"  {account.file} lacks {', '.join(account.missing_columns)}")
        if account.quarantined:
            n_lines = quarantine.total(account.quarantined)
            say(f"  {account.file}: {n_lines} lines set aside ({quarantine.reasons(account.quarantined)})")
        if account.values:
            n_values = quarantine.total(account.values)
            say(f"  {account.file}: {n_values} values set aside ({quarantine.reasons(account.values)})")
    if any(account.quarantined or account.values for account in ledger):
        say(f"  where and why: {out / 'quarantine'}")
