"""The folder for seismometer holds what its documentation asks for, and every prediction keeps its own answer.

Seismometer itself opens such a folder in `benchmarks/conformance/seismometer_folder.py`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from attending.artifact import read_manifest, write_json
from attending.cli.main import main
from attending.errors import ArtifactError, ConfigError
from attending.stages.seismometer import seismometer

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))
from tiny_study import write_study

# What seismometer 0.5 documents for each file.
INFO = {
    "usage_config",
    "template",
    "info_dir",
    "event_definition",
    "prediction_definition",
    "data_dir",
    "event_path",
}
USAGE = {"entity_id", "context_id", "primary_output", "primary_target", "predict_time", "outputs", "cohorts"}


def finished(folder, **more):
    """Return the folder of a study whose predictions lie where `attending run` writes them."""
    folders = write_study(folder, **more)
    (folder / "predictions").mkdir()
    for model in ("strong", "logistic_counts", "popularity"):
        folders[model].rename(folder / "predictions" / model)
    (folder / "metrics").mkdir()
    write_json(folder / "metrics" / "metrics.json", {"best_model": "strong"})
    return folder


def read(folder):
    names = ("config.yml", "usage_config.yml", "data_dictionary.yml")
    settings = [yaml.safe_load((folder / name).read_text(encoding="utf-8")) for name in names]
    frames = [pl.read_parquet(folder / "data" / name) for name in ("predictions.parquet", "events.parquet")]
    return *settings, *frames


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("study"), binary=True)


def test_a_binary_task_is_one_score_and_one_target(study, tmp_path):
    manifest = seismometer(study, tmp_path / "out")
    config, usage, dictionary, predictions, events = read(tmp_path / "out")
    info, used = config["other_info"], usage["data_usage"]
    assert set(info) >= INFO
    assert all((tmp_path / "out" / info[name]).exists() for name in ("usage_config", "event_definition"))
    data = tmp_path / "out" / info["data_dir"]
    assert all((data / info[name]).exists() for name in ("event_path", "prediction_path", "metadata_path"))
    assert set(used) >= USAGE
    assert (used["primary_output"], used["primary_target"]) == ("score", "in_hospital_death")
    assert used["censor_min_count"] >= 10
    columns = {used["entity_id"], used["context_id"], used["predict_time"], used["primary_output"]}
    columns |= set(used["outputs"]) | {cohort["source"] for cohort in used["cohorts"]}
    assert set(predictions.columns) == columns
    assert [item["name"] for item in dictionary["predictions"]] == predictions.columns
    assert {item["name"] for item in dictionary["events"]} == set(events["Type"])
    named = [used["event_table"][name] for name in ("type", "time", "value")]
    assert events.columns == [used["entity_id"], used["context_id"], *named]
    assert manifest.counts["predictions"] == len(predictions) == 240
    metadata = json.loads((data / info["metadata_path"]).read_text())
    assert metadata["modelname"] == "strong"
    assert all(0 <= threshold <= 1 for threshold in metadata["thresholds"])


def test_every_prediction_stands_beside_its_own_answer(study, tmp_path):
    seismometer(study, tmp_path / "out", model="popularity")
    *_, predictions, events = read(tmp_path / "out")
    joined = predictions.join(events, on=["subject_id", "sample_id"], how="full", coalesce=True)
    assert len(joined) == len(predictions) == len(events)
    given = pl.read_parquet(study / "predictions" / "popularity" / "data.parquet")
    labels = pl.concat([pl.read_parquet(path) for path in sorted((study / "labels" / "data").glob("*"))])
    both = given.filter(pl.col("split") == "held_out").join(labels, on=["subject_id", "prediction_time"])
    both = both.sort("subject_id", "prediction_time")
    expected = both.select(pl.col("probability").arr.first(), pl.col("label_codes").list.len())
    found = joined.sort("sample_id").select("score", "Value")
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), atol=1e-7)


def test_subjects_are_numbered_anew(study, tmp_path):
    seismometer(study, tmp_path / "out")
    predictions = read(tmp_path / "out")[3]
    assert sorted(set(predictions["subject_id"])) == list(range(1, 81))  # theirs were multiples of 7


def test_many_outcomes_become_scores_of_the_most_frequent(tmp_path):
    study = finished(tmp_path / "study")
    seismometer(study, tmp_path / "out", n_outcomes=2)
    _, usage, _, predictions, events = read(tmp_path / "out")
    used = usage["data_usage"]
    assert len(used["outputs"]) == 1
    assert len(used["events"]) == events["Type"].n_unique() == 2
    happened = events.group_by("Type").agg(pl.col("Value").sum()).sort("Value", descending=True)
    assert used["primary_target"] == happened["Type"][0]
    assert all(name.isidentifier() for name in predictions.columns)


def test_samples_whose_answer_is_not_known_are_left_out_and_counted(tmp_path):
    study = finished(tmp_path / "study", binary=True)
    for path in (study / "labels" / "data").glob("*.parquet"):
        frame = pl.read_parquet(path)
        lists = pl.when(pl.col("label_codes").list.len() == 0).then(["in_hospital_death"]).otherwise([])
        first = pl.int_range(pl.len()) % 5 == 0
        frame.with_columns(pl.when(first).then(lists).otherwise([]).alias("censored_codes")).write_parquet(
            path
        )
    counts = seismometer(study, tmp_path / "out").counts
    assert counts["left_out_as_not_known"] > 0
    assert counts["predictions"] + counts["left_out_as_not_known"] == 240


def test_the_command_writes_the_folder_and_the_same_again_does_nothing(study, tmp_path):
    assert main(["seismometer", str(study), str(tmp_path / "out"), "--model", "strong"]) == 0
    written = (tmp_path / "out" / "config.yml").stat().st_mtime_ns
    assert main(["seismometer", str(study), str(tmp_path / "out"), "--model", "strong"]) == 0
    assert (tmp_path / "out" / "config.yml").stat().st_mtime_ns == written
    assert read_manifest(tmp_path / "out", "seismometer").counts["outcomes"] == 1


def test_an_unknown_model_and_a_predicted_number_are_refused(study, tmp_path):
    with pytest.raises(ConfigError, match=r"no predictions of a model 'stron'.*strong"):
        seismometer(study, tmp_path / "out", model="stron")
    number = finished(tmp_path / "study", binary=True)
    manifest = json.loads((number / "labels" / "manifest.json").read_text())
    manifest["config"]["target"] = "value"
    write_json(number / "labels" / "manifest.json", manifest)
    with pytest.raises(ArtifactError, match="cannot show predicted numbers"):
        seismometer(number, tmp_path / "out")
