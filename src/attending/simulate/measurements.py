"""Laboratory results, cultures and bedside measurements of a block's visits, as tables of MIMIC-IV."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.schema import SUBJECT_ID
from attending.simulate.care import CATEGORIES, LABS, log_absence, matrix
from attending.simulate.clinical import HADM_ID, Rows, keys, moments, strings
from attending.simulate.cohort import DAY, Block
from attending.simulate.conditions import NAMES
from attending.simulate.world import Bools, Floats

MEASURED_AT = 0.8  # share of visits with bedside measurements
WEIGHT, BMI, PRESSURE = MEASUREMENTS = ("Weight (Lbs)", "BMI (kg/m2)", "Blood Pressure")
CULTURES = {
    # condition: specimen itemid and name, test itemid and name, organisms
    "urinary_tract_infection": (70079, "URINE", 90039, "URINE CULTURE", ["ESCHERICHIA COLI", "ENTEROCOCCUS SP."]),
    "sepsis": (70012, "BLOOD CULTURE", 90201, "Blood Culture, Routine", ["STAPH AUREUS COAG +"]),
    "pneumonia": (70062, "SPUTUM", 90015, "RESPIRATORY CULTURE", ["STREPTOCOCCUS PNEUMONIAE"]),
    "clostridium_difficile": (70088, "STOOL", 90265, "C. difficile PCR", ["CLOSTRIDIUM DIFFICILE"]),
}  # fmt: skip


def labs(block: Block, rng: np.random.Generator, ill: Floats) -> pl.DataFrame:
    """Draw which items were measured, when, and what they showed.

    Items of one category share a specimen and its time.
    """
    visit, item = np.nonzero(_ordered(rng, ill))
    values = _values(rng, ill, visit, item)
    category = np.array([CATEGORIES.index(lab.category) for lab in LABS])[item]
    charted, stored = _specimens(rng, block)
    low, high = (np.array([getattr(lab, side) for lab in LABS])[item] for side in ("low", "high"))
    abnormal = (values < low) | (values > high)
    flag = pl.Series([None, "abnormal"], dtype=pl.String).gather(pl.Series(abnormal.astype(np.uint32)))
    specimen = block.visit_id[visit] * len(CATEGORIES) + category
    return pl.DataFrame(
        {"labevent_id": block.visit_id[visit] * len(LABS) + item}
        | keys(block, visit)
        | {
            "specimen_id": specimen,
            "itemid": np.array([lab.itemid for lab in LABS])[item],
            "charttime": moments(charted[visit, category]),
            "storetime": moments(stored[visit, category]),
            "value": _texts(values, item),
            "valuenum": values,
            "valueuom": strings([lab.unit for lab in LABS], item).replace("", None),
            "ref_range_lower": low,
            "ref_range_upper": high,
            "flag": flag,
        }
    ).with_columns(priority=pl.lit("ROUTINE"))


def _ordered(rng: np.random.Generator, ill: Floats) -> Bools:
    base = np.array([lab.base for lab in LABS], np.float32)
    absent = np.log1p(-base) + ill @ log_absence([lab.ordered for lab in LABS])
    ordered: Bools = rng.random(absent.shape, np.float32) < -np.expm1(absent)
    return ordered


def _values(rng: np.random.Generator, ill: Floats, visit: Rows, item: Rows) -> NDArray[np.float64]:
    mean, spread = (np.array([getattr(lab, name) for lab in LABS]) for name in ("mean", "spread"))
    shift = ill @ matrix([lab.shifts for lab in LABS])
    # What a condition does varies with its gravity: between a half and one and a half of its shift.
    moved = shift[visit, item] * (0.5 + rng.random(len(visit)))
    values = mean[item] + spread[item] * (moved + rng.standard_normal(len(visit)))
    values = np.maximum(values, 0.3 * np.minimum(mean, [lab.low or lab.mean for lab in LABS])[item])
    scale = 10.0 ** np.array([lab.decimals for lab in LABS])[item]
    rounded: NDArray[np.float64] = np.round(values * scale) / scale
    return rounded


def _specimens(rng: np.random.Generator, block: Block) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when each category was taken and stored. Shape [n, categories]; a few are stored after discharge."""
    visits = block.visits
    shape = (len(visits.subject), len(CATEGORIES))
    stay = (visits.discharge - visits.admission)[:, None]
    charted = visits.admission[:, None] + (rng.random(shape) * 0.9 * stay).astype(np.int64) // 60 * 60
    delay = np.minimum(45 * np.exp(0.6 * rng.standard_normal(shape)), 600).astype(np.int64)
    return charted, charted + 60 * np.maximum(delay, 5)


