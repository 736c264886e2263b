"""A block's records as the tables of MIMIC-IV, the one source of both things written.

Every table is drawn for the whole block and then cut to the subjects wanted, so that a small cohort is the
beginning of a large one, file by file.
"""

import numpy as np
import polars as pl

from attending.schema import SUBJECT_ID
from attending.simulate import clinical, encounters, measurements
from attending.simulate.cohort import FIRST_SUBJECT, Block

RECORDS_STREAM = 2
Tables = dict[str, pl.DataFrame]


def tables(block: Block, n_subjects: int) -> Tables:
    """Return every table of the block's first `n_subjects`, by name; times are datetimes, days are dates."""
    main = _main(block)
    return _cut(main | _rest(block, main["admissions"]), block, n_subjects)


def main_tables(block: Block, n_subjects: int) -> Tables:
    """Return the tables that a MEDS data set is made of."""
    return _cut(_main(block), block, n_subjects)


def _cut(whole: Tables, block: Block, n_subjects: int) -> Tables:
    last = FIRST_SUBJECT + int(block.subjects.number[n_subjects - 1])
    return {name: table.filter(pl.col(SUBJECT_ID) <= last) for name, table in whole.items()}


def _main(block: Block) -> Tables:
    rng = _generators(block, 0)
    ill = clinical.ill_with(block)
    return {
        "patients": encounters.patients(block, rng[0]),
        "admissions": encounters.admissions(block, rng[1]),
        "prescriptions": clinical.prescriptions(block, rng[2], ill),
        "labevents": measurements.labs(block, rng[3], ill),
        "omr": measurements.bedside(block, rng[4], ill),
        "diagnoses_icd": clinical.diagnoses(block, rng[5]),
        "procedures_icd": clinical.procedures(block, rng[6], ill),
    }


def _rest(block: Block, admitted: pl.DataFrame) -> Tables:
    rng = _generators(block, 1)
    icu = encounters.icu_stays(block, rng[0])
    return {
        "transfers": encounters.transfers(block, admitted, icu),
        "services": encounters.services(block),
        "microbiologyevents": measurements.cultures(block, rng[1]),
        "drgcodes": clinical.drgs(block),
        "icustays": icu,
    }


def _generators(block: Block, part: int) -> list[np.random.Generator]:
    """Return a stream for each table, so that leaving one out changes no other."""
    return block.generator(RECORDS_STREAM + part).spawn(8)
