"""What single checks see, and what they let pass."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars import col

from attending.audit.blocks import blocks, n_backwards
from attending.audit.finding import number
from attending.audit.scan import digests, mix, summed
from attending.cli.main import main
from attending.report.audit import audit_table
from attending.tokens.vocabulary import Config as TokenConfig
from attending.tokens.vocabulary import build, count
from attending.visits import START, stays
from audit.leaks import MORTALITY, a_model_that_reads_the_labels, register
from audit.studies import Study, altered_events, copied, found, make
from records import event, table


def test_an_answer_that_is_on_record_at_the_prediction_is_a_leak(base: Study, tmp_path: Path) -> None:
    register("leaky_late", "tasks", "audit.leaky_late")
    finding = found(make(base.events, tmp_path / "study", {"name": "leaky_late"}))["label_blind"]
    assert finding["verdict"] == "failed"
    assert "on record" in finding["evidence"]


def test_diagnoses_that_a_source_dates_at_the_admission_are_a_leak(base: Study, tmp_path: Path) -> None:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        starts = stays(frame).select("subject_id", "visit_id", START)
        coded = col("code").str.starts_with("DIAGNOSIS") & col(START).is_not_null()
        frame = frame.join(starts, on=["subject_id", "visit_id"], how="left", maintain_order="left")
        return frame.with_columns(
            pl.when(coded).then(START).otherwise(name).alias(name) for name in ("time", "available_time")
        ).drop(START)

    study = make(altered_events(base.events, tmp_path / "events", change), tmp_path / "study", MORTALITY)
    findings = found(study)
    assert "known at the admission" in findings["time_gate"]["evidence"]
    assert findings["same_admission"]["verdict"] == "failed"


def test_a_result_known_before_it_was_drawn_is_a_leak(base: Study, tmp_path: Path) -> None:
    earlier = (col("time") - pl.duration(days=1)).alias("available_time")
    events = altered_events(base.events, tmp_path / "events", lambda frame: frame.with_columns(earlier))
    finding = found(make(events, tmp_path / "study", MORTALITY))["time_gate"]
    assert "before they happened" in finding["evidence"]


def test_tokens_in_another_order_than_events_became_known_are_found(base: Study, tmp_path: Path) -> None:
    study = copied(base, tmp_path / "study")
    token = np.load(study.tokens / "token.npy")
    np.save(study.tokens / "token.npy", token[::-1].copy())
    assert found(study)["time_gate"]["verdict"] == "failed"


def test_visits_that_are_stored_backwards_are_found(base: Study, tmp_path: Path) -> None:
    study = copied(base, tmp_path / "study")
    visit = np.load(study.tokens / "visit.npy")
    np.save(study.tokens / "visit.npy", visit.max() - visit)
    assert "not stored in the order of time" in found(study)["visit_order"]["evidence"]


def test_labels_and_tokens_of_different_splits_are_found(base: Study, tmp_path: Path) -> None:
    study = copied(base, tmp_path / "study")
    manifest = json.loads((study.tokens / "manifest.json").read_text())
    manifest["parents"]["splits"] = "another"
    (study.tokens / "manifest.json").write_text(json.dumps(manifest))
    assert (
        found(study)["subjects_disjoint"]["evidence"] == "labels and tokens were made with different splits"
    )


def test_outcomes_that_held_out_subjects_added_are_found(base: Study, tmp_path: Path) -> None:
    study = copied(base, tmp_path / "study")
    outcomes = pl.read_parquet(study.labels / "outcomes.parquet")
    outcomes.with_columns(col("n_train_positive") + 1).write_parquet(study.labels / "outcomes.parquet")
    assert "outcomes" in found(study)["train_only"]["evidence"]


def test_a_model_that_was_fitted_on_another_vocabulary_is_named(base: Study, tmp_path: Path) -> None:
    study = copied(base, tmp_path / "study")
    file = study.models["popularity"] / "vocabulary.parquet"
    pl.read_parquet(file).with_columns(col("n_train_subjects") + 1).write_parquet(file)
    assert "'popularity'" in found(study)["train_only"]["evidence"]


def test_short_histories_are_no_copies_of_each_other(base: Study, tmp_path: Path) -> None:
    few = base_events_of_few_codes(base, tmp_path)
    finding = found(make(few, tmp_path / "study", MORTALITY))["duplicates"]
    assert finding["verdict"] != "failed"


def base_events_of_few_codes(base: Study, folder: Path) -> Path:
    """Return the cohort with its admissions, discharges and deaths only, all of one kind."""
    kinds = col("code").str.split("//").list.first()
    wanted = kinds.is_in(["HOSPITAL_ADMISSION", "HOSPITAL_DISCHARGE", "MEDS_BIRTH", "MEDS_DEATH"])
    change = kinds.alias("code")
    return altered_events(
        base.events, folder / "events", lambda frame: frame.filter(wanted).with_columns(change)
    )


def test_label_permutation_waits_until_it_is_asked_for(base: Study) -> None:
    finding = found(base)["label_permutation"]
    assert finding["verdict"] == "not_run"
    assert finding["advice"] == "attending audit STUDY --all"


def test_the_sum_of_a_record_depends_on_every_token_and_second_but_not_on_their_order() -> None:
    second, token, offset = np.array([5, 7, 7]), np.array([1, 2, 3]), np.array([0, 3])
    whole = summed(second, token, offset)
    assert summed(second[::-1], token[::-1], offset) == whole
    assert summed(second + np.array([0, 0, 1]), token, offset) != whole
    assert summed(second, token + np.array([1, 0, 0]), offset) != whole
    assert summed(second[:0], token[:0], np.array([0, 0])) == 0
    assert len(set(mix(np.arange(1000, dtype=np.uint64)).tolist())) == 1000


def test_a_store_is_walked_through_in_blocks_of_whole_subjects() -> None:
    offset = np.array([0, 3, 3, 10, 11, 12])
    assert list(blocks(offset, 4)) == [(0, 2), (2, 3), (3, 5)]
    assert list(blocks(offset)) == [(0, 5)]
    values = np.array([1, 2, 2, 1, 5, 4, 6, 5, 7, 8, 0, 0])
    assert n_backwards(values, offset, 4) == n_backwards(values, offset) == 1


def test_what_a_store_should_hold_follows_from_when_events_became_known() -> None:
    records = [event(1, 1, "A", known=4), event(1, 2, "B"), event(1, None, "SEX")]
    config = TokenConfig(min_subjects=1)
    vocabulary = build([count(table(*records), config)], config, {})
    moved = table(event(1, 1, "A", known=5), *records[1:])
    one, other = (digests(each, vocabulary, config)[1] for each in (table(*records), moved))
    assert one != other
    assert digests(table(*records[::-1]), vocabulary, config)[1] == one


@pytest.mark.parametrize(
    ("count", "words"), [(0, "no subject"), (3, "fewer than 11 subjects"), (10_000, "10,000 subjects")]
)
def test_small_counts_are_not_told(count: int, words: str) -> None:
    assert number(count, "subject") == words


def test_the_report_says_first_whether_anything_leaks() -> None:
    one = {"claim": "No subject is in two splits", "verdict": "passed", "evidence": "some", "advice": ""}
    two = one | {"verdict": "failed", "advice": "do this"}
    assert audit_table({}).rows == []
    assert audit_table({"a": one}).summary == "1 of 1 checks passed, none found a leak."
    assert "cannot be believed" in audit_table({"a": one, "b": two}).summary
    assert [row.style for row in audit_table({"a": one, "b": two}).rows] == ["no", "yes"]


def test_the_command_says_what_each_check_found_and_exits_with_one_if_any_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: small\noutput: {tmp_path}/run\nworkers: 1\nsimulate: {{n_subjects: 150, seed: 2}}\n"
        "task: {name: mortality}\nmodels: []\nbaselines: [popularity]\n"
        "evaluate: {n_replicates: 20}\naudit: {n_subjects: 30}\n"
    )
    assert main(["run", str(study)]) == 0
    report = (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Does it leak?" in report
    capsys.readouterr()
    assert main(["audit", str(study), "--json"]) == 0
    told = capsys.readouterr()
    assert len(json.loads(told.out)) == 10
    assert "0 of 10 checks failed" in told.err
    splits = tmp_path / "run" / "splits" / "subject_splits.parquet"
    frame = pl.read_parquet(splits)
    pl.concat([frame, frame.with_columns(pl.lit("train").alias("split"))]).write_parquet(splits)
    assert main(["audit", str(study)]) == 1
    assert "FAILED" in capsys.readouterr().err


def test_a_model_that_held_out_labels_change_is_named_on_request(base: Study, tmp_path: Path) -> None:
    study = a_model_that_reads_the_labels(base, tmp_path / "study")
    finding = found(study, retrained=("leaky_peek",))["train_only"]
    assert finding["verdict"] == "failed"
    assert "'leaky_peek' is another one when held-out labels are others" in finding["evidence"]
