"""A made-up folder of every source, and what tests do with folders: cut them in two, compare what came of them."""

import csv
import gzip
import hashlib
import importlib
import io
import shutil
from pathlib import Path
from types import ModuleType

import polars as pl

from attending.config import Component
from attending.schema import SUBJECT_ID

RAW = sorted(path.stem for path in (Path(__file__).parent / "raw").glob("*.py"))
"""The sources of which there is a made-up folder."""


def made_up(name: str) -> ModuleType:
    """Return the module that writes a source's made-up folder.

    It has `write(folder)`, and may have `SET_ASIDE`, the reasons for which its lines are set aside, and
    `settings(folder)`, the settings with which it is read.
    """
    return importlib.import_module(f"raw.{name}")


def component(name: str, folder: Path) -> Component:
    """Return the source as it reads its made-up folder."""
    settings = getattr(made_up(name), "settings", None)
    return Component(name=name, **(settings(folder) if settings else {}))


def read_text(path: Path) -> bytes:
    """Return the content of a file, decompressed."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def write_text(path: Path, content: bytes) -> None:
    """Write a file, compressed if its name says so."""
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def cut(whole: Path, first: Path, second: Path, share: float) -> None:
    """Put the first rows of every table into one folder and the others into another; copy what is no table."""
    for path in sorted(path for path in whole.rglob("*") if path.is_file()):
        if ".csv" not in path.name:
            for folder in (first, second):
                (folder / path.relative_to(whole)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / path.relative_to(whole))
            continue
        header, *rows = csv.reader(io.StringIO(read_text(path).decode("utf-8")))
        n_first = int(len(rows) * share)
        for folder, part in ((first, rows[:n_first]), (second, rows[n_first:])):
            target = folder / path.relative_to(whole).as_posix().removesuffix(".gz")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *part])


def contents(out: Path) -> dict[str, str]:
    """Hash every file but the rows, which are cut otherwise, and the manifest, which knows the time of day."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.json" and "rows" not in path.relative_to(out).parts
    }


def events_of(out: Path) -> pl.DataFrame:
    """Return all events, each subject's in their order."""
    shards = [pl.read_parquet(path) for path in sorted((out / "data").rglob("*.parquet"))]
    return pl.concat(shards).sort(SUBJECT_ID, maintain_order=True)
