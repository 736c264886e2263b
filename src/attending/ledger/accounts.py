"""The account of every physical line of every file, as `ledger.json` keeps it.

For each file: `header + accepted + quarantined + blank + not_read == lines`. The lines are counted in the
stream of bytes; what is accepted is counted at the end of the way, in the rows that became events. An ingest
whose sums differ fails. Values set aside from lines that are otherwise good are counted apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from attending.errors import LedgerError
from attending.ledger.quarantine import Tally, total

NOT_READ, ABSENT, METADATA = "not read", "absent", "metadata"


@dataclass(frozen=True, kw_only=True)
class Account:
    """The lines of one file.

    `kinds` says of which kinds the lines were that no table reads; `parsed` how often each rule for values was
    used. `events` are those of tables that are in this file alone.
    """

    file: str
    table: str = ""
    status: str = "read"
    lines: int = 0
    header: int = 0
    accepted: int = 0
    quarantined: Tally = field(default_factory=dict)
    blank: int = 0
    not_read: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    values: Tally = field(default_factory=dict)
    parsed: Tally = field(default_factory=dict)
    missing_columns: list[str] = field(default_factory=list)
    events: int = 0

    @property
    def accounted(self) -> int:
        """The sum of all fates."""
        return self.header + self.accepted + total(self.quarantined) + self.blank + self.not_read


def check(accounts: Sequence[Account]) -> None:
    """Refuse accounts that do not add up.

    Raises:
        LedgerError: naming every file whose lines and fates differ.
    """
    wrong = [account for account in accounts if account.accounted != account.lines]
    if wrong:
        sums = (f"{one.file}: {one.lines} lines, {one.accounted} accounted for" for one in wrong)
        found = "; ".join(sums)
        raise LedgerError(f"the lines of {len(wrong)} files do not add up: {found}; please report this")


def to_json(accounts: Sequence[Account], events: Mapping[str, int]) -> dict[str, Any]:
    """Return what `ledger.json` holds: an entry per file, the events of each table, and the totals."""
    names = ("lines", "header", "accepted", "blank", "not_read")
    totals = {name: sum(getattr(account, name) for account in accounts) for name in names}
    totals["events"] = sum(events.values())
    totals["quarantined"] = sum(total(account.quarantined) for account in accounts)
    totals["values"] = sum(total(account.values) for account in accounts)
    return {"files": [asdict(account) for account in accounts], "tables": dict(events), "totals": totals}
