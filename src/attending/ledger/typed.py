"""What a column with a type of its own, as Parquet and databases have, may be read as.

    read as         may be
    text, key       text, bytes that are UTF-8, numbers, truth values, times
    integer         integers, whole numbers of other types, truth values
    number, value   numbers, truth values
    moment, day     dates and timestamps of the years 1 to 9999

Anything else is a value that cannot be read. A number is never taken for a time, nor a time for a number.
"""

import polars as pl

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""Days since 1970 of the first of January of the year 1 and the last of December of the year 9999."""
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}


def readable(raw: pl.Series, kind: str) -> pl.Series:
    """Return the column in a type from which `kind` can be cast; a value that cannot be read so is null."""
    dtype = raw.dtype
    if dtype in (pl.String, pl.Null) or kind == "raw":
        return raw
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return raw.cast(pl.String)
    if dtype == pl.Binary:
        return _decoded(raw)
    if dtype.is_numeric() or dtype == pl.Boolean:
        return _number(raw, kind)
    if dtype in (pl.Date, pl.Datetime) and kind in ("text", "key", "moment", "day"):
        return _in_range(raw)
    if dtype == pl.Time and kind in ("text", "key"):
        return raw
    return nothing(raw)


def nothing(raw: pl.Series) -> pl.Series:
    """Return as many nulls."""
    return pl.repeat(None, len(raw), dtype=pl.String, eager=True).alias(raw.name)


def in_range(moment: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return a date or timestamp in microseconds where it lies in the years 1 to 9999, else null."""
    per_day = 1 if dtype == pl.Date else _PER_DAY["us"]
    first, last = (pl.lit(day * per_day).cast(dtype) for day in (FIRST_DAY, LAST_DAY + 1))
    return pl.when((moment >= first) & (moment < last)).then(moment)


def all_in_range(moments: pl.Series) -> bool:
    """Say whether all timestamps in microseconds lie there, at the price of a look at the first and the last."""
    numbers = moments.to_physical()
    first, last = numbers.min(), numbers.max()
    if not (isinstance(first, int) and isinstance(last, int)):
        return True
    return FIRST_DAY * _PER_DAY["us"] <= first and last < (LAST_DAY + 1) * _PER_DAY["us"]


def _number(raw: pl.Series, kind: str) -> pl.Series:
    if kind in ("moment", "day"):
        return nothing(raw)
    if kind == "integer" and (raw.dtype.is_float() or raw.dtype.is_decimal()):
        whole = raw.cast(pl.Float64) % 1 == 0
        return raw.set(~whole.fill_null(True), None)
    return raw


def _in_range(raw: pl.Series) -> pl.Series:
    unit = getattr(raw.dtype, "time_unit", None)
    if unit == "ns":  # lies between 1677 and 2262
        return raw
    per_day = _PER_DAY[unit] if unit else 1
    numbers = raw.to_physical()
    outside = (numbers < FIRST_DAY * per_day) | (numbers >= (LAST_DAY + 1) * per_day)
    return raw.set(outside.fill_null(False), None)


def _decoded(raw: pl.Series) -> pl.Series:
    try:
        return raw.cast(pl.String)
    except pl.exceptions.PolarsError:
        texts = [None if one is None else _text(one) for one in raw.to_list()]
        return pl.Series(raw.name, texts, pl.String)


def _text(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None
