"""Run a pure function over shards on the workers of a dask.distributed cluster that is already there.

Tasks carry paths and bring back counts: rows of patients go through files that every machine sees, never through
the scheduler. Before the first task all workers are asked whether they see those files and hold the same library;
one that joins later is asked the latter with each task, and fails loudly on the former.

A worker that dies costs the tasks it held: the scheduler gives them to others. Then, or when a worker that was
given up is still alive, one task may run twice, even at the same time. That is safe because tasks are idempotent
and put whole files in place by renaming.
"""

import io
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import uuid4

from attending.artifact import code_version
from attending.errors import ConfigError
from attending.progress import say, track

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
Setup = tuple[tuple[str, str], ...]

INSTALL = "pip install 'attending[dask]'"
_DECIDE_BYTES = ("numpy", "polars", "pyarrow")
"""The packages whose versions decide what the files hold."""


class Dask:
    """The workers of one scheduler, given as an address (`tcp://host:8786`) or as the path of a scheduler file.

    `writes` is the folder below which tasks write, `reads` what they read: every worker must see them under the
    same path. What this machine does not see either, such as the address of a database, is not asked for.
    `wait_seconds` is how long to wait for the scheduler's first worker.
    """

    def __init__(
        self, scheduler: str, *, writes: Path, reads: Sequence[Path] = (), wait_seconds: float = 600.0
    ) -> None:
        self.scheduler = scheduler
        self.writes = writes.absolute()
        self.reads = tuple(path.absolute() for path in reads if path.exists())
        self.wait_seconds = wait_seconds

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
        """Return `[function(item) for item in items]`; the first error cancels what has not started.

        Raises:
            ConfigError: if the cluster cannot be used: dask is not installed, the scheduler or its workers are not
                there, they hold another library or see other files; or if it gives up on a task.
        """
        with self._client() as client:
            self._check(client)
            here = _setup()
            futures = {
                client.submit(_run, _packed(function, item), here, key=f"{label} {uuid4().hex}"): position
                for position, item in enumerate(items)
            }
            results: dict[int, Result] = {}
            try:
                for future in track(_finished(client, futures), label, total=len(items)):
                    results[futures[future]] = future.result()
            except BaseException as error:
                client.cancel(list(futures))  # type: ignore[no-untyped-call]
                self._explain(error)
                raise
        return [results[position] for position in range(len(items))]

    def close(self) -> None:
        """Do nothing: every map has a client of its own."""

    @contextmanager
    def _client(self) -> "Iterator[Client]":
        try:
            from distributed import Client
        except ImportError:
            raise ConfigError(
                f"the engine 'dask' needs the package distributed, which is not installed: {INSTALL}"
            ) from None
        is_address = "://" in self.scheduler
        if not is_address and not Path(self.scheduler).is_file():
            raise ConfigError(
                f"expected the address of a dask scheduler, such as tcp://host:8786, or the path of its scheduler "
                f"file; got '{self.scheduler}', which is neither"
            )
        where = {"address": self.scheduler} if is_address else {"scheduler_file": self.scheduler}
        try:
            client = Client(**where, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"no dask scheduler answers at {self.scheduler} ({type(error).__name__}): start one with "
                "`dask scheduler`, or check the address, the network and, for tls://, dask's certificates"
            ) from None
        with client:
            yield client

    def _check(self, client: "Client") -> None:
        """Refuse a cluster whose workers hold another library, or see other files."""
        self._wait(client)
        here, token = _setup(), uuid4().hex
        folder = self.writes / f".probe-{token}"
        folder.mkdir(parents=True)
        try:
            question = folder / "question"
            question.write_text(token, encoding="utf-8")
            answers = client.run(_answer, question, token, self.reads, on_error="return")
            self._require(_failed(answers), "every worker to answer, with attending installed,", INSTALL)
            self._require(
                {
                    worker: there
                    for worker, (setup, _, _) in answers.items()
                    if (there := _differs(setup, here))
                },
                "the versions of this machine on every worker",
                "install the same on all machines and start the workers again",
            )
            blind = {
                worker: name
                for worker, (_, name, _) in answers.items()
                if not _was_written(folder, name, token)
            }
            self._require(
                blind,
                f"every worker to see the files of {self.writes}",
                "write to a folder on a shared file system",
            )
            self._require(
                {worker: lacks for worker, (_, _, lacks) in answers.items() if lacks},
                "every worker to see the files that are read",
                "put them on a shared file system, under one path",
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _wait(self, client: "Client") -> None:
        if not client.scheduler_info()["workers"]:
            say(f"  the scheduler at {self.scheduler} has no worker yet: waiting for one")
        try:
            client.wait_for_workers(1, timeout=self.wait_seconds)
        except TimeoutError:
            raise ConfigError(
                f"the scheduler at {self.scheduler} had no worker for {self.wait_seconds:,.0f} seconds: start some "
                f"with `dask worker {self.scheduler} --nthreads 1`"
            ) from None

    def _require(self, faults: dict[str, str], expected: str, advice: str) -> None:
        """Refuse workers with faults, naming three of them."""
        if faults:
            some = "; ".join(
                f"{worker}{': ' if fault else ''}{fault}" for worker, fault in list(faults.items())[:3]
            )
            raise ConfigError(
                f"expected {expected} of the scheduler at {self.scheduler}; {len(faults)} are different "
                f"({some}): {advice}"
            )

    def _explain(self, error: BaseException) -> None:
        """Turn the cluster's own errors into ours; leave the others.

        Raises:
            ConfigError: for a task that the cluster gave up, or a scheduler that is gone.
        """
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            raise ConfigError(
                f"several workers died, one after another, on the same task of {self.scheduler}; most often their "
                "memory was too small: give each more (`dask worker --memory-limit`), then run the same command again"
            ) from None
        if isinstance(error, CancelledError):
            raise ConfigError(
                f"the scheduler at {self.scheduler} is gone, or dropped the tasks: run the same command again, "
                "what is finished is kept"
            ) from None


@cache
def _setup() -> Setup:
    """Return what must be the same everywhere for files to be the same."""
    python = ".".join(platform.python_version_tuple()[:2])
    packages = tuple((name, version(name)) for name in _DECIDE_BYTES)
    return (("attending", code_version()), ("python", python), *packages)


def _differs(there: Setup, here: Setup) -> str:
    """Say in words how a worker's versions differ."""
    wanted = dict(here)
    return ", ".join(f"{name} {found}, not {wanted[name]}" for name, found in there if found != wanted[name])


def _packed(function: Callable[[Any], Any], item: object) -> bytes:
    """Pickle a task, its paths made absolute: a worker has a working folder of its own."""
    import cloudpickle  # type: ignore[import-untyped]

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: object) -> object:
            if isinstance(value, Path) and not value.is_absolute():
                return type(value), (str(value.absolute()),)
            return super().reducer_override(value)

    buffer = io.BytesIO()
    Pickler(buffer).dump((function, item))
    return buffer.getvalue()


