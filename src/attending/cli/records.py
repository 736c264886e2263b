"""Records in and out: raw files into events, more files into events, events into other formats."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attending.cli.given import AsJson, Scheduler, Seed, Workers, component_of, engine_of, given_by, tell


def ingest(
    source: str,
    folder: Path,
    out: Path,
    *overrides: str,
    more: Annotated[list[Path], Parameter(negative="")] = [],  # noqa: B006 - never changed
    seed: Seed = 0,
    workers: Workers = None,
    scheduler: Scheduler = "",
    keep_raw: Annotated[bool, Parameter(negative="")] = False,
    keep_rows: Annotated[bool, Parameter(negative="")] = False,
    json_: AsJson = False,
) -> None:
    """Read raw files into MEDS events, every line accounted for.

    Parameters
    ----------
    source
        What the files are: see `attending list sources`.
    folder
        The folder of raw files.
    out
        The events artifact to write.
    overrides
        Settings: `source.…` of the source, `split.…` of the split, `sizes.…` of the work.
    more
        A further folder of the same source, read as if its files lay in the first; may be repeated.
    keep_raw
        Keep the text of quarantined lines. It may hold patient data.
    keep_rows
        Keep the typed rows beside the events, so that `attending update` can merge more files.
    """
    from attending.config import build
    from attending.shares import Shares
    from attending.stages.ingest import Sizes
    from attending.stages.ingest import ingest as stage

    given = given_by(overrides, "source", "split", "sizes")
    manifest = stage(
        component_of(source, given["source"]),
        [folder, *more],
        out,
        engine=engine_of(workers, scheduler, out, folder, *more),
        split=build(Shares, given["split"], where="the command line"),
        sizes=build(Sizes, given["sizes"], where="the command line"),
        seed=seed,
        keep_raw=keep_raw,
        keep_rows=keep_rows,
    )
    tell(manifest, out, json_)


def update(
    events: Path, folder: Path, *, workers: Workers = None, scheduler: Scheduler = "", json_: AsJson = False
) -> None:
    """Merge a folder of new files of the same source into events, without reading the others again.

    Parameters
    ----------
    events
        The events artifact, ingested with `--keep-rows`.
    folder
        The folder of new files: rows of subjects that are known, or of new ones.
    """
    from attending.stages.ingest import update as stage

    tell(stage(events, folder, engine=engine_of(workers, scheduler, events, folder)), events, json_)


def export(
    to: str,
    events: Path,
    out: Path,
    *overrides: str,
    workers: Workers = None,
    scheduler: Scheduler = "",
    json_: AsJson = False,
) -> None:
    """Write events as files of another format.

    Parameters
    ----------
    to
        The format: see `attending list exports`.
    events
        The events artifact.
    out
        The folder to write.
    overrides
        Settings: `export.…` of the format.
    """
    from attending.stages.export import export as stage

    component = component_of(to, given_by(overrides, "export")["export"])
    tell(stage(events, out, to=component, engine=engine_of(workers, scheduler, out, events)), out, json_)
