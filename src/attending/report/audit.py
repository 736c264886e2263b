"""What the checks against leakage found, as the report shows it: verdict, evidence and what to do, a line each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

WORDS = {"passed": "passed", "failed": "failed", "not_applicable": "does not apply", "not_run": "not run"}
STYLES = {"passed": "no", "failed": "yes"}  # the style sheet's colours of good and bad
FILE = "audit.json"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One check."""

    claim: str
    verdict: str
    style: str
    evidence: str
    advice: str


@dataclass(frozen=True, kw_only=True)
class AuditTable:
    """A sentence that sums up, and a row a check."""

    summary: str = ""
    rows: list[Row] = field(default_factory=list)


def audit_table(found: Mapping[str, Mapping[str, str]]) -> AuditTable:
    """Lay out what `audit.json` holds; nothing where no audit was made."""
    rows = [
        Row(
            claim=one["claim"],
            verdict=WORDS[one["verdict"]],
            style=STYLES.get(one["verdict"], ""),
            evidence=one["evidence"][:1].upper() + one["evidence"][1:],
            advice=one["advice"],
        )
        for one in found.values()
    ]
    n_failed = sum(row.verdict == WORDS["failed"] for row in rows)
    n_passed = sum(row.verdict == WORDS["passed"] for row in rows)
    summary = (
        f"{n_failed} of {len(rows)} checks found a leak: the numbers of this report cannot be believed as they stand."
        if n_failed
        else f"{n_passed} of {len(rows)} checks passed, none found a leak."
    )
    return AuditTable(summary=summary, rows=rows) if rows else AuditTable()
