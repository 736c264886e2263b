"""Ten clean studies, of different tasks, splits and models: no check raises an alarm."""

from pathlib import Path

import pytest

from audit.clean import CLEAN, Clean
from audit.studies import Study, failures, found


@pytest.mark.parametrize("clean", CLEAN, ids=[one.name for one in CLEAN])
def test_a_clean_study_raises_no_alarm(clean: Clean, base: Study, tmp_path: Path) -> None:
    study = clean.make(base, tmp_path / "study")
    findings = found(study, retrained=clean.retrained)
    assert {name: one for name, one in findings.items() if one["verdict"] == "failed"} == {}
    assert not [one for one in findings.values() if "could not be made" in one["evidence"]]
    assert sum(one["verdict"] == "passed" for one in findings.values()) >= 7


def test_an_audit_is_the_same_twice_and_is_kept(base: Study) -> None:
    first = found(base)
    assert failures(base) == []
    assert found(base) == first
