"""Events of tables that our own export wrote: what the CDM has no room for stands in columns `attending_…`.

They come back as they were, in the order that they had. An order that goes across tables can only be restored
when all tables of a shard are there, so the last table gives the events of all.
"""

from collections.abc import Sequence

import polars as pl
from polars import col

from attending.ledger.events import event
from attending.schema import SUBJECT_ID

ORDER = "attending_order"
_AT = "_order"


def frame(
    rows: pl.DataFrame,
    code: pl.Expr,
    *,
    time: pl.Expr | None,
    order: pl.Expr,
    available: pl.Expr | None = None,
    numeric: pl.Expr | None = None,
    text: pl.Expr | None = None,
    visit: pl.Expr | None = None,
    priority: pl.Expr | None = None,
) -> pl.DataFrame:
    """Make one event of each row that has an order, and keep the order beside it."""
    chosen = rows.filter(order.is_not_null())
    made = event(
        chosen,
        code,
        time=time,
        available=available,
        numeric=numeric,
        text=text,
        visit=visit,
        priority=priority,
        origin=col("attending_origin"),
    )
    if time is not None:
        chosen = chosen.filter(time.is_not_null())
    return made.with_columns(chosen.select(order.alias(_AT)).to_series())


def in_order(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put events in the order that they had."""
    return pl.concat(frames).sort(SUBJECT_ID, _AT, maintain_order=True).drop(_AT)
