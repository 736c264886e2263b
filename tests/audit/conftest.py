"""One simulated cohort and one study of it for all tests of the firewall."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attending import registry
from audit.studies import Study, cohort, make


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a clean study: the length of a stay, on the simulated cohort."""
    root: Path = tmp_path_factory.mktemp("base")
    return make(cohort(root), root / "study", {"name": "length_of_stay", "kind": "over", "over": [3.0]})


@pytest.fixture(scope="module", autouse=True)
def only_these_tests_know_the_leaky_components() -> Iterator[None]:
    yield
    registry._modules.cache_clear()
