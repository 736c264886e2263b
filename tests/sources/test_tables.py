"""Tables of one's own: the documented example, and when an ingest must be done again."""

import re
from datetime import datetime
from pathlib import Path

import polars as pl

from attending.config import Component
from attending.engine.local import Local
from attending.mapping.source import read
from attending.sources.tables import Config
from attending.stages.ingest import Sizes, ingest
from raw import tables as raw

ROOT = Path(__file__).parents[2]

PAGE = ROOT / "docs" / "data" / "tables.md"


def run(folder: Path, out: Path, mapping: Path | None = None, **sizes: int) -> pl.DataFrame:
    settings = {} if mapping is None else {"mapping": str(mapping)}
    source = Component(name="tables", **settings)
    ingest(source, folder, out, engine=Local(1), sizes=Sizes(**sizes))
    return pl.read_parquet(sorted((out / "data").glob("*.parquet")), glob=False)


def test_the_page_shows_the_mapping_that_is_tested(tmp_path):
    assert f"```text\n{raw.MAPPING}```" in PAGE.read_text(encoding="utf-8")


def test_every_example_of_the_page_is_a_mapping(tmp_path):
    found = re.findall(r"```text\n(name: .*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    for number, text in enumerate(found):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        assert read(path).source.tables
    assert found


def test_the_example_becomes_events_in_utc(tmp_path):
    events = run(raw.write(tmp_path / "raw"), tmp_path / "out")
    assert events["subject_id"].n_unique() == raw.N_PATIENTS
    assert events["visit_id"].drop_nulls().n_unique() == 35
    admitted = events.filter(pl.col("code").str.starts_with("HOSPITAL_ADMISSION"))["time"].min()
    assert admitted == datetime(2023, 3, 1, 9, 15)  # 10:15 in Berlin
    labs = events.filter(pl.col("code").str.starts_with("LAB//"))
    assert ((labs["available_time"] - labs["time"]).dt.total_minutes() == 120).all()
    diagnoses = events.filter(pl.col("code").str.starts_with("DIAGNOSIS//"))
    assert set(diagnoses["code"]) == {
        f"DIAGNOSIS//ICD//10//{code}" for code in ("I509", "E119", "N179", "J189", "A419")
    }


def test_many_shards_and_small_blocks_give_the_same_events(tmp_path):
    folder = raw.write(tmp_path / "raw")
    one = run(folder, tmp_path / "out1")
    two = run(folder, tmp_path / "out2", block_bytes=300, part_bytes=1000, shard_bytes=3000)
    assert one.equals(two.sort("subject_id", maintain_order=True))


def test_the_mapping_may_lie_elsewhere_and_a_changed_one_is_another_source(tmp_path):
    folder = raw.write(tmp_path / "raw")
    mapping = (folder / "mapping.yaml").rename(tmp_path / "own.yaml")
    before = run(folder, tmp_path / "out", mapping)
    mapping.write_text(raw.MAPPING.replace("HOSPITAL_ADMISSION", "ADMITTED"), encoding="utf-8")
    after = run(folder, tmp_path / "out", mapping)
    assert before.filter(pl.col("code").str.starts_with("ADMITTED")).is_empty()
    assert after.filter(pl.col("code").str.starts_with("ADMITTED")).height == 35


def test_the_content_of_the_mapping_is_among_the_settings(tmp_path):
    path = raw.write(tmp_path) / "mapping.yaml"
    one = Config(mapping=path)
    assert one.content and Config(**one.to_dict()) == one
    path.write_text(raw.MAPPING + "\n", encoding="utf-8")
    assert Config(mapping=path).content != one.content
