"""However a mapping is damaged: it is refused with words, or the events that it makes add up."""

from math import ceil
from pathlib import Path
from random import Random

import pytest
from hypothesis import given

from attending import sources
from attending.config import Component
from damage import nested
from folders import made_up
from rounds import N_FILES, SEED, TIMEOUT, record, rounds
from trials import trials

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.mark.parametrize(
    ("source", "share"), [("tables", 0.7), ("synthea", 0.1), ("synpuf", 0.1), ("diabetes130", 0.1)]
)
def test_a_damaged_mapping_is_refused_or_makes_events(source, share, tmp_path):
    raw = made_up(source).write(tmp_path / "raw")
    path, own = tmp_path / "mapping.yaml", Path(sources.__path__[0]) / f"{source}.yaml"
    content = (own if own.exists() else raw / "mapping.yaml").read_bytes()
    path.write_bytes(content)
    whole = trials("tables", tmp_path, raw=raw, given=Component(name="tables", mapping=path))

    @rounds(ceil(N_FILES * share))
    @given(SEED)
    def attempt(seed: int) -> None:
        path.write_bytes(nested.mapping(content, Random(seed)))
        whole.attempt_mapping()

    attempt()
    record(whole, "YAML")
