"""Turn text into numbers and times, and say which rows do not go.

The common spelling of each type is tried on whole columns. Only values that fail are tried again, one rule
after another: blanks around them, integers that another tool wrote as `12.0`, other spellings of a time.
"""

import polars as pl

from attending.ledger.table import Column, Problem

MISSING = "missing required value"
NOT_A = {
    "integer": "not an integer",
    "number": "not a number",
    "moment": "not a timestamp",
    "day": "not a date",
    "text": "not text",
}
_USUAL_MOMENT = "%Y-%m-%d %H:%M:%S"
_MOMENTS = (
    _USUAL_MOMENT,
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
_WHOLE = r"^([+-]?\d+)\.0*$"


def cast(frame: pl.DataFrame, columns: list[Column]) -> tuple[pl.DataFrame, list[Problem]]:
    """Cast every column; return the typed frame and a problem per column and kind of fault.

    A fault in a required column voids its line; elsewhere it voids the value, which becomes null.
    """
    typed = frame.select(_expression(column, frame.schema[column.name]) for column in columns)
    problems = []
    for column in columns:
        raw = frame[column.name]
        if typed[column.name].null_count() != raw.null_count():
            typed = typed.with_columns(_again(raw, typed[column.name], column))
            failed = typed[column.name].is_null() & raw.is_not_null()
            if failed.any():
                problems.append(Problem(failed, NOT_A[column.kind], column.name, column.required))
        if column.required and raw.null_count():
            problems.append(Problem(raw.is_null(), MISSING, column.name))
    return typed, problems


def _expression(column: Column, dtype: pl.DataType) -> pl.Expr:
    raw = pl.col(column.name)
    if dtype != pl.String:
        return _finite(raw.cast(column.dtype, strict=False), column)
    match column.kind:
        case "text":
            return raw
        case "moment":
            return raw.str.to_datetime(_USUAL_MOMENT, time_unit="us", strict=False)
        case "day":
            return raw.str.to_date("%Y-%m-%d", strict=False)
        case _:
            return _finite(raw.cast(column.dtype, strict=False), column)


def _finite(value: pl.Expr, column: Column) -> pl.Expr:
    return pl.when(value.is_finite()).then(value) if column.kind == "number" else value


def _again(raw: pl.Series, typed: pl.Series, column: Column) -> pl.Series:
    """Try the other spellings on the values that failed."""
    failed = raw.is_not_null() & typed.is_null()
    if raw.dtype != pl.String:
        return typed
    rows = failed.arg_true()
    second = pl.DataFrame({column.name: raw.gather(rows).str.strip_chars()}).select(_tolerant(column))
    return typed.scatter(rows, second.to_series())


def _tolerant(column: Column) -> pl.Expr:
    raw = pl.col(column.name)
    match column.kind:
        case "integer":
            whole = raw.str.extract(_WHOLE).fill_null(raw)
            return whole.cast(pl.Int64, strict=False)
        case "number":
            return _finite(raw.cast(pl.Float64, strict=False), column)
        case "moment":
            return _any_moment(raw)
        case "day":
            return _any_moment(raw).dt.date()
        case _:
            return raw


def _any_moment(raw: pl.Expr) -> pl.Expr:
    moments = [raw.str.to_datetime(form, time_unit="us", strict=False) for form in _MOMENTS]
    midnight = raw.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return pl.coalesce(*moments, midnight)
