"""What the codes of the data mean: how many have a name, a place in a hierarchy, a group; how many are unmapped."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from attending.ontology import terms
from attending.report.names import kind_name
from attending.schema import SEPARATOR

_MOST_FAMILIES = 15


@dataclass(frozen=True, kw_only=True)
class CoverageTable:
    """A row for each family of codes, those with most events first; the last row is the sum."""

    rows: list[tuple[str, list[str]]] = field(default_factory=list)
    unmapped: str = ""


def coverage_table(codes: pl.DataFrame) -> CoverageTable:
    """Lay out the coverage of `codes`, an events artifact's `codes.parquet`."""
    if not codes.height:
        return CoverageTable()
    found = terms.coverage(codes)
    rest = found[_MOST_FAMILIES:]
    rows = [_row(_name(str(one["family"])), [one]) for one in found[:_MOST_FAMILIES].to_dicts()]
    if rest.height:
        rows.append(_row(f"{rest.height} other families", rest.to_dicts()))
    rows.append(_row("All codes", found.to_dicts()))
    n, events, all_events = (int(found[name].sum()) for name in ("unmapped", "events_unmapped", "events"))
    share = f"{events / all_events:.1%} of events" if all_events else "no event"
    return CoverageTable(rows=rows, unmapped=f"{n:,} codes, {share}")


def _name(family: str) -> str:
    kind, *system = family.split(SEPARATOR)
    return ", ".join([kind_name(kind), " ".join(system)]) if system else kind_name(kind)


def _row(name: str, families: Sequence[dict[str, int]]) -> tuple[str, list[str]]:
    sums = {key: sum(one[key] or 0 for one in families) for key in ("codes", "events")}
    cells = [f"{sums['codes']:,}", f"{sums['events']:,}"]
    for kind in ("described", "with_parent", "grouped", "unmapped"):
        events = sum(one[f"events_{kind}"] or 0 for one in families)
        cells.append(_share(events, sums["events"]))
    return name, cells


def _share(part: int, whole: int) -> str:
    if not whole:
        return "–"
    share = part / whole
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
