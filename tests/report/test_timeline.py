"""A timeline shows what is strongest, says what the rest sums to, and names no one."""

import re
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from attending.report.timeline import N_CHIPS, N_VISITS, Patients, before, timeline

SCHEMA = {
    "sample": pl.Int32, "visit": pl.Int32, "days": pl.Float32, "code": pl.String, "description": pl.String,
    "value_text": pl.String, "attribution": pl.Float32,
}  # fmt: skip


def sample(base: float, logit: float) -> dict[str, Any]:
    return {
        "sample": 0, "subject_id": 77123, "prediction_time": datetime(2151, 2, 3), "outcome": "CIR019",
        "description": "Heart failure", "probability": 0.25, "logit": logit, "base": base, "happened": True,
    }  # fmt: skip


def events(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame([(0, *row) for row in rows], schema=SCHEMA, orient="row")


def value(text: str) -> float:
    return float(text.replace("−", "-"))


def test_a_long_visit_shows_the_strongest_and_the_sum_of_the_rest() -> None:
    rows = [(0, -10.0, f"MEDICATION//drug {at}", f"Drug {at}", None, 0.01 * at) for at in range(30)]
    shown = timeline(sample(-2, -2 + 4.35), events(rows), Patients())
    (card,) = shown.cards
    assert [chip.name for chip in card.chips] == [f"Drug {at}" for at in range(29, 29 - N_CHIPS, -1)]
    assert card.n_more == 30 - N_CHIPS
    assert sum(value(chip.text) for chip in card.chips) + value(card.more) == pytest.approx(4.35, abs=0.05)
    assert shown.is_exact


def test_a_long_history_shows_the_strongest_visits_and_the_sum_of_the_rest() -> None:
    rows = [
        (at, float(at - 40), "DIAGNOSIS//ICD//10//I10", "Hypertension", None, 0.1 + at / 100)
        for at in range(30)
    ]
    shown = timeline(sample(-2, 5.35), events(rows), Patients())
    assert len(shown.cards) == N_VISITS + 1
    assert shown.cards[-1].chips == []
    assert [card.number for card in shown.cards[:-1]] == [str(at) for at in range(22, 31)]
    assert sum(value(card.total) for card in shown.cards) == pytest.approx(7.35, abs=0.06)
    assert len(shown.strip.bars) == 30


def test_events_that_hardly_count_are_summed_up() -> None:
    rows = [(0, -3.0, f"LAB//{at}//x", f"Lab {at}", None, 1.0 if at == 3 else 0.001) for at in range(9)]
    (card,) = timeline(sample(-1, 0.008), events(rows), Patients()).cards
    assert [chip.name for chip in card.chips] == ["Lab 3", "Lab 0"]
    assert (card.n_more, card.more) == (7, "+0.007")


def test_repeats_within_a_visit_are_one_chip() -> None:
    rows = [(0, -3.0, "LAB//50912//mg/dL", "Creatinine", "1.3 mg/dL", 0.2)] * 3
    (card,) = timeline(sample(-1, -0.4), events(rows), Patients()).cards
    assert [(chip.name, chip.value, chip.text) for chip in card.chips] == [
        ("Creatinine", "1.3 mg/dL ×3", "+0.60")
    ]


def test_what_belongs_to_no_visit_is_background() -> None:
    rows = [(None, None, "GENDER//F", "", None, -0.1), (0, -3.0, "LAB//1//x", "Creatinine", None, 0.2)]
    shown = timeline(sample(-1, -0.9), events(rows), Patients())
    assert [card.when for card in shown.cards] == ["Background", "3 days before"]
    assert shown.cards[0].chips[0].name == "Sex: Female"
    assert not shown.cards[0].chips[0].raises


def test_no_id_and_no_date_is_in_it() -> None:
    rows = [(0, -400.0, "DIAGNOSIS//ICD//10//I10", "Hypertension", None, 0.5)]
    text = repr(timeline(sample(-1, -0.5), events(rows), Patients()))
    assert "77123" not in text
    assert not re.search(r"2151|2150|datetime", text)


def test_patients_keep_their_number() -> None:
    patients = Patients()
    assert [patients.number(subject) for subject in (900, 17, 900)] == [1, 2, 1]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0.0, "at the prediction"),
        (-1.0, "1 day before"),
        (-13.0, "13 days before"),
        (-21.0, "3 weeks before"),
        (-91.0, "3 months before"),
        (-365.25, "1 year before"),
        (-840.0, "2.3 years before"),
    ],
)
def test_times_are_relative(days: float, words: str) -> None:
    assert before(days) == words
