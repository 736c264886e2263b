"""Who is on either side: only what is known at the prediction, no small cell, and a classifier that is honest."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from attending.compare.case_mix import case_mix
from attending.compare.domain import domain_auroc
from attending.compare.histories import Histories, read_histories
from attending.report.cohort import COUNT, PREDICTIONS, SUBJECTS, VALUE, VARIABLE
from attending.report.names import Names

INDEX = datetime(2020, 1, 10)


def histories(n, *, age=60.0, seed=0, codes=("A", "B", "C"), share=0.5):
    """Return made-up subjects, each with some of the codes."""
    generator = np.random.default_rng(seed)
    subjects = pl.DataFrame(
        {
            "subject_id": np.arange(n),
            "age": generator.normal(age, 10, n),
            "years_of_history": generator.exponential(2, n),
            "n_known": generator.poisson(20, n),
        }
    )
    held = generator.random((n, len(codes))) < share
    subject, code = np.nonzero(held)
    counts = pl.DataFrame(
        {"subject_id": subject, "code": [codes[at] for at in code], "n": generator.poisson(2, len(code)) + 1}
    )
    holders = counts.group_by("code").agg(pl.len().cast(pl.Int64).alias("n_subjects")).sort("code")
    return Histories(subjects=subjects, holders=holders, counts=counts, drawn=subjects["subject_id"])


def area(internal, external):
    return domain_auroc(internal, external, n_replicates=200)["auroc"]


def test_patients_of_one_kind_cannot_be_told_apart_and_the_interval_says_so():
    found = area(histories(400, seed=1), histories(300, seed=2))
    assert found["low"] < 0.5 < found["high"]


def test_older_patients_are_told_apart_by_as_much_as_they_are_older():
    # Two normals a standard deviation apart: AUROC = Φ(1/√2) = 0.760
    found = area(histories(800, seed=1), histories(800, age=70.0, seed=2))
    assert found["estimate"] == pytest.approx(0.76, abs=0.03)


def test_other_codes_give_every_patient_away():
    found = area(histories(200, seed=1, share=0.8), histories(200, seed=2, codes=("X", "Y", "Z"), share=0.8))
    assert found["low"] > 0.95


def test_a_handful_of_patients_is_not_judged():
    assert area(histories(5), histories(300, seed=2))["estimate"] is None


def test_only_what_is_known_at_the_last_prediction_counts(tmp_path):
    rows = [
        ("BIRTH-LIKE", None, None),  # static
        ("KNOWN", datetime(2020, 1, 1), datetime(2020, 1, 2)),
        ("HAPPENED_BUT_UNKNOWN", datetime(2020, 1, 5), datetime(2020, 2, 1)),
        ("LATER", datetime(2020, 3, 1), datetime(2020, 3, 1)),
        ("MEDS_BIRTH", datetime(1960, 1, 10), datetime(1960, 1, 10)),
    ]
    events = pl.DataFrame(
        {
            "subject_id": [1] * len(rows),
            "time": [row[1] for row in rows],
            "code": [row[0] for row in rows],
            "available_time": [row[2] for row in rows],
        },
        schema_overrides={"time": pl.Datetime("us"), "available_time": pl.Datetime("us")},
    )
    labels = pl.DataFrame({"subject_id": [1], "prediction_time": [INDEX]})
    for name, frame in (("events", events), ("labels", labels)):
        (tmp_path / name / "data").mkdir(parents=True)
        frame.write_parquet(tmp_path / name / "data" / "000.parquet")
    found = read_histories(tmp_path / "events", tmp_path / "labels")
    assert set(found.holders["code"]) == {"BIRTH-LIKE", "KNOWN"}
    subject = found.subjects.row(0, named=True)
    assert subject["age"] == pytest.approx(60, abs=0.01)
    assert subject["years_of_history"] == pytest.approx(9 / 365.25)


def test_a_count_of_few_is_hidden_with_its_difference_and_a_large_shift_is_shown():
    internal = histories(100, seed=1, codes=("A",), share=0.5)
    external = histories(100, seed=2, codes=("A",), share=0.9)
    few = pl.DataFrame({"code": ["RARE"], "n_subjects": [4]})
    mixed = Histories(
        subjects=external.subjects,
        holders=pl.concat([external.holders, few]),
        counts=external.counts,
        drawn=external.drawn,
    )
    counts = pl.DataFrame(
        [(name, split, "", 100) for name in (SUBJECTS, PREDICTIONS) for split in ("train", "held_out")],
        schema=[VARIABLE, "split", VALUE, COUNT],
        orient="row",
    )
    lines = {line.name: line.cells for line in case_mix(internal, mixed, counts, Names({}, {})).lines}
    assert float(lines["A"][2].text) > 0.8
    assert [cell.text for cell in lines["Rare"] if cell.text][1:] in (["<11", "–"], ["–", "–"])
