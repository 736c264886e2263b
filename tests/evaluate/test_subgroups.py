"""Groups are who they were at the prediction, their metrics are right, and small ones cannot be worked out."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_evidence import evidence
from sklearn.metrics import brier_score_loss, roc_auc_score

from attending.evaluate.attributes import attributes
from attending.evaluate.parts import PARTS
from attending.evaluate.small_cells import hide
from attending.evaluate.subgroups import subgroups
from attending.metrics.decision import choose_thresholds
from records import day, event, table

RACES = ("WHITE", "BLACK", "ASIAN", "NATIVE", "HISPANIC", "SAMOAN", "TONGAN")


def groups_of(tmp_path, records, asked):
    (tmp_path / "data").mkdir()
    table(*records).write_parquet(tmp_path / "data" / "000.parquet")
    frame = pl.DataFrame(
        {"subject_id": [subject for subject, _ in asked], "prediction_time": [day(at) for _, at in asked]},
        schema={"subject_id": pl.Int64, "prediction_time": pl.Datetime("us")},
    )
    return {one.name: [one.groups[at] for at in one.members[0]] for one in attributes(tmp_path, [frame])}


def test_a_subject_is_in_the_group_that_was_known_by_the_prediction(tmp_path):
    born = event(1, -365.25 * 64.5, "MEDS_BIRTH")
    sex = [event(1, None, "GENDER//F"), event(2, 3, "GENDER//M", known=8)]
    groups = groups_of(tmp_path, [born, *sex], [(1, 5), (1, 300), (2, 5), (2, 8)])
    assert groups["sex"] == ["F", "F", "unknown", "M"]
    assert groups["age"] == ["45–64", "65–79", "unknown", "unknown"]


def test_stays_are_counted_once_they_are_known(tmp_path):
    stays = [event(1, at, "HOSPITAL_ADMISSION//URGENT") for at in (0, 10, 20)]
    groups = groups_of(tmp_path, stays, [(1, 0), (1, 9), (1, 10), (1, 25)])
    assert groups["stays"] == ["first stay", "first stay", "second stay", "3–5 stays"]


def test_groups_of_few_subjects_are_gathered(tmp_path):
    races = [
        event(n, 0, f"RACE//{'WHITE' if n < 15 else 'BLACK' if n < 29 else 'ASIAN'}") for n in range(1, 32)
    ]
    groups = groups_of(tmp_path, races, [(n, 1) for n in range(1, 33)])
    assert groups["race"] == ["WHITE"] * 14 + ["BLACK"] * 14 + ["all others"] * 3 + ["unknown"]


def test_many_years_become_spans_and_shifted_years_are_no_group(tmp_path):
    asked = [(n, 365.25 * (n % 12) + 20) for n in range(1, 121)]
    groups = groups_of(tmp_path, [event(1, 0, "GENDER//F")], asked)
    assert groups["year"][:3] == ["2150–2151", "2152–2153", "2152–2153"]
    assert len(set(groups["year"])) == 6
    (tmp_path / "shifted").mkdir()
    shifted = groups_of(
        tmp_path / "shifted", [event(1, 0, "GENDER//F")], [(n, 400 * n) for n in range(1, 60)]
    )
    assert "year" not in shifted


def test_hospitals_are_gathered_and_known_by_their_own_numbers(tmp_path):
    stays = [event(n, 0, f"HOSPITAL//{n % 8 if n < 121 else n}") for n in range(1, 126)]
    groups = groups_of(tmp_path, stays, [(n, 1) for n in range(1, 126)])
    assert set(groups["hospital"]) == {"1", "2", "3", "4", "5", "0", "all others"}


def test_the_same_groups_serve_tuning_and_held_out_samples(tmp_path):
    made = evidence(tmp_path, n_subjects=60, races=RACES)
    race = next(
        one for one in attributes(tmp_path, [made.tuning.frame, made.held_out.frame]) if one.name == "race"
    )
    assert [len(members) for members in race.members] == [len(made.tuning.frame), len(made.held_out.frame)]
    assert max(members.max() for members in race.members) < len(race.groups)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return evidence(tmp_path_factory.mktemp("events"), n_subjects=400, races=RACES, shift=0.7)


@pytest.fixture(scope="module")
def found(made):
    return subgroups(made)


def test_metrics_of_a_group_are_those_of_its_samples(made, found):
    samples, probability = made.held_out.samples, made.predictions["held_out"]["shifted"][:, 0].astype(float)
    known = samples.known[:, 0]
    women = known & (samples.subject % 2 == 0)
    y, p = samples.labels[women, 0], probability[women]
    of_women = found["models"]["shifted"]["sex"]["groups"]["F"]
    assert of_women["auroc"]["estimate"] == pytest.approx(roc_auc_score(y, p), abs=1e-4)
    assert of_women["brier"]["estimate"] == pytest.approx(brier_score_loss(y, p), abs=1e-4)
    assert of_women["expected_over_observed"]["estimate"] == pytest.approx(p.sum() / y.sum(), abs=1e-4)
    tuning = made.tuning.samples
    answered = tuning.known[:, 0]
    of_tuning = made.predictions["tuning"]["shifted"][answered, 0]
    threshold = choose_thresholds(of_tuning, tuning.labels[answered, 0])["youden"]
    rates = of_women["at"]["youden"]
    assert rates["sensitivity"]["estimate"] == pytest.approx((p[y] >= threshold).mean(), abs=1e-4)
    assert rates["false_positive_rate"]["estimate"] == pytest.approx((p[~y] >= threshold).mean(), abs=1e-4)
    counts = next(group for group in found["attributes"]["sex"] if group["group"] == "F")
    assert (counts["n_samples"], counts["n_positive"]) == (women.sum(), y.sum())
    assert counts["n_subjects"] == len(np.unique(samples.subject[women]))


def test_intervals_hold_their_estimates_and_a_shift_is_seen_in_every_group(found):
    for group in found["models"]["shifted"]["sex"]["groups"].values():
        assert group["calibration_intercept"]["high"] < 0
        for name, value in group.items():
            if name != "at":
                assert value["low"] <= value["estimate"] <= value["high"], name
    gaps = found["models"]["right"]["sex"]["gaps"]
    assert set(gaps) >= {"auroc", "equalised_odds_difference", "demographic_parity_difference"}
    assert all(0 <= gap["low"] <= gap["estimate"] <= gap["high"] for gap in gaps.values())


def test_outcomes_are_pooled_where_there_are_several(tmp_path):
    found = subgroups(evidence(tmp_path, n_subjects=80, n_outcomes=3))
    assert found["pooled"]
    assert found["models"]["right"]["sex"]["groups"]["F"]["auroc"]["estimate"] > 0.5


def test_numbers_and_too_few_events_have_no_subgroups(tmp_path):
    made = evidence(tmp_path, n_subjects=40)
    assert all(part(dataclasses.replace(made, target="value")) is None for part in PARTS.values())
    few = dataclasses.replace(made.held_out.samples, labels=made.held_out.samples.labels & False)
    few.labels[:3] = True
    hidden = dataclasses.replace(made.held_out, samples=dataclasses.replace(few, known=None))
    assert all(part(dataclasses.replace(made, held_out=hidden)) is None for part in PARTS.values())


@given(
    some.lists(
        some.tuples(*[some.one_of(some.integers(0, 15), some.integers(0, 3000))] * 3), min_size=1, max_size=7
    )
)
def test_no_hidden_cell_can_be_worked_out_from_what_is_left_of_the_total(rows):
    cells = np.array(rows)
    hidden = hide(cells)
    for kind in range(cells.shape[1]):
        column = cells[:, kind]
        few = (column > 0) & (column < 11)
        assert hidden[few].all()
        if few.any() and not hidden.all():
            assert hidden.sum() >= 2
            left = column.sum() - column[~hidden].sum()
            assert (
                left - (hidden.sum() - 1) >= 11
            )  # whatever the others are, one may be anything from 1 to 10


def attack(found, made):
    """Work out what can be: every count of a group from totals, rates and sums; return those of 1 to 10."""
    samples = made.held_out.samples
    known, labels = samples.known[:, 0], samples.labels[:, 0]
    totals = {"n_samples": known.sum(), "n_positive": labels.sum()}
    derived = []
    for name, groups in found["attributes"].items():
        for kind, total in totals.items():
            missing = [group for group in groups if group[kind] is None]
            shown = [group[kind] for group in groups if group[kind] is not None]
            if len(missing) == 1:
                derived.append((name, kind, total - sum(shown)))
            derived += [(name, kind, count) for count in shown]
        for model, of_model in found["models"].items():
            threshold = found["thresholds"][model]["youden"]
            alert = made.predictions["held_out"][model][:, 0] >= threshold - 1e-6
            cells = {"sensitivity": labels & known & alert, "false_positive_rate": ~labels & known & alert}
            for rate, cell in cells.items():
                counts, n_missing = [], 0
                for group in groups:
                    rates = ((of_model[name]["groups"][group["group"]] or {}).get("at") or {}).get("youden")
                    if rates is None or group["n_samples"] is None:
                        n_missing += 1
                        continue
                    n = (
                        group["n_positive"]
                        if rate == "sensitivity"
                        else group["n_samples"] - group["n_positive"]
                    )
                    hits = round(rates[rate]["estimate"] * n)
                    counts += [hits]
                    derived += [(name, f"{model} {rate}", hits), (name, f"{model} not {rate}", n - hits)]
                if n_missing == 1:
                    derived.append((name, f"{model} {rate} of the rest", cell.sum() - sum(counts)))
    return [one for one in derived if 0 < one[2] < 11]


def test_an_attacker_who_adds_up_and_multiplies_finds_no_small_cell(made, found):
    assert any(group["counts_hidden"] for groups in found["attributes"].values() for group in groups)
    assert attack(found, made) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_attack_fails_on_small_studies_too_and_works_where_nothing_is_hidden(tmp_path, seed, monkeypatch):
    made = evidence(tmp_path, n_subjects=110, races=RACES, seed=seed)
    found = subgroups(made)
    assert found is not None
    assert attack(found, made) == []
    monkeypatch.setattr(
        "attending.evaluate.subgroups.hide", lambda cells, also=None: np.zeros(len(cells), bool)
    )
    monkeypatch.setattr("attending.evaluate.subgroups.SMALLEST_CELL", 1)
    assert attack(subgroups(made), made)


def test_what_is_hidden_is_not_in_the_json(found):
    for name, groups in found["attributes"].items():
        for group in groups:
            if group["suppressed"]:
                assert group["n_subjects"] is None
                assert all(of[name]["groups"][group["group"]] is None for of in found["models"].values())
            if group["counts_hidden"] and not group["suppressed"]:
                assert all(of[name]["groups"][group["group"]]["at"] == {} for of in found["models"].values())
    assert "NaN" not in json.dumps(found)
