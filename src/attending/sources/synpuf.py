"""CMS DE-SynPUF: synthetic Medicare claims of 2008 to 2010, whichever files and samples are there.

Beneficiary summaries of each year, inpatient, outpatient and carrier claims, prescription drug events, as `.csv` or
`.csv.gz`, in one folder or one a sample. What becomes which event is said in `synpuf.yaml` beside this file, in the
language of `docs/data/tables.md`. The identifiers of beneficiaries are text, which becomes integers; a claim is a
visit, whose number is the claim's. The rules for time:

    dates          have no time of day: they stand for their last second
    claims         diagnoses, procedures and payments happen on the last day of the claim and are known then (the
                   through date); real claims reach a payer weeks later. The admitting diagnosis happens at admission
                   and is known with the rest. Admission and discharge are known when they happen
    chronic flags  the eleven flags of a year, end-stage renal disease and the year's payments happen, and are known,
                   at the end of that year: they were made from all claims of the year. In the year of a death they
                   happen at the death and are known at the end of the year
    birth, death   the data give the month: its first day

A second segment of a claim continues the first: its codes are read, its admission is not counted twice. A flag that
is not set gives no event. Sex and race are static facts; the state, the county and the months of coverage, providers
and the parts of a payment are not read.
"""

from pathlib import Path

from attending.config import Settings
from attending.ledger.table import Source
from attending.mapping.files import described
from attending.mapping.source import read


class Config(Settings):
    """Settings of the source: none."""


def source(folder: Path, config: Config) -> Source:
    """Describe the claims."""
    return described(read(Path(__file__).with_suffix(".yaml")), folder)
