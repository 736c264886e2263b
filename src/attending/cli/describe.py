"""What components there are, and what one of them is."""

import inspect
import json
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Kind = Literal["sources", "exports", "splits", "tasks", "models", "explain"]
AsJson = Annotated[bool, Parameter(name="--json", negative="")]


def list_components(kind: Kind, *, json_: AsJson = False) -> None:
    """List the components of a kind, a line each.

    Parameters
    ----------
    kind
        Which kind of component.
    json_
        Print a list of objects with `name` and `summary`.
    """
    from attending import registry

    found = [{"name": name, "summary": registry.summary(kind, name)} for name in registry.names(kind)]
    if json_:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    width = max((len(one["name"]) for one in found), default=0)
    for one in found:
        print(f"{one['name']:<{width}}  {one['summary']}")


def show(kind: Kind, name: str, *, json_: AsJson = False) -> None:
    """Show what a component is and which settings it has.

    Parameters
    ----------
    kind
        Which kind of component.
    name
        Its name, as `attending list` prints it.
    json_
        Print an object with `name`, `description` and `settings`.
    """
    from attending import registry

    description = registry.docstring(kind, name)
    config = registry.load(kind, name).Config
    settings = _settings(config)
    if json_:
        print(
            json.dumps(
                {"name": name, "description": description, "settings": settings}, indent=2, default=str
            )
        )
        return
    print(f"{name}\n\n{description}\n\n{inspect.getdoc(config) or 'Settings'}\n")
    for setting, facts in settings.items():
        print(f"  {setting}: {facts['type']} = {facts['default']}")


def _settings(config: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - a settings class
    return {
        name: {"type": _type_name(field.annotation), "default": field.default}
        for name, field in config.model_fields.items()
        if name not in ("n_tokens", "n_outcomes")
    }


def _type_name(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
