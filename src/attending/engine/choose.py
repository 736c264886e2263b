"""Choose where table work runs: processes of this machine, or the workers of a cluster."""

from pathlib import Path

from attending.engine.local import Engine, Local


def choose(workers: int | None, scheduler: str, writes: Path, *reads: Path) -> Engine:
    """Return `workers` processes here, or the workers of the dask scheduler at an address or in a file.

    `writes` is the folder below which tasks write, `reads` what they read: a cluster must see both.
    """
    if not scheduler:
        return Local(workers)
    from attending.engine.dask import Dask

    return Dask(scheduler, writes=writes, reads=reads)
