"""Run tasks through es-aces, in the environment that it is installed in; `aces.py` beside this file starts it.

python es_aces.py TASK.yaml OUT.parquet SHARD.parquet …      prints what it took, as JSON
python es_aces.py --cases CASES.json OUT.json                many small tasks, each with its own shard
"""

import json
import logging
import sys
import time
from pathlib import Path

import polars as pl
from aces.config import TaskExtractorConfig
from aces.predicates import get_predicates_df
from aces.query import query
from omegaconf import DictConfig

COLUMNS = {
    "subject_id": pl.Int64,
    "trigger": pl.Datetime("us"),
    "index_timestamp": pl.Datetime("us"),
    "label": pl.Int64,
}


def rows(task: str, shard: str) -> pl.DataFrame:
    """Return every realisation of a task in a shard; the settings are read anew, for a query changes them."""
    config = TaskExtractorConfig.load(Path(task))
    found = query(config, get_predicates_df(config, DictConfig({"path": shard, "standard": "meds"})))
    if found.is_empty():
        return pl.DataFrame(schema=COLUMNS)
    return found.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())


def cases(path: str, out: str) -> None:
    """Answer each case with its rows, or with the name of the error."""
    answers = []
    for case in json.loads(Path(path).read_text()):
        try:
            found = rows(case["task"], case["shard"]).with_columns(pl.col(pl.Datetime).dt.epoch("us"))
            answers.append([list(row) for row in found.rows()])
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
    Path(out).write_text(json.dumps(answers))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "--cases":
        cases(*sys.argv[2:])
    else:
        started, before = time.perf_counter(), time.process_time()
        pl.concat([rows(sys.argv[1], shard) for shard in sys.argv[3:]]).write_parquet(sys.argv[2])
        status = Path("/proc/self/status").read_text()  # getrusage has the parent's peak
        peak = int(status.partition("VmHWM:")[2].split()[0])
        cost = {"wall": time.perf_counter() - started, "cpu": time.process_time() - before}
        print(json.dumps(cost | {"peak_mb": peak / 1024}))
