"""DE-SynPUF: the years of a beneficiary, the parts of a claim, and what is known when."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from attending.artifact import Manifest
from attending.config import Component
from attending.engine.local import Local
from attending.ledger.keys import key
from attending.stages.ingest import ingest
from raw import synpuf as raw

CLAIMS = """\
"DESYNPUF_ID","CLM_ID","SEGMENT","CLM_FROM_DT","CLM_THRU_DT","CLM_PMT_AMT","CLM_ADMSN_DT","ADMTNG_ICD9_DGNS_CD",\
"NCH_BENE_DSCHRG_DT","CLM_DRG_CD","ICD9_DGNS_CD_1","ICD9_DGNS_CD_2","ICD9_PRCDR_CD_1","HCPCS_CD_1"
A1,196201177000368,1,20090412,20090418,26000.00,20090410,7866,20090418,201,1970,0389,9904,
A1,196201177000368,2,,,26000.00,20090410,7866,20090418,201,2768,,,
A1,196201177000369,1,20090512,20090501,10.00,20090512,,20090501,201,1970,,,
"""
YEAR = """\
"DESYNPUF_ID","BENE_BIRTH_DT","BENE_DEATH_DT","BENE_SEX_IDENT_CD","BENE_RACE_CD","BENE_ESRD_IND","SP_CHF","SP_RA_OA",\
"MEDREIMB_IP","BENRES_IP"
A1,19430101,{death},1,2,{renal},1,2,{paid},0.00
"""


def run(folder: Path, out: Path) -> tuple[pl.DataFrame, Manifest]:
    manifest = ingest(Component(name="synpuf"), folder, out, engine=Local(1))
    return pl.read_parquet(out / "data" / "*.parquet"), manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "raw").mkdir()
    claims = tmp_path / "raw/DE1_0_2008_to_2010_Inpatient_Claims_Sample_1.csv"
    claims.write_text(CLAIMS, encoding="utf-8")
    for year, death in ((2008, ""), (2009, ""), (2010, "20100301")):
        text = YEAR.format(death=death, renal="0" if year == 2008 else "Y", paid=f"{year}.00")
        path = tmp_path / f"raw/DE1_0_{year}_Beneficiary_Summary_File_Sample_1.csv"
        path.write_text(text, encoding="utf-8")
    return tmp_path / "raw"


def test_three_years_are_one_beneficiary(folder, tmp_path):
    events, manifest = run(folder, tmp_path / "out")
    assert manifest.counts["subjects"] == 1
    once = events.filter(pl.col("code").str.contains("^(GENDER|RACE|MEDS_)"))
    assert once.select("code", "time").rows() == [
        ("GENDER//M", None),
        ("RACE//BLACK", None),
        ("MEDS_BIRTH", datetime(1943, 1, 1)),
        ("MEDS_DEATH", datetime(2010, 3, 1, 23, 59, 59)),
    ]


def test_a_flag_happens_and_is_known_at_the_end_of_its_year(folder, tmp_path):
    events, _ = run(folder, tmp_path / "out")
    flags = events.filter(code="CHRONIC_CONDITION//HEART_FAILURE")
    died = datetime(2010, 3, 1, 23, 59, 59)
    assert flags["time"].to_list() == [
        datetime(2008, 12, 31, 23, 59, 59),
        datetime(2009, 12, 31, 23, 59, 59),
        died,
    ]
    assert flags["available_time"].to_list()[-1] == datetime(2010, 12, 31, 23, 59, 59)
    assert events.filter(code="CHRONIC_CONDITION//ARTHRITIS").is_empty()
    assert events.filter(code="CHRONIC_CONDITION//END_STAGE_RENAL_DISEASE").height == 2
    paid = events.filter(code="PAYMENT//YEAR//INPATIENT//MEDICARE//USD")["numeric_value"].to_list()
    assert paid == [2008, 2009, 2010]


def test_a_claim_is_a_visit_whose_codes_are_known_at_its_end(folder, tmp_path):
    events, _ = run(folder, tmp_path / "out")
    visit = events.filter(visit_id=196201177000368)
    first, last = datetime(2009, 4, 10, 23, 59, 59), datetime(2009, 4, 18, 23, 59, 59)
    assert set(visit["subject_id"]) == {key("A1")}
    assert visit.select("code", "time", "available_time", "priority").rows() == [
        ("HOSPITAL_ADMISSION//INPATIENT", first, first, None),
        ("ADMITTING_DIAGNOSIS//ICD//9//7866", first, last, None),
        ("HOSPITAL_DISCHARGE//INPATIENT", last, last, None),
        ("DIAGNOSIS//ICD//9//1970", last, last, 1),
        ("DIAGNOSIS//ICD//9//2768", last, last, 1),
        ("DIAGNOSIS//ICD//9//0389", last, last, 2),
        ("PROCEDURE//ICD//9//9904", last, last, 1),
        ("DRG//201", last, last, None),
        ("PAYMENT//INPATIENT//USD", last, last, None),
    ]


def test_a_claim_that_ends_before_it_starts_is_set_aside(folder, tmp_path):
    run(folder, tmp_path / "out")
    faults = pl.read_parquet(tmp_path / "out/quarantine/*.parquet")
    assert faults.select("line", "reason").rows() == [(4, "end before start")]


def test_all_kinds_of_claims_are_read_from_folders_of_samples(tmp_path):
    events, manifest = run(raw.write(tmp_path / "raw"), tmp_path / "out")
    assert manifest.counts["subjects"] == raw.N_BENEFICIARIES
    assert manifest.counts["visits"] == 3 * 3 * raw.N_BENEFICIARIES
    assert manifest.counts["quarantined"] == 0
    assert set(events["origin"]) == {"beneficiary", "inpatient", "outpatient", "carrier", "prescriptions"}
    assert (
        events.filter(pl.col("code").str.starts_with("MEDICATION//NDC//")).height == 3 * raw.N_BENEFICIARIES
    )


@pytest.mark.shared
def test_the_shared_samples_have_the_counts_that_are_known(shared_data, tmp_path):
    events, manifest = run(shared_data("synpuf"), tmp_path / "out")
    inpatient = events.filter(origin="inpatient")
    assert manifest.counts["subjects"] == 80_000
    assert manifest.counts["quarantined"] == 0
    assert inpatient["subject_id"].n_unique() == 26_105
    assert manifest.counts["visits"] == 46_010  # 46,054 lines: 44 claims have a second segment
    ledger = {one["table"]: 0 for one in _files(tmp_path / "out")}
    for one in _files(tmp_path / "out"):
        ledger[one["table"]] += one["accepted"]
    assert sum(n for table, n in ledger.items() if table.startswith("beneficiary")) == 236_423
    assert ledger["inpatient"] == 46_054


def _files(out: Path) -> list[dict[str, object]]:
    import json

    return json.loads((out / "ledger.json").read_text(encoding="utf-8"))["files"]
