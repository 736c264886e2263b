"""The report says which differences survive the number of comparisons."""

from typing import Any

from attending.report.comparison import multiplicity, rows


def metrics(**corrected: float) -> dict[str, Any]:
    """Return what `metrics.json` holds of a baseline and of models with these corrected p-values."""
    interval = {"estimate": 0.1, "low": 0.05, "high": 0.15}
    models = {
        name: {"all": {"auroc": {**interval, "difference": {**interval, "p": p / 3, "p_holm": p}}}}
        for name, p in corrected.items()
    }
    models["popularity"] = {"all": {"auroc": {**interval, "difference": interval}}}
    return {"headline": "auroc", "best_baseline": "popularity", "models": models, "best_model": "gru"}


def test_a_difference_is_marked_where_it_survives_and_its_interval_alone_does_not_count() -> None:
    cells = {row.name: row.cells["all"] for row in rows(metrics(gru=0.04, retain=0.06))}
    assert {name: cell.survives for name, cell in cells.items()} == {
        "gru": True,
        "retain": False,
        "popularity": False,
    }


def test_the_words_count_the_comparisons_and_those_that_survive() -> None:
    words = multiplicity(metrics(gru=0.04, retain=0.06))
    assert "to popularity survives Holm's correction for 2 comparisons" in words
    assert "1 of 2 do" in words


def test_nothing_is_said_where_nothing_was_tested() -> None:
    assert multiplicity(metrics()) == ""
