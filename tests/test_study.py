"""A whole study on a small simulated cohort, and the Python face of it."""

import json
from pathlib import Path

import polars as pl
import pytest

import attending
from attending.checkpoint import load_model
from attending.errors import ConfigError
from attending.pipeline import Study

STUDIES = sorted((Path(__file__).parent.parent / "studies").glob("*.yaml"))
SMALL = {
    "name": "small",
    "workers": 1,
    "simulate": {"n_subjects": 400, "seed": 3},
    "task": {"name": "next_diagnoses", "vocabulary": "ccs"},
    "models": [{"name": "retain", "width": 16, "width_alpha": 16, "width_beta": 16}],
    "baselines": ["popularity", "copy_history"],
    "train": {"epochs": 2},
    "batches": {"max_tokens": 64},
    "evaluate": {"n_replicates": 100, "min_positives": 5},
    "explain": [{"model": "retain", "explainer": "contributions", "n_samples": 2}],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = Study(**SMALL, output=tmp_path_factory.mktemp("study") / "run")
    made.run()
    return made


def test_raw_tables_go_in_and_a_report_comes_out(study: Study) -> None:
    assert "<html" in study.report_file.read_text(encoding="utf-8")
    metrics = json.loads((study.folder / "metrics" / "metrics.json").read_text())
    assert set(metrics["models"]) >= {"popularity", "copy_history", "retain"}
    assert metrics["best_baseline"] in ("popularity", "copy_history")


def test_every_artifact_says_what_made_it(study: Study) -> None:
    folders = ["events", "labels", "tokens", "models/retain", "predictions/retain", "metrics", "report"]
    for folder in folders:
        manifest = json.loads((study.folder / folder / "manifest.json").read_text())
        assert manifest["fingerprint"]
        assert manifest["counts"]
    assert not list(study.folder.rglob(".*")), "no partial folder is left behind"


def test_a_second_run_has_nothing_to_do(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.folder.rglob("manifest.json")}
    study.run()
    assert {path: path.stat().st_mtime_ns for path in study.folder.rglob("manifest.json")} == before
    assert "up to date" in capsys.readouterr().err


def test_a_changed_setting_runs_again_what_depends_on_it_and_nothing_else(study: Study) -> None:
    changed = Study(**(SMALL | {"train": {"epochs": 1}}), output=study.folder)
    events = (study.folder / "events" / "manifest.json").stat().st_mtime_ns
    weights = (study.folder / "models" / "retain" / "model.safetensors").read_bytes()
    changed.fit()
    assert (study.folder / "events" / "manifest.json").stat().st_mtime_ns == events
    assert (study.folder / "models" / "retain" / "model.safetensors").read_bytes() != weights
    study.run()
    assert (study.folder / "models" / "retain" / "model.safetensors").read_bytes() == weights


def test_predictions_need_no_label(study: Study) -> None:
    held_out = study.predict_proba("retain")
    outcomes = pl.read_parquet(study.folder / "labels" / "outcomes.parquet")["outcome"].to_list()
    assert held_out.columns == ["subject_id", "prediction_time", *outcomes]
    some = held_out.head(5).select("subject_id", "prediction_time")
    again = study.predict_proba("retain", some)
    for outcome in outcomes:
        assert again[outcome].to_list() == pytest.approx(held_out.head(5)[outcome].to_list(), abs=1e-6)


def test_a_model_loads_back_by_path_alone(study: Study) -> None:
    name, model = load_model(study.model_folder("retain"))
    assert name == "retain"
    assert not model.training


def test_explanations_sum_to_the_logit_through_every_file(study: Study) -> None:
    folder = study.explain("retain", n_samples=3)
    samples = pl.read_parquet(folder / "samples.parquet")
    sums = pl.read_parquet(folder / "events.parquet").group_by("sample").agg(pl.col("attribution").sum())
    joined = samples.join(sums, on="sample")
    assert joined.height == 3
    for logit, base, total in joined.select("logit", "base", "attribution").iter_rows():
        assert base + total == pytest.approx(logit, abs=1e-4)


def test_no_model_folder_holds_a_subject_id(study: Study) -> None:
    """Subject ids of the simulator are eight digits that start with 1000; none may be in any file of a model."""
    splits = pl.read_parquet(study.folder / "events" / "metadata" / "subject_splits.parquet")
    canaries = [str(subject).encode() for subject in splits["subject_id"].sample(100, seed=0).to_list()]
    for path in study.model_folder("retain").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(canary in content for canary in canaries), path


def test_the_python_interface_is_exported() -> None:
    assert attending.Study is Study
    assert set(attending.__all__) == {"Study", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        attending.Studdy  # noqa: B018


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_file_loads(path: Path) -> None:
    assert Study.from_yaml(path).config.name


def test_a_study_that_contradicts_itself_says_how(tmp_path) -> None:
    with pytest.raises(ConfigError, match="expected one of 'data'"):
        Study(name="x", output=tmp_path)
    with pytest.raises(ConfigError, match="explains 'gru', which is not among its models"):
        Study(**(SMALL | {"explain": [{"model": "gru", "explainer": "contributions"}]}), output=tmp_path)
    with pytest.raises(ConfigError, match="a model stands twice"):
        Study(**(SMALL | {"models": ["retain", "retain"]}), output=tmp_path)
    with pytest.raises(ConfigError, match=r"unknown key 'modles'.*did you mean 'models'"):
        Study(**SMALL, output=tmp_path, modles=[])


def test_an_unknown_model_of_a_study_is_named(study: Study) -> None:
    with pytest.raises(ConfigError, match="no model 'retian'; did you mean 'retain'"):
        study.predict_proba("retian")
