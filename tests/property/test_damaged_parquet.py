"""However a Parquet file is damaged, whatever types it has: an answer that names it, or events that add up."""

from pathlib import Path
from random import Random

import polars as pl
import pyarrow.parquet as pq
import pytest

from damage import parquet
from folders import made_up, read_text
from rounds import TIMEOUT, damage_files
from trials import refused, trials

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.mark.parametrize("source", ["meds", "mimic4", "omop"])
def test_a_damaged_parquet_file_is_refused_by_name_or_accounted_for(source, tmp_path):
    whole = trials(source, tmp_path, raw=None if source == "meds" else as_parquet(source, tmp_path))
    contents = {name: pq.read_table(whole.raw / name) for name in whole.files}

    def damage(name: str, random: Random) -> bytes:
        content = parquet.damaged(contents[name], random)
        return whole.files[name] if refused(whole, name, content) else content

    damage_files(whole, "Parquet", 51, damage)


def as_parquet(source: str, folder: Path) -> Path:
    """Write the tables of a folder of CSV as Parquet, with the types that their values seem to have."""
    csv = made_up(source).write(folder / "csv")
    for path in csv.rglob("*.csv*"):
        target = folder / "parquet" / f"{path.relative_to(csv).as_posix().partition('.')[0]}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pl.read_csv(read_text(path), try_parse_dates=True).write_parquet(target)
    return folder / "parquet"
