"""What each form of the mapping language means, on tables of a few lines."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.stages.ingest import ingest

DAY = datetime(2024, 3, 5)


def run(folder: Path, mapping: str, **tables: str) -> pl.DataFrame:
    """Ingest tables, given as text, with a mapping; return the events."""
    folder.mkdir(exist_ok=True)
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    ingest(Component(name="tables"), folder, folder.with_suffix(".out"), engine=Local(1))
    return pl.read_parquet(folder.with_suffix(".out") / "data" / "*.parquet")


def one(folder: Path, table: str, events: str, head: str = "") -> pl.DataFrame:
    """Ingest one table `t` with the subject `id`."""
    body = "\n".join(f"      {line}" for line in events.strip().splitlines())
    more = "".join(f"    {line}\n" for line in head.strip().splitlines())
    return run(folder, f"tables:\n  t:\n    subject: id\n{more}    events:\n{body}\n", t=table)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("[A, 9, $c]", "A//9// x.Y "),
        ("[A, $none]", "A//UNK"),
        ("[A, $$c]", "A//$c"),
        ("[A, {value: $c, change: [strip, upper, {remove: .}]}]", "A//XY"),
        ("[A, {value: $c, change: [strip, lower, {replace: {x.: z}}, {pad: 5}]}]", "A//000zy"),
        ("[A, {value: $c, change: [{extract: '[a-z][.](.)'}]}]", "A//Y"),
        ("[A, {value: $n, change: [{map: {1: one}}]}]", "A//one"),
        ("[A, {value: $n, change: [{only: {2: two}}], missing: other}]", "A//other"),
        ("[A, {first: [$none, $n]}, {join: [$n, $c], by: '-'}]", "A//1//1- x.Y "),
        ("[A, {value: $c, change: [{keep: 2}]}]", "A// x"),
    ],
)
def test_a_code_is_made_of_parts(tmp_path, code, expected):
    found = one(tmp_path / "raw", "id,c,n,none\n1, x.Y ,1,\n", f"- {{code: {code}, time: static}}")
    assert found["code"].to_list() == [expected]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("$moment", datetime(2024, 3, 5, 10, 30)),
        ("$day", datetime(2024, 3, 5, 23, 59, 59)),
        ("$zoned", datetime(2024, 3, 5, 8, 30)),
        ("{value: $day, date_only: start}", DAY),
        ("{value: $day, day_ends: $moment}", datetime(2024, 3, 5, 10, 30)),
        ("{value: $day, day_ends: $other}", datetime(2024, 3, 5, 23, 59, 59)),
        ("{value: $moment, time_zone: America/New_York}", datetime(2024, 3, 5, 15, 30)),
        ("{value: $zoned, time_zone: America/New_York}", datetime(2024, 3, 5, 8, 30)),
        ("{value: $german, formats: ['%d.%m.%Y']}", datetime(2024, 3, 5, 23, 59, 59)),
        (
            "{value: {join: [$german, $hour], by: ' '}, formats: ['%d.%m.%Y %H:%M']}",
            datetime(2024, 3, 5, 7, 5),
        ),
        ("{first: [$none, $other]}", datetime(2024, 3, 6, 1)),
        ("{earliest: [$other, $moment]}", datetime(2024, 3, 5, 10, 30)),
        ("{latest: [$other, $moment]}", datetime(2024, 3, 6, 1)),
        ("{after: $moment, minutes: $n}", datetime(2024, 3, 5, 12)),
        ("{before: $moment, days: 1.5}", datetime(2024, 3, 3, 22, 30)),
        ("2008-12-31", datetime(2008, 12, 31, 23, 59, 59)),
        ("2008-12-31 10:00", datetime(2008, 12, 31, 10)),
    ],
)
def test_a_time_is_a_moment(tmp_path, time, expected):
    table = (
        "id,moment,day,zoned,german,hour,n,other,none\n"
        "1,2024-03-05 10:30:00,2024-03-05,2024-03-05T10:30:00+02:00,05.03.2024,07:05,90,2024-03-06 01:00:00,\n"
    )
    found = one(tmp_path / "raw", table, f"- {{code: A, time: {time}}}")
    assert found["time"].to_list() == [expected]


def test_clocks_that_are_turned_lose_no_event(tmp_path):
    table = "id,t\n1,2024-03-31 02:30:00\n2,2024-10-27 02:30:00\n"
    found = one(tmp_path / "raw", table, "- {code: A, time: {value: $t, time_zone: Europe/Berlin}}")
    assert found["time"].to_list() == [datetime(2024, 3, 31, 1, 30), datetime(2024, 10, 27, 0, 30)]


def test_lines_without_dates_follow_each_other(tmp_path):
    table = "id,n\n1,30\n2,5\n1,7\n1,8\n"
    events = "- {code: [A, $n], time: {order: $n, start: 2000-01-01 00:00, days: 10}}"
    found = one(tmp_path / "raw", table, events, "columns: {n: integer}")
    expected = [("A//7", 1), ("A//8", 11), ("A//30", 21), ("A//5", 1)]
    assert [(code, time.day) for code, time in found.select("code", "time").iter_rows()] == expected


def test_an_event_is_known_when_it_is_available_never_before_it_happens(tmp_path):
    table = (
        "id,t,known\n1,2024-03-05 10:00:00,2024-03-05 12:00:00\n2,2024-03-05 10:00:00,2024-03-05 09:00:00\n"
    )
    events = (
        "- {code: A, time: $t, available: $known}\n- {code: B, time: $t, available: {after: time, days: 30}}"
    )
    found = one(tmp_path / "raw", table, events)
    known = found.filter(code="A")["available_time"].to_list()
    assert known == [datetime(2024, 3, 5, 12), datetime(2024, 3, 5, 10)]
    assert found.filter(code="B")["available_time"].to_list() == [datetime(2024, 4, 4, 10)] * 2


@pytest.mark.parametrize(
    ("when", "ids"),
    [
        ("$a", [1, 2]),
        ("{missing: $a}", [3]),
        ("{value: $a, is: x}", [1]),
        ("{value: $a, is: [x, y]}", [1, 2]),
        ("{value: $a, is_not: x}", [2, 3]),
        ("{value: $a, matches: '^[xz]'}", [1]),
        ("{value: $n, at_least: 2, below: 3}", [2]),
        ("{value: $n, above: 2, at_most: 3}", [3]),
        ("[$a, {value: $n, above: 1}]", [2]),
        ("{any: [{value: $n, is: 3}, {value: $a, is: x}]}", [1, 3]),
        ("{none: [$a]}", [3]),
        ("{all: [$a, {missing: $a}]}", []),
    ],
)
def test_a_condition_chooses_lines(tmp_path, when, ids):
    events = f"- {{code: A, time: static, when: {when}}}\n- {{code: ALL, time: static}}"
    found = one(tmp_path / "raw", "id,a,n\n1,x,1\n2,y,2\n3,,3\n", events, "columns: {n: number}")
    assert found.filter(code="A")["subject_id"].to_list() == ids


def test_columns_and_parts_each_make_an_event(tmp_path):
    events = """
