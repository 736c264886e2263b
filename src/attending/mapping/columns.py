"""Infer what every column is read as, from what it is used for.

    used as                       read as
    subject, visit                key: a whole number, or an identifier that is hashed
    value, priority, duration     number
    measurement                   a number and words
    code, text, condition, time   text; a time is parsed where it is used, because its date may stand alone
    by (of a join)                as what it is used for otherwise, on either side; else text

A column that is used as a number or a key as well as in text is read as a number or a key only if it is declared
below `columns`.
"""

from collections.abc import Callable, Iterable
from typing import cast, get_args

from attending.errors import nearest
from attending.ledger import table as ledger
from attending.mapping.names import Use, Want
from attending.mapping.place import Place
from attending.mapping.spec import Column, File, Kind
from attending.mapping.times import check_forms

KINDS: dict[Want, Kind] = {
    "text": "text",
    "number": "number",
    "key": "key",
    "measurement": "measurement",
}
_SERVES: dict[Kind, tuple[Want, ...]] = {
    "integer": ("text", "number", "key", "any"),
    "number": ("text", "number", "any"),
    "moment": ("text", "any"),
    "day": ("text", "any"),
    "text": ("text", "number", "any"),
    "key": ("key", "any"),
    "measurement": ("measurement", "number", "any"),
}
Pair = tuple[Use, Use]


class Columns:
    """The kind of every column of every table and dictionary, first as declared, then as used."""

    def __init__(self) -> None:
        self._declared: dict[tuple[str, str], Column] = {}
        self._wanted: dict[tuple[str, str], dict[Want, Place]] = {}

    def declare(self, table: str, file: File, place: Place) -> None:
        """Note the columns that a table declares.

        Raises:
            ConfigError: if a kind is unknown, or no time can have a form.
        """
        for name, raw in file.columns.items():
            at = place["columns"][name]
            if isinstance(raw, str) and raw not in get_args(Kind):
                raise at.error(f"no kind of column named '{raw}'{nearest(raw, list(get_args(Kind)))}")
            declared = at.build(Column, {"kind": raw} if isinstance(raw, str) else raw)
            check_forms(declared.formats, at["formats"])
            self._declared[table, name] = declared

    def use(self, uses: Iterable[Use]) -> None:
        """Note what columns are used for."""
        for use in uses:
            self._wanted.setdefault((use.table, use.column), {}).setdefault(use.want, use.place)

    def join(self, pairs: Iterable[Pair]) -> None:
        """Let both sides of each join agree, after all uses are noted.

        Raises:
            ConfigError: if they cannot.
        """
        pairs = list(pairs)
        for _ in pairs:
            for own, theirs in pairs:
                self._agree(own, theirs)
                self._agree(theirs, own)
        for own, theirs in pairs:
            kinds = self.kind(own.table, own.column), self.kind(theirs.table, theirs.column)
            whole = all(kind in ("integer", "key") for kind in kinds)
            if kinds[0] != kinds[1] and not whole:
                raise own.place.error(
                    f"the column '{own.column}' is read as {kinds[0]} and '{theirs.column}' of {theirs.table} as "
                    f"{kinds[1]}: declare both below 'columns', as one kind"
                )

    def kind(self, table: str, column: str) -> Kind:
        """Return what a column is read as.

        Raises:
            ConfigError: if its uses contradict each other.
        """
        wanted = self._wanted.get((table, column), {})
        declared = self._declared.get((table, column))
        if declared is not None:
            for want, place in wanted.items():
                if want not in _SERVES[declared.kind]:
                    raise place.error(f"the column '{column}' is declared as {declared.kind}, not as {want}")
            return declared.kind
        real = {want: place for want, place in wanted.items() if want != "any"}
        if len(real) > 1:
            (one, first), (other, second), *_ = real.items()
            raise second.error(
                f"the column '{column}' is used as {other} here and as {one} in line {first.line}: declare it "
                f"below 'columns', as integer, number or text"
            )
        return KINDS[next(iter(real))] if real else "text"

    def of(self, table: str, file: File, more: Iterable[str] = ()) -> tuple[ledger.Column, ...]:
        """Return the columns of a table as the ledger reads them.

        Raises:
            ConfigError: if the uses of one contradict each other.
        """
        names = [column for owner, column in self._wanted if owner == table]
        names += [column for owner, column in self._declared if owner == table]
        names += [*file.needs, *more]
        return tuple(self._column(table, name, name in file.needs) for name in dict.fromkeys(names))

    def place(self, table: str, column: str) -> Place | None:
        """Return where a column is first asked for."""
        return next(iter(self._wanted.get((table, column), {}).values()), None)

    def _agree(self, one: Use, other: Use) -> None:
        """Let `other` be read as `one` is, if only joins ask for it."""
        kind = self.kind(one.table, one.column)
        key = (other.table, other.column)
        free = key not in self._declared and set(self._wanted.get(key, {})) <= {"any"}
        if free and kind in ("key", "integer", "number"):
            self._declared[key] = Column(kind="key" if kind == "integer" else kind)

    def _column(self, table: str, name: str, required: bool) -> ledger.Column:
        kind = self.kind(table, name)
        declared = self._declared.get((table, name))
        formats = declared.formats if declared else ()
        if kind in ("moment", "day"):
            make = ledger.moment if kind == "moment" else ledger.day
            return make(name, required=required, formats=formats)
        if kind == "measurement":
            return ledger.value(name)
        plain = cast("dict[Kind, Callable[..., ledger.Column]]", _PLAIN)
        return plain[kind](name, required=required)


_PLAIN = {"integer": ledger.integer, "number": ledger.number, "text": ledger.text, "key": ledger.key}
