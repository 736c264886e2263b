"""The pages and the changelog that `make docs` makes from the code are up to date."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from attending import registry

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pages_are_what_the_code_says(script: ModuleType) -> None:
    stale = [path.name for path, text in script.made().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run make docs"


def test_every_component_has_its_section(script: ModuleType) -> None:
    for kind in registry.KINDS:
        page = script.component_page(kind)
        for name in registry.names(kind):
            assert f"\n## {name}\n" in page


def test_a_settings_docstring_falls_into_prose_and_meanings(script: ModuleType) -> None:
    prose, meanings = script.read_docstring("About.\n\none   first\n      and more\ntwo   second")
    assert prose == "About."
    assert meanings == {"one": "first and more", "two": "second"}


def test_every_fragment_is_one_sentence_of_a_known_kind(script: ModuleType) -> None:
    for path in (ROOT / "changelog.d").glob("*.md"):
        if path.name != "README.md":
            assert path.suffixes[-2].removeprefix(".") in script.SECTIONS, path.name
            text = path.read_text(encoding="utf-8").strip()
            assert text.endswith(".")
            assert ". " not in text.replace(".csv", ""), path.name
