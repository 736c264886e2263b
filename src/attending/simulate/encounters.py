"""The patients and stays of a block, and where in the hospital they lay, as tables of MIMIC-IV."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.schema import SUBJECT_ID
from attending.simulate.clinical import HADM_ID, Rows, keys, moments, strings
from attending.simulate.cohort import DAY, FIRST_SUBJECT, FIRST_VISIT, Block, Seconds
from attending.simulate.conditions import NAMES

RACES = ["WHITE", "BLACK/AFRICAN AMERICAN", "HISPANIC/LATINO - PUERTO RICAN", "ASIAN", "OTHER"]
RACE_SHARES = (0.66, 0.16, 0.08, 0.05, 0.05)
LANGUAGES, LANGUAGE_SHARES = ["English", "Spanish", "Chinese"], (0.9, 0.07, 0.03)
MARITAL, MARITAL_SHARES = ["MARRIED", "SINGLE", "WIDOWED", "DIVORCED"], (0.45, 0.33, 0.12, 0.10)
INSURANCE = ["Medicare", "Medicaid", "Private"]
TYPES = ["EW EMER.", "URGENT", "OBSERVATION ADMIT", "ELECTIVE"]
TYPE_SHARES = (0.6, 0.15, 0.15, 0.1)
FROM = ["EMERGENCY ROOM", "TRANSFER FROM HOSPITAL", "WALK-IN/SELF REFERRAL", "PHYSICIAN REFERRAL"]
DIED, HOME = 0, 1
TO = ["DIED", "HOME", "HOME HEALTH CARE", "SKILLED NURSING FACILITY", "REHAB"]
MICU = "Medical Intensive Care Unit (MICU)"
WARDS = ["Medicine", "Medicine/Cardiology", "Surgery"]
SERVICES = ["MED", "CMED", "SURG"]
CARDIAC = ("myocardial_infarction", "heart_failure", "cardiac_arrest", "chest_pain")
SURGICAL = ("gallbladder_disease", "bowel_obstruction", "hip_fracture")
YEAR_GROUPS = ["2008 - 2010", "2011 - 2013", "2014 - 2016", "2017 - 2019", "2020 - 2022"]


def patients(block: Block, rng: np.random.Generator) -> pl.DataFrame:
    """Write each subject's sex, age in the year of the first admission, and day of death."""
    subjects, visits = block.subjects, block.visits
    first = np.flatnonzero(visits.visit == 0)
    year = moments(visits.admission[first]).astype("datetime64[Y]").astype(np.int64) + 1970
    dead = subjects.death >= 0
    day = pl.Series(moments(np.maximum(subjects.death, 0))).dt.date()
    return pl.DataFrame(
        {
            SUBJECT_ID: FIRST_SUBJECT + subjects.number,
            "gender": strings(["M", "F"], subjects.female.astype(np.int64)),
            "anchor_age": year - subjects.birth_year,
            "anchor_year": year,
            "anchor_year_group": strings(YEAR_GROUPS, rng.integers(0, len(YEAR_GROUPS), len(year))),
            "dod": day.zip_with(
                pl.Series(dead), pl.Series([None], dtype=pl.Date).new_from_index(0, len(day))
            ),
        }
    )


def admissions(block: Block, rng: np.random.Generator) -> pl.DataFrame:
    """Write each stay."""
    visits = block.visits
    n = len(visits.subject)
    kind = _draw(rng, TYPE_SHARES, n)
    emergency = kind == 0
    arrived = visits.admission - rng.integers(60, 360, n) * 60
    left = visits.admission + rng.integers(1, 60, n) * 60
    older = (visits.state.age >= 65) * 1.0
    insurance = np.where(rng.random(n) < 0.85 * older + 0.1, 0, np.where(rng.random(n) < 0.35, 1, 2))
    to = np.minimum(HOME + (rng.random(n) * (1 + 0.6 * visits.state.severity)).astype(np.int64), len(TO) - 1)
    went = np.where(visits.died, DIED, to)
    return pl.DataFrame(
        keys(block, np.arange(n))
        | {
            "admittime": moments(visits.admission),
            "dischtime": moments(visits.discharge),
            "deathtime": _only(visits.discharge, visits.died),
            "admission_type": strings(TYPES, kind),
            "admission_location": strings(FROM, kind),
            "discharge_location": strings(TO, went),
            "insurance": strings(INSURANCE, insurance),
            "language": _trait(block, rng, LANGUAGES, LANGUAGE_SHARES),
            "marital_status": _trait(block, rng, MARITAL, MARITAL_SHARES),
            "race": _trait(block, rng, RACES, RACE_SHARES),
            "edregtime": _only(arrived, emergency),
            "edouttime": _only(left, emergency),
            "hospital_expire_flag": visits.died.astype(np.int8),
        }
    )


