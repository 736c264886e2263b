"""Tasks in the ACES language in few words, and a plain reading of them to compare with."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl

from attending.tasks import aces

CODES = {"admission": "ADM", "discharge": "DIS", "death": "MEDS_DEATH", "lab": "LAB"}


def window(start: str | None, end: str | None, closed: str = "both", **more: Any) -> dict[str, Any]:
    """Return a window; `closed` says which ends it holds."""
    inclusive = {"start_inclusive": closed in ("both", "left"), "end_inclusive": closed in ("both", "right")}
    return {"start": start, "end": end} | inclusive | more


def task(windows: dict[str, Any], trigger: str = "admission", **more: Any) -> dict[str, Any]:
    """Return a task of the predicates above and of `more`."""
    predicates = {name: {"code": code} for name, code in CODES.items()} | more.pop("predicates", {})
    return {"predicates": predicates, "trigger": trigger, "windows": windows} | more


def labelled(events: pl.DataFrame, asked: dict[str, Any], **settings: Any) -> pl.DataFrame:
    """Return the samples of a task."""
    return aces.label(events, aces.Config(task=asked, **settings)).frame


def plainly(events: pl.DataFrame, asked: dict[str, Any]) -> list[tuple[int, datetime, datetime, int]]:
    """Return subject, trigger, prediction and count of the label, one trigger and window after another."""
    rows = []
    for subject in sorted(set(events["subject_id"])):
        mine = events.filter((pl.col("subject_id") == subject) & pl.col("time").is_not_null())
        record: dict[datetime, list[tuple[str, float | None]]] = {}
        for time, code, value in mine.select("time", "code", "numeric_value").rows():
            record.setdefault(time, []).append((code, value))
        for trigger in sorted(record):
            if _count(asked["trigger"], record, trigger, asked):
                found = _realized(asked, record, trigger)
                rows += [(subject, trigger, *found)] if found else []
    return rows


def _count(name: str, record: Any, time: datetime, asked: Any) -> int:
    if name == "_ANY_EVENT":
        return 1
    if name in ("_RECORD_START", "_RECORD_END"):
        return int(time == (min if name == "_RECORD_START" else max)(record))
    stated = asked["predicates"][name]
    if "expr" in stated:
        operator, _, inside = stated["expr"].rstrip(")").partition("(")
        hold = [_count(one.strip(), record, time, asked) > 0 for one in inside.split(",")]
        return int({"and": all(hold), "or": any(hold), "not": not hold[0]}[operator])
    codes = stated["code"]["any"] if isinstance(stated["code"], dict) and "any" in stated["code"] else None
    starts = stated["code"]["regex"].strip("^") if isinstance(stated["code"], dict) and not codes else None
    least = stated.get("value_min", -1.0)
    return sum(
        (code in codes if codes else code.startswith(starts) if starts else code == stated["code"])
        and (value is None or value >= least)
        for code, value in record[time]
    )


def _realized(asked: Any, record: Any, trigger: datetime) -> tuple[datetime, int] | None:
    points = {"trigger": trigger}
    prediction, counted = None, None
    for name, one in asked["windows"].items():
        inner = str(one["start"]).split()[0] == "end" or one["start"] is None
        for end in ("end", "start") if inner else ("start", "end"):
            same = one[f"{end}_inclusive"] and (end == "start") == inner
            point = _point(one[end], name, end, points, record, same, asked)
            if point is None:
                return None
            points[f"{name}.{end}"] = point
        start, stop = points[f"{name}.start"], points[f"{name}.end"]
        inside = [
            time
            for time in record
            if start < time < stop
            or (time == start and one["start_inclusive"] and (start < stop or one["end_inclusive"]))
            or (time == stop and one["end_inclusive"] and (start < stop or one["start_inclusive"]))
        ]
        for predicate, limits in one["has"].items():
            low, high = (
                None if part.strip() in ("None", "") else int(part) for part in limits.strip("()").split(",")
            )
            number = sum(_count(predicate, record, time, asked) for time in inside)
            if (low is not None and number < low) or (high is not None and number > high):
                return None
        if "label" in one:
            counted = sum(_count(one["label"], record, time, asked) for time in inside)
        if "index_timestamp" in one:
            prediction = points[f"{name}.{one['index_timestamp']}"]
    assert prediction is not None and counted is not None
    return prediction, counted


def _point(
    text: str | None, name: str, end: str, points: Any, record: Any, same: bool, asked: Any
) -> datetime | None:
    if text is None:
        text = "end <- _RECORD_START" if end == "start" else "start -> _RECORD_END"
    word, *rest = text.split()
    origin = points[f"{name}.{word}" if word in ("start", "end") else word]
    if not rest:
        return origin
    if rest[0] in "+-":
        hours = timedelta(hours=int(rest[1].removesuffix("h")))
        return origin + hours if rest[0] == "+" else origin - hours
    forward = rest[0] == "->"
    there = [
        time
        for time in sorted(record, reverse=not forward)
        if (time > origin if forward else time < origin) or (same and time == origin)
    ]
    return next((time for time in there if _count(rest[1], record, time, asked)), None)
