"""Every error that a user can cause, as one tree.

    AttendingError
    ├── ConfigError        a setting is unknown, of the wrong type, or contradicts another
    ├── UnknownComponent   no model, source, task … of that name
    ├── SourceError        raw input is missing or cannot be read at all
    │   └── LedgerError    the lines of a file do not add up
    ├── SchemaError        a table lacks a column, or holds the wrong type or order
    ├── ArtifactError      an artifact is missing, damaged, or of another kind
    ├── TaskError          a question cannot be asked of these events
    └── ModelError         a model cannot be built, trained or explained as asked

A message says what was expected, what was got, where, and what to do. It never holds a patient's
value: names, types, shapes, counts and row positions only.
"""

from difflib import get_close_matches


class AttendingError(Exception):
    """The root: catch this to catch every error that the library raises on purpose."""


class ConfigError(AttendingError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class UnknownComponent(AttendingError):
    """No component of that kind has that name."""


class SourceError(AttendingError):
    """Raw input is missing or cannot be read at all."""


class LedgerError(SourceError):
    """The lines of a file do not add up to the lines accounted for."""


class SchemaError(AttendingError):
    """A table lacks a column, or holds the wrong type or order."""


class ArtifactError(AttendingError):
    """An artifact is missing, damaged, or of another kind than was expected."""


class TaskError(AttendingError):
    """A question cannot be asked of these events."""


class ModelError(AttendingError):
    """A model cannot be built, trained or explained as asked."""


class Diverged(ModelError):
    """A loss is not finite any more: other settings may do better."""


def nearest(name: str, known: list[str]) -> str:
    """Return "; did you mean 'x'? (known: …)" for an unknown name."""
    matches = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{matches[0]}'?" if matches else ";"
    return f"{hint} (known: {', '.join(known) or 'none'})"
