"""A mapping that does not fit is answered with its file, its line, and the nearest key or column."""

from pathlib import Path

import pytest
import yaml

from attending.config import Component
from attending.engine.local import Local
from attending.errors import ConfigError
from attending.mapping.source import read
from attending.stages.ingest import ingest
from raw import tables as raw

GOOD = """\
tables:
  t:
    subject: id
    events:
      - code: [A, $c]
        time: $when
        value: $v
"""


def refused(folder: Path, text: str) -> str:
    path = folder / "m.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read(path)
    return str(error.value)


def test_a_good_mapping_is_read(tmp_path):
    (tmp_path / "m.yaml").write_text(GOOD, encoding="utf-8")
    (table,) = read(tmp_path / "m.yaml").source.tables
    assert {column.name: column.kind for column in table.columns} == {
        "id": "key",
        "c": "text",
        "when": "text",
        "v": "number",
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("time:", "tiem:", 6, "did you mean 'time'?"),
        ("subject:", "subjct:", 3, "did you mean 'subject'?"),
        ("subject: id", "subject: ''", 3, "whose row it is"),
        ("subject: id", "subject: {column: $, prefix: A}", 3, "whose row it is"),
        ("tables:", "tabels:", 1, "did you mean 'tables'?"),
        ("        time: $when\n", "", 5, "needs the key 'time'"),
        ("$when", "yesterday", 6, "expected '$column', or a date"),
        ("$when", "{value: -1, day_ends: $when}", 6, "expected '$column', or a date"),
        ("$when", "{valu: $when}", 6, "did you mean 'value'?"),
        ("$when", '{value: $when, formats: ["%d.%m.%Y %H"]}', 6, "both hour and minute"),
        ("id\n", 'id\n    columns: {c: {kind: day, formats: ["%I"]}}\n', 4, "no time can have the form"),
        ("$when", "{value: $when, format: x}", 6, "did you mean 'formats'?"),
        ("$when", "{value: $when, time_zone: Europe/Nowhere}", 6, "no time zone"),
        ("$when", "{after: $when, fortnights: 2}", 6, "needs one of the keys seconds"),
        ("$v", "{value: $v, change: [upperr]}", 7, "did you mean 'upper'?"),
        ("$v", "{value: $v, change: [{time: 3}]}", 7, "did you mean 'times'?"),
        ("$v", "{value: $v, change: [{extract: '('}]}", 7, "regular expression"),
        ("[A, $c]", "[A, yes]", 5, "put it in quotes"),
        ("[A, $c]", "[A, $v]", 7, "declare it"),
        ("[A, $c]", "[A, $each]", 5, "needs the key 'each'"),
        ("[A, $c]", "[A, $id]", 5, "used as"),
        ("value: $v", "when: {value: $v, equals: 3}", 7, "unknown key 'equals'"),
        ("value: $v", "when: {value: $v}", 7, "needs one of the keys"),
        ("value: $v", "each: {columns: x, last: 3}", 7, "expected columns such as"),
        ("value: $v", "measurement: $v\n        text: $c", 5, "leave those keys out"),
        ("subject: id", "subject: {through: u, by: id}", 3, "no table before this one named 'u'"),
        (
            "subject: id",
            "subject: id\n    joins: {j: {table: u, by: id}}",
            4,
            "no table before this one named 'u'",
        ),
        (
            "subject: id",
            "subject: id\n    joins: {j: {by: id}}",
            4,
            "one of the keys 'table' and 'dictionary'",
        ),
        ("subject: id", "subject: id\n    columns: {v: integr}", 4, "did you mean 'integer'?"),
        ("subject: id", "subject: id\n    joins: {j: {on: id}}", 4, "put it in quotes"),
        ("tables:", "subjects: x\ntables:", 1, "no table named 'x'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path, old, new, line, words):
    message = refused(tmp_path, GOOD.replace(old, new, 1))
    assert words in message
    assert f"line {line}:" in message or f"line {line})" in message


@pytest.mark.parametrize(
    "text", ["", "[]", "tables: {}", "tables: 3", "tables: {t: 3}", "a: [", "tables: {t: {}}"]
)
def test_what_is_no_mapping_is_refused(tmp_path, text):
    assert "m.yaml" in refused(tmp_path, text)


def test_a_mapping_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a mapping .*none\.yaml; there is none"):
        read(tmp_path / "none.yaml")


def test_a_column_that_a_file_does_not_have_is_named_before_anything_is_read(tmp_path):
    folder = raw.write(tmp_path / "raw")
    (folder / "mapping.yaml").write_text(raw.MAPPING.replace("$kind", "$kindd"), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"'kindd' \(.*mapping.yaml, line 28.*stays.csv.*did you mean 'kind'\?"
    ):
        ingest(Component(name="tables"), folder, tmp_path / "out", engine=Local(1))
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_optional_may_be_absent(tmp_path):
    folder = raw.write(tmp_path / "raw")
    changed = yaml.safe_load(raw.MAPPING.replace("$kind", "$kindd"))
    changed["tables"]["stays"]["optional"] = ["kindd"]
    (folder / "mapping.yaml").write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
    manifest = ingest(Component(name="tables"), folder, tmp_path / "out", engine=Local(1))
    assert manifest.counts["visits"] == 35
