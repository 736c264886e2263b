"""Every fault of the input: what the message says, that every line is accounted for, and that nothing else is lost."""

import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attending.artifact import read_manifest
from attending.config import Component
from attending.errors import AttendingError, ConfigError, LedgerError, SourceError
from attending.ledger import accounts, shard, work
from attending.ledger.accounts import Account
from attending.schema import CODE, COLUMN, LINE, ORIGIN, RAW, REASON, SUBJECT_ID, VISIT_ID
from attending.shares import Shares
from attending.stages import ingest as stage
from tiny_mimic import (
    ADMISSIONS,
    DIAGNOSES,
    LABS,
    PATIENTS,
    PRESCRIPTIONS,
    SUBJECTS,
    TABLES,
    TINY_SIZES,
    put,
    run,
    write,
)

CLEAN_EVENTS = {
    "patients": 8,
    "admissions": 27,
    "prescriptions": 2,
    "labevents": 5,
    "omr": 4,
    "diagnoses_icd": 6,
    "procedures_icd": 3,
}


def events(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "data" / "*.parquet")


def ledger(out: Path) -> dict[str, dict]:
    found = json.loads((out / "ledger.json").read_text())
    for file in found["files"]:
        void = sum(n for columns in file["quarantined"].values() for n in columns.values())
        assert file["header"] + file["accepted"] + void + file["blank"] + file["not_read"] == file["lines"]
    return {file["file"]: file for file in found["files"]} | {"totals": found["totals"]}


def counts(out: Path) -> dict[str, int]:
    return dict(events(out)[ORIGIN].value_counts().iter_rows())


