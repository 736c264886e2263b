"""Shared fixtures: where the real data are, one torch thread, no network."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED_DATA = Path(os.environ.get("ATTENDING_DATA", ROOT.parent / "shared" / "data"))
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return the folder of a real data set, or skip the test saying that it is absent."""

    def find(name: str) -> Path:
        folder = SHARED_DATA / name
        if not folder.exists():
            pytest.skip(
                f"the real data set '{name}' is absent: set ATTENDING_DATA to the folder that holds it"
            )
        return folder

    return find


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Refuse every connection that is not local."""
    if request.node.get_closest_marker("browser"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        inet = self.family in (socket.AF_INET, socket.AF_INET6)
        if inet and not str(address[0]).startswith("127."):  # type: ignore[index]
            raise RuntimeError("a test tried to reach the network")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def store_with_samples():
    """Return a token store of made-up subjects and two samples a subject, each before the record's end."""
    from stores import random_store

    return random_store(n_subjects=12, seed=0)
