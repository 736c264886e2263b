"""Compare our executor of the ACES language with es-aces: every row of every task, and what each costs.

    python benchmarks/conformance/aces.py --data ../shared/data/mimic-iv-demo-meds [--simulated FOLDER] [--random 2000]

es-aces is installed once into `.environments/es-aces` beside this file, with its own pins. Both read the same shards,
one process each; `--simulated` is a folder made by `attending simulate FOLDER --layout meds`. Prints `results/aces.md`.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import random_tasks
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))
from measuring import machine, measure

from attending.mapping.place import Place
from attending.tasks import aces
from attending.tasks._aces import executor, language, record

HERE = Path(__file__).parent
TASKS = HERE.parent.parent / "studies" / "tasks"
PACKAGE = "es-aces==0.7.3"
SIMULATED = ("inhospital_mortality", "imminent_mortality", "readmission")
KEYS = ["subject_id", "trigger", "index_timestamp"]


def python() -> str:
    """Return the Python of the environment that holds es-aces, made if it is not there."""
    folder = HERE / ".environments" / "es-aces"
    found = folder / "bin" / "python"
    if not (folder / "ready").exists():
        folder.parent.mkdir(exist_ok=True)
        (folder.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(found), "-m", "pip", "install", "--quiet", PACKAGE], check=True)
        (folder / "ready").touch()
    return str(found)


def ours(task: str, shards: list[str]) -> tuple[pl.DataFrame, float]:
    """Return every realisation of a task, at the level of triggers, as es-aces does; and the peak memory."""
    config = aces.Config(path=Path(task))
    asked, columns = aces.parse(config), aces.columns(config)
    return pl.concat([_rows(asked, _read(shard, columns)) for shard in shards]), _peak()


def labelled(task: str, shards: list[str]) -> float:
    """Label all shards as the stage does, every column read; return the peak memory."""
    config = aces.Config(path=Path(task))
    for shard in shards:
        aces.label(pl.read_parquet(shard), config)
    return _peak()


def _peak() -> float:
    """Return this process's peak memory in MB; getrusage would have that of the process that started it."""
    return int(Path("/proc/self/status").read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) / 1024


def _read(shard: str, columns: list[str]) -> pl.DataFrame:
    return pl.read_parquet(shard, columns=[one for one in pl.read_parquet_schema(shard) if one in columns])


def _rows(task: language.Task, events: pl.DataFrame) -> pl.DataFrame:
    found = record.read(events, task)
    samples, _ = executor.realize(found, task)
    (counts,) = samples.measures.values()
    frame = pl.DataFrame(
        {
            "subject_id": found.subjects[samples.subjects],
            "trigger": samples.trigger,
            "index_timestamp": samples.index,
            "label": counts,
        }
    )
    return frame.cast({"trigger": pl.Datetime("us"), "index_timestamp": pl.Datetime("us"), "label": pl.Int64})


def theirs(task: Path, shards: list[str], folder: str) -> tuple[pl.DataFrame, dict[str, float]]:
    """Return es-aces' rows and what they cost; rows without any time are left out."""
    out = Path(folder) / f"{task.stem}.parquet"
    command = [python(), "-P", str(HERE / "es_aces.py"), str(task), str(out), *shards]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return pl.read_parquet(out).drop_nulls(KEYS), json.loads(done.stdout)


