import json
import os

import pytest

from attending import artifact
from attending.artifact import (
    MANIFEST,
    Recipe,
    code_version,
    folder_fingerprint,
    is_current,
    read_manifest,
    write_atomic,
    write_json,
    writing,
)
from attending.errors import ArtifactError

RECIPE = Recipe(kind="thing", config={"a": 1}, parents={"events": "x"}, seed=3)


def make(folder, recipe: Recipe = RECIPE, text: str = "whole") -> None:
    with writing(folder, recipe) as writer:
        (writer.path / "data").write_text(text)
        writer.counts = {"rows": 7}


def test_an_artifact_says_what_made_it(tmp_path) -> None:
    make(tmp_path / "a")
    manifest = read_manifest(tmp_path / "a", "thing")
    assert (manifest.config, manifest.parents, manifest.seed) == ({"a": 1}, {"events": "x"}, 3)
    assert manifest.counts == {"rows": 7}
    assert manifest.code_version == code_version()
    assert manifest.fingerprint == RECIPE.fingerprint


def test_an_artifact_is_current_for_its_own_recipe_only(tmp_path) -> None:
    make(tmp_path / "a")
    assert is_current(tmp_path / "a", RECIPE)
    for other in ({"config": {"a": 2}}, {"seed": 4}, {"parents": {"events": "y"}}, {"kind": "other"}):
        changed = Recipe(
            **({"kind": "thing", "config": {"a": 1}, "parents": {"events": "x"}, "seed": 3} | other)
        )
        assert not is_current(tmp_path / "a", changed)
    assert not is_current(tmp_path / "nothing", RECIPE)


def test_a_failure_leaves_the_previous_artifact_and_keeps_the_part_for_resuming(tmp_path) -> None:
    make(tmp_path / "a")
    newer = Recipe(kind="thing", config={"a": 2})
    with pytest.raises(RuntimeError), writing(tmp_path / "a", newer) as writer:
        (writer.path / "part").write_text("half")
        raise RuntimeError
    assert (tmp_path / "a" / "data").read_text() == "whole"
    with writing(tmp_path / "a", newer) as writer:
        assert (writer.path / "part").read_text() == "half"
    assert read_manifest(tmp_path / "a").config == {"a": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_part_of_another_recipe_is_thrown_away(tmp_path) -> None:
    with pytest.raises(RuntimeError), writing(tmp_path / "a", Recipe(kind="thing", config={"a": 9})):
        raise RuntimeError
    make(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "a")
    rename = type(tmp_path).rename

    def rename_then_die(self, target):
        result = rename(self, target)
        if self.name == "a":
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(type(tmp_path), "rename", rename_then_die)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", Recipe(kind="thing", config={"a": 2}), "new")
    monkeypatch.undo()
    assert not (tmp_path / "a").exists()
    assert read_manifest(tmp_path / "a").config == {"a": 1}
    assert (tmp_path / "a" / "data").read_text() == "whole"


@pytest.mark.parametrize("fault", ["write", "sync", "replace"])
def test_a_full_disk_never_costs_the_old_file(tmp_path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    path = tmp_path / "f"
    write_atomic(path, lambda temporary: temporary.write_text("old"))

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    if fault == "sync":
        monkeypatch.setattr(artifact, "_sync", full)
    if fault == "replace":
        monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, full if fault == "write" else lambda temporary: temporary.write_text("new"))
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["f"]


def test_a_missing_a_damaged_and_a_wrong_artifact_are_told_apart(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"found no manifest\.json there"):
        read_manifest(tmp_path, "thing")
    make(tmp_path / "a")
    with pytest.raises(ArtifactError, match=r"of kind 'events' at .*; got 'thing'"):
        read_manifest(tmp_path / "a", "events")
    (tmp_path / "a" / MANIFEST).write_text("{")
    with pytest.raises(ArtifactError, match="is damaged: delete"):
        read_manifest(tmp_path / "a")


def test_the_fingerprint_of_a_source_folder_sees_every_file(tmp_path) -> None:
    (tmp_path / "one.csv").write_text("a")
    before = folder_fingerprint(tmp_path)
    assert folder_fingerprint(tmp_path) == before
    (tmp_path / "two.csv").write_text("b")
    assert folder_fingerprint(tmp_path) != before


def test_json_is_readable(tmp_path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, 2]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, 2]}


def test_two_processes_do_not_write_the_same_artifact_at_once(tmp_path) -> None:
    with (
        writing(tmp_path / "a", RECIPE),
        pytest.raises(ArtifactError, match="another process is writing"),
        writing(tmp_path / "a", RECIPE),
    ):
        pass
    make(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_kill_left_of_a_file_is_gone(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "a", RECIPE) as writer:
        (writer.path / "below").mkdir()
        (writer.path / "below" / ".state.json.123.tmp").write_text("half")
        raise KeyboardInterrupt
    make(tmp_path / "a")
    assert sorted(path.name for path in (tmp_path / "a").rglob("*")) == ["below", "data", MANIFEST]
