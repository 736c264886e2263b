"""The commands that train: one process, several, and the search for a rate."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attending.cli.main import main
from attending.pipeline import Study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = Study(
        name="small",
        output=tmp_path_factory.mktemp("train") / "run",
        workers=1,
        simulate={"n_subjects": 200, "seed": 3},
        task={"name": "next_diagnoses", "vocabulary": "ccs"},
        models=[],
        baselines=["popularity"],
    )
    made.fit()
    return made


def given(study: Study) -> list[str]:
    return [str(study.folder / "tokens"), str(study.folder / "labels")]


def test_a_rate_is_told_to_people_and_machines(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["model.size=tiny", "batches.batch_samples=64"]
    assert main(["find-rate", "gru", *given(study), *settings, "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert 1e-4 < found["suggested"] < 0.2
    assert len(found["rates"]) == len(found["won"])
    assert "train.learning_rate=" in captured.err


def test_a_baseline_has_no_rate_to_find(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find-rate", "popularity", *given(study)]) == 2
    assert "fits itself" in capsys.readouterr().err


def test_a_finished_model_holds_no_states_and_counts_its_phases(study: Study, tmp_path: Path) -> None:
    settings = ["model.size=tiny", "train.epochs=1", "train.pretrain_epochs=1", "train.accumulate=2"]
    assert main(["train", "med_bert", *given(study), str(tmp_path / "model"), *settings]) == 0
    assert not list((tmp_path / "model").rglob("*state-*"))
    assert (tmp_path / "model" / "pretrain" / "train.jsonl").exists()
    counts = json.loads((tmp_path / "model" / "manifest.json").read_text())["counts"]
    assert counts["steps"] > 0
    assert counts["pretrain_steps"] > 0


def test_where_it_runs_makes_no_other_model(study: Study, tmp_path: Path) -> None:
    settings = ["model.size=tiny", "train.epochs=1"]
    assert main(["train", "gru", *given(study), str(tmp_path / "gru"), *settings]) == 0
    made = (tmp_path / "gru" / "manifest.json").stat().st_mtime_ns
    elsewhere = ["train.device=cpu", "train.checkpoint_seconds=5"]
    assert main(["train", "gru", *given(study), str(tmp_path / "gru"), *settings, *elsewhere]) == 0
    assert (tmp_path / "gru" / "manifest.json").stat().st_mtime_ns == made


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gru", "popularity"])
def test_several_processes_make_one_artifact(study: Study, tmp_path: Path, model: str) -> None:
    settings = ["model.size=tiny", "train.epochs=1"] if model == "gru" else []
    found = torchrun("train", model, *given(study), str(tmp_path / model), "--json", *settings)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["kind"] == "model"
    assert found.stderr.count("model at") == 1
    assert [path.name for path in tmp_path.iterdir()] == [model]


@pytest.mark.slow
def test_several_processes_only_train() -> None:
    found = torchrun("list", "models")
    assert found.returncode != 0
    assert "expected 'train'" in found.stderr


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "attending.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
