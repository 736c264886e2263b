"""FHIR's dates and times as the ledger reads them: full, without an offset, in one time zone.

    2024-03-05T10:15:00+02:00   is turned into the time zone of the data set, UTC unless it is set
    2024-03-05T10:15:00         has no offset, which FHIR forbids, and is taken as it is
    2024-03-05, 2024-03, 2024   stand for the last second of that day, month or year: what happened in a year is
                                known when it is over. A birth alone stands for the first.

What is none of these is left as it is, and fails where the ledger reads it.
"""

import polars as pl

_CANONICAL = "%Y-%m-%d %H:%M:%S%.f"
_LAST_SECOND = pl.duration(hours=23, minutes=59, seconds=59)
_TEXT = pl.col("text")


def moments(texts: pl.Series, zone: str | None) -> pl.Series:
    """Return the moments that FHIR's texts stand for, in the ledger's spelling."""
    return _read(texts, zone, first=False)


def births(texts: pl.Series, zone: str | None) -> pl.Series:
    """Return births: a date without a time, or part of one, stands for its first moment."""
    return _read(texts, zone, first=True)


def _read(texts: pl.Series, zone: str | None, *, first: bool) -> pl.Series:
    if texts.null_count() == len(texts):
        return texts
    day = _day(first=first)
    whole = day.cast(pl.Datetime("us")) + (pl.duration() if first else _LAST_SECOND)
    moment = pl.coalesce(
        _with_offset(zone), _TEXT.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False), whole
    )
    named = texts.alias("text").to_frame()
    spelled = moment.dt.strftime(_CANONICAL)
    return named.select(pl.coalesce(spelled, _TEXT)).to_series().alias(texts.name)


def _with_offset(zone: str | None) -> pl.Expr:
    # Zulu time is an offset; of fractions, microseconds are kept.
    plain = _TEXT.str.replace("Z$", "+00:00").str.replace(r"(\.\d{6})\d+", "${1}")
    moment = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", strict=False, time_unit="us", time_zone="UTC")
    return moment.dt.convert_time_zone(zone or "UTC").dt.replace_time_zone(None)


def _day(*, first: bool) -> pl.Expr:
    """Return the day of a date, or the first or last of a month or year."""
    filled = (
        pl.when(_TEXT.str.len_bytes() == 4)
        .then(_TEXT + pl.lit("-01-01" if first else "-12-31"))
        .when(_TEXT.str.len_bytes() == 7)
        .then(_TEXT + pl.lit("-01"))
        .otherwise(_TEXT)
    )
    day = filled.str.to_date("%Y-%m-%d", strict=False)
    return day if first else pl.when(_TEXT.str.len_bytes() == 7).then(day.dt.month_end()).otherwise(day)
