"""Read the tables of a mapping: every key is checked, every column that is used is noted, then all is compiled."""

from dataclasses import dataclass
from typing import Any

from attending.errors import nearest
from attending.ledger import table as ledger
from attending.mapping import conditions, spec, times
from attending.mapping.columns import Columns, Pair
from attending.mapping.descriptions import Described, Naming
from attending.mapping.names import Names, Use, Want
from attending.mapping.place import Place, Plain
from attending.mapping.rows import Event, Join, Rows
from attending.mapping.values import Field, Value, items, only, parse, scalar
from attending.schema import SUBJECT_ID

STATIC = "static"
_INHERITED = ("time", "available", "visit", "priority", "origin")


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A table as the mapping describes it, before the kinds of its columns are known."""

    name: str
    spec: spec.Table
    place: Place
    subject: str
    prefix: str
    link: ledger.Link | None
    names: Names
    joins: tuple[Join, ...]
    pairs: tuple[Pair, ...]
    rows: Rows


def read(
    name: str, raw: Plain, place: Place, known: list[str], dictionaries: list[str], zone: str | None
) -> Parsed:
    """Read one table; `known` are those before it.

    Raises:
        ConfigError: naming the key, the line and the file.
    """
    table = place.build(spec.Table, raw)
    subject, prefix, link = _subject(table.subject, place["subject"], known)
    names = Names(table=name, subject=subject, constants=table.constants)
    if subject:
        names.uses.append(Use(name, subject, "key", place["subject"]))
    joins, pairs = [], _link_keys(name, link, place["subject"])
    names.uses += [use for pair in pairs for use in pair]
    for join, what in table.joins.items():
        made, keys = _join(join, what, place["joins"][join], names, known, dictionaries)
        joins.append(made)
        pairs += keys
    rows = Rows(
        needs=frozenset(table.needs),
        unique=tuple(SUBJECT_ID if column == subject else column for column in table.unique),
        ordered=_ordered(table, place["ordered"], names, zone),
        when=None if table.when is None else conditions.read(table.when, place["when"], names),
        events=_events(table, place, names, zone),
    )
    for column in (*table.unique, *table.needs):
        names.uses.append(Use(name, column, "any", place))
    return Parsed(
        name=name,
        spec=table,
        place=place,
        subject=subject,
        prefix=prefix,
        link=link,
        names=names,
        joins=tuple(joins),
        pairs=tuple(pairs),
        rows=rows,
    )


def compiled(one: Parsed, columns: Columns, *, reference: bool) -> ledger.Table:
    """Turn a table that was read into one of the ledger's.

    Raises:
        ConfigError: if the uses of a column contradict each other.
    """
    joins = tuple(_with_columns(join, one.names.uses) for join in one.joins)
    rows = Rows(
        joins=joins,
        needs=one.rows.needs,
        unique=one.rows.unique,
        ordered=one.rows.ordered,
        when=one.rows.when,
        events=one.rows.events,
    )
    needs = (one.link.key,) if one.link else ((one.subject,) if one.subject else ())
    file = one.spec.model_copy(update={"needs": (*needs, *one.spec.needs)})
    return ledger.Table(
        name=one.name,
        path=one.spec.file or one.name,
        columns=columns.of(one.name, file),
        events=rows.make,
        problems=rows.wrong,
        required=one.spec.required,
        reference=reference,
        subject=one.subject or SUBJECT_ID,
        prefix=one.prefix,
        link=one.link,
        separator=one.spec.separator,
    )


def described(one: Parsed) -> Described | None:
    """Return what the rows of a table say of their codes, if they say anything.

    Raises:
        ConfigError: if what they say is not in the file itself.
    """
    own = {use.column for use in one.names.uses if use.table == one.name}
    namings = [
        Naming(code=event.code, name=event.description) for event in one.rows.events if event.description
    ]
    if not namings:
        return None
    return Described(namings=tuple(namings), columns=tuple(sorted(own)))


def expect(name: str, known: list[str], place: Place, what: str) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        ConfigError: with the nearest known name.
    """
    if name not in known:
        raise place.error(f"no {what} named '{name}'{nearest(name, known)}")


def code(raw: Plain, place: Place, names: Names, unit: Plain = None) -> tuple[Value, ...]:
    """Read the parts of a code.

    Raises:
        ConfigError: if there is none.
    """
    parts = items(raw, place, "parts of a code") if isinstance(raw, list | tuple) else [(raw, place)]
    parts = parts if unit is None else [*parts, (unit, place)]
    return tuple(parse(part, at, names) for part, at in parts)


def _subject(raw: Plain, place: Place, known: list[str]) -> tuple[str, str, ledger.Link | None]:
    """Return the column of the subject, what is put before it, and through which table it is found otherwise."""
    if isinstance(raw, str):
        return _named(raw, place), "", None
    if isinstance(raw, dict) and "through" not in raw:
        own = place.build(spec.Prefixed, raw)
        return _named(own.column, place["column"]), own.prefix, None
    through = place.build(spec.Through, raw)
    expect(through.through, known, place["through"], "table before this one")
    return "", "", ledger.Link(through.through, through.by)


def _link_keys(name: str, link: ledger.Link | None, place: Place) -> list[Pair]:
    """Return the two columns by which a row finds whose it is: they are read as one kind."""
    if link is None:
        return []
    return [(Use(name, link.key, "any", place), Use(link.table, link.key, "any", place))]


