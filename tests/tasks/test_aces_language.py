"""A task that is written wrongly is answered with file, line, key, and what is near."""

from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from aces_tasks import task, window
from attending.cli.main import main
from attending.errors import ConfigError, TaskError
from attending.mapping.place import Place
from attending.tasks import aces
from attending.tasks._aces import bounds

FILE = """
predicates:
  admission: {code: {regex: "^ADM"}}
  death: {code: MEDS_DEATH}
  either: {expr: "or(admission, death)"}
trigger: admission
windows:
  known:
    start: NULL
    end: trigger
    start_inclusive: True
    end_inclusive: True
    index_timestamp: end
    has: {either: "(None, 9)"}
  then:
    start: trigger
    end: start + 30d
    start_inclusive: False
    end_inclusive: True
    label: death
"""


def read(tmp_path: Path, old: str = "", new: str = "") -> aces.Config:
    assert old in FILE
    path = tmp_path / "task.yaml"
    path.write_text(FILE.replace(old, new, 1), encoding="utf-8")
    return aces.Config(path=path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "trigger: admission",
            "trigger: admision",
            r"no predicate 'admision'; did you mean 'admission'.*line 6",
        ),
        ("label: death", "label: deaht", r"no predicate 'deaht'; did you mean 'death'.*line 20"),
        ("or(admission, death)", "or(admission)", "takes two or more"),
        ("label: death", "label: either\n    lable: death", r"unknown key.*lable.*did you mean 'label'"),
        ("start: trigger", "start: knwn.end", r"no window 'knwn'; did you mean 'known'.*line 16"),
        ("start + 30d", "start + 1 month", r"a month is written '30d'.*line 17"),
        ("start + 30d", "start - 30d", r"end before it starts.*line 17"),
        ("start + 30d", "start ~ 30d", r"expected 'trigger', 'start'"),
        ("start: trigger", "start: end - 1d", "neither end of the window 'then'"),
        ("start: trigger", "start: then.end", "neither end of the window 'then'|circle"),
        ("    start_inclusive: False\n", "", r"then.*start_inclusive|start_inclusive.*required"),
        ("label: death", "label: death\n    has: {death: '(3, 1)'}", "no number lies in the range"),
        ("label: death", "label: death\n    has: {death: 3}", r"expected a range such as '\(1, None\)'"),
        ("label: death", "label: mean(death)", "no measure 'mean'"),
        ("label: death", "label: max(either) > 1", "needs a predicate with a code"),
        ("code: MEDS_DEATH", "code: 7", "expected a code as text"),
        ("code: MEDS_DEATH", "code: {regex: '(('}", "is not a regular expression"),
        (
            "code: MEDS_DEATH",
            "code: MEDS_DEATH, vaule_min: 3",
            r"unknown key 'vaule_min'.*did you mean 'value_min'",
        ),
        ("    label: death\n", "", "no window of .* has a 'label'"),
        ("    index_timestamp: end\n", "", "no window of .* has an 'index_timestamp'"),
        ("trigger: admission\n", "", "'trigger' is required"),
        ("windows:", "windows: {", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        read(tmp_path, old, new)
    assert "task.yaml" in str(caught.value)


def test_a_predicate_that_matches_no_code_names_codes_that_are_near() -> None:
    config = aces.Config(
        task=task(
            {
                "known": window(None, "trigger", index_timestamp="end"),
                "then": window("trigger", "start + 1d", "right", label="death"),
            },
            predicates={"admission": {"code": "HOSPITAL_ADMISION"}},
        )
    )
    codes = ["HOSPITAL_ADMISSION//URGENT", "HOSPITAL_DISCHARGE//HOME", "MEDS_DEATH"]
    with pytest.raises(TaskError, match=r"'admission'.*near it: 'HOSPITAL_ADMISSION//URGENT'"):
        aces.check(config, codes)
    aces.check(config, [*codes, "HOSPITAL_ADMISION"])


def test_a_changed_file_is_a_changed_task(tmp_path: Path) -> None:
    first = read(tmp_path).to_dict()
    assert read(tmp_path, "30d", "31d").to_dict() != first
    assert aces.Config.from_yaml(aces.Config(**first).to_yaml()).to_dict() == first


def test_a_second_file_replaces_predicates(tmp_path: Path) -> None:
    more = tmp_path / "codes.yaml"
    more.write_text("predicates: {death: {code: DIED}}", encoding="utf-8")
    read(tmp_path)
    config = aces.Config(path=tmp_path / "task.yaml", predicates_path=more)
    assert aces.parse(config).predicates["death"].codes == ("DIED",)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("24h", 24),
        ("1 day", 24),
        ("1d 12h", 36),
        ("1d12h", 36),
        ("2 weeks", 336),
        ("90 minutes", 1.5),
        ("1:30:00", 1.5),
    ],
)
def test_a_span_of_time_is_read(text: str, hours: float) -> None:
    assert bounds.microseconds(text, Place("task", {})) == hours * 3_600_000_000


def test_codes_of_a_label_are_its_instances() -> None:
    assert aces.outcome_of_code(["MEDS_DEATH", "X"], aces.Config()) == {"MEDS_DEATH": "death"}


def test_labels_pass_the_label_schema_of_meds_through_the_stage(tmp_path: Path) -> None:
    for words in (
        ["simulate", str(tmp_path / "raw"), "--subjects", "60"],
        ["ingest", "mimic4", str(tmp_path / "raw"), str(tmp_path / "events"), "--workers", "1"],
        ["label", "aces", str(tmp_path / "events"), str(tmp_path / "labels"), "--workers", "1"],
    ):
        assert main(words) == 0, words
    for shard in sorted((tmp_path / "labels" / "meds").glob("*.parquet")):
        shard_table = pq.read_table(shard)
        meds.LabelSchema.validate(shard_table)
        assert "boolean_value" in shard_table.column_names
    assert pl.read_parquet(tmp_path / "labels" / "data" / "*.parquet").height > 0