def fingerprint(out: Path) -> dict[str, str]:
    """Hash every file but the manifest, which knows the time of day."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def test_a_clean_folder_gives_every_event_and_no_quarantine(tmp_path, capsys):
    manifest = run(write(tmp_path / "raw"), tmp_path / "out")
    assert counts(tmp_path / "out") == CLEAN_EVENTS == manifest.counts["tables"]
    assert manifest.counts["subjects"] == 4
    assert manifest.counts["visits"] == 4
    assert manifest.counts["events"] == sum(CLEAN_EVENTS.values())
    assert manifest.counts["quarantined"] == 0
    assert not (tmp_path / "out" / "quarantine").exists()
    assert not (tmp_path / "out" / "staging").exists()
    assert "set aside" not in capsys.readouterr().err


def test_quoted_records_of_several_lines_are_one_event(tmp_path):
    run(write(tmp_path / "raw"), tmp_path / "out")
    labs = ledger(tmp_path / "out")["hosp/labevents.csv"]
    assert (labs["lines"], labs["accepted"], labs["events"]) == (7, 6, 5)


def test_a_quoted_empty_field_is_an_empty_field(tmp_path):
    quoted = PRESCRIPTIONS.replace('Sodium Chloride 0.9%, 1 L",,', 'Sodium Chloride 0.9%, 1 L","",""')
    assert quoted != PRESCRIPTIONS
    run(write(tmp_path / "a"), tmp_path / "out_a")
    run(write(tmp_path / "b", prescriptions=quoted), tmp_path / "out_b")
    assert events(tmp_path / "out_a").equals(events(tmp_path / "out_b"))


@pytest.mark.parametrize(
    ("line", "reason", "column"),
    [
        (
            "9,1,11,1,50912,,yesterday,2150-01-02 07:30:00,1.1,1.1,mg/dL,0.4,1.1,,,",
            "not a timestamp",
            "charttime",
        ),
        ("9,one,11,1,50912,,2150-01-02 06:00:00,,1.1,1.1,mg/dL,0.4,1.1,,,", "not an integer", "subject_id"),
        (
            "9,,11,1,50912,,2150-01-02 06:00:00,,1.1,1.1,mg/dL,0.4,1.1,,,",
            "missing required value",
            "subject_id",
        ),
        ("9,77,11,1,50912,,2150-01-02 06:00:00,,1.1,1.1,mg/dL,0.4,1.1,,,", "no such subject", "subject_id"),
        ("9,1,11,1,50912,,2150-01-02 06:00:00,,1.1,1.1,mg/dL,0.4,1.1,,", "wrong number of fields", ""),
        ("9,1,11,1,50912,,2150-01-02 06:00:00,,1.1,1.1,mg/dL,0.4,1.1,,,,", "wrong number of fields", ""),
        ('9,1,11,1,50912,,2150-01-02 06:00:00,,"1.1,1.1,mg/dL,0.4,1.1,,,', "unclosed quote", ""),
        ('9,1,11,1,50912,,2150-01-02 06:00:00,,"1"1,1.1,mg/dL,0.4,1.1,,,', "misplaced quote", ""),
        (b"9,1,11,1,50912,,2150-01-02 06:00:00,,\xe9,1.1,mg/dL,0.4,1.1,,,", "not valid UTF-8", ""),
    ],
)
def test_a_malformed_row_is_set_aside_alone(tmp_path, capsys, line, reason, column):
    raw_line = line if isinstance(line, bytes) else line.encode()
    header, *rows = LABS.encode().split(b"\n")
    spoiled = b"\n".join([header, rows[0], raw_line, *rows[1:]])
    manifest = run(write(tmp_path / "raw", labevents=spoiled), tmp_path / "out")
    labs = ledger(tmp_path / "out")["hosp/labevents.csv"]
    assert labs["quarantined"] == {reason: {column: 1}}
    assert (labs["lines"], labs["accepted"]) == (8, 6)
    assert counts(tmp_path / "out") == CLEAN_EVENTS
    assert manifest.counts["quarantined"] == 1
    where = f" in {column}" if column else ""
    assert f"hosp/labevents.csv: 1 lines set aside ({reason}{where}: 1)" in capsys.readouterr().err
    quarantined = pl.read_parquet(tmp_path / "out" / "quarantine" / "labevents.parquet")
    assert quarantined.select(LINE, REASON, COLUMN).rows() == [(3, reason, column)]
    assert RAW not in quarantined.columns


def test_the_text_of_a_bad_line_is_kept_only_on_request(tmp_path):
    text = '5,31,1,E119\n3,31,2,"I509\n",ten\n'
    run(write(tmp_path / "raw", diagnoses_icd=DIAGNOSES + text), tmp_path / "out", keep_raw=True)
    quarantined = pl.read_parquet(tmp_path / "out" / "quarantine" / "diagnoses_icd.parquet")
    assert quarantined.select(LINE, REASON, RAW).rows() == [
        (8, "wrong number of fields", "5,31,1,E119"),
        (9, "not an integer", '3,31,2,"I509\n",ten'),
    ]
    assert ledger(tmp_path / "out")["hosp/diagnoses_icd.csv"]["quarantined"]["not an integer"] == {
        "icd_version": 2
    }


def test_a_bad_value_that_is_not_needed_costs_the_value_not_the_line(tmp_path, capsys):
    spoiled = LABS.replace("NEG,,,", "NEG,negative,,").replace("2150-01-02 07:30:00", "soon", 1)
    run(write(tmp_path / "raw", labevents=spoiled), tmp_path / "out")
    labs = ledger(tmp_path / "out")["hosp/labevents.csv"]
    assert labs["quarantined"] == {}
    assert labs["values"] == {"not a number": {"valuenum": 1}, "not a timestamp": {"storetime": 1}}
    assert counts(tmp_path / "out") == CLEAN_EVENTS
    assert (
        "2 values set aside (not a number in valuenum: 1; not a timestamp in storetime: 1)"
        in capsys.readouterr().err
    )


def without(table: str, column: str) -> str:
    """Rename a column of a table, so that it is missing."""
    return table.replace(column, f"other_{column}", 1)


def test_a_missing_column_voids_its_table_alone(tmp_path, capsys):
    run(write(tmp_path / "raw", diagnoses_icd=without(DIAGNOSES, "icd_code")), tmp_path / "out")
    found = ledger(tmp_path / "out")["hosp/diagnoses_icd.csv"]
    assert found["quarantined"] == {"missing column": {"icd_code": 6}}
    assert found["status"] == "missing column 'icd_code'"
    assert counts(tmp_path / "out") == {
        name: n for name, n in CLEAN_EVENTS.items() if name != "diagnoses_icd"
    }
    assert "hosp/diagnoses_icd.csv lacks icd_code" in capsys.readouterr().err


def test_a_missing_column_that_is_not_needed_is_reported(tmp_path, capsys):
    run(write(tmp_path / "raw", labevents=without(LABS, "storetime")), tmp_path / "out")
    assert ledger(tmp_path / "out")["hosp/labevents.csv"]["missing_columns"] == ["storetime"]
    assert counts(tmp_path / "out") == CLEAN_EVENTS
    assert "hosp/labevents.csv lacks storetime" in capsys.readouterr().err


def test_a_missing_column_of_a_required_table_stops_the_ingest(tmp_path):
    with pytest.raises(
        SourceError, match=r"expected a column 'hadm_id' in .*admissions\.csv.*; got 16 columns, subject_id"
    ):
        run(write(tmp_path / "raw", admissions=without(ADMISSIONS, "hadm_id")), tmp_path / "out")


def test_a_missing_optional_table_is_reported(tmp_path, capsys):
    run(write(tmp_path / "raw", labevents=None), tmp_path / "out")
    assert ledger(tmp_path / "out")["hosp/labevents"]["status"] == "absent"
    assert counts(tmp_path / "out") == {name: n for name, n in CLEAN_EVENTS.items() if name != "labevents"}
    assert "hosp/labevents" in capsys.readouterr().err


def test_a_missing_required_table_stops_the_ingest(tmp_path):
    with pytest.raises(SourceError) as caught:
        run(write(tmp_path / "raw", admissions=None), tmp_path / "out")
    assert "MIMIC-IV needs hosp/admissions (.csv, .csv.gz or .parquet)" in str(caught.value)
    assert "point at the folder that holds these tables" in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"expected the folder of MIMIC-IV at .*nowhere"):
        run(tmp_path / "nowhere", tmp_path / "out")


def test_a_file_cut_short_stops_the_ingest(tmp_path):
    folder = write(tmp_path / "raw", labevents=None)
    whole = tmp_path / "whole.csv.gz"
    put(whole, LABS * 50)
    put(folder / "hosp" / "labevents.csv", "")
    (folder / "hosp" / "labevents.csv").rename(folder / "hosp" / "labevents.csv.gz")
    (folder / "hosp" / "labevents.csv.gz").write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(
        SourceError, match=r"cannot read .*labevents.csv.gz: EOFError; the file is damaged or incomplete"
    ):
        run(folder, tmp_path / "out")


def test_a_table_that_is_there_twice_stops_the_ingest(tmp_path):
    folder = write(tmp_path / "raw")
    put(folder / "hosp" / "omr.csv.gz", TABLES["hosp/omr"])
    with pytest.raises(SourceError, match=r"the table omr is in .* twice"):
        run(folder, tmp_path / "out")


@pytest.mark.parametrize("nothing", ["", "\n\n"])
def test_an_empty_file_is_reported(tmp_path, capsys, nothing):
    run(write(tmp_path / "raw", labevents=nothing), tmp_path / "out")
    labs = ledger(tmp_path / "out")["hosp/labevents.csv"]
    assert (labs["status"], labs["lines"], labs["blank"]) == ("empty", len(nothing), len(nothing))
    assert counts(tmp_path / "out") == {name: n for name, n in CLEAN_EVENTS.items() if name != "labevents"}
    assert "hosp/labevents.csv is empty" in capsys.readouterr().err


@pytest.mark.parametrize("nothing", ["", PATIENTS.split("\n")[0], "subject_id,gender\nx,F\n"])
def test_a_source_without_a_subject_stops_the_ingest(tmp_path, nothing):
    with pytest.raises(SourceError, match="holds no subject that can be read: look into hosp/patients"):
        run(write(tmp_path / "raw", patients=nothing), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_admission_of_two_subjects_is_that_of_the_first(tmp_path):
    stolen = ADMISSIONS.split("\n")[2].replace("1,12,", "4,12,", 1)
    assert stolen.startswith("4,12,")
    run(write(tmp_path / "raw", admissions=ADMISSIONS + stolen + "\n"), tmp_path / "out")
    found = ledger(tmp_path / "out")["hosp/admissions.csv"]
    assert found["quarantined"] == {"hadm_id of another subject": {"hadm_id": 1}}
    assert counts(tmp_path / "out") == CLEAN_EVENTS


def test_a_duplicated_admission_is_set_aside_once(tmp_path, capsys):
    again = ADMISSIONS.split("\n")[1]
    run(write(tmp_path / "raw", admissions=ADMISSIONS + again + "\n"), tmp_path / "out")
    found = ledger(tmp_path / "out")["hosp/admissions.csv"]
    assert found["quarantined"] == {"duplicated admission": {"hadm_id": 1}}
    assert counts(tmp_path / "out") == CLEAN_EVENTS
    assert "duplicated admission in hadm_id: 1" in capsys.readouterr().err
    per_visit = events(tmp_path / "out").filter(pl.col(CODE).str.starts_with("HOSPITAL_ADMISSION"))
    assert per_visit[VISIT_ID].sort().to_list() == [11, 12, 21, 31]


def test_a_discharge_before_its_admission_sets_the_stay_aside(tmp_path):
    spoiled = ADMISSIONS.replace("2151-06-03 16:00:00", "2151-05-03 16:00:00")
    run(write(tmp_path / "raw", admissions=spoiled), tmp_path / "out")
    found = ledger(tmp_path / "out")
    assert found["hosp/admissions.csv"]["quarantined"] == {"discharge before admission": {"dischtime": 1}}
    assert found["hosp/diagnoses_icd.csv"]["quarantined"] == {"no such admission": {"hadm_id": 1}}
    assert set(events(tmp_path / "out")[SUBJECT_ID]) == SUBJECTS


@pytest.mark.parametrize(
    ("changed", "file", "column"),
    [
        ({"patients": PATIENTS.replace("2165-01-01", "2120-01-01")}, "hosp/patients.csv", "dod"),
        (
            {"admissions": ADMISSIONS.replace("2145-03-09 20:15:00,EW", "2045-03-09 20:15:00,EW")},
            "hosp/admissions.csv",
            "deathtime",
        ),
    ],
)
def test_a_death_before_birth_costs_the_death_not_the_patient(tmp_path, capsys, changed, file, column):
    run(write(tmp_path / "raw", **changed), tmp_path / "out")
    found = ledger(tmp_path / "out")[file]
    assert found["quarantined"] == {}
    assert found["values"] == {"death before birth": {column: 1}}
    assert f"{file}: 1 values set aside (death before birth in {column}: 1)" in capsys.readouterr().err
    assert found["lines"] == 1 + found["accepted"]
    # The patient of the first case has no other death; that of the second still has the day of death.
    lost = 1 if column == "dod" else 0
    assert sum(counts(tmp_path / "out").values()) == sum(CLEAN_EVENTS.values()) - lost
    assert set(events(tmp_path / "out")[SUBJECT_ID]) == SUBJECTS


def test_a_subject_with_no_visit_stays(tmp_path):
    run(write(tmp_path / "raw"), tmp_path / "out")
    own = events(tmp_path / "out").filter(pl.col(SUBJECT_ID) == 4)
    assert {"GENDER//M", "MEDS_BIRTH"} <= set(own[CODE])
    splits = pl.read_parquet(tmp_path / "out" / "metadata" / "subject_splits.parquet")
    assert set(splits[SUBJECT_ID]) == SUBJECTS


def test_an_unknown_setting_is_named_with_its_nearest_match(tmp_path):
    component = Component(name="mimic4", leave_outt=["labevents"])
    with pytest.raises(ConfigError, match=r"unknown key 'leave_outt'.*did you mean 'leave_out'"):
        stage.ingest(component, write(tmp_path / "raw"), tmp_path / "out", engine=None)


def test_a_table_may_be_left_out(tmp_path):
    component = Component(name="mimic4", leave_out=["labevents"])
    stage.ingest(component, write(tmp_path / "raw"), tmp_path / "out", engine=stage_engine())
    found = ledger(tmp_path / "out")["hosp/labevents.csv"]
    assert (found["status"], found["not_read"]) == ("not read", 7)


def stage_engine():
    from attending.engine.local import Local

    return Local(1)


def test_files_without_a_reader_are_listed_with_their_lines(tmp_path):
    folder = write(tmp_path / "raw", provider="a,b\n1,2\n3,4")
    put(folder / "notes.txt.gz", "one\ntwo\n")
    put(folder / "picture.png", b"\x89PNG\n\n")
    run(folder, tmp_path / "out")
    found = ledger(tmp_path / "out")
    assert (found["hosp/provider.csv"]["status"], found["hosp/provider.csv"]["lines"]) == ("not read", 3)
    assert found["notes.txt.gz"]["lines"] == 2
    assert found["picture.png"]["lines"] == 0


def test_an_account_that_does_not_add_up_is_refused():
    good = Account(file="a.csv", lines=3, header=1, accepted=1, quarantined={"because": {"x": 1}})
    accounts.check([good])
    with pytest.raises(LedgerError, match=r"lines of 1 files do not add up: b.csv: 3 lines, 2 accounted for"):
        accounts.check([good, Account(file="b.csv", lines=3, header=1, accepted=1)])


def test_shares_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match=r"expected shares that add up to 1, got 1\.2"):
        Shares(train=0.9)


def test_the_number_of_workers_and_compression_change_no_byte(tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    write(plain)
    for path, text in TABLES.items():
        put(packed / f"{path}.csv.gz", text)
    run(plain, tmp_path / "one", sizes=TINY_SIZES)
    run(plain, tmp_path / "two", sizes=TINY_SIZES, n_workers=2)
    run(packed, tmp_path / "packed_out", sizes=TINY_SIZES)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")
    assert read_manifest(tmp_path / "one").counts["n_shards"] > 1
    shards = [pl.read_parquet(path) for path in sorted((tmp_path / "packed_out" / "data").glob("*"))]
    packed_events = pl.concat(shards).sort(SUBJECT_ID, maintain_order=True)
    assert packed_events.equals(events(tmp_path / "one").sort(SUBJECT_ID, maintain_order=True))


def test_how_finely_the_work_is_cut_changes_no_event(tmp_path):
    folder = write(tmp_path / "raw")
    run(folder, tmp_path / "whole")
    run(folder, tmp_path / "cut", sizes=TINY_SIZES)
    cut = events(tmp_path / "cut").sort(SUBJECT_ID, maintain_order=True)
    assert cut.equals(events(tmp_path / "whole"))
    assert ledger(tmp_path / "whole") == ledger(tmp_path / "cut")


def test_subjects_are_whole_in_one_shard(tmp_path):
    run(write(tmp_path / "raw"), tmp_path / "out", sizes=TINY_SIZES)
    shards = [
        set(pl.read_parquet(path)[SUBJECT_ID]) for path in (tmp_path / "out" / "data").glob("*.parquet")
    ]
    assert sum(map(len, shards)) == 4 == len(set.union(*shards))


def test_an_ingest_that_was_killed_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    folder = write(tmp_path / "raw", diagnoses_icd=DIAGNOSES + "5,31,1,E119\n")
    run(folder, tmp_path / "undisturbed", sizes=TINY_SIZES)
    real, started = work.assemble, []

    def dies(task):
        started.append(task.number)
        if len(started) == 2:
            raise KeyboardInterrupt
        return real(task)

    monkeypatch.setattr(work, "assemble", dies)
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "out", sizes=TINY_SIZES)
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    made: list[int] = []
    monkeypatch.setattr(
        shard, "_sorted", lambda frames, real=shard._sorted: (made.append(1), real(frames))[1]
    )
    read_again: list[str] = []
    monkeypatch.setattr("attending.ledger.reading._parse", lambda *_: read_again.append("a chunk"))
    run(folder, tmp_path / "out", sizes=TINY_SIZES)
    assert read_again == []
    assert len(made) == read_manifest(tmp_path / "out").counts["n_shards"] - 1
    assert fingerprint(tmp_path / "out") == fingerprint(tmp_path / "undisturbed")


def test_an_artifact_that_is_up_to_date_is_not_made_again(tmp_path, monkeypatch):
    folder = write(tmp_path / "raw")
    first = run(folder, tmp_path / "out")
    monkeypatch.setattr(work, "read", None)
    assert run(folder, tmp_path / "out") == first


def test_a_later_file_time_makes_it_again(tmp_path):
    folder = write(tmp_path / "raw")
    first = run(folder, tmp_path / "out")
    put(folder / "hosp" / "patients.csv", PATIENTS + "5,F,20,2150,2011 - 2013,\n")
    second = run(folder, tmp_path / "out")
    assert second.fingerprint != first.fingerprint
    assert second.counts["subjects"] == 5


def test_a_failed_ingest_leaves_the_old_artifact(tmp_path):
    folder = write(tmp_path / "raw")
    run(folder, tmp_path / "out")
    before = fingerprint(tmp_path / "out")
    put(folder / "hosp" / "patients.csv", "nonsense\n")
    with pytest.raises(SourceError):
        run(folder, tmp_path / "out")
    assert fingerprint(tmp_path / "out") == before


MUTATIONS = st.sampled_from(
    [b"", b",", b'"', b"\n", b"\r\n", b"\xff", b"\x00", b"x", b"-1", b"9999999999999999999", b'""']
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_crashes_it_and_no_line_is_lost(tmp_path, capsys, data):
    """Mutate bytes of one table anywhere; the ingest ends with an account that adds up, or says why it cannot."""
    name = data.draw(st.sampled_from(["patients", "admissions", "labevents", "diagnoses_icd", "omr"]))
    content = TABLES[f"hosp/{name}"].encode()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 8))
        content = content[:place] + data.draw(MUTATIONS) + content[place + length :]
    for stale in ("raw", "out"):
        shutil.rmtree(tmp_path / stale, ignore_errors=True)
    others = dict.fromkeys(path.rpartition("/")[2] for path in TABLES)
    others |= {"patients": PATIENTS, "admissions": ADMISSIONS, name: content}
    folder = write(tmp_path / "raw", **others)
    try:
        run(folder, tmp_path / "out", sizes=TINY_SIZES if data.draw(st.booleans()) else None)
    except AttendingError as error:
        assert isinstance(error, SourceError) and not isinstance(error, LedgerError)
        assert name in {"patients", "admissions"}
        return
    account = ledger(tmp_path / "out")[f"hosp/{name}.csv"]
    assert account["lines"] == content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
    assert account["events"] == counts(tmp_path / "out").get(name, 0)
