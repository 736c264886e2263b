"""However a CSV table is damaged: an answer that names it, or events that add up; and it costs only itself."""

from random import Random

import pytest

from damage import text
from folders import RAW, read_text
from raw import physionet2012
from rounds import TIMEOUT, damage_files
from trials import trials

pytestmark = pytest.mark.timeout(TIMEOUT)
SOURCES = [name for name in RAW if name not in ("fhir", "meds")]


@pytest.mark.parametrize("source", SOURCES)
def test_a_damaged_table_is_refused_by_name_or_accounted_for(source, tmp_path):
    raw = physionet2012.write(tmp_path / "raw", archive=False) if source == "physionet2012" else None
    whole = trials(source, tmp_path, raw=raw)
    contents = {name: read_text(whole.raw / name) for name in whole.files}

    def damage(name: str, random: Random) -> bytes:
        content = text.table(contents[name], random)
        return text.packed(content, random) if name.endswith(".gz") else content

    damage_files(whole, "CSV", 86, damage)
