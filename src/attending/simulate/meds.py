"""Write a simulated cohort as a MEDS 0.4 data set: what the importer makes of the same cohort's main tables.

The events follow the rules of `attending.sources.mimic4` for codes, times and when things became known (the tests
hold the two equal), without the detour through text. Each shard holds one block of subjects.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
from polars import col

from attending import __version__, parquet
from attending.progress import track
from attending.schema import (
    ADMISSION,
    AVAILABLE_TIME,
    BIRTH,
    CODE,
    CODES,
    DEATH,
    DESCRIPTION,
    DIAGNOSIS,
    DIAGNOSIS_ICD10,
    DISCHARGE,
    EVENTS,
    EXTENSION_COLUMNS,
    INSURANCE,
    LAB,
    MEDICATION,
    MEDS_VERSION,
    N_EVENTS,
    NUMERIC_VALUE,
    ORIGIN,
    PARENT_CODES,
    PRIORITY,
    PROCEDURE,
    RACE,
    SEPARATOR,
    SEX,
    SUBJECT_ID,
    SUBJECT_SPLITS,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.shares import Shares, split_of
from attending.simulate import truth
from attending.simulate.care import LABS
from attending.simulate.clinical import HADM_ID
from attending.simulate.codes import titles
from attending.simulate.cohort import FIRST_SUBJECT, blocks, n_blocks, n_in_block
from attending.simulate.config import Config
from attending.simulate.records import Tables, main_tables
from attending.simulate.shards import refuse_others, write_shard

UNKNOWN = "UNK"
ARRIVAL = {RACE: "race", INSURANCE: "insurance", "MARITAL_STATUS": "marital_status", "LANGUAGE": "language"}
DISCHARGED = col("dischtime")


def simulate_meds(config: Config, out: Path) -> dict[str, int]:
    """Write the cohort's events, metadata and truth into `out`; return how many subjects, events and codes.

    One block of subjects is held at a time. The same settings give the same bytes.

    Raises:
        ArtifactError: if `out` holds shards of another cohort.
    """
    counted: Counter[str] = Counter()
    for folder in (out / "data", out / "truth" / "data"):
        refuse_others(folder, n_blocks(config))
    truth.write_conditions(out / "truth")
    for block in track(blocks(config), "simulating blocks of patients", n_blocks(config)):
        n_subjects = n_in_block(config, block.index)
        shard = events(main_tables(block, n_subjects))
        write_shard(out / "data", block.index, shard)
        counted.update(dict(shard[CODE].value_counts().iter_rows()))
        truth.write_block(out / "truth", block, n_subjects)
    _write_metadata(out / "metadata", config, counted)
    return {"subjects": config.n_subjects, "events": counted.total(), "codes": len(counted)}


def events(tables: Tables) -> pl.DataFrame:
    """Return the events of the tables, in the order of a MEDS shard; at one moment, death comes last."""
    parts = [
        *_from("patients", _patients(tables["patients"])),
        *_from("admissions", _stays(tables)),
        *_from("prescriptions", [_prescriptions(tables["prescriptions"])]),
        *_from("labevents", [_labs(tables["labevents"])]),
        *_from("omr", _measurements(tables["omr"])),
        *_from("diagnoses_icd", [_diagnoses(_with_discharge("diagnoses_icd", tables))]),
        *_from("procedures_icd", [_procedures(_with_discharge("procedures_icd", tables))]),
    ]
    dies = (col(CODE) == DEATH).alias("dies")
    return pl.concat(parts).sort(SUBJECT_ID, TIME, dies, maintain_order=True)


def _event(
    frame: pl.DataFrame,
    code: pl.Expr,
    time: pl.Expr | None,
    *,
    available: pl.Expr | None = None,
    visit: bool = True,
    **values: pl.Expr,
) -> pl.DataFrame:
    """Return one event a row that has a time; without `time`, a static fact."""
    happened = (pl.lit(None) if time is None else time).cast(EVENTS.columns[TIME])
    known = happened if available is None else pl.max_horizontal(happened, available)
    values |= {VISIT_ID: col(HADM_ID)} if visit else {}
    frame = frame.select(
        SUBJECT_ID,
        happened.alias(TIME),
        code.alias(CODE),
        known.alias(AVAILABLE_TIME),
        *(
            values.get(name, pl.lit(None)).cast(EVENTS.columns[name]).alias(name)
            for name in (NUMERIC_VALUE, TEXT_VALUE, VISIT_ID, PRIORITY)
        ),
    )
    return frame if time is None else frame.filter(col(TIME).is_not_null())


def _from(table: str, frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    columns = list(EVENTS.columns)
    return [frame.with_columns(pl.lit(table).alias(ORIGIN)).select(columns) for frame in frames]


def _code(*parts: str | pl.Expr) -> pl.Expr:
    pieces = [
        pl.lit(part) if isinstance(part, str) else part.cast(pl.String).fill_null(UNKNOWN) for part in parts
    ]
    return pl.concat_str(pieces, separator=SEPARATOR)


def _end_of_day(day: str) -> pl.Expr:
    return col(day).cast(EVENTS.columns[TIME]) + pl.duration(hours=23, minutes=59, seconds=59)


def _patients(patients: pl.DataFrame) -> list[pl.DataFrame]:
    birth = pl.date(col("anchor_year") - col("anchor_age"), 1, 1)
    return [
        _event(patients, _code(SEX, col("gender")), None, visit=False),
        _event(patients, pl.lit(BIRTH), birth, visit=False),
    ]


def _stays(tables: Tables) -> list[pl.DataFrame]:
    stays = tables["admissions"]
    admitted = col("admittime")
    deaths = tables["patients"].join(
        stays.drop_nulls("deathtime"), on=SUBJECT_ID, how="left", maintain_order="left"
    )
    return [
        _event(stays, pl.lit("ED_REGISTRATION"), col("edregtime")),
        _event(stays, _code(ADMISSION, col("admission_type"), col("admission_location")), admitted),
        *(_event(stays, _code(name, col(column)), admitted) for name, column in ARRIVAL.items()),
        _event(stays, pl.lit("ED_OUT"), col("edouttime")),
        _event(stays, _code(DISCHARGE, col("discharge_location")), DISCHARGED),
        _event(deaths, pl.lit(DEATH), col("deathtime").fill_null(_end_of_day("dod"))),
    ]


def _prescriptions(rows: pl.DataFrame) -> pl.DataFrame:
    dose = pl.concat_str("dose_val_rx", "dose_unit_rx", separator=" ")
    return _event(rows, _code(MEDICATION, col("drug")), col("starttime"), text_value=dose)


def _labs(rows: pl.DataFrame) -> pl.DataFrame:
    code = _code(LAB, col("itemid"), col("valueuom"))
    return _event(rows, code, col("charttime"), available=col("storetime"), numeric_value=col("valuenum"))


def _measurements(rows: pl.DataFrame) -> list[pl.DataFrame]:
    name, value = col("result_name"), col("result_value")
    is_pair = value.str.contains("/", literal=True)
    one, two = rows.filter(~is_pair), rows.filter(is_pair)
    upper, lower = (value.str.split_exact("/", 1).struct.field(f"field_{side}") for side in (0, 1))
    return [
        _measured(one, _code("OMR", name), value),
        _measured(two, _code("OMR", name, "SYSTOLIC"), upper),
        _measured(two, _code("OMR", name, "DIASTOLIC"), lower),
    ]


def _measured(rows: pl.DataFrame, code: pl.Expr, value: pl.Expr) -> pl.DataFrame:
    number, rank = value.cast(pl.Float64), col("seq_num")
    return _event(rows, code, _end_of_day("chartdate"), visit=False, numeric_value=number, priority=rank)


def _with_discharge(name: str, tables: Tables) -> pl.DataFrame:
    stays = tables["admissions"].select(HADM_ID, "dischtime")
    return tables[name].join(stays, on=HADM_ID, how="left", maintain_order="left")


def _diagnoses(rows: pl.DataFrame) -> pl.DataFrame:
    code = _code(DIAGNOSIS, "ICD", col("icd_version"), col("icd_code"))
    return _event(rows, code, DISCHARGED, priority=col("seq_num"))


def _procedures(rows: pl.DataFrame) -> pl.DataFrame:
    """Procedures happen on their day and are known at discharge; the last day ends with it."""
    over = _end_of_day("chartdate")
    time = (
        pl.when(col("chartdate") == DISCHARGED.dt.date())
        .then(pl.min_horizontal(over, DISCHARGED))
        .otherwise(over)
    )
    code = _code(PROCEDURE, "ICD", col("icd_version"), col("icd_code"))
    return _event(rows, code, time, available=DISCHARGED, priority=col("seq_num"))


def _write_metadata(folder: Path, config: Config, counted: Counter[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = {SEPARATOR.join((LAB, str(lab.itemid), lab.unit or UNKNOWN)): lab.label for lab in LABS}
    named = labels | {SEPARATOR.join((DIAGNOSIS_ICD10, code)): title for code, title in titles().items()}
    codes = sorted(counted)
    described = {
        CODE: codes,
        DESCRIPTION: [named.get(code) for code in codes],
        PARENT_CODES: [None] * len(codes),
        N_EVENTS: [counted[code] for code in codes],
    }
    parquet.write(folder / "codes.parquet", pl.DataFrame(described, schema=CODES.columns))
    ids = FIRST_SUBJECT + np.arange(config.n_subjects, dtype=np.int64)
    subjects = pl.DataFrame({SUBJECT_ID: ids}, schema={SUBJECT_ID: pl.Int64})
    split = split_of(subjects[SUBJECT_ID], Shares().to_dict(), config.seed)
    parquet.write(
        folder / "subject_splits.parquet", SUBJECT_SPLITS.check(subjects.with_columns(split), "splits")
    )
    dataset = {
        "dataset_name": "attending simulator",
        "dataset_version": f"seed {config.seed}, {config.n_subjects} subjects, shuffle {config.shuffle}",
        "etl_name": "attending",
        "etl_version": __version__,
        "meds_version": MEDS_VERSION,
        "other_extension_columns": list(EXTENSION_COLUMNS),
    }
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=2) + "\n", encoding="utf-8")
