from typing import Literal

import pytest

from attending.config import Component, Settings, build, override, parse, read
from attending.errors import ConfigError, UnknownComponent
from attending.models.transformer import Config as Transformer
from attending.train.config import Config as Training


class Inner(Settings):
    epochs: int = 3
    kind: Literal["a", "b"] = "a"


class Outer(Settings):
    name: str
    train: Inner = Inner()


def write(tmp_path, text: str):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def test_settings_are_read_with_overrides(tmp_path) -> None:
    path = write(tmp_path, "name: x\ntrain:\n  epochs: 5\n")
    assert read(path, Outer, ("train.kind=b", "name=y")) == Outer(name="y", train=Inner(epochs=5, kind="b"))


def test_an_unknown_key_names_the_file_the_line_and_the_nearest_match(tmp_path) -> None:
    path = write(tmp_path, "name: x\ntrain:\n  epohcs: 5\n")
    with pytest.raises(
        ConfigError, match=r"unknown key 'train\.epohcs' \(.*study\.yaml, line 3\); did you mean 'epochs'\?"
    ):
        read(path, Outer)


def test_a_wrong_type_names_the_key_and_the_line_but_not_the_value(tmp_path) -> None:
    path = write(tmp_path, "name: x\ntrain:\n  epochs: secret\n")
    with pytest.raises(ConfigError, match=r"'train\.epochs': .*got str \(.*line 3\)") as caught:
        read(path, Outer)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("epochs", r"'epochs': expected at least 1; got 0"),
        ("learning_rate", r"'learning_rate': expected more than 0; got 0"),
        ("dropout", r"'dropout': expected less than 1; got 1"),
        ("n_layers", r"'n_layers': expected at least 1; got -1"),
    ],
)
def test_a_number_out_of_bounds_says_what_was_expected(setting: str, words: str) -> None:
    settings = Training if setting in Training.model_fields else Transformer
    value = int(words.rpartition(" ")[2])
    with pytest.raises(ConfigError, match=words):
        build(settings, {setting: value}, where="a test")


def test_a_missing_key_and_a_missing_file_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="the key 'name' is required"):
        read(write(tmp_path, "train: {}\n"), Outer)
    with pytest.raises(ConfigError, match="cannot read the settings file"):
        read(tmp_path / "none.yaml", Outer)


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'a' stands twice in s, lines 1 and 2"):
        parse("a: 1\na: 2\n", "s")


@pytest.mark.parametrize(
    "text", ["a: [1\n", "!!python/object:os.system x", "- a\n- b\n", "a: &x [*x]\nb: {<<: 3}\n", ""]
)
def test_hostile_yaml_is_an_error_and_runs_nothing(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text, "s")


def test_an_override_that_is_none_says_what_one_looks_like() -> None:
    with pytest.raises(ConfigError, match="expected a setting such as"):
        override({}, "train.epochs")
    with pytest.raises(ConfigError, match="goes through 'a', which is not a mapping"):
        override({"a": 3}, "a.b=1")


def test_a_bare_component_name_takes_settings() -> None:
    values: dict[str, object] = {"task": "next_diagnoses"}
    override(values, "task.visits=last")
    assert values == {"task": {"name": "next_diagnoses", "visits": "last"}}


def test_a_components_settings_are_checked_by_its_own_file() -> None:
    component = Component(name="retain", width=64)
    assert component.config("models").to_dict()["width"] == 64
    with pytest.raises(ConfigError, match=r"unknown key 'witdh' .*models\.retain.*did you mean 'width'"):
        Component(name="retain", witdh=64).config("models")
    with pytest.raises(UnknownComponent, match="no model named 'ratain'; did you mean 'retain'"):
        Component(name="ratain").config("models")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Inner().epochs = 4  # type: ignore[misc]


def test_settings_round_trip_through_yaml() -> None:
    outer = Outer(name="x", train=Inner(epochs=7))
    assert Outer.from_yaml(outer.to_yaml()) == outer
    assert build(Outer, outer.to_dict(), where="s") == outer


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: " + "[" * 100_000,
        "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]),
        "a: " + "9" * 5000,
        "a: 2024-99-99",
        "a: !!float x",
        "a: !!timestamp x",
        "a: !!bool x",
        "a: !!int ''",
        "? [1, 2]\n: 3",
        "a: \x00",
    ],
)
def test_yaml_that_is_too_deep_too_large_or_holds_itself_is_refused(text):
    with pytest.raises(ConfigError):
        parse(text, "study.yaml")


def test_an_override_that_is_no_yaml_is_refused():
    with pytest.raises(ConfigError, match="is not valid YAML"):
        override({}, "a=" + "9" * 5000)
