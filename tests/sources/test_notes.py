"""Two open sets of notes, read through mappings that a user could have written."""

import json
from pathlib import Path

import polars as pl
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.mapping.source import read
from attending.schema import CODE, SUBJECT_ID, TEXT_VALUE
from attending.stages.ingest import ingest

MAPPINGS = Path(__file__).parents[2] / "studies" / "mappings"
NOTES = {"aci-bench": 207, "mts-dialog": 1701}
SECTIONS = """\
ID,section_header,section_text,dialogue
0,GENHX,"Two
lines.","Doctor: ""Hello""\"
1,CC,Cough.,Doctor: Hi
"""


def ingested(folder: Path, name: str, out: Path) -> tuple[pl.DataFrame, dict]:
    component = Component(name="tables", mapping=str(MAPPINGS / f"{name}.yaml"))
    ingest(component, folder, out, engine=Local(1))
    return pl.read_parquet(out / "data" / "*.parquet"), json.loads((out / "ledger.json").read_text())


@pytest.mark.shared
@pytest.mark.parametrize("name", NOTES)
def test_every_note_of_the_set_comes_through(shared_data, tmp_path, name):
    events, ledger = ingested(shared_data(f"notes-{name}"), name, tmp_path / "out")
    notes = events.filter(pl.col(CODE).str.starts_with("NOTE//"))
    assert notes.height == notes[SUBJECT_ID].n_unique() == NOTES[name]
    assert notes[TEXT_VALUE].null_count() == 0
    assert ledger["totals"]["quarantined"] == 0


def test_files_that_count_their_own_subjects_do_not_share_them(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("TrainingSet", "ValidationSet"):
        (raw / f"MTS-Dialog-{name}.csv").write_text(SECTIONS)
    events, _ = ingested(raw, "mts-dialog", tmp_path / "out")
    assert events[SUBJECT_ID].n_unique() == 4
    assert set(events[TEXT_VALUE]) == {"Two\nlines.", 'Doctor: "Hello"', "Cough.", "Doctor: Hi"}
    ids = pl.read_parquet(tmp_path / "out" / "metadata" / "subject_ids.parquet")
    assert sorted(ids["source_id"]) == ["train-0", "train-1", "valid-0", "valid-1"]


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_mapping_of_the_project_is_read(path):
    assert read(path).source.tables
