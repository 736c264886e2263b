"""What `$NAME` stands for in a table, and what every column is used for.

$column          a column of the table
$join.column     a column of the row that the join found
$constant        a constant of the table
$each            the value of the column, or the part, that makes this event
$each.name       that column's name
$each.number     its number, 1 for the first
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from attending.mapping.place import Place
from attending.schema import SUBJECT_ID

EACH, EACH_NAME, EACH_NUMBER = "each", "each.name", "each.number"
Want = Literal["text", "number", "key", "measurement", "any"]


@dataclass(frozen=True)
class Use:
    """A column of a table that is read: as what, where that is asked for, and through which join."""

    table: str
    column: str
    want: Want
    place: Place
    join: str = ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a name stands for: a column of the frame and whose it is, or a constant."""

    frame_column: str = ""
    constant: object = None


@dataclass(kw_only=True)
class Names:
    """The names that a table may use; it notes each use.

    table       the table's name
    subject     its column that says whose row it is, which the frame has under the common name
    constants   its constants
    joins       the table that each join looks into
    each        the columns that `$each` stands for here; none: it is text, or there is none
    """

    table: str
    subject: str = ""
    constants: dict[str, object] = field(default_factory=dict)
    joins: dict[str, str] = field(default_factory=dict)
    each: tuple[str, ...] | None = None
    uses: list[Use] = field(default_factory=list)

    def find(self, name: str, want: Want, place: Place) -> Found:
        """Say what `$name` stands for, and note that it is used.

        Raises:
            ConfigError: if there is no `each` here.
        """
        if name in self.constants:
            return Found(constant=self.constants[name])
        if name in (EACH, EACH_NAME, EACH_NUMBER):
            return self._each(name, want, place)
        join, dot, column = name.partition(".")
        if dot and join in self.joins:
            self.uses.append(Use(self.joins[join], column, want, place, join))
            return Found(frame_column=name)
        self.uses.append(Use(self.table, name, want, place))
        return Found(frame_column=SUBJECT_ID if name == self.subject else name)

    def for_each(self, columns: tuple[str, ...], place: Place) -> "Names":
        """Return the names of an event that is made for each of `columns`, or of the parts of a text."""
        self.uses += [Use(self.table, column, "any", place) for column in columns]
        return replace(self, each=columns)

    def _each(self, name: str, want: Want, place: Place) -> Found:
        if self.each is None:
            raise place.error(f"'${name}' needs the key 'each' beside the code")
        if name == EACH:
            self.uses += [Use(self.table, column, want, place) for column in self.each]
        return Found(frame_column=name)
