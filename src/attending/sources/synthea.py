"""Synthea: the CSV export of the synthetic patient generator, complete or partial, any version.

Needs `patients`; every other table may be absent: encounters, conditions, medications, observations, procedures,
immunizations, allergies, careplans, devices, supplies, imaging_studies. What becomes which event is said in
`synthea.yaml` beside this file, in the language of `docs/data/tables.md`. Identifiers are UUIDs, which become
integers. The rules for time:

    visits         every event of a row carries the encounter it names, whether there is an encounters table or not;
                   the ends of conditions, medications, care plans and devices lie in no visit
    dates alone    older exports write dates only: the last second of that day, or the end of the encounter that
                   ends on it
    conditions     with allergies and care plans, are recorded in an encounter: they happen in it even where they
                   began before it, and are known at its end; without an encounters table, at the end of their day
    observations   happen and are known at their time; Synthea has no time of a result
    birth, death   the first second of the day of birth, the last of the day of death

Names, addresses, costs, payers, providers and organizations are not read, nor is the marital status, which is that
of the day of the export.
"""

from pathlib import Path

from attending.config import Settings
from attending.ledger.table import Source
from attending.mapping.files import described
from attending.mapping.source import read


class Config(Settings):
    """Settings of the source: none."""


def source(folder: Path, config: Config) -> Source:
    """Describe Synthea's export."""
    return described(read(Path(__file__).with_suffix(".yaml")), folder)
