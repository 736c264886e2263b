"""Typed settings: one frozen class per component, YAML in and out, errors that name the line.

A component's settings are a `Settings` subclass called `Config` in the component's own file. A study is a
tree of them (`pipeline.StudyConfig`). An unknown key, a wrong type or a contradiction is answered with file,
line, key and the nearest match.
"""

from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attending import registry
from attending.errors import ConfigError, nearest

S = TypeVar("S", bound="Settings")
Lines = dict[tuple[str | int, ...], int]
MOST_SETTINGS = 100_000
"""A mapping of hundreds of tables has some thousands; a few lines of anchors may stand for billions."""
_NOT_YAML = (
    yaml.YAMLError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading YAML raises: a tag such as `!!timestamp` on something else, whatever comes."""

BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Settings(BaseModel):
    """The base of all settings: frozen, keyword-only, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON or YAML."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Return the settings as YAML, in the order they are declared."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str, where: str = "settings") -> Self:
        """Read what `to_yaml` wrote.

        Raises:
            ConfigError: naming the key and the line.
        """
        values, lines = parse(text, where)
        return build(cls, values, where=where, lines=lines)


class Component(Settings):
    """A component by name and its settings, as a study writes it: `{name: retain, width: 64}`.

    A bare name is a component with its default settings.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def settings(self) -> dict[str, Any]:
        """The settings beside the name."""
        return dict(self.model_extra or {})

    def config(self, kind: str, where: str = "settings") -> Settings:
        """Return the component's own typed `Config`, filled in and checked.

        Raises:
            UnknownComponent: if no component of `kind` has this name.
            ConfigError: if a setting does not fit it.
        """
        config_class: type[Settings] = registry.load(kind, self.name).Config
        return build(config_class, self.settings, where=f"{where}, {kind}.{self.name}")


def read(path: Path, settings: type[S], overrides: tuple[str, ...] = ()) -> S:
    """Read a YAML file into `settings`, then apply overrides such as `train.epochs=3`.

    Raises:
        ConfigError: if the file is missing or not YAML, or a key or value does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the settings file {path}: {type(error).__name__}") from None
    values, lines = parse(text, str(path))
    for one in overrides:
        override(values, one)
    return build(settings, values, where=str(path), lines=lines)


def parse(text: str, where: str) -> tuple[dict[str, Any], Lines]:
    """Return the mapping that YAML `text` holds and the line of each key.

    Raises:
        ConfigError: if it is not YAML, not a mapping, names a key twice, or repeats itself beyond measure.
    """
    lines: Lines = {}
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _number(node, (), lines, where)
        values = loader.construct_document(node) if node is not None else None
    except _NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{where}{line} is not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"expected a mapping of settings in {where}; got {type(values).__name__}")
    return values, lines


def build(settings: type[S], values: dict[str, Any], *, where: str, lines: Lines | None = None) -> S:
    """Build `settings` from plain `values`.

    Raises:
        ConfigError: one line per problem: key, what was expected, file and line.
    """
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        problems = [_explain(settings, dict(problem), where, lines or {}) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from None


def _number(node: yaml.Node | None, path: tuple[str | int, ...], lines: Lines, where: str) -> None:
    if len(lines) > MOST_SETTINGS:
        raise ConfigError(
            f"{where} holds more than {MOST_SETTINGS:,} settings: write out what its anchors repeat"
        )
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{where}, line {key.start_mark.line + 1}: expected a word as a key")
            here = (*path, key.value)
            if here in lines:
                raise ConfigError(
                    f"the key '{'.'.join(map(str, here))}' stands twice in {where}, "
                    f"lines {lines[here]} and {key.start_mark.line + 1}"
                )
            lines[here] = key.start_mark.line + 1
            _number(value, here, lines, where)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            lines[(*path, position)] = item.start_mark.line + 1
            _number(item, (*path, position), lines, where)


def override(values: dict[str, Any], text: str) -> None:
    """Set `a.b=value` in nested plain values; the value is read as YAML.

    Raises:
        ConfigError: if the text is no such setting.
    """
    path, found, value = text.partition("=")
    if not found or not path:
        raise ConfigError(f"expected a setting such as 'train.epochs=3'; got '{text}'")
    *parents, last = path.split(".")
    here = values
    for parent in parents:
        below = here.setdefault(parent, {})
        if isinstance(below, str):  # a bare component name takes settings
            below = here[parent] = {"name": below}
        if not isinstance(below, dict):
            raise ConfigError(f"the override '{path}' goes through '{parent}', which is not a mapping")
        here = below
    try:
        here[last] = yaml.safe_load(value)
    except _NOT_YAML:
        raise ConfigError(f"the value of the override '{path}' is not valid YAML") from None


def _explain(settings: type[Settings], problem: dict[str, Any], where: str, lines: Lines) -> str:
    path = tuple(problem["loc"])
    line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)
    place = f"{where}, line {line}" if line else where
    key = ".".join(map(str, path)) or "the settings"
    if problem["type"] == "extra_forbidden":
        known = sorted(_fields_at(settings, path[:-1]))
        return f"unknown key '{key}' ({place}){nearest(str(path[-1]), known)}"
    if problem["type"] == "missing":
        return f"the key '{key}' is required ({place})"
    if problem["type"] in BOUNDS:
        limit, words = BOUNDS[problem["type"]]
        return f"'{key}': expected {words} {problem['ctx'][limit]:g}; got {problem['input']} ({place})"
    return f"'{key}': {problem['msg']}; got {type(problem.get('input')).__name__} ({place})"


def _fields_at(settings: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    here: type[BaseModel] = settings
    for part in path:
        field = here.model_fields.get(str(part))
        inner = field.annotation if field else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            here = inner
    return list(here.model_fields)
