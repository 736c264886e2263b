"""A file that lost its header has a patient's values in its place: no message repeats them."""

import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.errors import ConfigError, SourceError
from attending.ledger.headers import in_words
from attending.stages.ingest import ingest
from folders import component, read_text, write_text
from raw import mimic4, tables


def test_known_columns_and_a_misspelt_one_are_named():
    known = ["subject_id", "gender", "dod"]
    assert in_words(["Gender", "subjectid", "note"], "subject_id", known) == (
        "3 columns, Gender (did you mean 'subjectid'?)"
    )
    assert in_words(["10000001", "F", "52"], "subject_id", known) == "3 columns, none that are known"


def test_a_lost_header_is_not_repeated_by_a_required_table(tmp_path):
    raw = mimic4.write(tmp_path / "raw")
    (path,) = raw.glob("hosp/patients.csv*")
    _, _, content = read_text(path).partition(b"\n")
    write_text(path, content)
    with pytest.raises(SourceError, match="6 columns, none that are known: restore the header") as caught:
        ingest(Component(name="mimic4"), raw, tmp_path / "out", engine=Local(1))
    assert "10000000" not in str(caught.value)


def test_a_lost_header_is_not_repeated_by_a_mapping(tmp_path):
    raw = tables.write(tmp_path / "raw")
    (path,) = raw.glob("vitals.csv*")
    _, _, content = read_text(path).partition(b"\n")
    write_text(path, content)
    with pytest.raises(ConfigError, match="columns, none that are known") as caught:
        ingest(component("tables", raw), raw, tmp_path / "out", engine=Local(1))
    assert "P-0" not in str(caught.value)
