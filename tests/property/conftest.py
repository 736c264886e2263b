"""What the tests with damaged files share."""

import pytest

from attending import artifact


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """Waiting for the disk is no part of what is tested here."""
    monkeypatch.setattr(artifact, "_sync", lambda path: None)
