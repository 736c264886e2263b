"""A small MEDS 0.4 data set: fourteen made-up patients in three files of nested folders, with splits and codes."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from attending.schema import (
    BIRTH,
    CODE,
    DEATH,
    DESCRIPTION,
    MEDS_VERSION,
    NUMERIC_VALUE,
    PARENT_CODES,
    SPLIT,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
)

N_SUBJECTS = 14
DIAGNOSES = ("DIAGNOSIS//ICD//10//I509", "DIAGNOSIS//ICD//9//4280", "DIAGNOSIS//ICD//10//E119", "OWN//code")
SCHEMA = {
    SUBJECT_ID: pl.Int64,
    TIME: pl.Datetime("us"),
    CODE: pl.String,
    NUMERIC_VALUE: pl.Float32,
    TEXT_VALUE: pl.String,
    "hadm_id": pl.Int64,
}
SPLIT_OF = {0: "train", 1: "train", 2: "train", 3: "tuning", 4: "held_out"}


def write(folder: Path) -> Path:
    """Write the data set."""
    subjects = list(range(1, N_SUBJECTS + 1))
    for name, some in (("train/0", subjects[:6]), ("train/1", subjects[6:10]), ("held_out/0", subjects[10:])):
        put(folder / "data" / f"{name}.parquet", rows(some))
    splits = {SUBJECT_ID: subjects, SPLIT: [SPLIT_OF[subject % 5] for subject in subjects]}
    put(folder / "metadata" / "subject_splits.parquet", pl.DataFrame(splits))
    codes = pl.DataFrame(
        {
            CODE: ["OWN//code", "LAB//1//mg/dL"],
            DESCRIPTION: ["A code of ours", None],
            PARENT_CODES: [["X/1"], []],
        },
        schema_overrides={PARENT_CODES: pl.List(pl.String)},
    )
    put(folder / "metadata" / "codes.parquet", codes)
    about = {"dataset_name": "made up", "etl_name": "by hand", "meds_version": MEDS_VERSION}
    (folder / "metadata" / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def put(path: Path, frame: pl.DataFrame) -> None:
    """Write one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


def rows(subjects: list[int]) -> pl.DataFrame:
    """Return the events of some subjects, sorted."""
    found = [row for subject in subjects for row in _events(subject)]
    frame = pl.DataFrame(found, schema=SCHEMA, orient="row")
    return frame.sort(SUBJECT_ID, TIME, nulls_last=False, maintain_order=True)


def _events(subject: int) -> list[tuple[object, ...]]:
    """Return what is known of one subject: two or three stays, with a diagnosis and two results each."""
    born = datetime(1940 + subject, 1, 1)
    first = datetime(2010, 5, 1, 9) + timedelta(days=subject)
    found: list[tuple[object, ...]] = [
        (subject, None, f"GENDER//{'FM'[subject % 2]}", None, None, None),
        (subject, born, BIRTH, None, None, None),
    ]
    for visit in range(2 + subject % 2):
        start = first + timedelta(days=120 * visit)
        end = start + timedelta(days=3)
        stay = subject * 100 + visit
        taken = start + timedelta(hours=2)
        found += [
            (subject, start, "HOSPITAL_ADMISSION//URGENT", None, None, stay),
            (subject, taken, "LAB//1//mg/dL", 1.5 + visit, None, stay),
            (subject, taken, "LAB//2//UNK", None, 'NEG, "traces"\nof it', stay),
            (subject, end, DIAGNOSES[(subject + visit) % len(DIAGNOSES)], None, None, stay),
            (subject, end, DIAGNOSES[subject % 3], None, None, stay),
            (subject, end, "HOSPITAL_DISCHARGE//HOME", None, None, stay),
        ]
    if subject % 5 == 0:
        found.append((subject, first + timedelta(days=900), DEATH, None, None, None))
    return found
