"""Table 1 counts what is there, shard by shard, and gives nobody away."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attending.report import cohort
from attending.report.names import Names
from attending.report.table_one import (
    TableOne,
    mean_difference,
    share_difference,
    table_one,
    weighted_quantile,
)

FIRST = datetime(2150, 3, 1)
NAMES = Names({}, {"A": "Anemia"})


def write_shard(folder: Path, number: int, subjects: range, sexes: str, *, n_visits: int = 2) -> None:
    """Write subjects born 50 years before their first prediction, each with two codes a visit."""
    events, labels = [], []
    for subject, sex in zip(subjects, sexes, strict=True):
        events.append((subject, None, f"GENDER//{sex}", None))
        events.append((subject, FIRST - timedelta(days=18263), "MEDS_BIRTH", None))
        for visit in range(n_visits):
            time = FIRST + timedelta(days=30 * visit)
            events += [(subject, time, "HOSPITAL_ADMISSION//URGENT//X", visit)]
            events += [
                (subject, time, f"DIAGNOSIS//ICD//10//{code}", visit) for code in ("I10", "E119", "I10")
            ]
        labels.append((subject, FIRST, ["A"] if subject % 2 else []))
    event_schema = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "visit_id": pl.Int64,
    }
    label_schema = {
        "subject_id": pl.Int64,
        "prediction_time": pl.Datetime("us"),
        "label_codes": pl.List(pl.String),
    }
    for name, rows, schema in (("events", events, event_schema), ("labels", labels, label_schema)):
        (folder / name).mkdir(exist_ok=True)
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / name / f"{number:03}.parquet")


def count(folder: Path, splits: dict[int, str]) -> pl.DataFrame:
    path = folder / "splits.parquet"
    pl.DataFrame({"subject_id": list(splits), "split": list(splits.values())}).write_parquet(path)
    shards = sorted(path.name for path in (folder / "labels").glob("*.parquet"))
    return cohort.add_up(
        cohort.count_shard(folder / "events" / name, folder / "labels" / name, path) for name in shards
    )


def cells(table: TableOne, label: str) -> list[str]:
    return next(row.cells for row in table.rows if row.label.startswith(label))


def test_it_counts_subjects_ages_stays_codes_and_outcomes(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, range(40), "F" * 20 + "M" * 20)
    table = table_one(count(tmp_path, dict.fromkeys(range(40), "train")), NAMES)
    assert table.sizes == ["40"]
    assert cells(table, "Predictions") == ["40"]
    assert cells(table, "Age") == ["50 [50–50]"]
    assert cells(table, "Female") == ["20 (50.0 %)"]
    assert cells(table, "Hospital stays") == ["2 [2–2]"]
    assert cells(table, "Diagnosis codes") == ["2 [2–2]"]
    assert cells(table, "Anemia") == ["20 (50.0 %)"]


def test_shards_add_up_to_the_whole(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    splits = {subject: ("train", "held_out")[subject % 2] for subject in range(60)}
    write_shard(whole, 0, range(60), "FM" * 30)
    write_shard(parts, 0, range(25), "FM" * 12 + "F")
    write_shard(parts, 1, range(25, 60), "MF" * 17 + "M")
    assert count(whole, splits).equals(count(parts, splits))


def test_a_small_cell_and_what_would_give_it_away_are_hidden(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, range(80), "F" * 24 + "M" * 56)
    splits = {subject: "train" if subject < 20 or subject > 59 else "held_out" for subject in range(80)}
    table = table_one(count(tmp_path, splits), NAMES)
    assert cells(table, "Female") == ["20 (50.0 %)", "<11"]
    assert cells(table, "Male") == ["20 (50.0 %)", "≥11"]
    assert next(row.difference for row in table.rows if row.label == "Sex") == "–"


def test_a_category_of_few_is_not_even_named(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, range(60), "F" * 29 + "M" * 29 + "XX")
    table = table_one(count(tmp_path, dict.fromkeys(range(60), "train")), NAMES)
    assert "X" not in [row.label for row in table.rows]
    assert cells(table, "Other") == ["<11"]


def test_a_split_of_few_shows_nothing(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, range(60), "FM" * 30)
    splits = {
        subject: "tuning" if subject < 6 else "train" if subject < 40 else "held_out" for subject in range(60)
    }
    table = table_one(count(tmp_path, splits), NAMES)
    assert table.splits == ["train", "tuning", "held_out"]
    assert table.sizes == ["34", "<11", "≥11"]
    assert all(row.cells[1] == "–" for row in table.rows if row.cells)
    assert cells(table, "Female")[2] == "–"  # the counts would add up to the hidden size


def test_the_weighted_quantile_is_the_quantile_of_the_repeated_values() -> None:
    generator = np.random.default_rng(1)
    values, weights = np.array([3.0, 1.0, 7.5, 2.0]), np.array([4, 1, 9, 3])
    for share in generator.random(20):
        expected = np.quantile(np.repeat(values, weights), share)
        assert weighted_quantile(values, weights, share) == pytest.approx(expected)


def test_the_standardised_difference_of_means_is_in_pooled_deviations() -> None:
    first, second = np.array([1.0, 2, 3, 4]), np.array([2.0, 3, 4, 9])
    ones = np.ones(4)
    pooled = np.sqrt((first.var() + second.var()) / 2)
    expected = (second.mean() - first.mean()) / pooled
    assert mean_difference((first, ones), (second, ones)) == pytest.approx(expected)


def test_the_standardised_difference_of_two_shares_is_the_known_formula() -> None:
    p, q = 0.3, 0.45
    expected = abs(q - p) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert share_difference(np.array([70, 30]), np.array([55, 45])) == pytest.approx(expected)