- {code: [D, $each], each: {columns: "d#", last: 3}, time: static, priority: $each.number}
- {code: [F, $each.name], each: [d1, d2], time: static, when: {value: $each, is: a}}
- {code: [L, $each], each: {split: $list, by: "|"}, time: static, priority: $each.number}
"""
    found = one(tmp_path / "raw", "id,d1,d2,d3,list\n1,a,,c,p| q||r\n", events)
    assert found.select("code", "priority").rows() == [
        ("D//a", 1),
        ("D//c", 3),
        ("F//d1", None),
        ("L//p", 1),
        ("L//q", 2),
        ("L//r", 4),
    ]


@pytest.mark.parametrize("stay", ["V-1", "1"])
def test_a_line_may_find_its_subject_by_a_column_that_nothing_else_uses(tmp_path, stay):
    mapping = """
tables:
  stays: {subject: id, events: [{code: [STAY, $kind], time: static, visit: $stay}]}
  codes: {subject: {through: stays, by: stay}, events: [{code: [D, $code], time: static}]}
"""
    tables = {"stays": f"id,stay,kind\n7,{stay},ER\n", "codes": f"stay,code\n{stay},x\nother,y\n"}
    found = run(tmp_path / "raw", mapping, **tables)
    assert found.select("subject_id", "code").rows() == [(7, "STAY//ER"), (7, "D//x")]


def test_lines_whose_table_of_subjects_is_empty_are_set_aside(tmp_path):
    mapping = """