def compare(tasks: list[Path], shards: list[str]) -> list[str]:
    """Return a table: rows, rows that differ, positives, memory and CPU of both."""
    lines = [
        "| task | rows | yes | differ | peak MB: es-aces | ours | ours, all columns | CPU s: es-aces | ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks:
            cost = measure(ours, str(task), shards)
            whole = measure(labelled, str(task), shards).value
            assert isinstance(cost.value, tuple)
            mine, peak = cost.value
            other, took = theirs(task, shards, folder)
            binary = [one.with_columns(pl.col("label") > 0) for one in (mine, other)]
            differ = sum(
                a.join(b, on=[*KEYS, "label"], how="anti").height for a, b in (binary, reversed(binary))
            ) + abs(mine.height - other.height)
            counts = f"{mine.height:,} | {(mine['label'] > 0).sum():,} | {differ}"
            memory = f"{took['peak_mb']:,.0f} | {peak:,.0f} | {whole:,.0f}"
            lines.append(f"| {task.stem} | {counts} | {memory} | {took['cpu']:.1f} | {cost.cpu:.1f} |")
    return lines


def at_random(number: int, seed: int = 0) -> Counter[str]:
    """Return how many of `number` random tasks, each on a random record, give the same rows."""
    answers: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        made, cases = [], []
        for one in range(number):
            rng = random.Random(seed + one)  # noqa: S311 - no secret
            task, events = random_tasks.task(rng), random_tasks.record(rng)
            files = {"task": f"{folder}/{one}.yaml", "shard": f"{folder}/{one}.parquet"}
            Path(files["task"]).write_text(yaml.safe_dump(task), encoding="utf-8")
            events.write_parquet(files["shard"])
            made.append((task, events))
            cases.append(files)
        path, out = Path(folder) / "cases.json", Path(folder) / "out.json"
        path.write_text(json.dumps(cases), encoding="utf-8")
        subprocess.run([python(), "-P", str(HERE / "es_aces.py"), "--cases", str(path), str(out)], check=True)
        for (task, events), other in zip(made, json.loads(out.read_text()), strict=True):
            _judge(task, events, other, answers)
    return answers


def _judge(task: dict[str, Any], events: pl.DataFrame, other: Any, answers: Counter[str]) -> None:  # noqa: ANN401
    if isinstance(other, str):
        answers["refused by es-aces"] += 1
        return
    kept = sorted(tuple(row) for row in other if None not in row[:3])
    answers["rows of es-aces without a time"] += len(other) - len(kept)
    turned = _turned(task)
    found = _rows(language.read(turned or task, Place("task", {})), events)
    mine = sorted(found.with_columns(pl.col("trigger", "index_timestamp").dt.epoch("us")).rows())
    same = "the same, with the prediction time at the other end" if turned else "the same"
    answers[same if mine == kept else "DIFFERENT"] += 1
    answers["rows compared"] += len(mine)


def _turned(task: dict[str, Any]) -> dict[str, Any] | None:
    """Return the task with its prediction at the other end of the window, where es-aces reports that one.

    In a window whose start is counted back from its end by a span of time, es-aces 0.7.3 gives the start as the end and
    the end as the start; counts and labels are right.
    """
    name, window = next((n, w) for n, w in task["windows"].items() if "index_timestamp" in w)
    if not str(window["start"]).startswith("end -"):
        return None
    other = {"start": "end", "end": "start"}[window["index_timestamp"]]
    return task | {"windows": task["windows"] | {name: window | {"index_timestamp": other}}}


def main() -> None:
    """Run what the options ask for, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--simulated", type=Path)
    parser.add_argument("--random", type=int, default=0)
    options = parser.parse_args()
    versions = "import polars, importlib.metadata as m; print(m.version('es-aces'), 'with polars', polars.__version__)"
    other = subprocess.run(
        [python(), "-c", versions], check=True, capture_output=True, text=True
    ).stdout.strip()
    print(f"{machine()}; es-aces {other}\n\n`python {' '.join(sys.argv)}`")
    for folder, names in ((options.data, None), (options.simulated, SIMULATED)):
        if folder is not None:
            tasks = [path for path in sorted(TASKS.glob("*.yaml")) if names is None or path.stem in names]
            shards = [str(path) for path in sorted(folder.glob("data/**/*.parquet"))]
            print(f"\n{folder.name}: {len(shards)} shards\n")
            print("\n".join(compare(tasks, shards)), flush=True)
    if options.random:
        counts = at_random(options.random)
        print("\n" + ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
