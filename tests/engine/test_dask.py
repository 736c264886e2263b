"""The cluster engine, on a real scheduler and two real workers: the same bytes as on one machine, come what may."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the engine 'dask' is not installed: pip install 'attending[dask]'")

from attending.artifact import read_manifest, write_atomic
from attending.config import Component
from attending.engine import dask
from attending.engine.dask import Dask
from attending.engine.local import Engine, Local
from attending.errors import ConfigError, SourceError
from attending.simulate.config import Config
from attending.simulate.mimic4 import simulate_mimic4
from attending.stages.ingest import Sizes, ingest

SIZES = Sizes(block_bytes=30_000, shard_bytes=250_000, part_bytes=100_000)


class Cluster:
    """A scheduler and its workers, each a process as on a cluster; a nanny revives a worker that dies."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        self.scheduler_file = folder / "scheduler.json"

    def start(self, n_workers: int) -> "Cluster":
        where = ["--scheduler-file", str(self.scheduler_file)]
        self.run("scheduler", *where, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        if n_workers:
            mine = ["--nworkers", str(n_workers), "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard"]
            self.run("worker", *where, *mine, "--local-directory", str(self.folder))
        deadline = time.monotonic() + 60
        while not self.scheduler_file.exists():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.05)
        return self

    def run(self, *command: str) -> None:
        log = (self.folder / f"{command[0]}.log").open("wb")
        with log:
            python = [sys.executable, "-m", "dask", *command]
            self.processes.append(subprocess.Popen(python, stdout=log, stderr=log, cwd=self.folder))

    def engine(self, writes: Path, **options: Any) -> Dask:
        return Dask(str(self.scheduler_file), writes=writes, **options)

    def stop(self) -> None:
        """Kill everything at once: a nanny takes its workers with it."""
        for process in reversed(self.processes):
            process.kill()
            process.wait(20)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield started.start(n_workers=2)
    finally:
        started.stop()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital") / "raw"
    simulate_mimic4(Config(n_subjects=60, seed=3), folder)
    return folder


@pytest.fixture(scope="module")
def expected(raw: Path) -> dict[str, str]:
    return ingested(raw, raw.parent / "local", Local(1))


