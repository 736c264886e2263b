"""However a file is damaged: an answer that names it, or events whose lines add up; and it costs only itself.

Each test draws a number for every file of a made-up folder; a file's damage is a function of its number, and nought
leaves it as it is. `ATTENDING_FUZZ=10000` damages so many files of each format, other ones each time; the suite
damages the same thousand. `ATTENDING_FUZZ_TALLY=FILE` appends what was counted, a line of JSON a test.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from math import ceil
from pathlib import Path
from random import Random

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attending import artifact, sources
from attending.config import Component
from damage import nested, parquet, text
from folders import RAW, made_up, read_text
from raw import physionet2012
from trials import Trials, refused, trials

N_FILES = int(os.environ.get("ATTENDING_FUZZ", "1000"))
pytestmark = pytest.mark.timeout(max(300, N_FILES))
CSV = [name for name in RAW if name not in ("fhir", "meds")]
PARQUET = ("meds", "mimic4", "omop")
YAML = ("tables", "synthea", "synpuf", "diabetes130")
DAMAGED_PER_INGEST = {"CSV": 90, "FHIR": 18, "Parquet": 45}
"""How many files the folders of a format have, all sources together, less those that stay whole; about."""
SEED = st.integers(0, 2**32 - 1)
Damage = Callable[[str, Random], bytes]


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """Waiting for the disk is no part of what is tested here."""
    monkeypatch.setattr(artifact, "_sync", lambda path: None)


def so_many(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize="ATTENDING_FUZZ" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def damage_files(whole: Trials, kind: str, damage: Damage) -> None:
    """Ingest the folder with most of its files damaged, again and again."""
    names = sorted(whole.files)

    @so_many(ceil(N_FILES / DAMAGED_PER_INGEST[kind]))
    @given(st.booleans(), st.lists(SEED, min_size=len(names), max_size=len(names)))
    def attempt(leaves_only: bool, seeds: list[int]) -> None:
        allowed = whole.leaves if leaves_only and len(whole.leaves) > 1 else set(names)
        chosen = {name: seed for name, seed in zip(names, seeds, strict=True) if seed % 5 and name in allowed}
        whole.attempt({name: damage(name, Random(seed)) for name, seed in chosen.items()})

    attempt()
    record(whole, kind)


def record(whole: Trials, kind: str) -> None:
    path = os.environ.get("ATTENDING_FUZZ_TALLY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            counted = {"format": kind, "source": whole.component.name} | asdict(whole.tally)
            file.write(json.dumps(counted) + "\n")


@pytest.mark.parametrize("source", CSV)
def test_tables_of_text(source, tmp_path):
    raw = physionet2012.write(tmp_path / "raw", archive=False) if source == "physionet2012" else None
    whole = trials(source, tmp_path, raw=raw)
    contents = {name: read_text(whole.raw / name) for name in whole.files}

    def damage(name: str, random: Random) -> bytes:
        content = text.table(contents[name], random)
        return text.packed(content, random) if name.endswith(".gz") else content

    damage_files(whole, "CSV", damage)


def test_fhir(tmp_path):
    whole = trials("fhir", tmp_path)
    contents = {name: read_text(whole.raw / name) for name in whole.files}

    def damage(name: str, random: Random) -> bytes:
        content = nested.records(contents[name], random)
        return text.packed(content, random) if name.endswith(".gz") else content

    damage_files(whole, "FHIR", damage)


@pytest.mark.parametrize("source", PARQUET)
def test_parquet(source, tmp_path):
    raw = None if source == "meds" else as_parquet(source, tmp_path)
    whole = trials(source, tmp_path, raw=raw)
    contents = {name: pq.read_table(whole.raw / name) for name in whole.files}

    def damage(name: str, random: Random) -> bytes:
        content = parquet.damaged(contents[name], random)
        return whole.files[name] if refused(whole, name, content) else content

    damage_files(whole, "Parquet", damage)


def as_parquet(source: str, folder: Path) -> Path:
    """Write the tables of a folder of CSV as Parquet, with the types that their values seem to have."""
    csv = made_up(source).write(folder / "csv")
    for path in csv.rglob("*.csv*"):
        target = folder / "parquet" / f"{path.relative_to(csv).as_posix().partition('.')[0]}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pl.read_csv(read_text(path), try_parse_dates=True).write_parquet(target)
    return folder / "parquet"


@pytest.mark.parametrize("source", YAML)
def test_mappings(source, tmp_path):
    raw = made_up(source).write(tmp_path / "raw")
    path, own = tmp_path / "mapping.yaml", Path(sources.__path__[0]) / f"{source}.yaml"
    content = (own if own.exists() else raw / "mapping.yaml").read_bytes()
    path.write_bytes(content)
    whole = trials("tables", tmp_path, raw=raw, given=Component(name="tables", mapping=path))

    @so_many(ceil(N_FILES / len(YAML)))
    @given(SEED)
    def attempt(seed: int) -> None:
        path.write_bytes(nested.mapping(content, Random(seed)))
        whole.attempt_mapping()

    attempt()
    record(whole, "YAML")