tables:
  people: {subject: id, events: [{code: A, time: static}]}
  stays: {subject: id, events: []}
  codes: {subject: {through: stays, by: stay}, events: [{code: [D, $stay], time: static}]}
"""
    found = run(tmp_path / "raw", mapping, people="id\n7\n", codes="stay\nx\n")
    assert found["code"].to_list() == ["A"]


def test_columns_may_count_without_being_told(tmp_path):
    found = one(tmp_path / "raw", "id,a,b\n1,x,\n", "- {code: [$each.name], each: [a, b], time: static}")
    assert found["code"].to_list() == ["a"]


def test_a_measurement_is_a_number_and_words(tmp_path):
    table = 'id,v,u\n1,7.5,mg\n2,<0.1,mg\n3,NEG,\n4,"1,234",mg\n'
    found = one(tmp_path / "raw", table, "- {code: [LAB, 1], unit: $u, time: static, measurement: $v}")
    assert found["code"].to_list() == ["LAB//1//mg", "LAB//1//mg", "LAB//1//UNK", "LAB//1//mg"]
    assert found["numeric_value"].to_list() == pytest.approx([7.5, 0.1, None, 1234], nan_ok=True)
    assert found["text_value"].to_list() == [None, "<0.1", "NEG", None]


def test_a_value_can_change_its_unit(tmp_path):
    events = "- {code: T, time: static, value: {value: $f, change: [{plus: -32}, {times: 0.5}]}}"
    assert one(tmp_path / "raw", "id,f\n1,100\n", events)["numeric_value"].to_list() == [34]


def test_events_inherit_what_the_table_says_and_may_say_otherwise(tmp_path):
    head = "time: $t\nvisit: $v\nwhen: $v"
    events = "- code: A\n- {code: B, visit: null, time: static}"
    found = one(tmp_path / "raw", "id,t,v\n1,2024-03-05 10:00:00,abc\n2,2024-03-05 10:00:00,\n", events, head)
    assert found["code"].to_list() == ["B", "A"]
    assert found["visit_id"].is_null().to_list() == [True, False]


def test_once_keeps_the_earliest_of_each_subject(tmp_path):
    table = "id,t,s\n1,2024-03-06,M\n1,2024-03-05,F\n2,2024-03-05,F\n"
    found = one(tmp_path / "raw", table, "- {code: [S, $s], time: $t, once: true}")
    assert found["code"].to_list() == ["S//F", "S//F"]


JOINED = """
subjects: people
tables:
  people: {subject: who, events: [{code: [SEX, $sex], time: static}]}
  stays:
    subject: who
    unique: [stay]
    ordered: [[$start, $end]]
    events: [{code: IN, time: $start, visit: $stay}]
  codes:
    subject: {through: stays, by: stay}
    joins:
      of: {table: stays, by: stay, needed: true}
      word: {dictionary: words, by: {code: key}}
    events: [{code: [D, {first: [$word.word, $code]}], time: $of.end, visit: $stay}]
  labs:
    subject: who
    joins: {of: {table: stays, by: stay, needed: true}}
    events: [{code: L, time: {after: $of.start, hours: 2}, visit: $stay}]
dictionaries:
  words: {names: [{code: [D, $word], name: $label}]}