def ingested(raw: Path, out: Path, engine: Engine) -> dict[str, str]:
    """Ingest; return a hash of every file but the manifest, which knows the time of day: of it, the fingerprint."""
    manifest = ingest(Component(name="mimic4"), raw, out, engine=engine, sizes=SIZES)
    assert manifest.counts["n_shards"] > 3
    assert not list(out.parent.glob(".*"))
    hashes = {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    return hashes | {"fingerprint": read_manifest(out).fingerprint}


class Mortal:
    """A cluster on which every step kills the worker that holds its third task: before its work, or after it."""

    def __init__(self, cluster: Cluster, scars: Path, *, after: bool) -> None:
        self.engine, self.scars, self.after = cluster.engine(scars), scars, after

    def map(self, function: Callable[[Any], Any], items: Sequence[Any], label: str) -> list[Any]:
        return self.engine.map(
            mortal(function, self.scars / label, self.after), list(enumerate(items)), label
        )


def mortal(function: Callable[[Any], Any], scar: Path, after: bool) -> Callable[[tuple[int, Any]], Any]:
    """Make `function` kill its process once, at the third item; a closure, which travels by value."""

    def run(numbered: tuple[int, Any]) -> Any:
        number, item = numbered
        dies = number == 2 and not scar.exists()
        result = function(item) if after or not dies else None
        if dies:
            scar.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return run


def test_a_cluster_gives_the_same_bytes_as_one_machine(cluster, raw, expected, tmp_path):
    engine = cluster.engine(tmp_path, reads=[raw])
    assert ingested(raw, tmp_path / "events", engine) == expected


@pytest.mark.parametrize("after", [False, True], ids=["before it wrote", "after it wrote"])
def test_killed_workers_change_nothing(cluster, raw, expected, tmp_path, after):
    scars = tmp_path / "scars"
    assert ingested(raw, tmp_path / "events", Mortal(cluster, scars, after=after)) == expected
    assert {scar.name for scar in scars.iterdir()} == {"reading tables", "assembling shards"}


def test_results_keep_the_order_of_the_items(cluster, tmp_path):
    def square(number: int) -> int:
        time.sleep(0.02 * (number % 3 == 0))
        return number**2

    engine = cluster.engine(tmp_path)
    assert engine.map(square, list(range(12)), "squares") == [number**2 for number in range(12)]
    assert engine.map(square, [], "squares") == []


def test_the_same_task_asked_twice_runs_twice(cluster, tmp_path):
    def mark(number: int) -> None:
        (tmp_path / str(time.monotonic_ns())).touch()

    engine = cluster.engine(tmp_path)
    engine.map(mark, [1], "marks")
    engine.map(mark, [1], "marks")
    assert len(list(tmp_path.iterdir())) == 2


def test_the_first_error_cancels_the_rest_and_says_what_it_said(cluster, tmp_path):
    def fail(number: int) -> None:
        if number == 0:
            raise SourceError("expected a table; got none")
        time.sleep(0.05)
        (tmp_path / f"{number}").touch()

    with pytest.raises(SourceError, match="expected a table; got none"):
        cluster.engine(tmp_path).map(fail, list(range(200)), "tables")
    assert len(list(tmp_path.iterdir())) < 100


def test_a_path_means_what_it_means_here(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def where(path: Path) -> str:
        return str(path)

    engine = cluster.engine(Path("out"))
    assert engine.map(where, [Path("raw")], "paths") == [str(tmp_path / "raw")]
    assert not list((tmp_path / "out").iterdir())


def test_workers_of_another_version_are_refused(cluster, tmp_path, monkeypatch):
    there = dask._setup()
    monkeypatch.setattr(
        dask, "_setup", lambda: (("attending", "0.0.1+other"), *there[1:-1], ("pyarrow", "1.0"))
    )
    with pytest.raises(
        ConfigError, match=r"2 are different .*attending .*, not 0\.0\.1\+other, pyarrow .*, not 1\.0"
    ):
        cluster.engine(tmp_path).map(abs, [1], "numbers")


def test_a_worker_that_joins_later_is_asked_too(tmp_path):
    packed = dask._packed(abs, -1)
    assert dask._run(packed, dask._setup()) == 1
    with pytest.raises(ConfigError, match=r"joined the cluster holds attending .*, not 0"):
        dask._run(packed, (("attending", "0"), *dask._setup()[1:]))


def test_workers_that_see_another_folder_are_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "_was_written", lambda folder, name, token: False)
    with pytest.raises(
        ConfigError, match=r"expected every worker to see the files of .*2 are different \(tcp://"
    ):
        cluster.engine(tmp_path).map(abs, [1], "numbers")
    assert not list(tmp_path.iterdir())


def test_a_worker_answers_only_to_a_question_it_can_read(tmp_path):
    question = tmp_path / "question"
    assert dask._answer(question, "token", ())[1] == ""
    question.write_text("of someone else")
    assert dask._answer(question, "token", ())[1] == ""
    question.write_text("token")
    name = dask._answer(question, "token", ())[1]
    assert dask._was_written(tmp_path, name, "token")
    assert not dask._was_written(tmp_path, name, "another token")
    assert not dask._was_written(tmp_path, "", "token")


def test_workers_that_do_not_see_the_raw_folder_are_refused(cluster, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    engine = cluster.engine(tmp_path, reads=[raw, Path("postgresql://host/database")])
    assert engine.map(abs, [-1], "numbers") == [1]
    raw.rmdir()
    with pytest.raises(ConfigError, match=r"see the files that are read .*/raw\): put"):
        engine.map(abs, [1], "numbers")


def test_no_scheduler_and_no_worker_are_said_plainly(tmp_path, monkeypatch, capsys):
    import dask as dask_package

    with pytest.raises(ConfigError, match=r"scheduler file; got 'localhost', which is neither"):
        Dask("localhost", writes=tmp_path).map(abs, [1], "numbers")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with (
        dask_package.config.set({"distributed.comm.timeouts.connect": "500ms"}),
        pytest.raises(ConfigError) as no,
    ):
        Dask(f"tcp://127.0.0.1:{port}", writes=tmp_path).map(abs, [1], "numbers")
    assert f"no dask scheduler answers at tcp://127.0.0.1:{port}" in str(no.value)
    alone = Cluster(tmp_path)
    try:
        engine = alone.start(n_workers=0).engine(tmp_path, wait_seconds=0.2)
        with pytest.raises(ConfigError, match="had no worker for 0 seconds: start some with `dask worker"):
            engine.map(abs, [1], "numbers")
    finally:
        alone.stop()
    assert "waiting for one" in capsys.readouterr().err


def test_a_scheduler_that_dies_is_said_plainly(tmp_path):
    mortal_cluster = Cluster(tmp_path)

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        time.sleep(30)

    try:
        engine = mortal_cluster.start(n_workers=1).engine(tmp_path)
        with pytest.raises(ConfigError, match="is gone, or dropped the tasks"):
            engine.map(kill, [mortal_cluster.processes[0].pid], "murder")
    finally:
        mortal_cluster.stop()


def test_without_the_package_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'attending\[dask\]'"):
        Dask("tcp://127.0.0.1:1", writes=tmp_path).map(abs, [1], "numbers")


def test_nothing_of_dask_is_imported_before_it_is_used():
    code = "import sys, attending.engine.dask; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "attending" in imported.split()
    assert not {"dask", "distributed", "cloudpickle"} & set(imported.split())


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "file"

    def write_and_meet(temporary: Path) -> None:
        temporary.write_text("whole")
        write_atomic(target, lambda other: other.write_text("whole"))

    write_atomic(target, write_and_meet)
    assert target.read_text() == "whole"
