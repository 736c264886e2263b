"""Turn text into numbers and times, and say which rows do not go.

The common spelling of each type is tried on whole columns. Only values that fail are tried again, one rule
after another: blanks around them, integers that another tool wrote as `12.0`, other spellings of a time. A time
with an offset from UTC is turned into UTC; MEDS times have no zone.
"""

from dataclasses import dataclass, field

import polars as pl

from attending.ledger import keys, typed, values
from attending.ledger.quarantine import Tally
from attending.ledger.table import Column, Problem, words

MISSING = "missing required value"
NOT_A = {
    "integer": "not an integer",
    "number": "not a number",
    "moment": "not a timestamp",
    "day": "not a date",
    "text": "not text",
    "key": "not an identifier",
    "value": "not a value",
    "raw": "not of the right type",
}
_USUAL_MOMENT = "%Y-%m-%d %H:%M:%S"
_MOMENTS = (
    _USUAL_MOMENT,
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
_MOMENTS_WITH_OFFSET = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")
_WHOLE = r"^([+-]?\d+)\.0*$"


@dataclass(kw_only=True)
class Cast:
    """The typed frame, what does not go, how often each rule for values was used, and the texts behind keys."""

    frame: pl.DataFrame
    problems: list[Problem] = field(default_factory=list)
    parsed: Tally = field(default_factory=dict)


def cast(frame: pl.DataFrame, columns: list[Column]) -> Cast:
    """Cast every column.

    A fault in a required column voids its line; elsewhere it voids the value, which becomes null.
    """
    read = frame.select(typed.readable(frame[column.name], column.kind) for column in columns)
    done = Cast(frame=read.select(_expression(one, read.schema[one.name]) for one in columns))
    for column in columns:
        raw = frame[column.name]
        if column.kind == "value":
            _parse(done, raw, read[column.name], column)
        elif column.kind == "key":
            done.frame = done.frame.with_columns(keys.keys(read[column.name]))
            _note(done, read[column.name].is_null() & raw.is_not_null(), column)
        elif done.frame[column.name].null_count() != raw.null_count():
            _try_again(done, raw, read[column.name], column)
        if column.required:
            absent = (done.frame[column.name] if column.kind == "key" else raw).is_null()
            if absent.any():
                done.problems.append(Problem(absent, MISSING, column.name))
    return done


def _parse(done: Cast, raw: pl.Series, read: pl.Series, column: Column) -> None:
    if column.unless in done.frame.columns:
        read = read.set(done.frame[column.unless].is_not_null(), None)
    numbers, said, counts = values.parse(read)
    done.frame = done.frame.with_columns(numbers.alias(column.name), said.alias(words(column.name)))
    for rule, n in counts.items():
        done.parsed.setdefault(rule, {})[column.name] = n
    if read.dtype != raw.dtype:
        _note(done, read.is_null() & raw.is_not_null(), column)


def _try_again(done: Cast, raw: pl.Series, read: pl.Series, column: Column) -> None:
    done.frame = done.frame.with_columns(_again(read, done.frame[column.name], column))
    _note(done, done.frame[column.name].is_null() & raw.is_not_null(), column)


def _note(done: Cast, failed: pl.Series, column: Column) -> None:
    if failed.any():
        done.problems.append(Problem(failed, NOT_A[column.kind], column.name, column.required))


def _expression(column: Column, dtype: pl.DataType) -> pl.Expr:
    raw = pl.col(column.name)
    if column.kind in ("key", "value"):
        return raw
    if column.kind == "raw":
        return raw.cast(column.dtype, strict=False)
    if dtype == pl.Datetime and dtype.time_zone is not None:  # type: ignore[attr-defined]
        return raw.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(column.dtype, strict=False)
    if dtype != pl.String:
        return _finite(raw.cast(column.dtype, strict=False), column)
    match column.kind:
        case "text":
            return raw
        case "moment":
            return _in_range(raw.str.to_datetime(_USUAL_MOMENT, time_unit="us", strict=False), column)
        case "day":
            return _in_range(raw.str.to_date("%Y-%m-%d", strict=False), column)
        case _:
            return _finite(raw.cast(column.dtype, strict=False), column)


def _in_range(moment: pl.Expr, column: Column) -> pl.Expr:
    return typed.in_range(moment, column.dtype)


def _finite(value: pl.Expr, column: Column) -> pl.Expr:
    return pl.when(value.is_finite()).then(value) if column.kind == "number" else value


def _again(raw: pl.Series, known: pl.Series, column: Column) -> pl.Series:
    """Try the other spellings on the values that failed."""
    failed = raw.is_not_null() & known.is_null()
    if raw.dtype != pl.String:
        return known
    rows = failed.arg_true()
    second = pl.DataFrame({column.name: raw.gather(rows).str.strip_chars()}).select(_tolerant(column))
    return known.scatter(rows, second.to_series())


def _tolerant(column: Column) -> pl.Expr:
    raw = pl.col(column.name)
    match column.kind:
        case "integer":
            whole = raw.str.extract(_WHOLE).fill_null(raw)
            return whole.cast(pl.Int64, strict=False)
        case "number":
            return _finite(raw.cast(pl.Float64, strict=False), column)
        case "moment":
            return _in_range(_any_moment(raw, column.formats), column)
        case "day":
            return _in_range(_any_moment(raw, column.formats).dt.date(), column)
        case _:
            return raw


def fault_of(form: str) -> str:
    """Say why no time can have a form as `strptime` writes it; nothing where one can."""
    try:
        pl.DataFrame({"form": [None]}, {"form": pl.String}).select(_of_form(pl.col("form"), form))
    except pl.exceptions.PolarsError as error:
        return str(error).splitlines()[0].removeprefix("Invalid format string: ")
    return ""


def _of_form(raw: pl.Expr, form: str) -> pl.Expr:
    if "%H" in form or "%I" in form:
        return raw.str.to_datetime(form, time_unit="us", strict=False)
    return raw.str.to_date(form, strict=False).cast(pl.Datetime("us"))


def _any_moment(raw: pl.Expr, formats: tuple[str, ...]) -> pl.Expr:
    moments = [
        *(_of_form(raw, form) for form in formats),
        *(raw.str.to_datetime(form, time_unit="us", strict=False) for form in _MOMENTS),
        *(
            raw.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(
                None
            )
            for form in _MOMENTS_WITH_OFFSET
        ),
    ]
    midnight = raw.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return pl.coalesce(*moments, midnight)
