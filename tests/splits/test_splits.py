"""Who trains, tunes and is held out: each way of dividing subjects, on records that fit on a page."""

from datetime import datetime
from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending import registry
from attending.artifact import Recipe, writing
from attending.config import Component
from attending.engine.local import Local
from attending.errors import TaskError
from attending.shares import Shares, split_of
from attending.stages.split import read_splits, split
from attending.stages.tokenize import tokenize
from attending.tokens.store import NO_SPLIT, TokenStore
from attending.tokens.vocabulary import Config as TokenConfig
from records import day, event, table

BASE = datetime(2150, 1, 1)


def divided(name: str, events: pl.DataFrame, seed: int = 0, **settings: object) -> dict[int, str | None]:
    """Return the split of each subject of one shard; None where it is left out."""
    module = registry.load("splits", name)
    config = Component(name=name, **settings).config("splits")
    traits = module.traits(events, config).sort("subject_id")
    traits = traits.with_columns(pl.lit(None, pl.String).alias("split"))
    return dict(zip(traits["subject_id"], module.assign(traits, config, seed), strict=True))


def artifact(folder: Path, events: pl.DataFrame, published: pl.DataFrame | None = None) -> Path:
    """Write an events artifact of one shard."""
    subjects = events.select("subject_id").unique().sort("subject_id")
    own = published if published is not None else subjects.with_columns(pl.lit("train").alias("split"))
    with writing(folder, Recipe(kind="events", config={})) as writer:
        for name in ("data", "metadata"):
            (writer.path / name).mkdir()
        events.write_parquet(writer.path / "data" / "000.parquet")
        own.write_parquet(writer.path / "metadata" / "subject_splits.parquet")
        codes = (
            events.select("code")
            .unique()
            .with_columns(
                pl.lit(None, pl.String).alias("description"),
                pl.lit([], pl.List(pl.String)).alias("parent_codes"),
            )
        )
        codes.write_parquet(writer.path / "metadata" / "codes.parquet")
        writer.counts = {"published_splits": 0 if published is None else published.height}
    return folder


def crowd(n: int) -> pl.DataFrame:
    return table(*(event(subject, 1, "LAB//1") for subject in range(1, n + 1)))


def test_a_subject_keeps_its_split_when_others_join() -> None:
    few, many = divided("subject", crowd(200)), divided("subject", crowd(2000))
    assert few == {subject: many[subject] for subject in few}
    assert 0.17 < list(many.values()).count("held_out") / 2000 < 0.23


def test_another_seed_divides_otherwise() -> None:
    assert divided("subject", crowd(200), seed=1) != divided("subject", crowd(200), seed=2)


def test_the_split_by_subject_is_the_one_that_ingest_writes() -> None:
    expected = split_of(pl.Series("subject_id", range(1, 201)), Shares().to_dict(), 3).to_list()
    assert list(divided("subject", crowd(200), seed=3).values()) == expected


def test_every_subject_is_held_out_in_exactly_one_fold() -> None:
    folds = [divided("folds", crowd(300), folds=5, fold=fold) for fold in range(5)]
    for subject in range(1, 301):
        assert [fold[subject] for fold in folds].count("held_out") == 1
    assert all("tuning" in fold.values() and "train" in fold.values() for fold in folds)


def test_a_fold_that_is_not_there_is_refused() -> None:
    with pytest.raises(Exception, match="expected a fold from 0 to 4; got 5"):
        Component(name="folds", fold=5).config("splits")


RECORDS = table(
    [event(1, 0, "LAB//1"), event(1, 90, "LAB//1")],  # the past
    [event(2, 110, "LAB//1"), event(2, 120, "LAB//1")],  # between
    [event(3, 210, "LAB//1"), event(3, 400, "LAB//1")],  # the future
    [event(4, 50, "LAB//1"), event(4, 300, "LAB//1")],  # from the past into the future
    [event(5, -20000, "MEDS_BIRTH"), event(5, 250, "LAB//1")],  # born long ago, seen in the future
    [event(6, None, "GENDER//F")],  # never seen
)
CUTS = {"tuning_from": day(100).isoformat(), "held_out_from": day(200).isoformat()}


def test_a_split_by_time_trains_on_the_past_and_tests_on_the_future() -> None:
    expected = {1: "train", 2: "tuning", 3: "held_out", 4: None, 5: "held_out", 6: None}
    assert divided("time", RECORDS, **CUTS) == expected


def test_a_record_that_straddles_may_stay_where_it_began() -> None:
    assert divided("time", RECORDS, straddling="by_start", **CUTS)[4] == "train"


