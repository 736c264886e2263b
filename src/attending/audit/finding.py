"""What a check found: a verdict, one line of evidence that holds counts only, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "not_applicable", "not_run"]
FEWEST = 11  # smaller counts are not told


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A verdict, the evidence in words, and advice where something is to be done."""

    verdict: Verdict
    evidence: str
    advice: str = ""


def passed(evidence: str) -> Finding:
    """Return that a check found no leak."""
    return Finding(verdict="passed", evidence=evidence)


def failed(evidence: str, advice: str) -> Finding:
    """Return that a check found a leak, and what to do."""
    return Finding(verdict="failed", evidence=evidence, advice=advice)


def not_applicable(reason: str) -> Finding:
    """Return that a study has nothing that a check could look at."""
    return Finding(verdict="not_applicable", evidence=reason)


def not_run(reason: str, advice: str = "") -> Finding:
    """Return that a check was not made."""
    return Finding(verdict="not_run", evidence=reason, advice=advice)


def number(count: int, noun: str) -> str:
    """Return a count with its noun, a small one only as such: "fewer than 11 subjects"."""
    if count == 0:
        return f"no {noun}"
    return f"fewer than {FEWEST} {noun}s" if count < FEWEST else f"{count:,} {noun}s"
