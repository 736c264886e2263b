"""Ten planted leaks: each is caught by the check that is meant for it."""

from pathlib import Path

import pytest

from audit.leaks import LEAKS, Leak
from audit.studies import Study, found


@pytest.mark.parametrize("leak", LEAKS, ids=[one.check for one in LEAKS])
def test_a_planted_leak_is_caught(leak: Leak, base: Study, tmp_path: Path) -> None:
    study = leak.plant(base, tmp_path / "leak")
    findings = found(study, retrained=leak.retrained)
    assert findings[leak.check]["verdict"] == "failed", findings[leak.check]
    assert findings[leak.check]["advice"]
