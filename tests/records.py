"""Small event tables, written as records so that a test reads like what it says."""

from datetime import datetime, timedelta

import polars as pl

from attending.schema import ADMISSION, DISCHARGE, EVENTS

EPOCH = datetime(2150, 1, 1)


def day(number: float) -> datetime:
    """Return midnight of a day of the made-up calendar, or a later hour of it."""
    return EPOCH + timedelta(days=number)


def event(subject: int, at: float | None, code: str, **more: object) -> dict[str, object]:
    """Return one event at a day; it is known at once unless `known` names another day."""
    known = more.pop("known", at)
    row: dict[str, object] = dict.fromkeys(EVENTS.columns)
    row |= {"subject_id": subject, "code": code, "time": None if at is None else day(at)}
    row["available_time"] = None if known is None else day(float(known))  # type: ignore[arg-type]
    return row | more


def stay(
    subject: int, visit: int, start: float, end: float, *diagnoses: str, how: str = "HOME"
) -> list[dict[str, object]]:
    """Return an admission, a discharge, and diagnoses that the discharge assigns."""
    return [
        event(subject, start, f"{ADMISSION}//URGENT", visit_id=visit),
        event(subject, end, f"{DISCHARGE}//{how}", visit_id=visit),
        *(
            event(subject, end, f"DIAGNOSIS//ICD//10//{code}", visit_id=visit, priority=rank)
            for rank, code in enumerate(diagnoses, start=1)
        ),
    ]


def table(*records: dict[str, object] | list[dict[str, object]]) -> pl.DataFrame:
    """Return events sorted as a shard is."""
    rows = [row for record in records for row in (record if isinstance(record, list) else [record])]
    return pl.DataFrame(rows, schema=EVENTS.columns).sort(
        "subject_id", "time", nulls_last=False, maintain_order=True
    )