"""
TABLES = {
    "people": "who,sex\na,F\nb,M\n",
    "stays": "who,stay,start,end\na,s1,2024-03-05 10:00:00,2024-03-06 10:00:00\n"
    "b,s2,2024-03-05 11:00:00,2024-03-07 10:00:00\nb,s2,2024-03-05 11:00:00,2024-03-07 10:00:00\n"
    "b,s3,2024-03-05 11:00:00,2024-03-01 10:00:00\nc,s4,2024-03-05 11:00:00,2024-03-05 12:00:00\n",
    "codes": "stay,code\ns1,1\ns2,2\ns9,1\n",
    "labs": "who,stay\na,s1\na,s2\n",
    "words": "key,word,label\n1,ONE,Number one\n",
}


def test_tables_look_things_up_in_others_and_in_dictionaries(tmp_path):
    found = run(tmp_path / "raw", JOINED, **TABLES)
    diagnoses = found.filter(pl.col("code").str.starts_with("D//")).sort("time")
    assert diagnoses["code"].to_list() == ["D//ONE", "D//2"]
    assert diagnoses["time"].to_list() == [datetime(2024, 3, 6, 10), datetime(2024, 3, 7, 10)]
    assert found.filter(code="L")["time"].to_list() == [datetime(2024, 3, 5, 12)]
    codes = pl.read_parquet(tmp_path / "raw.out/metadata/codes.parquet")
    assert codes.filter(code="D//ONE")["description"].to_list() == ["Number one"]


def test_lines_that_contradict_others_are_set_aside_with_a_reason(tmp_path):
    run(tmp_path / "raw", JOINED, **TABLES)
    files = (tmp_path / "raw.out/quarantine").glob("*.parquet")
    faults = pl.concat([pl.read_parquet(path) for path in files], how="diagonal_relaxed")
    found = {name: sorted(lines) for name, lines in faults.group_by("file").agg("reason").iter_rows()}
    assert found["stays.csv"] == ["duplicated row", "end before start", "no such subject"]
    assert found["labs.csv"] == ["no such row in stays"]
    assert len(found["codes.csv"]) == 1


def test_text_that_is_no_time_is_set_aside(tmp_path):
    one(
        tmp_path / "raw",
        "id,t\n1,2024-03-05\n2,yesterday\n",
        "- {code: A, time: $t}\n- {code: B, time: static}",
    )
    faults = pl.read_parquet(tmp_path / "raw.out/quarantine/*.parquet")
    assert faults.select("line", "reason", "column", "whole_line").rows() == [
        (3, "not a timestamp", "t", False)
    ]


def test_a_line_without_what_it_needs_is_set_aside(tmp_path):
    table = "id,t\n1,2024-03-05\n2,\n3,yesterday\n"
    found = one(tmp_path / "raw", table, "- {code: A, time: $t}", "needs: [t]")
    faults = pl.read_parquet(tmp_path / "raw.out/quarantine/*.parquet")
    assert found["subject_id"].to_list() == [1]
    assert faults.select("line", "reason").rows() == [(3, "missing required value"), (4, "not a timestamp")]


def test_what_rows_say_of_their_codes_names_them(tmp_path):
    one(
        tmp_path / "raw",
        'id,c,words\n1,7,"Seven, in words"\n',
        "- {code: [A, $c], time: static, description: $words}",
    )
    codes = pl.read_parquet(tmp_path / "raw.out/metadata/codes.parquet")
    assert codes["description"].to_list() == ["Seven, in words"]


def test_parquet_is_read_with_its_own_types(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    frame = pl.DataFrame(
        {"id": [1], "t": [datetime(2024, 3, 5, 10)], "d": [DAY.date()], "v": [1.5], "c": [7]}
    )
    frame.write_parquet(folder / "t.parquet")
    found = run(
        folder,
        "tables: {t: {subject: id, events: [{code: [A, $c], time: $t, value: $v}, {code: B, time: $d}]}}",
    )
    assert found["code"].to_list() == ["A//7", "B"]
    assert found["time"].to_list() == [datetime(2024, 3, 5, 10), datetime(2024, 3, 5, 23, 59, 59)]
    assert found["numeric_value"].to_list() == [1.5, None]