def _named(raw: str, place: Place) -> str:
    column = raw.removeprefix("$")
    if not column:
        raise place.error("expected the column that says whose row it is")
    return column


def _join(
    name: str, raw: Plain, place: Place, names: Names, known: list[str], dictionaries: list[str]
) -> tuple[Join, list[Pair]]:
    join = place.build(spec.Join, raw)
    if (join.table is None) == (join.dictionary is None):
        raise place.error("a join needs one of the keys 'table' and 'dictionary'")
    other = join.table or str(join.dictionary)
    if join.table:
        expect(other, known, place["table"], "table before this one")
    else:
        expect(other, dictionaries, place["dictionary"], "dictionary")
    on = {join.by: join.by} if isinstance(join.by, str) else join.by or {}
    if join.dictionary and not on:
        raise place.error("a join with a dictionary needs the key 'by'")
    names.joins[name] = other
    pairs = [
        (Use(names.table, own, "any", place), Use(other, theirs, "any", place)) for own, theirs in on.items()
    ]
    names.uses += [use for pair in pairs for use in pair]
    own = tuple(SUBJECT_ID if column == names.subject else column for column in on)
    made = Join(
        name=name,
        table=other,
        dictionary=join.dictionary is not None,
        own=own,
        theirs=tuple(on.values()),
        take=(),
        needed=join.needed,
    )
    return made, pairs


def _with_columns(join: Join, uses: list[Use]) -> Join:
    taken = dict.fromkeys(use.column for use in uses if use.join == join.name)
    return Join(
        name=join.name,
        table=join.table,
        dictionary=join.dictionary,
        own=join.own,
        theirs=join.theirs,
        take=tuple(taken),
        needed=join.needed,
    )


def _ordered(
    table: spec.Table, place: Place, names: Names, zone: str | None
) -> tuple[tuple[times.Time, times.Time], ...]:
    return tuple(
        (times.read(start, place[n][0], names, zone), times.read(end, place[n][1], names, zone))
        for n, (start, end) in enumerate(table.ordered)
    )


def _events(table: spec.Table, place: Place, names: Names, zone: str | None) -> tuple[Event, ...]:
    shared = {key: (getattr(table, key), place[key]) for key in _INHERITED if key in table.model_fields_set}
    made = []
    for number, raw in enumerate(table.events):
        at = place["events"][number]
        event = at.build(spec.Event, raw)
        own = {key: (getattr(event, key), at[key]) for key in _INHERITED if key in event.model_fields_set}
        made.append(_event(event, at, shared | own, names, zone))
    return tuple(made)


def _event(
    event: spec.Event, at: Place, inherited: dict[str, tuple[Any, Place]], names: Names, zone: str | None
) -> Event:
    columns, split = _each(event.each, at["each"], names)
    names = names if event.each is None else names.for_each(columns, at["each"])
    if inherited.get("time", (None, at))[0] is None:
        raise at.error("an event needs the key 'time': when it happened, or 'static'")
    if event.measurement is not None and (event.value is not None or event.text is not None):
        raise at.error("a measurement gives value and text: leave those keys out")
    when, when_place = inherited["time"]
    known, known_place = inherited.get("available", (None, at))
    static = when == STATIC
    if event.description is not None and (event.each is not None or _joins(event.description, names)):
        raise at["description"].error("a description is a column of the table's own, and takes no 'each'")

    def one(key: str, raw: Plain, place: Place, want: Want = "text") -> Value | None:
        return None if raw is None else parse(raw, place, names, want)

    def shared(key: str, want: Want = "text") -> Value | None:
        raw, place = inherited.get(key, (None, at))
        return one(key, raw, place, want)

    measurement = one("measurement", event.measurement, at["measurement"], "measurement")
    if measurement is not None and not isinstance(measurement, Field):
        raise at["measurement"].error("expected '$column'")
    return Event(
        code=code(event.code, at["code"], names, event.unit),
        time=None if static else times.read(when, when_place, names, zone),
        available=None
        if known is None or static
        else times.read(known, known_place, names, zone, event=True),
        number=measurement or one("value", event.value, at["value"], "number"),
        text=one("text", event.text, at["text"]),
        words_of=measurement.column if measurement else None,
        visit=shared("visit", "key"),
        priority=shared("priority", "number"),
        origin=shared("origin"),
        when=None if event.when is None else conditions.read(event.when, at["when"], names),
        columns=columns,
        split=split,
        once=event.once,
        description=one("description", event.description, at["description"]),
    )


def _joins(raw: Plain, names: Names) -> bool:
    return not isinstance(raw, str) or raw.removeprefix("$").partition(".")[0] in names.joins


def _each(raw: Plain, place: Place, names: Names) -> tuple[tuple[str, ...], tuple[Value, str] | None]:
    if raw is None:
        return (), None
    if isinstance(raw, list | tuple):
        columns = tuple(scalar(column, at).removeprefix("$") for column, at in items(raw, place, "columns"))
        return columns, None
    if isinstance(raw, dict) and "split" in raw:
        split = place.build(spec.Split, raw)
        return (), (parse(split.split, place["split"], names), split.by)
    if isinstance(raw, dict):
        only(raw, ("columns", "first", "last"), place)
    numbered = place.build(spec.Numbered, raw)
    if "#" not in numbered.columns or numbered.last < numbered.first:
        raise place.error("expected columns such as {columns: CODE_#, first: 1, last: 10}")
    numbers = range(numbered.first, numbered.last + 1)
    return tuple(numbered.columns.replace("#", str(number)) for number in numbers), None
