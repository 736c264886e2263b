"""Settings of the simulator."""

from typing import Literal

from pydantic import Field

from attending.config import Settings

BLOCK = 2_000
"""Subjects are drawn this many at a time, whatever their number: a prefix of a cohort is the smaller cohort."""


class Config(Settings):
    """A simulated cohort: how many subjects, from which seed, with or without order in time."""

    n_subjects: int = Field(default=5_000, ge=1, le=5_000_000)
    """How many subjects; the first of them are the same for every number."""
    seed: int = Field(default=0, ge=0)
    """The seed of the whole cohort."""
    shuffle: Literal["none", "subject", "cohort"] = "none"
    """Null mode: deal out what happened among the visits of each `subject`, so that order in time says nothing
    (histories still tell subjects apart), or among the visits of the whole `cohort`, block by block of 2,000 subjects,
    so that nothing can be told."""
