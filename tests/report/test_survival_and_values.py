"""How time to event, and predicted numbers, are laid out."""

import re

import pytest

from attending.report.forest import forest
from attending.report.survival import time_to_event
from attending.report.values import predicted

METRICS = {"best_baseline": "gbm_counts", "headline": "mae", "models": {}, "n_outcomes": 1}
COLOURS = {"gru": 1, "gbm_counts": 6}


def entry(value, **difference):
    found = {"estimate": value, "low": value - 0.1, "high": value + 0.1} if value else {}
    return {"estimate": None, "low": None, "high": None} | found | {"difference": difference or None}


def of_model(auroc, **difference):
    return {
        "ipcw_auroc": entry(auroc, **difference),
        **dict.fromkeys(("concordance", "ipcw_brier", "scaled_ipcw_brier"), entry(0.5)),
        "expected_over_incidence": entry(1.0),
    }


def horizon(**changes):
    groups = [{"predicted": x, "estimate": x, "low": x / 2, "high": 2 * x} for x in (0.1, 0.3)]
    return {
        "outcome": "heart_failure within 365 d",
        "description": "Heart failure within 365 days",
        "days": 365.0,
        "is_reached": True,
        "is_enough": True,
        "incidence": {"estimate": 0.1, "low": 0.05, "high": 0.15},
        "competing_incidence": {"estimate": 0.2, "low": 0.1, "high": 0.3},
        "counts": {"happened": 1500, "competed": 20, "left": 30, "there": 40},
        "models": {
            "gbm_counts": of_model(0.7, estimate=0.0, low=0.0, high=0.0),
            "gru": of_model(0.8, estimate=0.1, low=0.05, high=0.15, p_holm=0.01),
            "popularity": of_model(None),
        },
        "calibration": {"gru": groups, "gbm_counts": groups[:1]},
    } | changes


def found(*horizons, death=None):
    curve = {"days": [0.0, 100.0], "estimate": [0.0, 0.1], "low": [0.0, 0.05], "high": [0.0, 0.2]}
    return {
        "n_samples": 1590,
        "n_subjects": 400,
        "death": death,
        "horizons": list(horizons),
        "integrated": {},
        "curves": {"event": curve, "competing": None if death == "censored" else curve},
    }


def test_models_stand_best_first_and_the_best_baseline_has_no_difference():
    table = time_to_event(found(horizon()), METRICS, COLOURS).tables[0]
    assert [name for name, *_ in table.rows] == ["gru", "gbm_counts", "popularity"]
    assert [difference.text(sign=True) for _, difference, _, _ in table.rows] == ["+0.100", "–", "–"]
    assert [survives for _, _, survives, _ in table.rows] == [True, False, False]
    assert table.facts.startswith(
        "10.0 % (5.0–15.0) have the event by then; 20.0 % (10.0–30.0) die first; seen: 1,500"
    )


def test_what_has_no_answer_is_said():
    nothing = {
        "incidence": None,
        "competing_incidence": None,
        "counts": None,
        "models": {},
        "calibration": {},
    }
    few = horizon(is_enough=False, **nothing)
    late = horizon(is_reached=False, **nothing)
    facts = [table.facts for table in time_to_event(found(few, late), METRICS, COLOURS).tables]
    assert facts[0].startswith("Too few have the event")
    assert facts[1].startswith("Nobody is followed for so long")


def test_hidden_counts_are_not_shown():
    table = time_to_event(found(horizon(counts=None)), METRICS, COLOURS).tables[0]
    assert "seen" not in table.facts


@pytest.mark.parametrize(
    ("death", "words"), [(None, "counts as free of the event"), ("censored", "among those who left")]
)
def test_what_a_death_counts_as_is_said(death, words):
    section = time_to_event(found(horizon(), death=death), METRICS, COLOURS)
    assert words in section.note
    assert ("Dashed: death" in section.incidence[0].caption) == (death is None)


def test_a_task_without_times_or_numbers_has_neither_section():
    assert time_to_event({}, METRICS, COLOURS).tables == []
    assert predicted({}, COLOURS).figures == []
    assert predicted({"unit": "days", "models": {"gru": []}}, COLOURS).figures == []


def test_observed_numbers_are_drawn_in_their_unit():
    groups = [
        {
            "predicted": x,
            "observed": x + 1,
            "low": x,
            "high": x + 2,
            "first_quartile": 1.0,
            "third_quartile": 9.0,
        }
        for x in (2.0, 4.0, 7.0)
    ]
    section = predicted({"unit": "days", "models": {"gru": groups, "gbm_counts": groups}}, COLOURS)
    assert len(section.figures) == 3
    assert all("predicted, days" in figure.svg for figure in section.figures)
    assert section.legend == list(COLOURS.items())


def test_where_less_is_better_a_model_far_behind_stands_at_the_right_edge():
    errors = {"gbm_counts": 2.0, "gru": 2.1, "age_sex": 2.2, "retain": 6.2}
    models = {
        name: {"all": {"mae": {"estimate": x, "low": x - 0.1, "high": x + 0.1}}} for name, x in errors.items()
    }
    metrics = METRICS | {"models": models, "definitions": {"mae": {"better": "lower"}}}
    panel = forest(metrics).panels[0]
    assert panel.heading == "Held-out samples"
    assert [dot.edge for dot in panel.dots] == ["", "", "", "6.200"]
    assert panel.dots[-1].right
    assert panel.dots[-1].x == panel.axis.left + panel.axis.width
    assert not re.search("[a-z]", panel.dots[-1].edge)
