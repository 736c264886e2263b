"""Ingest every shared data set and count, by family of codes, what the terminology knows of them.

    python benchmarks/terminology.py DATA [--only NAME] [--write]

DATA is the folder of the sets (`shared/data`). `--write` keeps the tables in `benchmarks/results/terminology.md`.
"""

import argparse
import contextlib
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from measuring import machine
from polars import col

from attending.cli.main import main as attending
from attending.ontology import gem, icd, icd_tree, terms
from attending.ontology._codes import BARE, SYSTEM, parsed
from attending.ontology.icd_tree import ICD9CM, ICD10CM

SETS = {
    "mimic-iv-demo": "mimic4",
    "mimic-iv-demo-meds": "meds",
    "mimic-iv-demo-omop": "omop",
    "mimic-iii-demo": "mimic3",
    "eicu-demo": "eicu",
    "synpuf": "synpuf",
    "diabetes130": "diabetes130",
    "synthea-csv-1000": "synthea",
    "synthea-csv-27": "synthea",
    "synthea-fhir-r4": "fhir",
    "physionet2012": "physionet2012",
}
GEMS: dict[str, gem.Direction] = {ICD9CM: "icd9_to_icd10", ICD10CM: "icd10_to_icd9"}


def codes_of(source: str, folder: Path, out: Path) -> pl.DataFrame:
    """Ingest a set and return its codes, with the source's own names and parents."""
    words = io.StringIO()
    with contextlib.redirect_stderr(words), contextlib.redirect_stdout(words):
        failed = attending(["ingest", source, str(folder), str(out), "--workers", "2"])
    if failed:
        raise SystemExit(words.getvalue())
    return pl.read_parquet(out / "metadata" / "codes.parquet")


def share(part: int, whole: int) -> str:
    """Return a share in percent, or nothing of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    titles = list(head)
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows]) + "\n"


def families(name: str, found: pl.DataFrame) -> list[list[object]]:
    """Return the rows of one set: families that anything is known of, or of which something is unmapped."""
    some = found.filter(pl.any_horizontal(col("described", "with_parent", "grouped", "unmapped") > 0))
    rows: list[list[object]] = []
    for row in some.iter_rows(named=True):
        cells = [
            share(row[f"events_{one}"], row["events"]) for one in ("described", "with_parent", "grouped")
        ]
        unmapped = f"{row['unmapped']:,} ({row['events_unmapped']:,})"
        rows.append([name, f"`{row['family']}`", f"{row['codes']:,}", f"{row['events']:,}", *cells, unmapped])
    rest = found.join(some, on="family", how="anti")
    if rest.height:
        n_codes, n_events = rest["codes"].sum(), rest["events"].sum()
        label = f"{rest.height} others, whose codes are words"
        rows.append([name, label, f"{n_codes:,}", f"{n_events:,}", "", "", "", "0 (0)"])
    return rows


def exactness(name: str, codes: pl.DataFrame) -> list[list[object]]:
    """Return, of the diagnoses of one set, how many are in the tables themselves, not only by their prefix."""
    rows: list[list[object]] = []
    parts = parsed(codes["code"]).join(codes.select("code", "n_events"), on="code")
    for system in (ICD9CM, ICD10CM):
        held = parts.filter(col(SYSTEM) == system).group_by(BARE).agg(col("n_events").sum())
        bare = held[BARE].to_list()
        if not bare:
            continue
        mapped = gem.pairs(GEMS[system]).filter(~col(gem.NO_MAP))[gem.SOURCE].unique().implode()
        tests = {
            "titled": [icd_tree.title(system, one) is not None for one in bare],
            "billable": [one in set_of(system) for one in bare],
            "listed": [icd.is_listed(system, one) for one in bare],
            "grouped": [icd.nearest_group(system, one) is not None for one in bare],
            "mapped": held[BARE].is_in(mapped).to_list(),
        }
        rows.append([name, system, f"{len(bare):,}", *(share(sum(one), len(bare)) for one in tests.values())])
    return rows


def set_of(system: icd_tree.System) -> frozenset[str]:
    """Return the billable codes of a classification."""
    if system not in _BILLABLE:
        _BILLABLE[system] = frozenset(icd_tree.codes(system))
    return _BILLABLE[system]


_BILLABLE: dict[str, frozenset[str]] = {}


def main() -> None:
    """Print both tables, and keep them if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=SETS)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    by_family: list[list[object]] = []
    by_system: list[list[object]] = []
    for name, source in SETS.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as work:
                codes = codes_of(source, options.data / name, Path(work) / "events")
            by_family += families(name, terms.coverage(codes))
            by_system += exactness(name, codes)
            print(f"{name}: {codes.height:,} codes", flush=True)
    head = (
        "set",
        "family",
        "codes",
        "events",
        "described",
        "with a parent",
        "grouped",
        "unmapped codes (events)",
    )
    exact = (
        "set",
        "system",
        "diagnoses",
        "titled",
        "billable",
        "in CCS/CCSR",
        "by prefix too",
        "in the GEMs",
    )
    text = (
        f"# What the terminology knows of the shared sets\n\n{machine()}\n\n"
        "No file of the user's own. Shares are of events.\n\n"
        f"{table(head, by_family)}\nShares of distinct diagnoses:\n\n{table(exact, by_system)}"
    )
    print(text)
    if options.write:
        (Path(__file__).parent / "results" / "terminology.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.nice(5)
    main()
