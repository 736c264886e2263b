"""What is written: MIMIC-IV's columns, valid MEDS, the two equal, equal bytes from equal settings."""

import gc
import json
import weakref
from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.errors import ArtifactError
from attending.schema import CODES, EVENTS, SUBJECT_SPLITS
from attending.simulate import cohort
from attending.simulate.config import Config
from attending.simulate.meds import simulate_meds
from attending.simulate.mimic4 import simulate_mimic4
from attending.stages.ingest import ingest

HEADERS = {
    "hosp/patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "hosp/admissions": "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
    "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
    "hospital_expire_flag",
    "hosp/diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "hosp/procedures_icd": "subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version",
    "hosp/prescriptions": "subject_id,hadm_id,pharmacy_id,poe_id,poe_seq,order_provider_id,starttime,stoptime,"
    "drug_type,drug,formulary_drug_cd,gsn,ndc,prod_strength,form_rx,dose_val_rx,dose_unit_rx,form_val_disp,"
    "form_unit_disp,doses_per_24_hrs,route",
    "hosp/labevents": "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,"
    "value,valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments",
    "hosp/d_labitems": "itemid,label,fluid,category",
    "hosp/d_icd_diagnoses": "icd_code,icd_version,long_title",
    "hosp/omr": "subject_id,chartdate,seq_num,result_name,result_value",
    "hosp/transfers": "subject_id,hadm_id,transfer_id,eventtype,careunit,intime,outtime",
    "hosp/services": "subject_id,hadm_id,transfertime,prev_service,curr_service",
    "hosp/microbiologyevents": "microevent_id,subject_id,hadm_id,micro_specimen_id,order_provider_id,chartdate,"
    "charttime,spec_itemid,spec_type_desc,test_seq,storedate,storetime,test_itemid,test_name,org_itemid,org_name,"
    "isolate_num,quantity,ab_itemid,ab_name,dilution_text,dilution_comparison,dilution_value,interpretation,comments",
    "hosp/drgcodes": "subject_id,hadm_id,drg_type,drg_code,description,drg_severity,drg_mortality",
    "icu/icustays": "subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los",
}
CONFIG = Config(n_subjects=300, seed=5)


@pytest.fixture(scope="module")
def csv(tmp_path_factory) -> tuple[Path, dict[str, int]]:
    out = tmp_path_factory.mktemp("csv")
    return out, simulate_mimic4(CONFIG, out)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> tuple[Path, dict[str, int]]:
    out = tmp_path_factory.mktemp("meds")
    return out, simulate_meds(CONFIG, out)


@pytest.fixture(scope="module")
def ingested(csv, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("study") / "events"
    manifest = ingest(Component(name="mimic4"), csv[0], out, engine=Local(1), seed=CONFIG.seed)
    assert manifest.counts["quarantined"] == 0
    return out


def shards(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])


@pytest.mark.parametrize("name", HEADERS)
def test_the_columns_are_those_of_mimic_iv_in_its_order(csv, name):
    table = pl.read_csv(csv[0] / f"{name}.csv.gz", infer_schema=False)
    assert ",".join(table.columns) == HEADERS[name]
    assert table.height > 0


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(set(HEADERS) - {"hosp/d_icd_diagnoses"}))
def test_the_columns_are_those_of_the_real_demo(shared_data, name):
    real = pl.read_csv(shared_data("mimic-iv-demo") / f"{name}.csv.gz", infer_schema=False, n_rows=5)
    assert ",".join(real.columns) == HEADERS[name]


def test_the_counts_returned_are_those_of_the_files(csv):
    out, counts = csv
    for name in set(HEADERS) - {"hosp/d_labitems", "hosp/d_icd_diagnoses"}:
        table = pl.read_csv(out / f"{name}.csv.gz", infer_schema=False)
        assert table.height == counts[name.split("/")[1]]
    assert counts["subjects"] == counts["patients"] == CONFIG.n_subjects


def test_the_meds_data_set_is_what_the_importer_makes_of_the_tables(ingested, dataset):
    direct, imported = shards(dataset[0] / "data"), shards(ingested / "data")
    main = direct["origin"].unique().implode()
    imported = imported.filter(pl.col("origin").is_in(main)).sort("subject_id", maintain_order=True)
    assert direct.height == dataset[1]["events"]
    assert imported.equals(direct)


def test_the_splits_are_those_the_importer_gives(ingested, dataset):
    file = "metadata/subject_splits.parquet"
    assert pl.read_parquet(ingested / file).equals(pl.read_parquet(dataset[0] / file))


