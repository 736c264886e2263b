"""Each construct of the ACES language on a record that can be read at a glance."""

import random
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aces_tasks import labelled, plainly, task, window
from attending.errors import TaskError
from attending.mapping.place import Place
from attending.schema import LABELS
from attending.tasks import aces
from attending.tasks._aces import executor, language, record
from records import day, event, table

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks" / "conformance"))
import random_tasks  # noqa: E402

KNOWN = window(None, "trigger", index_timestamp="end")


def test_a_window_holds_its_ends_only_where_it_says_so() -> None:
    events = table(event(1, 0, "ADM"), event(1, 2, "MEDS_DEATH"))
    for closed, answer in (("right", ["death"]), ("none", [])):
        asked = task({"known": KNOWN, "then": window("trigger", "start + 2 days", closed, label="death")})
        assert labelled(events, asked)["label_codes"].to_list() == [answer]


def test_a_sample_whose_bounding_event_never_comes_is_none() -> None:
    events = table(event(1, 0, "ADM"), event(2, 0, "ADM"), event(2, 3, "DIS"))
    asked = task(
        {
            "stay": window("trigger", "start -> discharge", "right", index_timestamp="end"),
            "then": window("stay.end", "start + 1d", "none", label="death"),
        }
    )
    assert labelled(events, asked).select("subject_id", "prediction_time").rows() == [(2, day(3))]


def test_the_next_event_is_sought_in_the_subjects_own_record() -> None:
    events = table(event(1, 0, "ADM"), event(2, 1, "DIS"))
    asked = task({"known": KNOWN, "stay": window("trigger", "start -> discharge", "right", label="death")})
    assert labelled(events, asked).is_empty()


def test_several_triggers_of_a_subject_are_several_samples() -> None:
    events = table(event(1, 0, "ADM"), event(1, 10, "ADM"), event(1, 50, "ADM"))
    asked = task({"known": KNOWN, "month": window("trigger", "start + 30d", "right", label="admission")})
    assert labelled(events, asked)["label_codes"].to_list() == [["admission"], [], []]


def test_has_counts_rows_and_any_event_counts_times() -> None:
    events = table(event(1, 0, "LAB"), event(1, 0, "LAB"), event(1, 1, "ADM"))
    for has, n_samples in (
        ({"lab": "(2, 2)"}, 1),
        ({"_ANY_EVENT": "(2, 2)"}, 1),
        ({"_ANY_EVENT": "(3,)"}, 0),
    ):
        asked = task(
            {"known": KNOWN | {"has": has}, "then": window("trigger", "start + 1d", "right", label="death")}
        )
        assert labelled(events, asked).height == n_samples


def test_a_demographic_is_an_undated_fact_of_the_subject() -> None:
    events = table(event(1, None, "GENDER//M"), event(1, 0, "ADM"), event(2, 0, "ADM"))
    asked = task(
        {"known": KNOWN, "then": window("trigger", "start + 1d", "right", label="death")},
        patient_demographics={"male": {"code": "GENDER//M"}},
    )
    assert labelled(events, asked)["subject_id"].to_list() == [1]


def test_not_holds_at_times_where_its_predicate_does_not() -> None:
    events = table(event(1, 0, "ADM"), event(1, 1, "LAB"), event(1, 2, "DIS"), event(1, 2, "LAB"))
    asked = task(
        {"known": KNOWN, "then": window("trigger", "start + 9d", "right", label="count(quiet)")},
        predicates={"quiet": {"expr": "and(lab, not(or(discharge, death)))"}},
    )
    assert labelled(events, asked)["value"].to_list() == [1.0]


def test_least_greatest_and_last_numbers_are_constraints_and_labels() -> None:
    events = table(
        event(1, 0, "ADM"),
        *(event(1, at, "LAB", numeric_value=value) for at, value in ((1, 3.0), (2, 1.0), (3, 2.0))),
    )
    for measure, value in (("min", 1.0), ("max", 3.0), ("last", 2.0)):
        then = window("trigger", "start + 9d", "right", label=f"{measure}(lab)")
        assert labelled(events, task({"known": KNOWN, "then": then}))["value"].to_list() == [value]
        limited = then | {"has": {f"{measure}(lab)": f"({value}, {value})"}}
        assert labelled(events, task({"known": KNOWN, "then": limited})).height == 1
        assert labelled(
            events, task({"known": KNOWN, "then": limited | {"has": {f"{measure}(lab)": "(9, None)"}}})
        ).is_empty()
    assert aces.target(aces.Config(task=task({"known": KNOWN, "then": then}))) == "value"


def test_a_comparison_of_what_was_never_measured_is_not_known() -> None:
    events = table(event(1, 0, "ADM"), event(2, 0, "ADM"), event(2, 1, "LAB", numeric_value=2.0))
    then = window("trigger", "start + 9d", "right", label={"high": "max(lab) >= 1.5"})
    rows = (
        labelled(events, task({"known": KNOWN, "then": then})).select("label_codes", "censored_codes").rows()
    )
    assert rows == [([], ["high"]), (["high"], [])]


