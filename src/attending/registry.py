"""Find a component by name: `models/retain.py` *is* the model "retain".

Names are file names, so listing them imports nothing. A file whose name starts with an underscore is
not a component. Other packages add their own through entry points in the group `attending.<kind>`.
"""

import ast
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from attending.errors import UnknownComponent, nearest

KINDS = ("sources", "exports", "splits", "tasks", "models", "explain")


def names(kind: str) -> list[str]:
    """Return the sorted names of all components of `kind`, importing none of them."""
    return sorted(_modules(kind))


def load(kind: str, name: str) -> ModuleType:
    """Import the component `name` of `kind`.

    Raises:
        UnknownComponent: with the nearest known name.
    """
    return import_module(_module(kind, name))


def summary(kind: str, name: str) -> str:
    """Return the first line of the component's docstring, without importing it."""
    return (docstring(kind, name).splitlines() or [""])[0]


def docstring(kind: str, name: str) -> str:
    """Return the component's whole docstring, without importing it."""
    spec = find_spec(_module(kind, name))
    if spec is None or spec.origin is None:
        return ""
    return ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""


def _module(kind: str, name: str) -> str:
    modules = _modules(kind)
    if name not in modules:
        raise UnknownComponent(f"no {_singular(kind)} named '{name}'{nearest(name, sorted(modules))}")
    return modules[name]


@cache
def _modules(kind: str) -> dict[str, str]:
    if kind not in KINDS:
        raise UnknownComponent(f"no kind of component named '{kind}'{nearest(kind, list(KINDS))}")
    folder = Path(__file__).parent / kind
    own = {
        path.stem: f"attending.{kind}.{path.stem}"
        for path in folder.glob("*.py")
        if not path.stem.startswith("_")
    }
    return {point.name: point.value for point in entry_points(group=f"attending.{kind}")} | own


def _singular(kind: str) -> str:
    return {"explain": "explainer"}.get(kind, kind.removesuffix("s"))
