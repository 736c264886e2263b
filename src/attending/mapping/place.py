"""Where something stands in a mapping, so that every error names file, line and key."""

from dataclasses import dataclass
from typing import Any, TypeVar

from attending.config import Lines, Settings, build
from attending.errors import ConfigError

S = TypeVar("S", bound=Settings)
Plain = Any
"""What YAML holds: text, numbers, dates, lists and mappings of them."""


@dataclass(frozen=True)
class Place:
    """A key of a YAML file: the file's name, the path of keys, and the line of every key of the file."""

    file: str
    lines: Lines
    path: tuple[str | int, ...] = ()

    def __getitem__(self, key: str | int) -> "Place":
        """Return the place of a key or an item below this one."""
        return Place(self.file, self.lines, (*self.path, key))

    @property
    def line(self) -> int | None:
        """The line of the key, or of the nearest key above it."""
        ends = range(len(self.path), 0, -1)
        return next((self.lines[self.path[:end]] for end in ends if self.path[:end] in self.lines), None)

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        return f"{self.file}{line}{': ' if self.path else ''}{'.'.join(map(str, self.path))}"

    def error(self, message: str) -> ConfigError:
        """Return an error that says where."""
        return ConfigError(f"{message} ({self})")

    def build(self, settings: type[S], values: Plain) -> S:
        """Build `settings` from what stands here.

        Raises:
            ConfigError: naming the key and its line.
        """
        if not isinstance(values, dict):
            raise self.error(f"expected a mapping; got {type(values).__name__}")
        start = len(self.path)
        below = {path[start:]: line for path, line in self.lines.items() if path[:start] == self.path}
        where = f"{self.file}: {'.'.join(map(str, self.path))}" if self.path else self.file
        for key in values:
            if not isinstance(key, str):
                raise self.error(f"YAML reads a key here as {key}, not as text: put it in quotes")
        return build(settings, values, where=where, lines=below)
