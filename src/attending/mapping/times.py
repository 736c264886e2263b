"""Times of a mapping.

    $column                          a date with or without a time of day, as text or typed
    2008-12-31 · 2008-12-31 10:00    the same for every line
    {value: V, formats: ["%d.%m.%Y"], date_only: start, day_ends: T, time_zone: Europe/Berlin}
    {first: [T, T]} · {earliest: [T, T]} · {latest: [T, T]}
    {after: T, minutes: V} · {before: T, years: V}         seconds minutes hours days years
    {order: V, start: T, days: 365}  the n-th line of a subject, by V, is n - 1 times so many days after the start
    time                             in `available`: the time of the event

A date without a time of day stands for the last second of that day, because what is known of a day is known when it
is over; with `date_only: start` for its first. `day_ends` names a moment, such as a discharge: a date alone that is
its day stands for it. A time with an offset from UTC becomes UTC. One without stays as it
is, unless a time zone says what it means: then it becomes UTC too. Where clocks are turned back, an hour that comes
twice is taken as the first; where they are turned forward, one that does not exist as an hour later. A year is
365.25 days.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import available_timezones

import polars as pl

from attending.errors import nearest
from attending.ledger.casts import cast, fault_of
from attending.ledger.table import moment
from attending.mapping.names import Names
from attending.mapping.place import Place, Plain
from attending.mapping.values import Field, Literal, Value, items, only, parse, scalar
from attending.schema import MICROSECONDS, SUBJECT_ID

_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0, "years": 365.25 * 86400}
_LONGEST = 1000 * 365.25 * 86400  # seconds; an offset beyond a thousand years is no time
_DATE = r"^\s*\d{4}-\d{2}-\d{2}\s*$"
_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})\s*$"
_TIME_OF_DAY = ("%H", "%I", "%k", "%l", "%R", "%T", "%X", "%c", "%r", "%s", "%p", "%+", "%v")
_LAST_SECOND = pl.duration(hours=23, minutes=59, seconds=59)
_TEXT = "_text"
EVENT_TIME = "_time"
FORMS = ("value", "first", "earliest", "latest", "after", "before", "order")


class Time(Protocol):
    """A moment that every line has, or lacks."""

    def on(self, frame: pl.DataFrame) -> pl.Series:
        """Return the moment of every row of `frame`."""
        ...

    def read_from(self) -> "Iterator[Stamp]":
        """Yield the texts that are read as times."""
        ...


@dataclass(frozen=True)
class Stamp:
    """A time that is written down: text, or a column that is typed already."""

    value: Value
    formats: tuple[str, ...] = ()
    at_end: bool = True
    zone: str | None = None
    day_ends: "Time | None" = None

    @property
    def column(self) -> str | None:
        """The column that it is, if it is one."""
        return self.value.column if isinstance(self.value, Field) else None

    def on(self, frame: pl.DataFrame) -> pl.Series:
        """Return the moment of every row of `frame`."""
        moments = self._moments_of(frame)
        return moments if self.day_ends is None else self._cut(frame, moments, self.day_ends.on(frame))

    def _moments_of(self, frame: pl.DataFrame) -> pl.Series:
        dtype = frame.schema[self.column] if self.column else pl.String()
        if dtype == pl.Date:
            dates = pl.col(str(self.column)).cast(MICROSECONDS)
            return self._in_utc(frame.select(dates + _LAST_SECOND if self.at_end else dates).to_series())
        if dtype == MICROSECONDS:
            return self._in_utc(frame[str(self.column)])
        texts = frame.select(pl.col(SUBJECT_ID), self.value.text(frame.schema).alias(_TEXT))[_TEXT]
        return self._parsed(texts)

    def read_from(self) -> "Iterator[Stamp]":
        """Yield itself."""
        yield self

    def wrong(self, frame: pl.DataFrame) -> pl.Series | None:
        """Say which rows have a text that is no time; None: it is typed already."""
        if self.column and frame.schema[self.column] != pl.String:
            return None
        texts = frame.select(pl.col(SUBJECT_ID), self.value.text(frame.schema).alias(_TEXT))[_TEXT]
        return self._parsed(texts).is_null() & texts.is_not_null()

    def _cut(self, frame: pl.DataFrame, moments: pl.Series, ends: pl.Series) -> pl.Series:
        """End the day of a date alone with the moment that ends it."""
        text = self.value.text(frame.schema)
        alone = text.str.contains(_DATE) | ~text.str.contains(":", literal=True)
        both = frame.with_columns(moments.alias("_moment"), ends.alias("_end"), alone.alias("_alone"))
        moment, end = pl.col("_moment"), pl.col("_end")
        cut = pl.col("_alone") & end.is_between(moment - _LAST_SECOND, moment)
        return both.select(pl.when(cut).then(end).otherwise(moment).alias(_TEXT)).to_series()

    def _parsed(self, texts: pl.Series) -> pl.Series:
        """Parse each distinct text once."""
        distinct = texts.drop_nulls().unique(maintain_order=True)
        if len(distinct) * 2 > len(texts):
            return self._moments(texts)
        return texts.replace_strict(
            distinct, self._moments(distinct), default=None, return_dtype=MICROSECONDS
        )

    def _moments(self, texts: pl.Series) -> pl.Series:
        typed = cast(texts.to_frame(_TEXT), [moment(_TEXT, formats=self.formats)]).frame
        text, parsed = pl.col(_TEXT), pl.col("parsed")
        dates = text.str.contains(_DATE)
        for form in self.formats:
            if not any(sign in form for sign in _TIME_OF_DAY):
                found = text.str.strip_chars().str.to_date(form, strict=False)
                dates = dates | (found.cast(MICROSECONDS) == parsed).fill_null(False)
        frame = pl.DataFrame([texts.alias(_TEXT), typed[_TEXT].alias("parsed")])
        local = pl.when(dates).then(parsed + _LAST_SECOND).otherwise(parsed) if self.at_end else parsed
        shifted = frame.select(local, text.str.contains(_OFFSET).fill_null(False).alias("utc"))
        return self._in_utc(shifted["parsed"], shifted["utc"])

    def _in_utc(self, local: pl.Series, already: pl.Series | None = None) -> pl.Series:
        if self.zone is None:
            return local
        frame = local.alias("local").to_frame()
        later = pl.col("local") + pl.duration(hours=1)
        utc = frame.select(pl.coalesce(_utc(pl.col("local"), self.zone), _utc(later, self.zone))).to_series()
        return utc if already is None else utc.zip_with(~already, local)


@dataclass(frozen=True)
class Chosen:
    """One of several moments: the first that is there, the earliest or the latest."""

    how: str
    times: tuple[Time, ...]

    def on(self, frame: pl.DataFrame) -> pl.Series:
        """Return the moment of every row of `frame`."""
        columns = pl.DataFrame([time.on(frame).alias(str(n)) for n, time in enumerate(self.times)])
        match self.how:
            case "first":
                chosen = pl.coalesce(pl.all())
            case "earliest":
                chosen = pl.min_horizontal(pl.all())
            case _:
                chosen = pl.max_horizontal(pl.all())
        return columns.select(chosen).to_series()

    def read_from(self) -> "Iterator[Stamp]":
        """Yield the texts of all of them."""
        for time in self.times:
            yield from time.read_from()


@dataclass(frozen=True)
class Shifted:
    """A moment so much after another, or before it where the sign is negative."""

    time: Time
    amount: Value
    seconds: float

    def on(self, frame: pl.DataFrame) -> pl.Series:
        """Return the moment of every row of `frame`."""
        seconds = self.amount.number(frame.schema) * self.seconds
        seconds = pl.when(seconds.abs() <= _LONGEST).then(seconds)
        shift = (seconds * 1_000_000).round().cast(pl.Int64).cast(pl.Duration("us"))
        moments = self.time.on(frame).alias(_TEXT)
        return frame.with_columns(moments).select((pl.col(_TEXT) + shift).alias(_TEXT)).to_series()

    def read_from(self) -> "Iterator[Stamp]":
        """Yield the texts of the other moment."""
        return self.time.read_from()


@dataclass(frozen=True)
class Ordered:
    """The n-th line of a subject: times for data that have an order and no dates."""

    by: Value
    start: Time
    days: float

    def on(self, frame: pl.DataFrame) -> pl.Series:
        """Return the moment of every row of `frame`, which holds all lines of its subjects."""
        rank = self.by.number(frame.schema).rank("dense").over(SUBJECT_ID).cast(pl.Int64) - 1
        shift = (rank * round(self.days * 86_400_000_000)).cast(pl.Duration("us"))
        starts = self.start.on(frame).alias(_TEXT)
        return frame.with_columns(starts).select((pl.col(_TEXT) + shift).alias(_TEXT)).to_series()

    def read_from(self) -> "Iterator[Stamp]":
        """Yield the text of the start."""
        return self.start.read_from()


@dataclass(frozen=True)
class OfEvent:
    """The time of the event whose availability is asked for."""

    def on(self, frame: pl.DataFrame) -> pl.Series:
        """Return the moment of every row of `frame`."""
        return frame[EVENT_TIME]

    def read_from(self) -> "Iterator[Stamp]":
        """Yield nothing."""
        return iter(())


def read(raw: Plain, place: Place, names: Names, zone: str | None, *, event: bool = False) -> Time:
    """Read a time; `event` says whether there is an event whose time it may be.

    Raises:
        ConfigError: if it has none of the forms above.
    """
    if event and raw == "time":
        return OfEvent()
    if not isinstance(raw, dict):
        return _stamp(raw, place, names, Stamp(Literal(""), zone=zone))
    form = next((one for one in FORMS if one in raw), None)
    if form is None:
        key = next(iter(raw), "nothing")
        raise place.error(f"expected one of {', '.join(FORMS)}; got '{key}'{nearest(str(key), list(FORMS))}")
    if form == "value":
        only(raw, ("value", "formats", "date_only", "day_ends", "time_zone"), place)
        options = _options(raw, place, zone)
        if "day_ends" in raw:
            options = replace(options, day_ends=read(raw["day_ends"], place["day_ends"], names, zone))
        return _stamp(raw["value"], place["value"], names, options)
    if form in ("first", "earliest", "latest"):
        only(raw, (form,), place)
        inner = items(raw[form], place[form], "times")
        return Chosen(form, tuple(read(one, at, names, zone, event=event) for one, at in inner))
    if form == "order":
        only(raw, ("order", "start", "days"), place)
        start = read(raw.get("start", "2000-01-01 00:00"), place["start"], names, zone)
        by = parse(raw["order"], place["order"], names, "number")
        return Ordered(by, start, _days(raw.get("days"), place["days"]))
    unit = next((one for one in _SECONDS if one in raw), None)
    if unit is None:
        raise place.error(f"'{form}' needs one of the keys {', '.join(_SECONDS)}")
    only(raw, (form, unit), place)
    amount = parse(raw[unit], place[unit], names, "number")
    sign = 1 if form == "after" else -1
    return Shifted(read(raw[form], place[form], names, zone, event=event), amount, sign * _SECONDS[unit])


def zone_of(raw: Plain, place: Place) -> str | None:
    """Return the name of a time zone.

    Raises:
        ConfigError: if there is none of that name.
    """
    if raw is not None and raw not in available_timezones():
        raise place.error(f"no time zone '{raw}'{nearest(str(raw), sorted(available_timezones())[:5])}")
    return str(raw) if raw is not None else None


def _stamp(raw: Plain, place: Place, names: Names, options: Stamp) -> Time:
    if isinstance(raw, date) and not isinstance(raw, datetime):
        raw = raw.isoformat()
    value = parse(raw, place, names)
    stamp = replace(options, value=value)
    written = replace(stamp, day_ends=None)  # what ends a day stands in a column
    if isinstance(value, Literal) and written.on(pl.DataFrame({SUBJECT_ID: [0]})).has_nulls():
        raise place.error("expected '$column', or a date such as 2008-12-31")
    return stamp


def check_forms(forms: Iterable[str], place: Place) -> None:
    """Refuse forms that no time can have.

    Raises:
        ConfigError: naming the form and what is wrong with it.
    """
    for form in forms:
        if fault := fault_of(form):
            raise place.error(f"no time can have the form '{form}': {fault}")


def _options(raw: dict[Any, Any], place: Place, zone: str | None) -> Stamp:
    formats = raw.get("formats", [])
    forms = tuple(scalar(one, at) for one, at in items(formats, place["formats"], "forms")) if formats else ()
    check_forms(forms, place["formats"])
    end = raw.get("date_only", "end")
    if end not in ("start", "end"):
        raise place["date_only"].error("expected 'start' or 'end' (of the day)")
    zone = zone_of(raw["time_zone"], place["time_zone"]) if "time_zone" in raw else zone
    return Stamp(Literal(""), forms, end == "end", zone)


def _days(raw: Plain, place: Place) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool) or raw <= 0:
        raise place.error("expected a number of days")
    return float(raw)


def _utc(local: pl.Expr, zone: str) -> pl.Expr:
    aware = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
