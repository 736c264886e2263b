"""Random tasks in the ACES language, and random records to ask them of."""

import random
from datetime import datetime, timedelta
from typing import Any

import polars as pl

PREDICATES: dict[str, Any] = {
    "a": {"code": "A"},
    "b": {"code": {"any": ["B", "BB"]}},
    "c": {"code": {"regex": "^C"}},
    "high": {"code": "A", "value_min": 2, "value_min_inclusive": True},
    "a_or_b": {"expr": "or(a, b)"},
    "a_and_c": {"expr": "and(a, c)"},
}
NAMES = [*PREDICATES]


def record(rng: random.Random) -> pl.DataFrame:
    """Return events of a few subjects at whole hours, several at one time among them."""
    rows = []
    for subject in range(1, rng.randint(2, 5)):
        for _ in range(rng.randint(1, 14)):
            at = datetime(2150, 1, 1) + timedelta(hours=rng.randint(0, 20))
            code = rng.choice(["A", "A", "B", "BB", "C1", "C2", "X"])
            rows.append((subject, at, code, float(rng.randint(0, 4))))
        if rng.random() < 0.6:
            rows.append((subject, None, "S", None))
    schema = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").sort("subject_id", "time", maintain_order=True)


def task(rng: random.Random) -> dict[str, Any]:
    """Return a task that es-aces accepts: one to four windows, each counted from what stands before it."""
    points, windows = ["trigger"], {}
    for number in range(rng.randint(1, 4)):
        name = f"w{number}"
        windows[name] = _window(rng, points)
        points += [f"{name}.start", f"{name}.end"]
    last = windows[f"w{number}"]
    last["label"] = rng.choice(NAMES)
    chosen = rng.choice([*windows.values()])
    chosen["index_timestamp"] = rng.choice(["start", "end"])
    made = {"predicates": PREDICATES, "trigger": rng.choice([*NAMES, "_ANY_EVENT"]), "windows": windows}
    if rng.random() < 0.2:
        made["patient_demographics"] = {"fact": {"code": "S"}}
    return made


def _window(rng: random.Random, points: list[str]) -> dict[str, Any]:
    outside, backward = rng.choice(points), rng.random() < 0.4
    root = rng.choice([outside, outside, f"{outside} {_moved(rng, rng.choice('+-'))}"])
    if backward:
        other = rng.choice([None, f"end {_moved(rng, '-', only=True)}", f"end <- {rng.choice(NAMES)}"])
        bounds = {"start": other, "end": root}
    else:
        other = rng.choice([None, f"start {_moved(rng, '+', only=True)}", f"start -> {rng.choice(NAMES)}"])
        bounds = {"start": root, "end": other}
    has = {rng.choice([*NAMES, "_ANY_EVENT"]): rng.choice(["(1, None)", "(None, 2)", "(0, 3)", "(2,)"])}
    return bounds | {
        "start_inclusive": rng.random() < 0.5,
        "end_inclusive": rng.random() < 0.5,
        "has": has if rng.random() < 0.4 else {},
    }


def _moved(rng: random.Random, sign: str, *, only: bool = False) -> str:
    if not only and rng.random() < 0.5:
        return f"{'->' if sign == '+' else '<-'} {rng.choice(NAMES)}"
    return f"{sign} {rng.randint(1, 8)}h"