def _texts(values: NDArray[np.float64], item: Rows) -> pl.Series:
    whole = np.array([lab.decimals == 0 for lab in LABS])[item]
    frame = pl.DataFrame({"value": values, "whole": whole})
    integer = pl.col("value").cast(pl.Int64).cast(pl.String)
    return frame.select(pl.when("whole").then(integer).otherwise(pl.col("value").cast(pl.String))).to_series()


def bedside(block: Block, rng: np.random.Generator, ill: Floats) -> pl.DataFrame:
    """Draw weight, body mass index and blood pressure on the day of some admissions."""
    visits = block.visits
    n = len(visits.subject)
    has = {
        name: ill[:, NAMES.index(name)] for name in ("obesity", "hypertension", "hypotension", "malnutrition")
    }
    height = np.where(block.subjects.female, 64, 69) + 2.5 * rng.standard_normal(len(block.subjects.number))
    own = rng.standard_normal(len(block.subjects.number))[visits.subject]
    index = 25.5 + 2.5 * own + 8 * has["obesity"] - 3 * has["malnutrition"] + 0.7 * rng.standard_normal(n)
    weight = index * height[visits.subject] ** 2 / 703
    upper = 122 + 14 * has["hypertension"] - 22 * has["hypotension"] + 12 * rng.standard_normal(n)
    lower = 0.55 * upper + 5 + 6 * rng.standard_normal(n)
    measured = rng.random(n) < MEASURED_AT
    frame = pl.DataFrame(
        keys(block, np.arange(n))
        | {"chartdate": pl.Series(moments(visits.admission)).dt.date()}
        | {"weight": weight.round(1), "index": index.round(1)}
        | {"upper": upper.round().astype(np.int64), "lower": lower.round().astype(np.int64)}
    ).filter(pl.Series(measured))
    values = [pl.col("weight"), pl.col("index"), pl.concat_str("upper", "lower", separator="/")]
    rows = [
        frame.select(
            SUBJECT_ID,
            "chartdate",
            HADM_ID,
            pl.lit(name).alias("result_name"),
            value.cast(pl.String).alias("result_value"),
        )
        for name, value in zip(MEASUREMENTS, values, strict=True)
    ]
    return (
        pl.concat(rows)
        .sort(HADM_ID, maintain_order=True)
        .drop(HADM_ID)
        .with_columns(seq_num=pl.lit(1, pl.Int64))
    )


def cultures(block: Block, rng: np.random.Generator) -> pl.DataFrame:
    """Write a culture for some infections; two of three grow something."""
    frames = []
    for number, (cause, (specimen_id, specimen, test_id, test, organisms)) in enumerate(CULTURES.items()):
        rows = np.flatnonzero(block.visits.recorded[:, NAMES.index(cause)])
        rows = rows[rng.random(len(rows)) < 0.5]
        taken = block.visits.admission[rows] + rng.integers(10, 300, len(rows)) * 60
        stored = taken + rng.integers(20, 60, len(rows)) * DAY // 24
        grown = rng.integers(0, 3 * len(organisms), len(rows))
        organism = strings([*organisms * 2, *[""] * len(organisms)], grown).replace("", None)
        frames.append(
            pl.DataFrame(
                {"microevent_id": 10 * block.visit_id[rows] + number}
                | keys(block, rows)
                | {"micro_specimen_id": 10 * block.visit_id[rows] + number}
                | {"charttime": moments(taken), "storetime": moments(stored), "org_name": organism}
            ).with_columns(
                spec_itemid=pl.lit(specimen_id),
                spec_type_desc=pl.lit(specimen),
                test_itemid=pl.lit(test_id),
                test_name=pl.lit(test),
                test_seq=pl.lit(1),
                chartdate=pl.col("charttime").dt.truncate("1d"),
                storedate=pl.col("storetime").dt.truncate("1d"),
            )
        )
    return pl.concat(frames).sort(SUBJECT_ID, "charttime", "microevent_id")
