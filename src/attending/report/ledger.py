"""The line ledger as it is shown: what became of every physical line of every file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attending.report.names import sentence

FATES = ("lines", "header", "blank", "accepted", "quarantined", "events")
NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """One file, or the sum of all."""

    name: str
    cells: list[str]
    is_sum: bool = False


@dataclass(frozen=True, kw_only=True)
class LedgerTable:
    """The table, the reasons of what was set aside, and one sentence that sums up."""

    columns: list[str] = field(default_factory=list)
    rows: list[LedgerRow] = field(default_factory=list)
    reasons: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    summary: str = "This source keeps no line ledger."
    sums: dict[str, int] = field(default_factory=dict)
    n_files: int = 0


def ledger_table(ledger: Any) -> LedgerTable:
    """Lay out what `ledger.json` holds; an empty one says so."""
    files = _files(ledger)
    if not files:
        return LedgerTable()
    counts = [_counts(file) for file in files]
    shown = [fate for fate in FATES if any(fate in count for count in counts)]
    sums = {fate: sum(count.get(fate, 0) for count in counts) for fate in shown}
    rows = [
        LedgerRow(name=str(file["file"]), cells=[_text(count.get(fate)) for fate in shown])
        for file, count in zip(files, counts, strict=True)
    ]
    rows.append(LedgerRow(name="All files", cells=[_text(sums[fate]) for fate in shown], is_sum=True))
    return LedgerTable(
        columns=[sentence(fate) for fate in shown],
        rows=rows,
        reasons=[(str(file["file"]), *reason) for file in files for reason in _reasons(file)],
        notes=_notes(ledger),
        summary=_summary(sums),
        sums=sums,
        n_files=len(files),
    )


def _files(ledger: Any) -> list[Mapping[str, Any]]:
    found = ledger.get("files", []) if isinstance(ledger, Mapping) else ledger or []
    if isinstance(found, Mapping):
        found = [{"file": name} | dict(values) for name, values in found.items()]
    return [dict(file) | {"file": file.get("file", file.get("name", "?"))} for file in found]


def _counts(file: Mapping[str, Any]) -> dict[str, int]:
    counts = {}
    for fate in FATES:
        value = file.get(fate)
        if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
            value = sum(count for _, count in _pairs(value))
        if isinstance(value, bool | int):
            counts[fate] = int(value)
    return counts


def _reasons(file: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = file.get("reasons", file.get("quarantined"))
    pairs = _pairs(found) if isinstance(found, Mapping | Sequence) and not isinstance(found, str) else []
    return [(reason, f"{count:,}") for reason, count in sorted(pairs, key=lambda pair: -pair[1]) if count]


def _pairs(values: Any) -> list[tuple[str, int]]:
    if isinstance(values, Mapping):
        return [(str(reason), int(count)) for reason, count in values.items()]
    return [(str(item.get("reason", "?")), int(item.get("lines", item.get("count", 1)))) for item in values]


def _notes(ledger: Any) -> list[str]:
    missing = ledger.get("missing", []) if isinstance(ledger, Mapping) else []
    return [f"Optional tables that the source does not have: {', '.join(map(str, missing))}."] if missing else []


def _summary(sums: Mapping[str, int]) -> str:
    lines = sums.get("lines", 0)
    counted = sum(sums.get(fate, 0) for fate in ("header", "blank", "accepted", "quarantined"))
    if lines != counted:
        return f"Here they do not add up: {lines:,} lines were read, {counted:,} are accounted for."
    return f"Header, blank, accepted and quarantined lines add up to all {lines:,}."


def _text(count: int | None) -> str:
    return NOTHING if count is None else f"{count:,}"
