"""CPU-seconds of the count matrix, beside a plain polars group-by on the same events.

    attending simulate RAW --subjects 100000 --layout meds
    attending ingest meds RAW EVENTS
    attending label next_diagnoses EVENTS LABELS task.visits=last
    attending tokenize EVENTS TOKENS
    python benchmarks/counts.py EVENTS TOKENS LABELS [--write]

The matrix holds one row a sample: counts of all codes and value bins in three windows and in the last visit, recency at
three rates, and last, lowest, highest value and slope of numeric codes. That is more than the three windows and two
aggregations (count, sum of values) that polars computes, which ends in a long frame, not a matrix. Imports are left out
of both.
"""

import argparse
import time
from pathlib import Path

from measuring import machine, measure

WINDOWS = (30.0, 365.0, 36_525.0)
RESULTS = Path(__file__).parent / "results" / "counts.md"


def matrix(tokens: str, labels: str) -> dict[str, object]:
    """Gather every sample and build its features; return the size and the CPU-seconds."""
    import numpy as np
    import polars as pl
    import torch

    from attending.data.batches import Config, Loader
    from attending.data.samples import find_samples
    from attending.nn.counts.features import Layout, value_of_token
    from attending.nn.counts.matrix import count_matrix
    from attending.schema import CODE, OUTCOME
    from attending.stages.label import read_labels, read_outcomes
    from attending.stages.tokenize import read_vocabulary
    from attending.stages.train import Rereadable
    from attending.tokens.store import TokenStore

    torch.set_num_threads(1)
    store = TokenStore.open(Path(tokens))
    codes: pl.Series = read_vocabulary(Path(tokens)).table[CODE]
    code_of_token = torch.from_numpy(codes.rank("dense").to_numpy().astype(np.int64) - 1)
    layout = Layout(
        windows=WINDOWS, decays=(30.0, 180.0, 1000.0), value_of_token=value_of_token(code_of_token)
    )
    samples = find_samples(store, read_labels(Path(labels)), read_outcomes(Path(labels))[OUTCOME].to_list())
    loader = Loader(store=store, samples=samples, config=Config())
    before = time.process_time()
    x, _ = count_matrix(Rereadable(loader, np.arange(len(samples))), layout)
    return {"rows": x.shape[0], "columns": x.shape[1], "entries": x.nnz, "cpu": time.process_time() - before}


def grouped(events: str, labels: str) -> dict[str, object]:
    """Count codes and add up values in three windows by one polars group-by on the same events."""
    import polars as pl

    from attending.schema import AVAILABLE_TIME, CODE, NUMERIC_VALUE, PREDICTION_TIME, SUBJECT_ID
    from attending.stages.label import read_labels

    samples = read_labels(Path(labels)).lazy().select(SUBJECT_ID, PREDICTION_TIME)
    before = time.process_time()
    ago = pl.col(PREDICTION_TIME) - pl.col(AVAILABLE_TIME)
    aggregations = []
    for window in WINDOWS:
        inside = ago <= pl.duration(days=window)
        aggregations += [
            inside.sum().alias(f"count_{window:g}"),
            pl.col(NUMERIC_VALUE).filter(inside).sum().alias(f"sum_{window:g}"),
        ]
    frame = (
        pl.scan_parquet(f"{events}/data/*.parquet")
        .select(SUBJECT_ID, CODE, NUMERIC_VALUE, AVAILABLE_TIME)
        .join(samples, on=SUBJECT_ID)
        .filter(pl.col(AVAILABLE_TIME) <= pl.col(PREDICTION_TIME))
        .group_by(SUBJECT_ID, CODE)
        .agg(aggregations)
        .collect()
    )
    return {
        "rows": frame.height,
        "columns": 6,
        "entries": frame.height * 6,
        "cpu": time.process_time() - before,
    }


def main() -> None:
    """Measure both once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events")
    parser.add_argument("tokens")
    parser.add_argument("labels")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = ["| what | rows | columns | entries | CPU s | peak MB |", "|---|---|---|---|---|---|"]
    steps = (("count matrix", matrix, options.tokens), ("polars group-by", grouped, options.events))
    for name, step, folder in steps:
        cost = measure(step, folder, options.labels)
        found: dict[str, float] = cost.value  # type: ignore[assignment]
        sizes = " | ".join(f"{found[key]:,}" for key in ("rows", "columns", "entries"))
        lines.append(f"| {name} | {sizes} | {found['cpu']:.1f} | {cost.peak_mb:,.0f} |")
    text = (
        f"\n{machine()}\n\n`python benchmarks/counts.py EVENTS TOKENS LABELS`\n\n" + "\n".join(lines) + "\n"
    )
    print(text)
    if options.write:
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# The count matrix, timed\n"
        RESULTS.write_text(before + text, encoding="utf-8")


if __name__ == "__main__":
    main()
