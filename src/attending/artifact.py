"""An artifact is a folder with a manifest: what made it, from what, and how much it holds.

Every stage reads artifacts and writes one. Writing goes to a hidden partial folder beside the target, named
after the fingerprint, so an interrupted stage resumes there; when it is complete it is renamed into place.
An artifact whose manifest carries the fingerprint asked for is up to date and is not made again.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from attending import __version__
from attending.errors import ArtifactError

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides what an artifact holds: its kind, settings, seed, and its parents' fingerprints."""

    kind: str
    config: dict[str, Any]
    parents: dict[str, str] = field(default_factory=dict)
    seed: int = 0

    @property
    def fingerprint(self) -> str:
        """A hash of the recipe and of the library's own code."""
        content = json.dumps(asdict(self) | {"code": code_version()}, sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `manifest.json` says of an artifact. Counts are counts: never a patient's value."""

    kind: str
    fingerprint: str
    config: dict[str, Any]
    parents: dict[str, str]
    seed: int
    counts: dict[str, Any]
    code_version: str
    created_at: str


class Writer:
    """The partial folder of an artifact under construction; stages write files into `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: dict[str, Any] = {}


def read_manifest(folder: Path, kind: str | None = None) -> Manifest:
    """Read an artifact's manifest.

    Raises:
        ArtifactError: if there is none, it is damaged, or it is of another kind than `kind`.
    """
    _restore(folder)
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ArtifactError(
            f"expected an artifact of kind '{kind or 'any'}' at {folder}; found no {MANIFEST} there"
        ) from None
    except (ValueError, TypeError, OSError):
        raise ArtifactError(
            f"{folder / MANIFEST} is damaged: delete {folder} and run the stage again"
        ) from None
    if kind is not None and manifest.kind != kind:
        raise ArtifactError(f"expected an artifact of kind '{kind}' at {folder}; got '{manifest.kind}'")
    return manifest


def is_current(folder: Path, recipe: Recipe) -> bool:
    """Say whether the artifact at `folder` was made by exactly this recipe."""
    try:
        return read_manifest(folder).fingerprint == recipe.fingerprint
    except ArtifactError:
        return False


@contextmanager
def writing(folder: Path, recipe: Recipe) -> Iterator[Writer]:
    """Open the partial folder of an artifact; on leaving without error, put it in place of `folder`.

    On an error, or a kill, the partial folder stays and the next run with the same recipe finds it.

    Raises:
        ArtifactError: if another process is writing it.
    """
    partial = folder.with_name(f".{folder.name}.{recipe.fingerprint}.partial")
    with _alone(folder):
        _restore(folder)
        for stale in folder.parent.glob(f".{folder.name}.*.partial"):
            if stale != partial:
                shutil.rmtree(stale, ignore_errors=True)
        partial.mkdir(exist_ok=True)
        for stale in partial.rglob(".*.tmp"):  # of a file that a kill fell into
            stale.unlink()
        writer = Writer(partial)
        yield writer
        manifest = Manifest(
            kind=recipe.kind,
            fingerprint=recipe.fingerprint,
            config=recipe.config,
            parents=recipe.parents,
            seed=recipe.seed,
            counts=writer.counts,
            code_version=code_version(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_json(partial / MANIFEST, asdict(manifest))
        _replace(partial, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of an artifact, where its file system has locks; a process that dies lets go of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with lock.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(
                f"another process is writing {folder}: wait until it is done, or stop it"
            ) from None
        except OSError:
            pass
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, then sync it and rename it to `path`: all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:12]}.tmp")
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, all or nothing."""
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, all or nothing."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False, default=str) + "\n")


def folder_fingerprint(folder: Path) -> str:
    """Return a hash of the names, sizes and modification times of the files below a raw source folder."""
    digest = hashlib.sha256()
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        state = path.stat()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


@cache
def code_version() -> str:
    """Return the version of the library and a hash of its own source files."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", ".html", ".css", ".yaml", ".tsv"}:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _replace(partial: Path, folder: Path) -> None:
    _sync(partial)
    old = _old(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    partial.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _restore(folder: Path) -> None:
    """Bring back the previous artifact if a kill fell between the two renames of `_replace`."""
    old = _old(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
