"""The yearly panel: flags of the next year, by when they became known."""

from attending.tasks.panel import Config, label, outcome_of_code
from records import day, event, table

CONFIG = Config(codes="CHRONIC", observed="PAYMENT//YEAR")


def year(subject: int, number: int, *flags: str, died: float | None = None) -> list[dict[str, object]]:
    end = 365 * number
    at = end if died is None else died
    codes = ["PAYMENT//YEAR", *(f"CHRONIC//{flag}" for flag in flags)]
    return [event(subject, at, code, known=end) for code in codes]


RECORDS = table(
    year(1, 1, "DIABETES"),
    year(1, 2),
    year(1, 3, "DIABETES", "STROKE"),
    year(2, 1, "STROKE"),
    year(3, 1),
    year(3, 2, "DIABETES", died=400),
)


def test_each_year_but_the_last_asks_for_the_flags_of_the_next() -> None:
    rows = label(RECORDS, CONFIG).frame.rows(named=True)
    found = [
        (one["subject_id"], one["prediction_time"], one["label_codes"], one["history_codes"]) for one in rows
    ]
    assert found == [
        (1, day(365), [], ["CHRONIC//DIABETES"]),
        (1, day(730), ["CHRONIC//DIABETES", "CHRONIC//STROKE"], ["CHRONIC//DIABETES"]),
        (3, day(365), ["CHRONIC//DIABETES"], []),
    ]


def test_the_flow_counts_rounds() -> None:
    flow = label(RECORDS, CONFIG).flow
    assert [(step["n_subjects"], step["n_samples"]) for step in flow] == [(3, 0), (3, 6), (2, 3)]


def test_only_codes_of_the_panel_are_outcomes() -> None:
    assert outcome_of_code(["CHRONIC//A", "CHRONICLE//B"], CONFIG) == {"CHRONIC//A": "CHRONIC//A"}
