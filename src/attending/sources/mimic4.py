"""MIMIC-IV 2.x and 3.x: PhysioNet's hospital, intensive care, emergency and note modules, as `.csv` or `.csv.gz`.

Needs `hosp/patients` and `hosp/admissions`; every other table may be absent. `ed/` (MIMIC-IV-ED) and `note/`
(MIMIC-IV-Note) may lie beside `hosp/`, or in their own downloads below the folder. What an event is called, when it
happened and when it became known is said in `_mimic4`, beside each table. The rules for time:

    codes given at discharge   diagnoses and DRGs happen, and are known, at discharge. ICD and HCPCS procedures
                               happen on their day but are known at discharge, when coders assign them. Diagnoses of
                               the emergency department happen when the patient leaves it and are known then, or at
                               the discharge from hospital where the stay led to one.
    results                    happen when the specimen was taken or the value charted and are known when they
                               were stored; where no store time is given, when charted. Notes too.
    orders, medication         at their time; a pharmacy's order is known when it was entered, what nurses recorded
                               when it was stored.
    triage                     on arrival in the emergency department: it has no time of its own.
    dates without a time       stand for the last second of their day: what happened on a day is known when it
                               is over. A coded procedure on the day of discharge ends with the discharge.
    birth                      MIMIC gives an age in one year: 1 January of `anchor_year - anchor_age`.
    death                      the time of death in hospital, else the end of the day `dod`.

A row whose admission `hosp/admissions` does not have cannot be given a discharge time and is quarantined
("no such admission"), and so is a detail of an order, administration, stay or note that is not there; results,
medications and movements have times of their own and are kept. `hosp/provider` and `icu/caregiver` list identifiers
of staff and nothing else: they are not read. The versions differ in columns that are not read (identifiers of staff
came with 2.1 and 2.2), in patients and in years: columns are found by name, so one description fits all.
"""

from pathlib import Path

from attending.config import Settings
from attending.errors import ConfigError, nearest
from attending.ledger.table import Source, Table
from attending.sources._mimic4.discharge import CODED_AT_DISCHARGE
from attending.sources._mimic4.emergency import EMERGENCY, STAYS
from attending.sources._mimic4.icu import INTENSIVE_CARE
from attending.sources._mimic4.medication import EMAR, MEDICATIONS
from attending.sources._mimic4.names import DICTIONARIES, describe
from attending.sources._mimic4.notes import DISCHARGE, NOTES, RADIOLOGY
from attending.sources._mimic4.orders import ORDERS, POE
from attending.sources._mimic4.results import RESULTS
from attending.sources._mimic4.rows import PATIENTS
from attending.sources._mimic4.stays import MOVEMENTS, PEOPLE

TABLES: tuple[Table, ...] = (
    *PEOPLE,
    *MEDICATIONS,
    *ORDERS,
    *MOVEMENTS,
    *RESULTS,
    *INTENSIVE_CARE,
    *CODED_AT_DISCHARGE,
    *EMERGENCY,
    *NOTES,
    *DICTIONARIES,
)
GOES_WITH = {
    "emar_detail": EMAR,
    "poe_detail": POE,
    "discharge_detail": DISCHARGE,
    "radiology_detail": RADIOLOGY,
} | {table.name: STAYS for table in EMERGENCY if table.name != STAYS}
"""Tables that are left out with another, which says when, or in which visit."""


class Config(Settings):
    """Settings of the source: which tables of events to leave out, by name, such as `chartevents`."""

    leave_out: tuple[str, ...] = ()


def source(folder: Path, config: Config) -> Source:
    """Describe MIMIC-IV.

    Raises:
        ConfigError: if a table to leave out is unknown, needed, or a dictionary.
    """
    optional = [table.name for table in TABLES if not table.required and not table.dictionary]
    for name in config.leave_out:
        if name not in optional:
            raise ConfigError(
                f"expected tables that can be left out in 'leave_out'; got '{name}'{nearest(name, optional)}"
            )
    left_out = set(config.leave_out)
    left_out |= {name for name, other in GOES_WITH.items() if other in left_out}
    tables = tuple(table for table in TABLES if table.name not in left_out)
    return Source(name="MIMIC-IV", tables=tables, subjects=PATIENTS, describe=describe)
