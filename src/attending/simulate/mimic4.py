"""Write a simulated cohort in the layout of MIMIC-IV: `hosp/*.csv.gz`, `icu/icustays.csv.gz`, `truth/`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
from isal import igzip

from attending.progress import track
from attending.simulate import truth
from attending.simulate.care import LABS
from attending.simulate.codes import titles
from attending.simulate.cohort import blocks, n_blocks, n_in_block
from attending.simulate.config import Config
from attending.simulate.records import Tables, tables
from attending.simulate.shards import refuse_others

COLUMNS = {
    "hosp/patients": "subject_id gender anchor_age anchor_year anchor_year_group dod",
    "hosp/admissions": "subject_id hadm_id admittime dischtime deathtime admission_type admit_provider_id "
    "admission_location discharge_location insurance language marital_status race edregtime edouttime "
    "hospital_expire_flag",
    "hosp/diagnoses_icd": "subject_id hadm_id seq_num icd_code icd_version",
    "hosp/procedures_icd": "subject_id hadm_id seq_num chartdate icd_code icd_version",
    "hosp/prescriptions": "subject_id hadm_id pharmacy_id poe_id poe_seq order_provider_id starttime stoptime "
    "drug_type drug formulary_drug_cd gsn ndc prod_strength form_rx dose_val_rx dose_unit_rx form_val_disp "
    "form_unit_disp doses_per_24_hrs route",
    "hosp/labevents": "labevent_id subject_id hadm_id specimen_id itemid order_provider_id charttime storetime "
    "value valuenum valueuom ref_range_lower ref_range_upper flag priority comments",
    "hosp/omr": "subject_id chartdate seq_num result_name result_value",
    "hosp/transfers": "subject_id hadm_id transfer_id eventtype careunit intime outtime",
    "hosp/services": "subject_id hadm_id transfertime prev_service curr_service",
    "hosp/microbiologyevents": "microevent_id subject_id hadm_id micro_specimen_id order_provider_id chartdate "
    "charttime spec_itemid spec_type_desc test_seq storedate storetime test_itemid test_name org_itemid org_name "
    "isolate_num quantity ab_itemid ab_name dilution_text dilution_comparison dilution_value interpretation comments",
    "hosp/drgcodes": "subject_id hadm_id drg_type drg_code description drg_severity drg_mortality",
    "icu/icustays": "subject_id hadm_id stay_id first_careunit last_careunit intime outtime los",
}
"""MIMIC-IV 3.1's own columns, in its order; those that the simulator does not fill are empty."""
D_LABITEMS, D_ICD_DIAGNOSES = "hosp/d_labitems", "hosp/d_icd_diagnoses"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
LEVEL = 1


def simulate_mimic4(config: Config, out: Path) -> dict[str, int]:
    """Write the cohort's tables and truth into `out`; return the number of rows of each table.

    One block of subjects is held at a time. The same settings give the same bytes.

    Raises:
        ArtifactError: if `out` holds the truth of another cohort.
    """
    refuse_others(out / "truth" / "data", n_blocks(config))
    counts = {"subjects": config.n_subjects} | {path.split("/")[1]: 0 for path in COLUMNS}
    truth.write_conditions(out / "truth")
    with ExitStack() as stack:
        files = {path: stack.enter_context(_gzip(out / f"{path}.csv.gz")) for path in COLUMNS}
        for block in track(blocks(config), "simulating blocks of patients", n_blocks(config)):
            n_subjects = n_in_block(config, block.index)
            rows = tables(block, n_subjects)
            for path, file in files.items():
                file.write(_csv(_complete(path, rows), header=block.index == 0))
            truth.write_block(out / "truth", block, n_subjects)
            for name, table in rows.items():
                counts[name] += table.height
    _write_dictionaries(out)
    return counts


def _complete(path: str, rows: Tables) -> pl.DataFrame:
    """Put a table's columns in MIMIC's order, the missing ones empty."""
    table = rows[path.split("/")[1]]
    names = COLUMNS[path].split()
    return table.select(
        pl.col(name) if name in table.columns else pl.lit(None, pl.String).alias(name) for name in names
    )


def _csv(table: pl.DataFrame, *, header: bool) -> bytes:
    buffer = BytesIO()
    table.write_csv(buffer, include_header=header, datetime_format=TIME_FORMAT)
    return buffer.getvalue()


@contextmanager
def _gzip(path: Path) -> Iterator[BinaryIO]:
    """Open a gzip file without a name or time in its header, so that equal tables are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    open_gzip = cast(Callable[..., BinaryIO], igzip.IGzipFile)
    with path.open("wb") as file, open_gzip("", "wb", LEVEL, file, mtime=0) as packed:
        yield packed


def _write_dictionaries(out: Path) -> None:
    items = pl.DataFrame(
        [(lab.itemid, lab.label, "Blood", lab.category) for lab in LABS],
        schema=["itemid", "label", "fluid", "category"],
        orient="row",
    )
    titled = pl.DataFrame(
        [(code, 10, title) for code, title in titles().items()],
        schema=["icd_code", "icd_version", "long_title"],
        orient="row",
    )
    for path, table in ((D_LABITEMS, items.sort("itemid")), (D_ICD_DIAGNOSES, titled.sort("icd_code"))):
        with _gzip(out / f"{path}.csv.gz") as file:
            file.write(_csv(table, header=True))
