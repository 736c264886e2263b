"""The codes and prescriptions of a block's visits, as tables of MIMIC-IV."""

from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.schema import SUBJECT_ID
from attending.simulate.care import DRUGS, PROCEDURES, log_absence
from attending.simulate.cohort import DAY, EPOCH, Block, Seconds
from attending.simulate.conditions import CONDITIONS, N_ACUTE, N_CHRONIC, codes_of
from attending.simulate.world import Bools, Floats

Rows = NDArray[np.intp]
HADM_ID = "hadm_id"
ICD_VERSION = 10
RANK_NOISE = 0.6
DRGS = {
    "871": "SEPTICEMIA OR SEVERE SEPSIS W/O MV 96+ HOURS W MCC",
    "193": "SIMPLE PNEUMONIA & PLEURISY W MCC",
    "291": "HEART FAILURE & SHOCK W MCC",
    "280": "ACUTE MYOCARDIAL INFARCTION, DISCHARGED ALIVE W MCC",
    "682": "RENAL FAILURE W MCC",
    "690": "KIDNEY & URINARY TRACT INFECTIONS W/O MCC",
    "603": "CELLULITIS W/O MCC",
    "313": "CHEST PAIN",
    "392": "ESOPHAGITIS, GASTROENT & MISC DIGEST DISORDERS W/O MCC",
    "948": "SIGNS & SYMPTOMS W/O MCC",
}
DRG_CAUSES = (
    "sepsis", "pneumonia", "heart_failure", "myocardial_infarction", "acute_kidney_injury",
    "urinary_tract_infection", "cellulitis", "chest_pain", "abdominal_pain",
)  # fmt: skip


def moments(seconds: Seconds) -> NDArray[np.datetime64]:
    """Return times as polars takes them."""
    times: NDArray[np.datetime64] = (EPOCH + seconds).astype("datetime64[us]")
    return times


def strings(values: list[str], rows: NDArray[np.integer]) -> pl.Series:
    """Return the value at each row of `rows`."""
    return pl.Series(values, dtype=pl.String).gather(pl.Series(rows.astype(np.uint32)))


def keys(block: Block, rows: Rows) -> dict[str, NDArray[np.int64]]:
    """Return the subject and admission of some visits."""
    return {SUBJECT_ID: block.subject_id[rows], HADM_ID: block.visit_id[rows]}


def rank(rows: Rows) -> NDArray[np.int64]:
    """Return 1, 2, … within each run of equal values."""
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]]) if len(rows) else np.zeros(0, np.intp)
    lengths = np.diff(np.r_[starts, len(rows)])
    ranks: NDArray[np.int64] = np.arange(len(rows)) - np.repeat(starts, lengths) + 1
    return ranks


def ill_with(block: Block) -> Floats:
    """Return what a visit's care answers to: conditions that are there, recorded or (chronic) not."""
    ill = block.visits.recorded.astype(np.float32)
    ill[:, :N_CHRONIC] = block.visits.present
    return ill


@cache
def code_table() -> tuple[list[str], Floats, NDArray[np.intp]]:
    """Return all codes, the cumulative shares of each condition's (padded with 1), and where each one's begin."""
    each = [codes_of(condition.codes) for condition in CONDITIONS]
    starts = np.cumsum([0] + [len(codes) for codes in each])[:-1]
    upto = np.ones((len(each), max(map(len, each))), np.float32)
    for row, codes in enumerate(each):
        upto[row, : len(codes) - 1] = np.cumsum([share for _, share in codes])[:-1]
    return [code for codes in each for code, _ in codes], upto, starts


def diagnoses(block: Block, rng: np.random.Generator) -> pl.DataFrame:
    """Write each recorded condition as one of its codes, acute first on the whole."""
    visit, condition = np.nonzero(block.visits.recorded)
    codes, upto, starts = code_table()
    chosen = starts[condition] + (rng.random((len(visit), 1), np.float32) >= upto[condition]).sum(axis=1)
    kind = (condition < N_CHRONIC) * 1.0 + (condition >= N_CHRONIC + N_ACUTE) * 2.0
    order = np.lexsort((kind + RANK_NOISE * rng.standard_normal(len(visit)), visit))
    visit, chosen = visit[order], chosen[order]
    return pl.DataFrame(
        keys(block, visit) | {"seq_num": rank(visit), "icd_code": strings(codes, chosen)}
    ).with_columns(icd_version=pl.lit(ICD_VERSION))


def procedures(block: Block, rng: np.random.Generator, ill: Floats) -> pl.DataFrame:
    """Draw procedures and their days."""
    visit, which = np.nonzero(
        _brought(rng, ill, [p.base for p in PROCEDURES], [p.because for p in PROCEDURES])
    )
    visits = block.visits
    stay = visits.discharge[visit] - visits.admission[visit]
    day = moments(visits.admission[visit] + (rng.random(len(visit)) * stay).astype(np.int64))
    return pl.DataFrame(
        keys(block, visit)
        | {"seq_num": rank(visit), "chartdate": pl.Series(day).dt.date()}
        | {"icd_code": strings([p.code for p in PROCEDURES], which)}
    ).with_columns(icd_version=pl.lit(ICD_VERSION))


def prescriptions(block: Block, rng: np.random.Generator, ill: Floats) -> pl.DataFrame:
    """Draw prescriptions, most of them started early in the stay."""
    visit, drug = np.nonzero(_brought(rng, ill, [d.base for d in DRUGS], [d.because for d in DRUGS]))
    visits = block.visits
    stay = (visits.discharge[visit] - visits.admission[visit]).astype(np.float64)
    start = visits.admission[visit] + (rng.random(len(visit)) ** 2 * 0.8 * stay).astype(np.int64) // 60 * 60
    stop = np.minimum(start + (1 + rng.integers(0, 6, len(visit))) * DAY // 2, visits.discharge[visit])
    text = {
        "drug": [d.name for d in DRUGS],
        "dose_val_rx": [d.dose for d in DRUGS],
        "dose_unit_rx": [d.unit for d in DRUGS],
        "route": [d.route for d in DRUGS],
    }
    return pl.DataFrame(
        keys(block, visit)
        | {"starttime": moments(start), "stoptime": moments(stop)}
        | {name: strings(values, drug) for name, values in text.items()}
    ).with_columns(drug_type=pl.lit("MAIN"))


def drgs(block: Block) -> pl.DataFrame:
    """Give each visit the diagnosis-related group of the first cause it has."""
    names = [condition.name for condition in CONDITIONS]
    has = block.visits.recorded[:, [names.index(cause) for cause in DRG_CAUSES]]
    group = np.where(has.any(axis=1), has.argmax(axis=1), len(DRG_CAUSES))
    return pl.DataFrame(
        keys(block, np.arange(len(group)))
        | {"drg_code": strings(list(DRGS), group), "description": strings(list(DRGS.values()), group)}
    ).with_columns(drg_type=pl.lit("HCFA"))


def _brought(rng: np.random.Generator, ill: Floats, base: list[float], because: list[str]) -> Bools:
    absent = np.log1p(-np.array(base, np.float32)) + ill @ log_absence(because)
    brought: Bools = rng.random(absent.shape, np.float32) < -np.expm1(absent)
    return brought
