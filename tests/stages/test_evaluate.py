"""The stage, from artifacts to artifact."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attending.artifact import Recipe, writing
from attending.errors import ArtifactError
from attending.evaluate.config import Config
from attending.stages.evaluate import evaluate

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))
from tiny_study import write_predictions, write_study

MODELS = ("strong", "logistic_counts", "popularity")
FILES = ("metrics.json", "curves.json", "per_outcome.parquet", "comparison.parquet", "comparison.csv")
CONFIG = Config(n_replicates=100)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


def run(folders, out, *, models=MODELS, truth=True, config=CONFIG, seed=0):
    return evaluate(
        folders["labels"],
        [folders[model] for model in models],
        folders["events"],
        out,
        config=config,
        truth=folders["truth"] if truth else None,
        seed=seed,
    )


def read(out, name="metrics.json"):
    return json.loads((out / name).read_text())


def test_models_are_ranked_against_the_best_baseline_and_the_truth(study, tmp_path):
    manifest = run(study, tmp_path / "metrics")
    metrics = read(tmp_path / "metrics")
    assert manifest.kind == "metrics"
    assert manifest.counts["n_samples"] == metrics["n_samples"] == 240
    assert (metrics["n_subjects"], metrics["n_outcomes"], metrics["headline"]) == (80, 4, "macro_auroc")
    assert metrics["best_baseline"] == "logistic_counts"
    assert metrics["best_baseline_decided_by"] == "tuning"
    assert list(metrics["models"]) == sorted(MODELS)
    best = metrics["models"]["strong"]["all"]["macro_auroc"]
    assert best["low"] < best["estimate"] < best["high"]
    assert best["difference"]["low"] > 0
    popular = metrics["models"]["popularity"]["all"]["macro_auroc"]
    assert popular["gap_to_ceiling"]["low"] > 0
    ceiling = metrics["ceiling"]["metrics"]["all"]
    assert metrics["ceiling"]["name"] == "true_probability"
    assert ceiling["macro_auroc"]["gap_to_ceiling"] == {"estimate": 0, "low": 0, "high": 0}
    assert ceiling["calibration_slope"]["low"] < 1 < ceiling["calibration_slope"]["high"]


def test_all_files_agree(study, tmp_path):
    run(study, tmp_path / "metrics")
    metrics, curves = read(tmp_path / "metrics"), read(tmp_path / "metrics", "curves.json")
    table = pl.read_parquet(tmp_path / "metrics" / "comparison.parquet")
    which = (pl.col("model") == "strong") & (pl.col("scope") == "new_onset") & (pl.col("metric") == "brier")
    row = table.row(by_predicate=which, named=True)
    entry = metrics["models"]["strong"]["new_onset"]["brier"]
    assert (row["estimate"], row["difference_low"]) == (entry["estimate"], entry["difference"]["low"])
    outcomes = pl.read_parquet(tmp_path / "metrics" / "per_outcome.parquet")
    assert len(outcomes) == 4 * 3 * 4
    mean = outcomes.filter((pl.col("model") == "strong") & (pl.col("scope") == "all"))["auroc"].mean()
    assert mean == pytest.approx(metrics["models"]["strong"]["all"]["macro_auroc"]["estimate"], abs=1e-12)
    assert set(metrics["definitions"]) == set(table["metric"])
    assert set(curves["pooled"]["models"]) == {*MODELS, "true_probability"}
    assert len(curves["outcomes"]) == 4
    assert len(curves["pooled"]["models"]["strong"]["roc"]) == len(curves["false_positive_rates"])


def test_differences_carry_p_values_and_those_that_many_models_allow(study, tmp_path):
    run(study, tmp_path / "metrics")
    metrics = read(tmp_path / "metrics")
    models, headline = metrics["models"], metrics["headline"]
    differences = {name: models[name]["all"][headline]["difference"] for name in models}
    assert "p" not in differences["logistic_counts"]  # it is the reference itself
    tested = sorted(one["p"] for name, one in differences.items() if name != "logistic_counts")
    corrected = sorted(one["p_holm"] for name, one in differences.items() if name != "logistic_counts")
    assert corrected == [min(1, 2 * tested[0]), max(min(1, 2 * tested[0]), tested[1])]
    to_best = models["popularity"]["all"][headline]["difference_to_best"]
    assert to_best["high"] < 0
    assert to_best["p_holm"] <= 0.05
    table = pl.read_parquet(tmp_path / "metrics" / "comparison.parquet")
    which = (pl.col("model") == "strong") & (pl.col("scope") == "all") & (pl.col("metric") == headline)
    row = table.row(by_predicate=which, named=True)
    assert row["difference_p_holm"] == differences["strong"]["p_holm"]


def test_evaluating_twice_or_in_another_order_gives_identical_bytes(study, tmp_path):
    run(study, tmp_path / "one")
    run(study, tmp_path / "two", models=MODELS[::-1])
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_what_is_up_to_date_is_not_made_again_and_another_seed_is(study, tmp_path):
    first = run(study, tmp_path / "metrics", truth=False)
    written = (tmp_path / "metrics" / "metrics.json").stat().st_mtime_ns
    assert run(study, tmp_path / "metrics", truth=False) == first
    assert (tmp_path / "metrics" / "metrics.json").stat().st_mtime_ns == written
    assert run(study, tmp_path / "metrics", truth=False, seed=1) != first
    assert read(tmp_path / "metrics")["ceiling"] is None


def test_a_binary_task_gets_thresholds_from_tuning_and_its_own_ceiling(tmp_path):
    folders = write_study(tmp_path, binary=True)
    run(folders, tmp_path / "metrics")
    metrics = read(tmp_path / "metrics")
    assert metrics["headline"] == "auroc"
    assert list(metrics["models"]["strong"]) == ["all"]
    assert metrics["ceiling"]["metrics"]["all"]["auroc"]["estimate"] > 0.6
    table = metrics["thresholds"]["strong"]["youden"]
    frame = pl.read_parquet(folders["strong"] / "data.parquet")
    labels = pl.concat([pl.read_parquet(path) for path in sorted((folders["labels"] / "data").glob("*"))])
    held_out = frame["split"].to_numpy() == "held_out"
    happens = labels["label_codes"].list.len().to_numpy() > 0
    alert = frame["probability"].to_numpy()[:, 0] >= table["threshold"]
    assert table["sensitivity"]["estimate"] == pytest.approx(alert[held_out & happens].mean())
    assert table["sensitivity"]["low"] <= table["sensitivity"]["estimate"] <= table["sensitivity"]["high"]


def test_labels_that_no_outcome_covers_are_counted_and_not_scored(tmp_path):
    folders = write_study(tmp_path)
    path = folders["labels"] / "data" / "001.parquet"
    frame = pl.read_parquet(path)
    unseen = frame.with_columns(
        pl.concat_list("label_codes", pl.lit("DIAGNOSIS//ICD//10//Z99")).alias("label_codes")
    )
    unseen.write_parquet(path)
    run(folders, tmp_path / "metrics")
    metrics = read(tmp_path / "metrics")
    n_held_out = int((np.unique(frame["subject_id"]) // 7 % 3 != 1).sum()) * 3
    assert (metrics["n_unseen_labels"], metrics["n_unseen_codes"]) == (n_held_out, 1)


def replace(folders, tmp_path, model, change, outcomes=None):
    frame = pl.read_parquet(folders[model] / "data.parquet")
    names = pl.read_parquet(folders[model] / "outcomes.parquet")["outcome"].to_list()
    frame = change(frame)
    folder = tmp_path / "changed"
    keys = frame.select("subject_id", "prediction_time")
    write_predictions(folder, model, keys, frame["split"], frame["probability"].to_numpy(), outcomes or names)
    return folders | {model: folder}


def test_predictions_of_other_samples_are_refused_with_counts(study, tmp_path):
    fewer = replace(study, tmp_path, "strong", lambda frame: frame.filter(pl.col("subject_id") != 14))
    with pytest.raises(
        ArtifactError,
        match=r"'strong' for exactly the 240 .* got 237, of which 0 .* 3 are missing",
    ):
        run(fewer, tmp_path / "metrics")
    other = replace(study, tmp_path, "strong", lambda frame: frame.with_columns(pl.col("subject_id") + 1))
    with pytest.raises(ArtifactError, match="240 are unknown, and 240 are missing"):
        run(other, tmp_path / "metrics")


def test_rows_in_another_order_are_put_in_order(study, tmp_path):
    run(study, tmp_path / "one", truth=False)
    turned = replace(study, tmp_path, "strong", lambda frame: frame.reverse())
    run(turned, tmp_path / "two", truth=False)
    assert (tmp_path / "one" / "metrics.json").read_bytes() == (
        tmp_path / "two" / "metrics.json"
    ).read_bytes()


def test_nan_predictions_are_refused_by_model_and_count(study, tmp_path):
    def spoil(frame):
        probability = frame["probability"].to_numpy().copy()
        probability[-3:, 0] = np.nan
        return frame.with_columns(pl.Series("probability", probability))

    with pytest.raises(ArtifactError, match="from the model 'strong'; got 3 of 960 values"):
        run(replace(study, tmp_path, "strong", spoil), tmp_path / "metrics")


def test_other_outcomes_and_a_model_given_twice_are_refused(study, tmp_path):
    others = replace(study, tmp_path, "strong", lambda frame: frame, outcomes=["a", "b", "c", "d"])
    with pytest.raises(ArtifactError, match=r"'strong' .* predicts other outcomes"):
        run(others, tmp_path / "metrics")
    with pytest.raises(ArtifactError, match="got 2 of 1 models"):
        run(study, tmp_path / "metrics", models=("strong", "strong"))


def test_a_truth_of_another_cohort_is_refused_with_counts(tmp_path):
    folders = write_study(tmp_path)
    path = folders["truth"] / "data" / "000.parquet"
    pl.read_parquet(path).filter(pl.col("subject_id") != 14).write_parquet(path)
    with pytest.raises(ArtifactError, match="lacks 3 of 240"):
        run(folders, tmp_path / "metrics")


def test_a_cohort_without_a_truth_has_no_ceiling(tmp_path):
    folders = write_study(tmp_path)
    (folders["truth"] / "data" / "000.parquet").unlink()
    run(folders, tmp_path / "metrics")
    assert read(tmp_path / "metrics")["ceiling"] is None


def test_no_held_out_sample_is_an_error_that_says_so(tmp_path):
    folders = write_study(tmp_path)
    with writing(tmp_path / "events", Recipe(kind="events", config={}, seed=1)) as writer:
        (writer.path / "metadata").mkdir()
        splits = pl.DataFrame({"subject_id": [7], "split": ["tuning"]})
        splits.write_parquet(writer.path / "metadata" / "subject_splits.parquet")
    with pytest.raises(ArtifactError, match="expected held-out samples"):
        run(folders, tmp_path / "metrics")


def test_a_handful_of_subjects_without_tuning_data_still_gets_metrics(tmp_path):
    folders = write_study(tmp_path, n_subjects=4, visits=2)
    run(folders, tmp_path / "metrics")
    metrics = read(tmp_path / "metrics")
    assert metrics["headline"] == "micro_auroc"
    assert metrics["models"]["strong"]["all"]["macro_auroc"]["estimate"] is None
