"""Diabetes 130-US hospitals, 1999 to 2008 (UCI): one line an encounter, without dates.

Needs `diabetic_data.csv`. What becomes which event is said in `diabetes130.yaml` beside this file, in the language
of `docs/data/tables.md`; it writes admission types, sources and dispositions as words, after `IDs_mapping.csv`,
which is not read. `?` is a missing value. The rules for time:

    pseudo-dates   the data give the order of a patient's encounters (`encounter_id`) and days in hospital, nothing
                   else. The n-th encounter of a patient is admitted at noon, n - 1 times 365 days after 1 January
                   2000, and discharged `time_in_hospital` days later. Intervals between encounters mean nothing:
                   take no question from this source that asks when
    at admission   its type and source, age, payer, specialty, the visits of the year before
    at discharge   diagnoses, results, medications and their changes, counts: the file sums an encounter up. A
                   discharge to 11, 19, 20 or 21 is a death
    afterwards     whether the patient was readmitted within 30 days is known 30 days after the discharge. Whether it
                   happened later, or never, would be known years later and gives no event
    birth          the middle of the ten years of age, counted back from the first encounter
"""

from pathlib import Path

from attending.config import Settings
from attending.ledger.table import Source
from attending.mapping.files import described
from attending.mapping.source import read


class Config(Settings):
    """Settings of the source: none."""


def source(folder: Path, config: Config) -> Source:
    """Describe the file of encounters."""
    return described(read(Path(__file__).with_suffix(".yaml")), folder)
