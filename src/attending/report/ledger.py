"""The line ledger as it is shown: what became of every physical line of every file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attending.ledger.accounts import ABSENT, NOT_READ
from attending.ledger.quarantine import Tally, add
from attending.report.names import sentence

FATES = ("header", "blank", "accepted", "quarantined", "not_read")
COLUMNS = ("lines", *FATES, "events")
Entry = Mapping[str, Any]
_MOST_FILES = 60


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """One file, or the sum of all."""

    name: str
    cells: list[str]
    is_sum: bool = False


@dataclass(frozen=True, kw_only=True)
class LedgerTable:
    """The table, the reasons of what was set aside, the rules for values, and one sentence that sums up."""

    columns: list[str] = field(default_factory=list)
    rows: list[LedgerRow] = field(default_factory=list)
    reasons: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    summary: str = "This source keeps no line ledger."
    sums: dict[str, int] = field(default_factory=dict)
    values: list[tuple[str, str]] = field(default_factory=list)
    n_files: int = 0


def ledger_table(ledger: Mapping[str, Any]) -> LedgerTable:
    """Lay out what `ledger.json` holds; an empty one says so."""
    entries: list[Entry] = ledger.get("files", [])
    read = [entry for entry in entries if entry.get("status") not in (ABSENT, NOT_READ)]
    if not read:
        return LedgerTable()
    files = read if len(read) <= _MOST_FILES else _by_table(read)
    counts = [_counts(file) for file in files]
    sums = _sum([_counts(entry) for entry in entries])
    sums["events"] = int(ledger.get("totals", {}).get("events", sums["events"]))
    shown = [name for name in COLUMNS if name != "not_read" or sums[name]]
    rows = [
        LedgerRow(name=file["file"], cells=_cells(count, shown))
        for file, count in zip(files, counts, strict=True)
    ]
    unread = [_counts(entry) for entry in entries if entry.get("status") == NOT_READ]
    if unread:
        rows.append(LedgerRow(name=f"{len(unread)} other files, not read", cells=_cells(_sum(unread), shown)))
    rows.append(LedgerRow(name="All files", cells=_cells(sums, shown), is_sum=True))
    return LedgerTable(
        columns=[sentence(name) for name in shown],
        rows=rows,
        reasons=[(file["file"], *reason) for file in files for reason in _reasons(file)],
        notes=_notes(entries),
        summary=_summary(sums),
        sums=sums,
        n_files=len(read),
        values=_values(read),
    )


def _by_table(files: Sequence[Entry]) -> list[Entry]:
    """Add up the files of each table, for sources of more files than a person reads."""
    tables: dict[str, list[Entry]] = {}
    for file in files:
        tables.setdefault(file.get("table", "") or "several tables", []).append(file)
    return [_together(table, group) for table, group in tables.items()]


def _together(table: str, files: Sequence[Entry]) -> Entry:
    plain = [name for name in COLUMNS if name != "quarantined"]
    return {name: sum(int(file.get(name, 0)) for file in files) for name in plain} | {
        "file": f"{len(files)} files of {table}" if len(files) > 1 else files[0]["file"],
        "quarantined": add(file.get("quarantined", {}) for file in files),
        "values": add(file.get("values", {}) for file in files),
    }


def _values(files: Sequence[Entry]) -> list[tuple[str, str]]:
    """Return how often each rule for written values was used."""
    rules = add(file.get("parsed", {}) for file in files)
    return [(rule, f"{sum(columns.values()):,}") for rule, columns in rules.items()]


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {name: sum(count[name] for count in counts) for name in COLUMNS}


def _cells(counts: Mapping[str, int], shown: Sequence[str]) -> list[str]:
    return [f"{counts[name]:,}" for name in shown]


def _counts(file: Entry) -> dict[str, int]:
    counts = {name: int(file.get(name, 0)) for name in COLUMNS if name != "quarantined"}
    return counts | {"quarantined": sum(n for _, _, n in _flat(file.get("quarantined", {})))}


def _flat(tally: Tally) -> list[tuple[str, str, int]]:
    return [(reason, column, n) for reason, columns in tally.items() for column, n in columns.items()]


def _reasons(file: Entry) -> list[tuple[str, str]]:
    """Return why lines, then why single values, were set aside, and how many."""
    found = []
    for kind in ("quarantined", "values"):
        noun = "line" if kind == "quarantined" else "value"
        for reason, column, n in sorted(_flat(file.get(kind, {})), key=lambda one: (-one[2], one[:2])):
            where = f" in {column}" if column else ""
            found.append((f"{reason}{where}", f"{n:,} {noun}{'' if n == 1 else 's'}"))
    return found


def _notes(entries: Sequence[Entry]) -> list[str]:
    absent = [entry["file"] for entry in entries if entry.get("status") == ABSENT]
    unread = [entry["file"] for entry in entries if entry.get("status") == NOT_READ]
    missing = [
        f"{entry['file']} ({', '.join(entry['missing_columns'])})"
        for entry in entries
        if entry.get("missing_columns")
    ]
    notes = [f"Optional files that the source does not have: {', '.join(absent)}."] if absent else []
    notes += [f"Files that no table of this source needs: {', '.join(unread)}."] if unread else []
    return notes + ([f"Columns that files do not have: {'; '.join(missing)}."] if missing else [])


def _summary(sums: Mapping[str, int]) -> str:
    counted = sum(sums[fate] for fate in FATES)
    if sums["lines"] != counted:
        return f"Here they do not add up: {sums['lines']:,} lines were read, {counted:,} are accounted for."
    return f"Whatever their fate, they add up to all {sums['lines']:,} lines."
