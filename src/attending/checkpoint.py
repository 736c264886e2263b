"""Save and load weights: the only file that touches weight files. safetensors, never pickle.

A file is written to a temporary name, synced and renamed. Its header carries a hash of all tensors, which loading
verifies, and a small JSON of plain values. A training run keeps its last two states and its best weights.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from attending import registry
from attending.artifact import write_atomic, write_text
from attending.config import Settings, build, parse
from attending.errors import ArtifactError
from attending.nn.interface import Model

WEIGHTS = "model.safetensors"
SETTINGS = "config.yaml"
HEADER = "attending"  # one key: the order of several is not the same in every file


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and plain `facts` to one file, all or nothing."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(tensors.items())}
    header = json.dumps({"facts": facts, "sha256": digest(plain)}, sort_keys=True)
    write_atomic(path, lambda temporary: save_file(plain, temporary, metadata={HEADER: header}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises:
        ArtifactError: if the file is missing, cannot be read, or does not match its hash.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        facts, expected = header["facts"], header["sha256"]
    except FileNotFoundError:
        raise ArtifactError(f"expected a weights file at {path}; there is none") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise ArtifactError(f"the weights file {path} is damaged or not one of ours") from None
    if digest(tensors) != expected:
        raise ArtifactError(f"the weights file {path} does not match its hash: it was changed or cut short")
    return tensors, facts


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of the names, types, shapes and bytes of tensors."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def build_model(name: str, config: Settings) -> Model:
    """Build a model with fresh weights."""
    model: Model = registry.load("models", name).Model(config)
    return model


def save_model(folder: Path, name: str, config: Settings, model: Model) -> None:
    """Write a model's weights and its settings, enough to rebuild it."""
    save_tensors(folder / WEIGHTS, model.state_dict(), {"model": name})
    text = Named(name=name, config=config.to_dict()).to_yaml()
    write_text(folder / SETTINGS, text)


def load_model(folder: Path) -> tuple[str, Model]:
    """Rebuild a model from its folder alone, ready to predict.

    Raises:
        ArtifactError: if the folder is not a model, or its weights do not fit its settings.
    """
    try:
        text = (folder / SETTINGS).read_text(encoding="utf-8")
    except OSError:
        raise ArtifactError(f"expected a model at {folder}; found no {SETTINGS} there") from None
    values, lines = parse(text, str(folder / SETTINGS))
    named = build(Named, values, where=str(folder / SETTINGS), lines=lines)
    module = registry.load("models", named.name)
    model = build_model(named.name, build(module.Config, named.config, where=str(folder / SETTINGS)))
    tensors, _ = load_tensors(folder / WEIGHTS)
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise ArtifactError(f"the weights in {folder} do not fit the settings beside them") from None
    return named.name, model.eval()


class Named(Settings):
    """A model's name and settings, as its folder stores them."""

    name: str
    config: dict[str, Any]
