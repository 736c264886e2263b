"""What an export is given: one shard at a time, then the whole.

An export is a file `exports/NAME.py` with `Config`, `write(events, part, config) -> rows by file`, a pure function
of one shard, and `finish(whole, config)`, which writes what all shards share.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Whole:
    """An events artifact, and the folder that its export is written to."""

    events: Path
    out: Path


@dataclass(frozen=True, kw_only=True)
class Part(Whole):
    """One shard of it: its number, and how many events there are in the shards before, for ids that are unique."""

    number: int
    first_event: int
