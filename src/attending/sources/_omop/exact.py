"""Events of tables that our own export wrote: what the CDM has no room for stands in columns `attending_…`.

They come back as they were, in the order that they had.
"""

import polars as pl
from polars import col

from attending.ledger.events import event

ORDER = "attending_order"


def as_it_was(
    rows: pl.DataFrame, code: pl.Expr, *, time: pl.Expr | None, order: pl.Expr, **known: pl.Expr | None
) -> pl.DataFrame:
    """Make the event of each row that has an order; `known` is what else `ledger.events.event` takes."""
    return event(
        rows, code, time=time, order=order, origin=col("attending_origin"), when=order.is_not_null(), **known
    )
