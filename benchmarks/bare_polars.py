"""The rival of `attending ingest mimic4`: the same tables to the same events, as polars alone would have it.

    python benchmarks/bare_polars.py RAW OUT

Read csv.gz, select, concatenate, sort, write Parquet: the whole hospital in memory, which costs the least CPU time of
all forms that were tried. It is written as well as we can: isal for gzip, polars' own multi-threaded CSV parser on
the columns that are needed and with their types given, one lazy plan per table, a sort of one packed integer, subjects
never split over files, the compression of ours.

What it does not do: it counts no line and sets none aside (one bad value stops it, a row with too few fields is filled
with nulls in silence), checks no admission or subject, describes no code, gives no splits, resumes nothing, writes
half files when killed, and needs memory that grows with the hospital.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from isal import igzip
from polars import col

TEXT, WHOLE, REAL, DAY, MOMENT = pl.String, pl.Int64, pl.Float64, pl.Date, pl.Datetime("us")
COLUMNS = {
    "time": MOMENT,
    "code": TEXT,
    "numeric_value": pl.Float32,
    "text_value": TEXT,
    "available_time": MOMENT,
    "visit_id": WHOLE,
    "priority": pl.Int32,
}
STAY = {"subject_id": WHOLE, "hadm_id": WHOLE}
END = pl.duration(hours=23, minutes=59, seconds=59)
ROWS_PER_FILE = 700_000


def read(raw: Path, table: str, columns: dict[str, pl.DataType]) -> pl.LazyFrame:
    """Read some columns of a table."""
    with igzip.open(raw / f"{table}.csv.gz") as file:
        text = file.read()
    return pl.read_csv(text, columns=list(columns), schema_overrides=columns).lazy()


def events(rows: pl.LazyFrame, origin: str, **columns: pl.Expr) -> pl.DataFrame:
    """Select one event of each row."""
    given = [
        columns.get(name, pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in COLUMNS.items()
        if name != "available_time"
    ]
    known = columns.get("available_time")
    time = columns.get("time", pl.lit(None)).cast(MOMENT)
    available = time if known is None else pl.max_horizontal(time, known)
    order = ["subject_id", *COLUMNS, "origin"]
    made = rows.select("subject_id", *given, available_time=available, origin=pl.lit(origin)).select(order)
    return (made if "time" not in columns else made.filter(col("time").is_not_null())).collect()


def code(*parts: str | pl.Expr) -> pl.Expr:
    """Join the parts of a code."""
    texts = [pl.lit(one) if isinstance(one, str) else one.cast(TEXT).fill_null("UNK") for one in parts]
    return pl.concat_str(texts, separator="//")


def people(raw: Path, admissions: pl.LazyFrame) -> list[pl.DataFrame]:
    """Give sex, birth and death."""
    columns = {"subject_id": WHOLE, "gender": TEXT, "anchor_age": WHOLE, "anchor_year": WHOLE, "dod": DAY}
    rows = read(raw, "hosp/patients", columns)
    died = admissions.drop_nulls("deathtime").sort("deathtime").unique("subject_id", keep="first")
    died = died.select("subject_id", "deathtime", "hadm_id")
    deaths = rows.select("subject_id", "dod").join(died, on="subject_id", how="left")
    day = col("dod").cast(MOMENT) + END
    born = pl.date(col("anchor_year") - col("anchor_age"), 1, 1)
    return [
        events(rows.filter(col("gender").is_not_null()), "patients", code=code("GENDER", col("gender"))),
        events(rows, "patients", code=pl.lit("MEDS_BIRTH"), time=born),
        events(
            deaths,
            "admissions",
            code=pl.lit("MEDS_DEATH"),
            time=col("deathtime").fill_null(day),
            visit_id=col("hadm_id"),
        ),
    ]


def stays(admissions: pl.LazyFrame) -> list[pl.DataFrame]:
    """Give admissions, what was written down on arrival, and discharges."""

    def at(time: str, name: pl.Expr, rows: pl.LazyFrame = admissions) -> pl.DataFrame:
        return events(rows, "admissions", code=name, time=col(time), visit_id=col("hadm_id"))

    arrival = {
        "RACE": "race",
        "INSURANCE": "insurance",
        "MARITAL_STATUS": "marital_status",
        "LANGUAGE": "language",
    }
    return [
        at("edregtime", pl.lit("ED_REGISTRATION")),
        at("admittime", code("HOSPITAL_ADMISSION", col("admission_type"), col("admission_location"))),
        *(
            at("admittime", code(name, col(column)), admissions.drop_nulls(column))
            for name, column in arrival.items()
        ),
        at("edouttime", pl.lit("ED_OUT")),
        at("dischtime", code("HOSPITAL_DISCHARGE", col("discharge_location"))),
    ]


def movements(raw: Path) -> list[pl.DataFrame]:
    """Give transfers, services and stays in intensive care."""
    transfers = read(raw, "hosp/transfers", STAY | {"eventtype": TEXT, "careunit": TEXT, "intime": MOMENT})
    services = read(raw, "hosp/services", STAY | {"transfertime": MOMENT, "curr_service": TEXT})
    columns = {"first_careunit": TEXT, "last_careunit": TEXT, "intime": MOMENT, "outtime": MOMENT}
    icu = read(raw, "icu/icustays", STAY | columns)
    visit = {"visit_id": col("hadm_id")}
    moved = code("TRANSFER_TO", col("eventtype"), col("careunit"))
    return [
        events(transfers, "transfers", code=moved, time=col("intime"), **visit),
        events(
            services, "services", code=code("SERVICE", col("curr_service")), time=col("transfertime"), **visit
        ),
        events(
            icu, "icustays", code=code("ICU_ADMISSION", col("first_careunit")), time=col("intime"), **visit
        ),
        events(
            icu, "icustays", code=code("ICU_DISCHARGE", col("last_careunit")), time=col("outtime"), **visit
        ),
    ]


def prescriptions(raw: Path) -> list[pl.DataFrame]:
    """Give prescriptions; the dose is the text."""
    columns = STAY | {"starttime": MOMENT, "drug": TEXT, "dose_val_rx": TEXT, "dose_unit_rx": TEXT}
    rows = read(raw, "hosp/prescriptions", columns)
    dose = pl.concat_str("dose_val_rx", "dose_unit_rx", separator=" ", ignore_nulls=True)
    return [
        events(
            rows,
            "prescriptions",
            code=code("MEDICATION", col("drug")),
            time=col("starttime"),
            text_value=pl.when(col("dose_val_rx").is_not_null()).then(dose),
            visit_id=col("hadm_id"),
        )
    ]


def labs(raw: Path) -> list[pl.DataFrame]:
    """Give laboratory results."""
    columns = STAY | {"itemid": WHOLE, "charttime": MOMENT, "storetime": MOMENT, "value": TEXT}
    rows = read(raw, "hosp/labevents", columns | {"valuenum": REAL, "valueuom": TEXT, "comments": TEXT})
    return [
        events(
            rows,
            "labevents",
            code=code("LAB", col("itemid"), col("valueuom")),
            time=col("charttime"),
            available_time=col("storetime"),
            numeric_value=col("valuenum"),
            text_value=pl.when(col("valuenum").is_null()).then(col("value").fill_null(col("comments"))),
            visit_id=col("hadm_id"),
        )
    ]


def cultures(raw: Path) -> list[pl.DataFrame]:
    """Give microbiology."""
    texts = ("spec_type_desc", "test_name", "org_name", "ab_name", "interpretation", "comments")
    times = ("chartdate", "charttime", "storedate", "storetime")
    rows = read(
        raw,
        "hosp/microbiologyevents",
        STAY | dict.fromkeys(times, MOMENT) | dict.fromkeys(texts, TEXT),
    )
    name = code(
        "MICROBIOLOGY", col("spec_type_desc"), col("test_name"), col("org_name").fill_null("NEGATIVE")
    )
    verdict = col("ab_name") + "//" + col("interpretation").fill_null("UNK")
    return [
        events(
            rows,
            "microbiologyevents",
            code=name,
            time=col("charttime").fill_null(col("chartdate").dt.truncate("1d") + END),
            available_time=col("storetime").fill_null(col("storedate").dt.truncate("1d") + END),
            text_value=verdict.fill_null(col("comments")),
            visit_id=col("hadm_id"),
        )
    ]


def outpatient(raw: Path) -> list[pl.DataFrame]:
    """Give measurements outside the hospital; a blood pressure is two."""
    columns = {"subject_id": WHOLE, "chartdate": DAY, "seq_num": WHOLE}
    rows = read(raw, "hosp/omr", columns | {"result_name": TEXT, "result_value": TEXT})
    pair = col("result_value").str.splitn("/", 2)
    rows = rows.with_columns(
        number=col("result_value").cast(REAL, strict=False),
        first=pair.struct.field("field_0").cast(REAL, strict=False),
        second=pair.struct.field("field_1").cast(REAL, strict=False),
    )
    known = {"time": col("chartdate").cast(MOMENT) + END, "priority": col("seq_num")}
    said = pl.when(col("number").is_null()).then(col("result_value"))
    plain, pairs = rows.filter(col("second").is_null()), rows.filter(col("second").is_not_null())
    name = col("result_name")
    return [
        events(plain, "omr", code=code("OMR", name), numeric_value=col("number"), text_value=said, **known),
        events(pairs, "omr", code=code("OMR", name, "SYSTOLIC"), numeric_value=col("first"), **known),
        events(pairs, "omr", code=code("OMR", name, "DIASTOLIC"), numeric_value=col("second"), **known),
    ]


def coded(raw: Path, admissions: pl.LazyFrame) -> list[pl.DataFrame]:
    """Give what the discharge codes: diagnoses, procedures, diagnosis-related groups."""
    discharges = admissions.select("subject_id", "hadm_id", "dischtime")
    icd = STAY | {"seq_num": WHOLE, "icd_code": TEXT, "icd_version": WHOLE}

    def discharged(table: str, columns: dict[str, pl.DataType]) -> pl.LazyFrame:
        rows = read(raw, table, columns)
        return rows.join(discharges, on=["subject_id", "hadm_id"], how="left", maintain_order="left")

    bare = col("icd_code").str.strip_chars().str.replace_all(".", "", literal=True)
    diagnoses = discharged("hosp/diagnoses_icd", icd).sort("seq_num", maintain_order=True)
    procedures = discharged("hosp/procedures_icd", icd | {"chartdate": DAY})
    columns = {"drg_type": TEXT, "drg_code": TEXT, "description": TEXT}
    groups = discharged("hosp/drgcodes", STAY | columns)
    over = col("chartdate").cast(MOMENT) + END
    last_day = col("chartdate") == col("dischtime").dt.date()
    visit = {"visit_id": col("hadm_id")}
    return [
        events(
            diagnoses,
            "diagnoses_icd",
            code=code("DIAGNOSIS//ICD", col("icd_version"), bare),
            time=col("dischtime"),
            priority=col("seq_num"),
            **visit,
        ),
        events(
            procedures,
            "procedures_icd",
            code=code("PROCEDURE//ICD", col("icd_version"), bare),
            time=pl.when(last_day).then(pl.min_horizontal(over, "dischtime")).otherwise(over),
            available_time=col("dischtime"),
            priority=col("seq_num"),
            **visit,
        ),
        events(
            groups,
            "drgcodes",
            code=code("DRG", col("drg_type"), col("drg_code"), col("description")),
            time=col("dischtime"),
            **visit,
        ),
    ]


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Sort by subject and time, static facts first and death last; ties stay."""
    seconds = (frame["time"].dt.epoch("s") + 2**33).fill_null(0)
    dies = (frame["code"] == "MEDS_DEATH").cast(WHOLE)
    key = ((frame["subject_id"] - frame["subject_id"].min()) * 2**35 + seconds) * 2 + dies
    return frame[np.argsort(key.to_numpy(), kind="stable")]


