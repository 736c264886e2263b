"""The keys of a mapping, by level: the whole, a table, a column, a join, an event, a dictionary.

What a value, a time or a condition may be is said in `values.py`, `times.py` and `conditions.py`; a key of such a
form has the type `Any` here. `docs/data/tables.md` explains all of them with an example.
"""

from typing import Any, Literal

from pydantic import Field

from attending.config import Settings

Kind = Literal["integer", "number", "moment", "day", "text", "key", "measurement"]
Names = tuple[str, ...]


class Mapping(Settings):
    """A whole mapping.

    name            the data set's name
    tables          each table by name, those that others join first
    dictionaries    tables without subjects, to look things up in and to name codes
    subjects        the table that lists all subjects: rows of others are set aside
    time_zone       of times that carry none, such as Europe/Berlin: they become UTC; none: they stay local
    """

    name: str = "tables"
    tables: dict[str, Any]
    dictionaries: dict[str, Any] = Field(default_factory=dict)
    subjects: str | None = None
    time_zone: str | None = None


class File(Settings):
    """What a table and a dictionary have in common.

    file        its files below the folder, without `.csv`, `.gz` …: `hosp/labs`, `**/*Inpatient_Claims*`
    separator   what stands between fields, if not a comma; empty: what the header has most of
    columns     kinds of columns that their use does not tell, or forms of their dates
    needs       columns without which a line is set aside
    optional    columns that a file may lack; `all`: any
    required    the folder cannot be read without this table
    """

    file: str | None = None
    separator: Literal[",", ";", "\t", "|", ""] = ","
    columns: dict[str, Any] = Field(default_factory=dict)
    needs: Names = ()
    optional: Names | Literal["all"] = ()
    required: bool = False


class Table(File):
    """A table whose rows become events.

    subject     the column that says whose row it is, or `{column: COLUMN, prefix: TEXT}`, or
                `{through: TABLE, by: COLUMN}`
    constants   values of this table by name, which `$NAME` gives as a column does
    joins       other tables and dictionaries, whose columns are `$NAME.column`
    unique      columns that no two lines may have in common
    ordered     pairs of times: a line whose second is before its first is set aside
    when        what must hold for a line to become events at all
    time, available, visit, priority, origin     what holds for every event that does not say otherwise
    events      the events of a line
    """

    subject: Any
    constants: dict[str, Any] = Field(default_factory=dict)
    joins: dict[str, Any] = Field(default_factory=dict)
    unique: Names = ()
    ordered: tuple[tuple[Any, Any], ...] = ()
    when: Any = None
    time: Any = None
    available: Any = None
    visit: Any = None
    priority: Any = None
    origin: Any = None
    events: tuple[Any, ...] = ()


class Dictionary(File):
    """A table without subjects; `names` says which code each of its rows names."""

    names: tuple[Any, ...] = ()


class Column(Settings):
    """How a column is read: its kind, and forms of its dates as `strptime` writes them."""

    kind: Kind
    formats: Names = ()


class Through(Settings):
    """Whose row it is, where no column says so: that of the row of a table with the same key."""

    through: str
    by: str


class Prefixed(Settings):
    """Whose row it is, where several tables number their own subjects: the text and the column's value, as one id."""

    column: str
    prefix: str


class Join(Settings):
    """Where a line finds more.

    table        a table with subjects, named before this one: its row of the same subject …
    dictionary   … or a dictionary, named below `dictionaries`
    by           the column that both have in common, or `{own: theirs}`; none: the subject alone
    needed       a line that finds none is set aside
    """

    table: str | None = None
    dictionary: str | None = None
    by: str | dict[str, str] | None = None
    needed: bool = False


class Event(Settings):
    """An event of a line.

    code         its parts; `unit` becomes the last of them
    time         when it happened, or `static`
    available    when it became known, if later
    value        a number
    measurement  a column of measurements as people write them (`<0.1`, `NEG`): a number, and words as text
    text         words
    visit, priority, origin     the encounter, the rank in it, the name of the table
    when         what must hold
    each         columns, or parts of one, each of which makes an event: `$each`
    once         one event a subject is enough: the earliest
    description  what the code means, in words
    """

    code: Any
    unit: Any = None
    time: Any = None
    available: Any = None
    value: Any = None
    measurement: Any = None
    text: Any = None
    visit: Any = None
    priority: Any = None
    origin: Any = None
    when: Any = None
    each: Any = None
    once: bool = False
    description: Any = None


class Numbered(Settings):
    """Columns whose names differ by a number, which `#` stands for."""

    columns: str
    first: int = 1
    last: int


class Split(Settings):
    """The parts of a text, cut at `by`."""

    split: Any
    by: str


class Name(Settings):
    """A code that a row of a dictionary names, or the first parts of such codes."""

    code: Any
    name: Any
