"""Whatever stands in a mapping, it is read, or refused with its place; read, it makes events or is refused by name."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attending.config import Component
from attending.engine.local import Local
from attending.errors import AttendingError, ConfigError
from attending.mapping.source import read
from attending.stages.ingest import ingest
from raw import tables as raw

WORDS = st.sampled_from(
    [
        "$stay",
        "$of.admitted",
        "$each",
        "$each.name",
        "$none.x",
        "static",
        "time",
        "A",
        "strip",
        "upper",
        "map",
        "is",
        "value",
        "first",
        "join",
        "after",
        "order",
        "each",
        "2008-12-31",
        "\\",
        "(",
        "%",
        "Europe/Berlin",
        "stays",
        "patients",
        "integer",
        "day",
    ]
)
SCALARS = (
    WORDS
    | st.none()
    | st.booleans()
    | st.integers(-3, 10**12)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
)
KEYS = WORDS | st.sampled_from(
    [
        "code",
        "unit",
        "when",
        "split",
        "by",
        "formats",
        "date_only",
        "minutes",
        "times",
        "remove",
        "once",
        "table",
        "on",
    ]
)
NODES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the example with some of its nodes replaced, removed, or given to another key."""
    mapping = copy.deepcopy(yaml.safe_load(raw.MAPPING))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(mapping))
        holder, key = draw(st.sampled_from(places))
        if (isinstance(holder, list) and key >= len(holder)) or (
            isinstance(holder, dict) and key not in holder
        ):
            continue
        match draw(st.sampled_from(["replace", "remove", "rename", "move"])):
            case "remove":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(KEYS)] = holder.pop(key)
            case "move":
                other, place = draw(st.sampled_from(places))
                holder[key] = copy.deepcopy(other[place]) if _has(other, place) else None
            case _:
                holder[key] = draw(NODES)
    return mapping


@given(mutated())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_mapping_is_read_or_refused_with_its_place(tmp_path, mapping):
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True), encoding="utf-8")
    try:
        assert read(path).source.tables
    except ConfigError as error:
        assert "m.yaml" in str(error)


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_text_is_read_or_refused_with_its_place(tmp_path, data):
    text = raw.MAPPING
    for _ in range(data.draw(st.integers(1, 4))):
        place, n = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 9))
        text = text[:place] + data.draw(st.text(max_size=4)) + text[place + n :]
    path = tmp_path / "m.yaml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        assert read(path).source.tables
    except ConfigError as error:
        assert "m.yaml" in str(error)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raw.write(tmp_path_factory.mktemp("raw"))


@given(mutated())
@settings(max_examples=40, deadline=None)
def test_a_mutated_mapping_makes_events_or_is_refused(hospital, tmp_path_factory, mapping):
    folder = tmp_path_factory.mktemp("out")
    path = folder / "m.yaml"
    path.write_text(yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True), encoding="utf-8")
    source = Component(name="tables", mapping=str(path))
    try:
        ingest(source, hospital, folder / "events", engine=Local(1))
    except AttendingError as error:
        assert str(error)


def _places(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield node, key
        yield from _places(value)


def _has(node: Any, key: Any) -> bool:
    return key in node if isinstance(node, dict) else key < len(node)