def write(frame: pl.DataFrame, out: Path) -> None:
    """Write files of whole subjects."""
    subjects = frame["subject_id"].to_numpy()
    n_files = max(1, round(frame.height / ROWS_PER_FILE))
    cuts = [
        int(np.searchsorted(subjects, subjects[place]))
        for place in np.arange(1, n_files) * frame.height // n_files
    ]
    out.mkdir(parents=True)
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, frame.height], strict=True)):
        path = out / f"{number:03}.parquet"
        frame[start:stop].write_parquet(path, compression="zstd", compression_level=1)


def main(raw: Path, out: Path) -> None:
    """Read, select, concatenate, sort, write."""
    times = ("admittime", "dischtime", "deathtime", "edregtime", "edouttime")
    texts = ("admission_type", "admission_location", "discharge_location")
    arrival = ("race", "insurance", "marital_status", "language")
    columns = STAY | dict.fromkeys(times, MOMENT) | dict.fromkeys((*texts, *arrival), TEXT)
    admissions = read(raw, "hosp/admissions", columns)
    frames = [*people(raw, admissions), *stays(admissions), *prescriptions(raw), *movements(raw), *labs(raw)]
    frames += [*cultures(raw), *outpatient(raw), *coded(raw, admissions)]
    together = pl.concat(frames, rechunk=True)
    frames.clear()
    write(in_order(together), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
