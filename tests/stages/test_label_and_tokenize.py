"""From events on disk to labels and tokens: MEDS's own schemas, and nothing fitted outside the training split."""

from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending import registry
from attending.artifact import read_manifest
from attending.config import Component
from attending.engine.local import Local
from attending.errors import ArtifactError, TaskError
from attending.shares import Shares
from attending.simulate.config import Config
from attending.simulate.mimic4 import simulate_mimic4
from attending.stages.ingest import ingest
from attending.stages.label import label, read_labels
from attending.stages.tokenize import read_vocabulary, tokenize
from attending.tokens.store import TokenStore
from attending.tokens.vocabulary import Config as TokenConfig

ENGINE = Local(1)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    simulate_mimic4(Config(n_subjects=300, seed=1), folder / "raw")
    ingest(Component(name="mimic4"), folder / "raw", folder / "events", engine=ENGINE, split=Shares())
    return folder / "events"


DAYS_OF_STAY = Component(name="length_of_stay", kind="days")
ASKED = [DAYS_OF_STAY, *(Component(name=name) for name in registry.names("tasks") if name != "aces")]


@pytest.mark.parametrize("task", ASKED, ids=str)
def test_the_meds_view_of_labels_passes_the_meds_schema(
    events: Path, tmp_path: Path, task: Component
) -> None:
    label(events, tmp_path / "labels", task=task, engine=ENGINE)
    for path in (tmp_path / "labels" / "meds").glob("*.parquet"):
        table = pq.read_table(path)
        meds.LabelSchema.validate(table)
        assert table.num_rows > 0


def test_a_multi_label_sample_has_one_meds_row_for_each_positive(events: Path, tmp_path: Path) -> None:
    label(events, tmp_path / "labels", task=Component(name="next_diagnoses"), engine=ENGINE)
    rows = pl.read_parquet(tmp_path / "labels" / "meds" / "*.parquet").height
    assert rows == read_labels(tmp_path / "labels")["label_codes"].list.len().sum()


def test_the_flow_ends_with_the_samples_there_are(events: Path, tmp_path: Path) -> None:
    manifest = label(events, tmp_path / "labels", task=Component(name="next_diagnoses"), engine=ENGINE)
    flow = pl.read_json(tmp_path / "labels" / "flow.json")
    assert flow["n_samples"][-1] == manifest.counts["samples"] == read_labels(tmp_path / "labels").height
    assert flow["n_subjects"][0] == 300
    assert flow["n_subjects"].is_sorted(descending=True)


def test_an_outcome_needs_enough_distinct_training_subjects(events: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TaskError, match=r"no outcome that at least 5000 training subjects have: .*min_train_subjects"
    ):
        label(
            events,
            tmp_path / "a",
            task=Component(name="next_diagnoses", min_train_subjects=5000),
            engine=ENGINE,
        )
    few = label(
        events, tmp_path / "b", task=Component(name="next_diagnoses", min_train_subjects=1), engine=ENGINE
    )
    many = label(
        events, tmp_path / "c", task=Component(name="next_diagnoses", min_train_subjects=60), engine=ENGINE
    )
    assert 0 < many.counts["outcomes"] < few.counts["outcomes"]


def test_altering_held_out_events_changes_no_fitted_artifact(events: Path, tmp_path: Path) -> None:
    changed = tmp_path / "events"
    splits = pl.read_parquet(events / "metadata" / "subject_splits.parquet")
    train = splits.filter(pl.col("split") == "train")
    for path in events.rglob("*"):
        if path.is_file():
            (changed / path.relative_to(events)).parent.mkdir(parents=True, exist_ok=True)
            (changed / path.relative_to(events)).write_bytes(path.read_bytes())
    for path in (changed / "data").glob("*.parquet"):
        shard = pl.read_parquet(path)
        fitted = pl.col("subject_id").is_in(train["subject_id"].implode())
        noisy = shard.with_columns(
            pl.when(fitted)
            .then(pl.col("numeric_value"))
            .otherwise(pl.lit(1e6))
            .cast(pl.Float32)
            .alias("numeric_value"),
            pl.when(fitted | ~pl.col("code").str.starts_with("MEDICATION"))
            .then(pl.col("code"))
            .otherwise(pl.lit("MEDICATION//only held out"))
            .alias("code"),
        )
        noisy.write_parquet(path)
    for folder, out in ((events, "a"), (changed, "b")):
        tokenize(folder, tmp_path / out, config=TokenConfig(), engine=ENGINE)
    assert read_vocabulary(tmp_path / "a").table.equals(read_vocabulary(tmp_path / "b").table)


def test_the_store_holds_every_subject_once_in_order(events: Path, tmp_path: Path) -> None:
    manifest = tokenize(events, tmp_path / "tokens", config=TokenConfig(), engine=ENGINE)
    store = TokenStore.open(tmp_path / "tokens")
    assert manifest.counts["subjects"] == len(store.subject) == 300
    assert (store.subject[1:] > store.subject[:-1]).all()
    assert len(store.token) == store.offset[-1] == manifest.counts["events"]
    assert int(store.token.max()) < manifest.counts["tokens"]


def test_one_and_two_workers_write_the_same_store(events: Path, tmp_path: Path) -> None:
    for out, engine in (("one", Local(1)), ("two", Local(2))):
        tokenize(events, tmp_path / out, config=TokenConfig(), engine=engine)
    for path in (tmp_path / "one").iterdir():
        if path.name != "manifest.json":
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    assert read_manifest(tmp_path / "one").fingerprint == read_manifest(tmp_path / "two").fingerprint


def test_a_folder_that_is_no_token_store_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="expected the arrays token, second"):
        TokenStore.open(tmp_path)
