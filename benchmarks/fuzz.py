"""What became of damaged files, as Markdown: by format, how many were damaged, how many refused, in how many ingests.

    ATTENDING_FUZZ_TALLY=tally.json make fuzz
    python benchmarks/fuzz.py tally.json [--write]

The tests fail where a damaged file stops the process, loses a line, changes another table, or is told a value of; so
there is a row here only for what held. `--write` appends the table to `benchmarks/results/fuzz.md`.
"""

import argparse
import json
from pathlib import Path

from measuring import machine

RESULTS = Path(__file__).parent / "results" / "fuzz.md"
COUNTS = ("damaged", "refused", "ingests", "seconds")


def table(tally: list[dict[str, object]]) -> str:
    """Return the Markdown table, a line a format."""
    lines = [
        "| format | folders | damaged files | refused | ingests | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(str(one["format"]) for one in tally):
        own = [one for one in tally if one["format"] == kind]
        folders = len(own)
        counted = (f"{sum(float(str(one[name])) for one in own):,.0f}" for name in COUNTS)
        lines.append(f"| {kind} | {folders} | {' | '.join(counted)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and keep it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tally", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = options.tally.read_text(encoding="utf-8").splitlines()
    text = f"{machine()}\n\n{table([json.loads(line) for line in lines])}"
    print(text)
    if options.write:
        old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Damaged files\n"
        RESULTS.write_text(f"{old}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