def test_several_labels_in_several_windows_are_several_outcomes_and_what_was_known_is_history() -> None:
    events = table(event(1, 0, "LAB"), event(1, 1, "ADM"), event(1, 2, "DIS"), event(1, 5, "LAB"))
    asked = task(
        {
            "known": KNOWN,
            "soon": window("trigger", "start + 2d", "right", label=["discharge", "death"]),
            "later": window("soon.end", "start + 9d", "right", label="lab"),
        }
    )
    frame = labelled(events, asked)
    assert frame["label_codes"].to_list() == [["discharge", "lab"]]
    assert frame["history_codes"].to_list() == [["lab"]]
    assert aces.target(aces.Config(task=asked)) == "multilabel"


def test_no_is_not_known_where_the_record_ends_in_the_window_unless_by_death() -> None:
    events = table(
        event(1, 0, "ADM"),
        event(2, 0, "ADM"),
        event(2, 5, "MEDS_DEATH"),
        event(3, 0, "ADM"),
        event(3, 40, "LAB"),
        event(4, 0, "ADM"),
        event(4, 3, "DIS"),
    )
    then = window("trigger", "start + 30d", "right", label="discharge", censor=True)
    frame = labelled(events, task({"known": KNOWN, "then": then}))
    assert frame["censored_codes"].to_list() == [["discharge"], [], [], []]
    assert frame["label_codes"].to_list() == [[], [], [], ["discharge"]]
    without = labelled(events, task({"known": KNOWN, "then": then | {"censor": False}}))
    assert "censored_codes" not in without.columns


def test_a_label_that_opens_at_the_prediction_is_refused_unless_allowed() -> None:
    events = table(event(1, 0, "ADM"), event(1, 1, "MEDS_DEATH"))
    asked = task({"known": KNOWN, "then": window("trigger", "start + 2d", label="death")})
    with pytest.raises(TaskError, match="opens at or before the prediction"):
        labelled(events, asked)
    assert labelled(events, asked, overlap="allow").height == 1


def test_triggers_at_one_prediction_time_are_one_sample() -> None:
    events = table(event(1, 0, "ADM"), event(1, 1, "ADM"), event(1, 2, "DIS"))
    asked = task(
        {
            "stay": window("trigger", "start -> discharge", "right", index_timestamp="end"),
            "then": window("stay.end", "start + 1d", "none", label="death"),
        }
    )
    assert labelled(events, asked).height == 1


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_executor_agrees_with_a_plain_reading_of_random_tasks(seed: int) -> None:
    rng = random.Random(seed)
    asked, events = random_tasks.task(rng), random_tasks.record(rng)
    asked.pop("patient_demographics", None)
    read = language.read(asked, Place("task", {}))
    found = record.read(events, read)
    samples, steps = executor.realize(found, read)
    (counts,) = samples.measures.values()
    frame = pl.DataFrame({"t": samples.trigger, "i": samples.index}).cast(pl.Datetime("us"))
    mine = list(
        zip(
            found.subjects[samples.subjects].tolist(),
            *frame.get_columns(),
            counts.astype(int).tolist(),
            strict=True,
        )
    )
    assert mine == plainly(events, asked)
    assert steps.n_samples == sorted(steps.n_samples, reverse=True)


def test_blocks_of_triggers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    events = pl.concat(
        random_tasks.record(rng).with_columns(pl.col("subject_id") + 10 * n) for n in range(20)
    )
    asked = task(
        {"known": KNOWN, "then": window("trigger", "start + 5h", "right", label="lab")}, "_ANY_EVENT"
    )
    config = aces.Config(task=asked)
    whole = aces.label(events, config)
    monkeypatch.setattr(executor, "BLOCK", 3)
    parts = aces.label(events, config)
    assert parts.frame.equals(whole.frame) and parts.flow == whole.flow and whole.frame.height > 100


@pytest.mark.parametrize(
    "path", sorted((ROOT / "studies" / "tasks").glob("*.yaml")), ids=lambda path: path.stem
)
def test_tasks_of_the_field_run_on_the_demo_of_mimic_iv(path: Path, shared_data) -> None:
    """The counts are those of es-aces 0.7.3, by `benchmarks/conformance/aces.py`: see `benchmarks/results/aces.md`."""
    config = aces.Config(path=path)
    folder = shared_data("mimic-iv-demo-meds")
    rows = (ROOT / "benchmarks" / "results" / "aces.md").read_text(encoding="utf-8").splitlines()
    line = next(row for row in rows if row.startswith(f"| {path.stem} |"))
    n_rows, n_yes = (int(cell.strip().replace(",", "")) for cell in line.split("|")[2:4])
    asked, counts = aces.parse(config), [0, 0]
    for shard in sorted(folder.glob("data/*/*.parquet")):
        events = pl.read_parquet(shard)
        samples, _ = executor.realize(record.read(events, asked), asked)
        (measured,) = samples.measures.values()
        counts = [counts[0] + len(measured), counts[1] + int((measured > 0).sum())]
        LABELS.check(aces.label(events, config).frame, path.stem)
    assert counts == [n_rows, n_yes]