def test_the_meds_data_set_passes_the_schemas_of_meds(dataset):
    out, _ = dataset
    for path in (out / "data").glob("*.parquet"):
        meds.DataSchema.validate(pq.read_table(path))
        EVENTS.check(pl.read_parquet(path), "a simulated shard")
    meds.CodeMetadataSchema.validate(pq.read_table(out / "metadata/codes.parquet"))
    meds.SubjectSplitSchema.validate(pq.read_table(out / "metadata/subject_splits.parquet"))
    meds.DatasetMetadataSchema.validate(json.loads((out / "metadata/dataset.json").read_text()))
    SUBJECT_SPLITS.check(pl.read_parquet(out / "metadata/subject_splits.parquet"), "the splits")
    CODES.check(pl.read_parquet(out / "metadata/codes.parquet"), "the codes")


def test_every_code_of_the_data_is_described_by_count(dataset):
    codes = pl.read_parquet(dataset[0] / "metadata/codes.parquet")
    counted = shards(dataset[0] / "data").group_by("code").len("n").sort("code")
    assert codes["code"].equals(counted["code"])
    assert codes["n_events"].to_list() == counted["n"].to_list()
    diagnoses = codes.filter(pl.col("code").str.starts_with("DIAGNOSIS"))
    assert diagnoses["description"].null_count() == 0


def test_the_truth_of_both_layouts_is_the_same_and_names_every_next_visit(csv, dataset):
    for part in ("data", "outcomes", "causes"):
        assert shards(csv[0] / "truth" / part).equals(shards(dataset[0] / "truth" / part))
    probability = shards(dataset[0] / "truth/data")
    admissions = pl.read_csv(csv[0] / "hosp/admissions.csv.gz", try_parse_dates=True)
    ends = admissions.sort("admittime").filter(
        pl.col("hadm_id") != pl.col("hadm_id").last().over("subject_id")
    )
    assert set(ends["hadm_id"]) == set(probability["visit_id"])
    assert probability.schema["probability"] == pl.Array(pl.Float32, 69)
    conditions = pl.read_parquet(dataset[0] / "truth/conditions.parquet")
    assert conditions.columns == ["condition", "name", "code", "share"]
    assert set(conditions["code"]) >= set(
        shards(dataset[0] / "data").filter(pl.col("code").str.starts_with("DIAGNOSIS"))["code"]
    )


def test_a_recorded_condition_writes_exactly_one_of_its_codes(dataset):
    conditions = pl.read_parquet(dataset[0] / "truth/conditions.parquet")
    events = shards(dataset[0] / "data").join(conditions, on="code")
    assert events.group_by("visit_id", "condition").len()["len"].max() == 1


def test_a_small_cohort_is_the_beginning_of_a_large_one(dataset, tmp_path):
    simulate_meds(Config(n_subjects=cohort.BLOCK + 10, seed=CONFIG.seed), tmp_path)
    for part in ("data", "truth/data", "truth/causes", "truth/outcomes"):
        small, large = shards(dataset[0] / part), shards(tmp_path / part)
        last = int(small["subject_id"].max())
        assert large.filter(pl.col("subject_id") <= last).equals(small)
    assert shards(tmp_path / "data")["subject_id"].n_unique() == cohort.BLOCK + 10


def test_equal_settings_give_equal_bytes(csv, dataset, tmp_path):
    simulate_mimic4(CONFIG, tmp_path / "csv")
    simulate_meds(CONFIG, tmp_path / "meds")
    for first, again in ((csv[0], tmp_path / "csv"), (dataset[0], tmp_path / "meds")):
        for path in first.rglob("*.*"):
            assert (again / path.relative_to(first)).read_bytes() == path.read_bytes()


def test_null_mode_writes_the_same_events_and_no_probabilities(dataset, tmp_path):
    counts = simulate_meds(Config(n_subjects=300, seed=5, shuffle="subject"), tmp_path)
    assert [path.name for path in (tmp_path / "truth").iterdir()] == ["conditions.parquet"]
    diagnoses = [
        shards(folder / "data").filter(pl.col("code").str.starts_with("DIAGNOSIS")).height
        for folder in (tmp_path, dataset[0])
    ]
    assert diagnoses[0] == diagnoses[1] and counts["subjects"] == 300


def test_one_block_is_held_at_a_time():
    seen: list[weakref.ref] = []
    alive = 0
    for block in cohort.blocks(Config(n_subjects=4 * cohort.BLOCK)):
        gc.collect()
        alive = max(alive, sum(reference() is not None for reference in seen))
        seen.append(weakref.ref(block))
        del block
    assert alive <= 1


def test_the_shards_of_another_cohort_are_refused(tmp_path):
    simulate_meds(Config(n_subjects=cohort.BLOCK + 1), tmp_path)
    with pytest.raises(ArtifactError, match="found 1 Parquet files that are not of this cohort"):
        simulate_meds(Config(n_subjects=5), tmp_path)
