"""A run on other data: nothing fitted there, and a classifier that knows when the patients differ."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from attending.artifact import read_manifest
from attending.cli.main import main
from attending.config import Component
from attending.engine.local import Local
from attending.errors import ArtifactError
from attending.pipeline import Study
from attending.simulate.config import Config as SimulateConfig
from attending.simulate.meds import simulate_meds
from attending.stages.ingest import ingest
from attending.stages.validate import FILES, validate

YEAR = pl.duration(days=365)


def simulated(folder: Path, seed: int, *, n_subjects: int = 250) -> Path:
    """Write a simulated cohort as MEDS."""
    simulate_meds(SimulateConfig(n_subjects=n_subjects, seed=seed), folder)
    return folder


def shifted(folder: Path, out: Path) -> Path:
    """Write the same cohort 20 years older, its diagnoses in another code system."""
    shutil.copytree(folder, out)
    born = pl.col("code") == "MEDS_BIRTH"
    for path in (out / "data").rglob("*.parquet"):
        frame = pl.read_parquet(path)
        older = pl.when(born).then(pl.col("time") - 20 * YEAR).otherwise("time").alias("time")
        code = pl.col("code").str.replace("DIAGNOSIS//ICD//10", "DIAGNOSIS//LOCAL", literal=True)
        moved = frame.with_columns(older, code).sort("subject_id", "time", maintain_order=True)
        moved.write_parquet(path)
    return out


def events_of(folder: Path, out: Path) -> Path:
    """Ingest a MEDS data set."""
    ingest(Component(name="meds"), folder, out, engine=Local(1))
    return out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run, and two other cohorts: one alike, one of older people with other codes."""
    folder = tmp_path_factory.mktemp("place")
    simulated(folder / "own", 1)
    simulated(folder / "alike", 2)
    shifted(folder / "alike", folder / "older")
    events_of(folder / "older", folder / "events-older")
    study = Study(
        name="run",
        output=folder / "run",
        data=folder / "own",
        source="meds",
        workers=1,
        task={"name": "next_diagnoses", "vocabulary": "ccs", "min_train_subjects": 30},
        models=[],
        baselines=["popularity", "copy_history"],
        evaluate={"n_replicates": 100},
    ).fit()
    for name in study.components:
        study.predict(name)
    study.evaluate()
    return folder


@pytest.fixture(scope="module")
def alike(place: Path) -> dict[str, Any]:
    """Return what the command finds on the cohort that is alike, given as raw files."""
    arguments = ["validate", str(place / "run"), "--data", str(place / "alike"), "--source", "meds"]
    assert main([*arguments, "--workers", "1"]) == 0
    folder = place / "run" / "validation" / "alike" / "validation"
    assert {path.name for path in folder.iterdir()} == {*FILES, "manifest.json"}
    found: dict[str, Any] = json.loads((folder / "validation.json").read_text())
    return found


@pytest.fixture(scope="module")
def older(place: Path) -> dict[str, Any]:
    """Return what the stage finds on the cohort of older people, given as events."""
    validate(place / "run", place / "events-older", place / "older-out", engine=Local(1))
    found: dict[str, Any] = json.loads((place / "older-out" / "validation" / "validation.json").read_text())
    return found


def test_every_subject_is_predicted_and_none_is_trained_on(place: Path, alike: dict[str, Any]) -> None:
    out = place / "run" / "validation" / "alike"
    labels = pl.read_parquet(out / "labels" / "data" / "*.parquet")
    predictions = pl.read_parquet(out / "predictions" / "copy_history" / "data.parquet")
    assert set(predictions["split"]) == {"held_out"}
    assert alike["external"]["n_samples"] == len(predictions) == len(labels)


def test_outcomes_and_vocabulary_are_those_of_the_run(place: Path, alike: dict[str, Any]) -> None:
    out = place / "run" / "validation" / "alike"
    for own, other in (("labels/outcomes.parquet",) * 2, ("tokens/vocabulary.parquet",) * 2):
        assert (place / "run" / own).read_bytes() == (out / other).read_bytes()
    assert (
        read_manifest(out / "tokens").parents["vocabulary"]
        == read_manifest(place / "run" / "tokens").fingerprint
    )


def test_own_and_other_figures_stand_side_by_side_with_intervals(alike: dict[str, Any]) -> None:
    sides = alike["models"]["copy_history"]
    own, other, change = (sides[side]["all"]["macro_auroc"] for side in ("internal", "external", "change"))
    assert own["low"] < own["estimate"] < own["high"]
    assert other["high"] - other["low"] < own["high"] - own["low"]  # more subjects
    assert change["estimate"] == pytest.approx(other["estimate"] - own["estimate"])
    assert change["low"] < 0 < change["high"]  # the cohorts are alike


def test_cohorts_that_are_alike_cannot_be_told_apart(alike: dict[str, Any]) -> None:
    area = alike["domain"]["auroc"]
    assert area["low"] < 0.5 < area["high"] or abs(area["estimate"] - 0.5) < 0.05
    assert alike["codes"]["share_of_events_unknown"] < 0.01


def test_older_people_with_other_codes_are_told_apart_and_the_codes_counted(older: dict[str, Any]) -> None:
    assert older["domain"]["auroc"]["low"] > 0.9
    assert older["codes"]["n_unknown"] + older["codes"]["n_by_ancestor"] > 50
    assert older["codes"]["share_of_events_known"] < 0.95


def test_the_case_mix_shows_the_shift_and_hides_small_cells(older: dict[str, Any]) -> None:
    lines = {line["name"]: line["cells"] for line in older["case_mix"]["lines"]}
    ages = next(cells for name, cells in lines.items() if name.startswith("Age at last prediction"))
    assert float(ages[2]["text"]) > 0.8
    counts = [
        int(cell["text"].split(" (")[0].replace(",", ""))
        for cells in lines.values()
        for cell in cells[:2]
        if "%" in cell["text"]
    ]
    assert counts
    assert not [count for count in counts if 0 < count < 11]


def test_the_own_events_are_no_other_data(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="give other data"):
        validate(place / "run", place / "run" / "events", tmp_path, engine=Local(1))


def test_what_is_up_to_date_is_not_made_again(place: Path, older: dict[str, Any]) -> None:
    path = place / "older-out" / "validation" / "validation.json"
    before = path.stat().st_mtime_ns
    validate(place / "run", place / "events-older", place / "older-out", engine=Local(1))
    assert path.stat().st_mtime_ns == before


def test_the_command_needs_data_and_source_or_events(place: Path) -> None:
    assert main(["validate", str(place / "run")]) == 2
    assert main(["validate", str(place / "run"), "--data", str(place / "alike")]) == 2