def icu_stays(block: Block, rng: np.random.Generator) -> pl.DataFrame:
    """Give the sickest part of their stay in intensive care."""
    visits = block.visits
    rows = np.flatnonzero(rng.random(len(visits.subject)) < 0.12 * visits.state.severity - 0.2)
    stay = visits.discharge[rows] - visits.admission[rows]
    begin = visits.admission[rows] + (0.05 * stay).astype(np.int64)
    end = begin + ((0.2 + 0.4 * rng.random(len(rows))) * stay).astype(np.int64)
    return pl.DataFrame(
        keys(block, rows)
        | {"stay_id": _own_id(block, rows, 0), "intime": moments(begin), "outtime": moments(end)}
        | {"los": (end - begin) / DAY}
    ).with_columns(first_careunit=pl.lit(MICU), last_careunit=pl.lit(MICU))


def transfers(block: Block, admitted: pl.DataFrame, icu: pl.DataFrame) -> pl.DataFrame:
    """Write the movements: emergency department, ward, intensive care, discharge."""
    visits = block.visits
    n = len(visits.subject)
    ward = pl.Series(WARDS, dtype=pl.String).gather(pl.Series(_service(block).astype(np.uint32)))
    base = admitted.select(
        SUBJECT_ID, HADM_ID, "admittime", "dischtime", "edregtime", "edouttime"
    ).with_columns(careunit=ward, transfer_id=pl.Series(_own_id(block, np.arange(n), 1)))
    person = [SUBJECT_ID, HADM_ID]

    def moved(
        frame: pl.DataFrame, step: int, event: str, unit: pl.Expr, begin: str, end: str | None
    ) -> pl.DataFrame:
        leaves = pl.col(end) if end else pl.lit(None, pl.Datetime("us"))
        return frame.select(
            *person,
            pl.col("transfer_id") + step,
            eventtype=pl.lit(event),
            careunit=unit,
            intime=pl.col(begin),
            outtime=leaves,
        )

    in_icu = icu.select(*person, "intime", "outtime").join(base, on=person, maintain_order="left")
    emergency = base.drop_nulls("edregtime")
    return pl.concat(
        [
            moved(emergency, 0, "ED", pl.lit("Emergency Department"), "edregtime", "edouttime"),
            moved(base, 1, "admit", pl.col("careunit"), "admittime", "dischtime"),
            moved(in_icu, 2, "transfer", pl.lit(MICU), "intime", "outtime"),
            moved(base, 3, "discharge", pl.lit(None, pl.String), "dischtime", None),
        ]
    ).sort(*person, "intime", "transfer_id")


def services(block: Block) -> pl.DataFrame:
    """Write the service in charge of each stay."""
    n = len(block.visits.subject)
    return pl.DataFrame(
        keys(block, np.arange(n))
        | {
            "transfertime": moments(block.visits.admission),
            "curr_service": strings(SERVICES, _service(block)),
        }
    )


def _service(block: Block) -> Rows:
    recorded = block.visits.recorded
    cardiac, surgical = (
        recorded[:, [NAMES.index(name) for name in names]].any(1) for names in (CARDIAC, SURGICAL)
    )
    return np.where(surgical, 2, np.where(cardiac, 1, 0))


def _own_id(block: Block, rows: Rows, kind: int) -> NDArray[np.int64]:
    """Return identifiers derived from the visit alone: 30,000,000 + 10 × visit, and what kind."""
    ids: NDArray[np.int64] = 30_000_000 + 10 * (block.visit_id[rows] - FIRST_VISIT) + 5 * kind
    return ids


def _trait(block: Block, rng: np.random.Generator, values: list[str], shares: tuple[float, ...]) -> pl.Series:
    """Draw something that a subject keeps, at each visit."""
    return strings(values, _draw(rng, shares, len(block.subjects.number))[block.visits.subject])


def _draw(rng: np.random.Generator, shares: tuple[float, ...], n: int) -> Rows:
    drawn: Rows = np.searchsorted(np.cumsum(shares)[:-1], rng.random(n), side="right")
    return drawn


def _only(seconds: Seconds, keep: NDArray[np.bool_]) -> NDArray[np.datetime64]:
    return np.where(keep, moments(seconds), np.datetime64("NaT"))