SITES = table(
    [event(1, 0, "HOSPITAL//7")],
    [event(2, 0, "HOSPITAL//8")],
    [event(3, 0, "HOSPITAL//9")],
    [event(4, 0, "HOSPITAL//7"), event(4, 5, "HOSPITAL//9")],
    [event(5, 0, "HOSPITAL//8"), event(5, 5, "HOSPITAL//7")],
    [event(6, 0, "LAB//1")],
)


def test_a_site_is_held_out_whole_and_who_was_on_both_sides_is_left_out() -> None:
    found = divided("site", SITES, held_out=["9"], tuning=["8"])
    assert found == {1: "train", 2: "tuning", 3: "held_out", 4: None, 5: None, 6: None}


def test_without_tuning_sites_a_share_of_the_others_is_drawn() -> None:
    many = table(*(event(subject, 0, f"HOSPITAL//{subject % 4}") for subject in range(1, 400)))
    found = divided("site", many, held_out=["0"], tuning_share=0.2)
    assert {split for subject, split in found.items() if subject % 4 == 0} == {"held_out"}
    others = [split for subject, split in found.items() if subject % 4]
    assert 0.13 < others.count("tuning") / len(others) < 0.27


def test_a_site_that_is_not_there_is_named(tmp_path: Path) -> None:
    events = artifact(tmp_path / "events", SITES)
    with pytest.raises(
        TaskError, match=r"sites below 'HOSPITAL//' to hold out; got 99, and the data have 3: 7, 8, 9"
    ):
        split(events, tmp_path / "splits", by=Component(name="site", held_out=["99"]), engine=Local(1))


def test_nested_parts_hold_out_the_future_of_another_hospital() -> None:
    records = table(
        [event(1, 0, "HOSPITAL//7"), event(1, 9, "LAB//1")],
        [event(2, 0, "HOSPITAL//9"), event(2, 9, "LAB//1")],  # the other hospital, in the past
        [event(3, 300, "HOSPITAL//7")],  # the future, of this hospital
        [event(4, 300, "HOSPITAL//9")],  # both
        [event(5, 110, "HOSPITAL//7")],
    )
    parts = [{"name": "time", **CUTS}, {"name": "site", "held_out": ["9"], "tuning_share": 0.0}]
    found = divided("nested", records, parts=parts)
    assert found == {1: "train", 2: None, 3: None, 4: "held_out", 5: "tuning"}


def test_the_split_file_is_that_of_meds_and_knows_nothing_of_who_is_left_out(tmp_path: Path) -> None:
    events = artifact(tmp_path / "events", RECORDS)
    manifest = split(events, tmp_path / "splits", by=Component(name="time", **CUTS), engine=Local(1))
    assert manifest.counts == {"train": 1, "tuning": 1, "held_out": 2, "left_out": 2}
    meds.SubjectSplitSchema.validate(pq.read_table(tmp_path / "splits" / "subject_splits.parquet"))
    assert read_splits(tmp_path / "splits")["subject_id"].to_list() == [1, 2, 3, 5]


def test_who_is_left_out_keeps_a_history_and_is_in_no_split_of_it(tmp_path: Path) -> None:
    events = artifact(tmp_path / "events", RECORDS)
    split(events, tmp_path / "splits", by=Component(name="time", **CUTS), engine=Local(1))
    settings = TokenConfig(min_subjects=1)
    tokenize(events, tmp_path / "tokens", config=settings, engine=Local(1), splits=tmp_path / "splits")
    store = TokenStore.open(tmp_path / "tokens")
    assert store.split.tolist() == [0, 1, 2, NO_SPLIT, 2, NO_SPLIT]


def test_splits_that_the_data_bring_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    published = pl.DataFrame(
        {"subject_id": list(range(1, 41)), "split": (["train", "tuning", "held_out", "train"] * 10)}
    )
    events = artifact(tmp_path / "events", crowd(40), published)
    split(events, tmp_path / "kept", by=Component(name="subject"), engine=Local(1))
    assert read_splits(tmp_path / "kept").equals(published)
    split(events, tmp_path / "drawn", by=Component(name="subject", published=False), engine=Local(1))
    assert not read_splits(tmp_path / "drawn").equals(published)


def test_a_split_that_leaves_nobody_to_test_on_is_refused(tmp_path: Path) -> None:
    events = artifact(tmp_path / "events", RECORDS)
    late = {"tuning_from": day(100).isoformat(), "held_out_from": day(9000).isoformat()}
    with pytest.raises(TaskError, match=r"the split 'time' leaves nobody in held_out, of 6 subjects"):
        split(events, tmp_path / "splits", by=Component(name="time", **late), engine=Local(1))
