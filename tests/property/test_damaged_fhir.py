"""However FHIR is damaged, in lines or in bundles: an answer that names the file, or events that add up."""

from random import Random

import pytest

from damage import nested, text
from folders import read_text
from rounds import TIMEOUT, damage_files
from trials import trials

pytestmark = pytest.mark.timeout(TIMEOUT)


def test_damaged_records_are_refused_by_name_or_accounted_for(tmp_path):
    whole = trials("fhir", tmp_path)
    contents = {name: read_text(whole.raw / name) for name in whole.files}

    def damage(name: str, random: Random) -> bytes:
        content = nested.records(contents[name], random)
        return text.packed(content, random) if name.endswith(".gz") else content

    damage_files(whole, "FHIR", 19, damage)
