"""Make what follows from the code: a page for each kind of component, one of all settings, and the changelog.

    python scripts/docs.py            write docs/components/*.md and CHANGELOG.md
    python scripts/docs.py --check    say which of them are out of date, and fail if any is

The same code gives the same bytes. `make docs` runs it; a test holds the committed files to it.
"""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from attending import registry
from attending.config import Component, Settings

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "components"
FRAGMENTS = ROOT / "changelog.d"
MADE = "<!-- Made by `make docs` from the code: change the code, not this file. -->"
FILLED_IN = ("n_tokens", "n_outcomes", "n_concepts")  # sizes that the training stage fills in
TITLES = {
    "models": ("Models", "What learns and predicts. The five baselines are models like any other."),
    "splits": ("Splits", "Who trains, who tunes, and who is held out."),
    "tasks": ("Tasks", "The questions that can be asked of events."),
    "sources": ("Sources", "What raw files can be read."),
    "exports": ("Exports", "What formats events can be written in."),
    "explain": ("Explainers", "How a prediction is taken apart into what each past event added."),
}
SECTIONS = {"added": "New", "changed": "Changed", "fixed": "Fixed"}


def made() -> dict[Path, str]:
    """Return every file that this script makes, and what it holds."""
    pages = {PAGES / f"{kind}.md": component_page(kind) for kind in registry.KINDS}
    return pages | {PAGES / "settings.md": settings_page(), ROOT / "CHANGELOG.md": changelog()}


def component_page(kind: str) -> str:
    """Return the page of all components of a kind: what each file says of itself, and its settings."""
    title, about = TITLES[kind]
    names = registry.names(kind)
    listed = [f"- [`{name}`](#{name}) · {registry.summary(kind, name)}" for name in names]
    parts = [
        MADE,
        f"# {title}",
        f"{about} From the command line: `attending list {kind}`.",
        "\n".join(listed),
    ]
    for name in names:
        parts += [f"## {name}", registry.docstring(kind, name)]
        parts += settings_of(registry.load(kind, name).Config)
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Return the page of a study's settings, section by section."""
    from attending.pipeline import StudyConfig

    about = (
        "A study is a YAML file of these keys. `attending run STUDY.yaml key.key=value` overrides any of them. The "
        "settings of [sources](sources.md), [exports](exports.md), [splits](splits.md), [tasks](tasks.md), "
        "[models](models.md) and [explainers](explain.md) stand beside their names: `task: {name: mortality, hours: "
        "48}`."
    )
    parts = [MADE, "# The settings of a study", about, *settings_of(StudyConfig)]
    for name, field in StudyConfig.model_fields.items():
        inner = section(field)
        if inner is not None:
            parts += [f"## {heading(name, field)}", *settings_of(inner)]
    return "\n\n".join(parts) + "\n"


def section(field: FieldInfo) -> type[Settings] | None:
    """Return the settings class of a field that is a section, or a list of sections, of a study."""
    for one in (field.annotation, *get_args(field.annotation)):
        if isinstance(one, type) and issubclass(one, Settings) and not issubclass(one, Component):
            return one
    return None


def heading(name: str, field: FieldInfo) -> str:
    """Return the heading of a section; a list of them says so."""
    return f"{name}, each" if get_origin(field.annotation) is tuple else name


def settings_of(config: type[BaseModel]) -> list[str]:
    """Return a settings class as prose and a table."""
    prose, meanings = read_docstring(inspect.cleandoc(config.__doc__ or ""))
    meanings |= attribute_docstrings(config)
    hidden = FILLED_IN if set(FILLED_IN) <= set(config.model_fields) else ()
    fields = {name: field for name, field in config.model_fields.items() if name not in hidden}
    if not fields:
        return ["No settings."]
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        cells = f"`{name}`", *kind_and_default(name, field), meanings.get(name, "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*([prose] if prose else []), "\n".join(lines)]


def kind_and_default(name: str, field: FieldInfo) -> tuple[str, str]:
    """Return a setting's type and default; a section of settings points to its own table."""
    if section(field) is not None:
        anchor = heading(name, field).replace(", ", "-")
        return f"[section](#{anchor})", "none" if field.default in (None, ()) else "its defaults"
    default = "required" if field.default is PydanticUndefined else f"`{plain(field.default)}`"
    return f"`{type_name(field.annotation)}`", default


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Split a settings docstring into prose and the meanings that it lists as `name   meaning`."""
    prose: list[str] = []
    meanings: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        listed = re.fullmatch(r"(\w+)\s{2,}(\S.*)", line)
        if listed:
            name = listed[1]
            meanings[name] = listed[2]
        elif name and line.startswith("   "):
            meanings[name] += f" {line.strip()}"
        else:
            name = ""
            prose.append(line)
    return "\n".join(prose).strip(), meanings


def attribute_docstrings(config: type[BaseModel]) -> dict[str, str]:
    """Return the strings that stand below the fields of a settings class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = getattr(getattr(below, "value", None), "value", None)
            if isinstance(below, ast.Expr) and isinstance(text, str):
                found[field.target.id] = " ".join(text.split())
    return found


def type_name(annotation: object) -> str:
    """Return a type as a person writes it, the same under every version of Python."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(one) for one in inner)
    if origin in (Union, UnionType):
        return " | ".join(type_name(one) for one in inner)
    if origin is not None:
        return f"{origin.__name__}[{', '.join('…' if one is Ellipsis else type_name(one) for one in inner)}]"
    if annotation is NoneType:
        return "none"
    return getattr(annotation, "__name__", str(annotation))


def plain(value: object) -> str:
    """Return a default as JSON would have it."""
    return json.dumps(value, default=as_plain, ensure_ascii=False)


def as_plain(value: object) -> object:
    """Return a component by its name, and anything else as its text."""
    if isinstance(value, BaseModel):
        values = value.model_dump(mode="json")
        return values["name"] if list(values) == ["name"] else values
    return str(value)


def changelog() -> str:
    """Return the changelog: the fragments, a sentence each, by kind of change."""
    from attending import __version__

    parts = [
        "# Changes",
        MADE.replace("the code: change the code", "changelog.d: add a fragment"),
        f"## {__version__}",
    ]
    for kind, title in SECTIONS.items():
        told = [f"- {' '.join(text.split())}" for text in fragments(kind)]
        parts += [f"### {title}", "\n".join(told)] if told else []
    return "\n\n".join(parts) + "\n"


def fragments(kind: str) -> Iterator[str]:
    """Yield the fragments of a kind, named `NNNN-NN-what.KIND.md`, in the order of their names."""
    for path in sorted(FRAGMENTS.glob(f"*.{kind}.md")):
        yield path.read_text(encoding="utf-8")


def main() -> int:
    """Write or check the files."""
    stale = {
        path: text for path, text in made().items() if not path.exists() or path.read_text("utf-8") != text
    }
    for path, text in stale.items():
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