def _run(packed: bytes, expected: Setup) -> object:
    """Run a task, on a worker.

    Raises:
        ConfigError: if this worker, which may have come after the others were asked, holds another library.
    """
    import cloudpickle

    if differs := _differs(_setup(), expected):
        raise ConfigError(
            f"a worker that joined the cluster holds {differs}: install the same on all machines"
        )
    function, item = cloudpickle.loads(packed)
    return function(item)


def _answer(question: Path, token: str, reads: Sequence[Path]) -> tuple[Setup, str, str]:
    """Say, on a worker, what it holds, the name of the file it wrote beside the question, and what it cannot read."""
    lacks = ", ".join(str(path) for path in reads if not path.exists())
    name = ""
    try:
        if question.read_text(encoding="utf-8") == token:
            answer = question.with_name(uuid4().hex)
            answer.write_text(token, encoding="utf-8")
            name = answer.name
    except OSError:
        pass
    return _setup(), name, lacks


def _was_written(folder: Path, name: str, token: str) -> bool:
    try:
        return bool(name) and (folder / name).read_text(encoding="utf-8") == token
    except OSError:
        return False


def _failed(answers: dict[str, Any]) -> dict[str, str]:
    return {worker: f"{type(one).__name__}" for worker, one in answers.items() if isinstance(one, Exception)}


def _finished(client: "Client", futures: dict[Any, int]) -> Iterator[Any]:
    from distributed import as_completed

    return cast(Iterator[Any], as_completed(list(futures), loop=client.loop))  # type: ignore[no-untyped-call]
