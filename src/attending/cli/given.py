"""What several commands share: their options, the settings that follow them, and what they tell at the end."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from attending.artifact import Manifest
    from attending.config import Component
    from attending.data import batches
    from attending.engine.local import Engine
    from attending.train import loop

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the artifact's manifest as JSON.")]
Seed = Annotated[int, Parameter(help="The seed of everything random in this stage.")]
Splits = Annotated[
    Path | None, Parameter(help="The splits artifact; without it, the split that stands beside the events.")
]
Workers = Annotated[int | None, Parameter(help="How many processes; all cores by default.")]
Scheduler = Annotated[
    str, Parameter(help="A dask scheduler's address or file: run on its workers instead of processes here.")
]


def engine_of(workers: int | None, scheduler: str, out: Path, *reads: Path) -> "Engine":
    """Return where the work of a command runs."""
    from attending.engine.choose import choose

    return choose(workers, scheduler, out.absolute().parent, *reads)


def given_by(overrides: tuple[str, ...], *sections: str) -> dict[str, dict[str, Any]]:
    """Sort `section.key=value` settings by section.

    Raises:
        ConfigError: if a setting is of no section of this command.
    """
    from attending.config import override
    from attending.errors import ConfigError, nearest

    values: dict[str, Any] = {}
    for one in overrides:
        override(values, one)
    for section, inside in values.items():
        if section not in sections or not isinstance(inside, dict):
            raise ConfigError(f"no settings '{section}.…' in this command{nearest(section, list(sections))}")
    return {section: values.get(section, {}) for section in sections}


def component_of(name: str, settings: dict[str, Any]) -> "Component":
    """Return a component with its settings."""
    from attending.config import Component

    return Component(name=name, **settings)


def training_of(
    model: str, given: dict[str, dict[str, Any]]
) -> "tuple[Component, loop.Config, batches.Config]":
    """Return a model, how it is trained, and from which batches, of settings sorted by section."""
    from attending.config import build
    from attending.data import batches
    from attending.train import loop

    return (
        component_of(model, given["model"]),
        build(loop.Config, given["train"], where="the command line"),
        build(batches.Config, given["batches"], where="the command line"),
    )


def tell(manifest: "Manifest", out: Path, as_json: bool) -> None:
    """Say what a command made; print its manifest where machines listen."""
    from dataclasses import asdict

    from attending.progress import in_words, say

    say(f"{manifest.kind} at {out}: {in_words(manifest.counts)}")
    if as_json:
        print(json.dumps(asdict(manifest), default=str))
