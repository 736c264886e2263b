"""Outcomes at their horizons on all held-out samples, those who left early among them."""

import numpy as np
import polars as pl
import pytest
from written_study import evaluated, read

from attending.evaluate.at_horizon import NAMES, Followed, incidence_at, metrics_at
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.question import horizon, unit
from attending.evaluate.survival import calibration, curve
from attending.metrics.concordance import concordance
from attending.metrics.discrimination import auroc
from attending.metrics.survival import aalen_johansen, answers, leaving

TASK = {"name": "onset", "disease": "heart_failure", "horizon_days": [365.0, 730.0]}
OUTCOMES = ["heart_failure within 365 d", "heart_failure within 730 d"]


def followed_people(n_subjects=300, seed=3):
    """Samples whose truth is known: onset, death and leaving at constant hazards."""
    generator = np.random.default_rng(seed)
    subject = np.repeat(np.arange(1, n_subjects + 1), 2)
    score = generator.normal(size=n_subjects)[subject - 1]
    n = len(subject)
    hazard = np.exp(score - 1.5) / 365
    onset, death, end = (
        generator.exponential(scale, n) for scale in (1 / hazard, np.full(n, 2000.0), np.full(n, 1200.0))
    )
    time = np.minimum(np.minimum(onset, death), end)
    event = np.where(time == onset, 1, np.where(time == death, 2, 0)).astype(np.int8)
    both = hazard + 1 / 2000
    risk = np.stack([hazard / both * (1 - np.exp(-both * days)) for days in (365, 730)], 1)
    return subject, time, event, risk


def labels_of(time, event, days=(365.0, 730.0)):
    happen = [
        [name for name, d in zip(OUTCOMES, days, strict=True) if e == 1 and t <= d]
        for t, e in zip(time, event, strict=True)
    ]
    unknown = [
        [name for name, d in zip(OUTCOMES, days, strict=True) if e == 0 and t < d]
        for t, e in zip(time, event, strict=True)
    ]
    return {
        "label_codes": pl.Series(happen, dtype=pl.List(pl.String)),
        "censored_codes": pl.Series(unknown, dtype=pl.List(pl.String)),
        "event_days": pl.Series(time),
        "event": pl.Series(event),
    }


def study(folder, people, task=TASK):
    subject, time, event, risk = people
    noise = np.random.default_rng(2).normal(0, 2, risk.shape)
    worse = 1 / (1 + np.exp(-(np.log(risk / (1 - risk)) + noise)))
    return evaluated(
        folder,
        subject,
        labels_of(time, event),
        outcomes=OUTCOMES,
        task=task,
        target="multilabel",
        predictions={"strong": risk, "gbm_counts": worse},
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return read(study(tmp_path_factory.mktemp("onset"), followed_people()), "survival")


def test_each_horizon_counts_everyone_and_the_parts_add_up(found):
    subject, time, event, _ = followed_people()
    held_out = subject % 3 > 0
    assert [each["days"] for each in found["horizons"]] == [365, 730]
    for each in found["horizons"]:
        counts = each["counts"]
        assert sum(counts.values()) == held_out.sum() == found["n_samples"]
        assert counts["happened"] == ((event == 1) & (time <= each["days"]) & held_out).sum()
        expected = aalen_johansen(time[held_out], event[held_out]).at(each["days"])
        assert each["incidence"]["estimate"] == pytest.approx(float(expected), abs=1e-12)
        assert each["incidence"]["low"] < expected < each["incidence"]["high"]


def test_metrics_are_those_of_the_formulas_with_differences_to_the_best_baseline(found):
    subject, time, event, risk = followed_people()
    held_out = subject % 3 > 0
    time, event, risk = time[held_out], event[held_out], risk[held_out].astype(np.float32)
    for column, each in enumerate(found["horizons"]):
        strong, p = each["models"]["strong"], risk[:, column]
        known = answers(time, event, each["days"])
        assert strong["ipcw_auroc"]["estimate"] == pytest.approx(
            auroc(p, known.happened, known.weight), abs=1e-9
        )
        assert strong["ipcw_brier"]["estimate"] == pytest.approx(known.brier(p), abs=1e-9)
        expected = p.mean(dtype=np.float64) / known.observed()
        assert strong["expected_over_incidence"]["estimate"] == pytest.approx(expected, abs=1e-9)
        c = concordance(time, event, p, horizon=each["days"], staying=leaving(time, event))
        assert strong["concordance"]["estimate"] == pytest.approx(c, abs=1e-9)
        assert strong["ipcw_auroc"]["difference"]["low"] > 0
        assert each["models"]["gbm_counts"]["ipcw_auroc"]["difference"]["estimate"] == 0


def test_true_risks_are_calibrated_and_their_groups_lie_on_the_line(found):
    for each in found["horizons"]:
        ratio = each["models"]["strong"]["expected_over_incidence"]
        assert ratio["low"] < 1 < ratio["high"]
        groups = each["calibration"]["strong"]
        assert len(groups) > 2
        inside = [group["low"] <= group["predicted"] <= group["high"] for group in groups]
        assert sum(inside) >= len(groups) - 1


def test_brier_scores_are_integrated_over_the_horizons(found):
    briers = [each["models"]["strong"]["ipcw_brier"]["estimate"] for each in found["horizons"]]
    assert found["integrated"]["strong"]["integrated_brier"]["estimate"] == pytest.approx(np.mean(briers))


def test_the_curve_rises_and_eleven_events_stand_between_its_points(found):
    subject, time, event, _ = followed_people()
    held_out = subject % 3 > 0
    for name, kind in (("event", 1), ("competing", 2)):
        drawn = found["curves"][name]
        assert drawn["estimate"] == sorted(drawn["estimate"])
        of_kind = time[held_out & (event == kind)]
        between = np.histogram(of_kind, drawn["days"])[0]
        assert not ((between > 0) & (between < 11)).any()


def test_leaving_out_those_who_left_is_biased_and_weighting_them_is_not():
    """Those with an event are more often known than those without: the naive share is too high."""
    _, time, event, risk = followed_people(4000)
    known = answers(time, event, 730)
    naive = known.happened[known.weight > 0].mean()
    truth = risk[:, 1].mean()
    assert abs(known.observed() - truth) < 0.015
    assert naive - truth > 0.03


def test_death_may_count_as_leaving(tmp_path):
    people = followed_people()
    found = read(study(tmp_path, people, TASK | {"death": "censored"}), "survival")
    assert found["curves"]["competing"] is None
    assert all(each["counts"]["competed"] == 0 for each in found["horizons"])
    competing = aalen_johansen(people[1], people[2]).at(730)
    assert found["horizons"][1]["incidence"]["estimate"] > competing


def test_labels_without_times_have_no_such_part(tmp_path):
    subject, time, event, risk = followed_people(60)
    columns = {key: value for key, value in labels_of(time, event).items() if not key.startswith("event")}
    out = evaluated(
        tmp_path,
        subject,
        columns,
        outcomes=OUTCOMES,
        task=TASK,
        target="multilabel",
        predictions={"strong": risk},
    )
    assert not (out / "survival.json").exists()


def test_ten_events_are_not_told(tmp_path):
    subject, time, event, risk = followed_people()
    held_out = np.flatnonzero((event == 1) & (subject % 3 > 0) & (time <= 365))
    event[held_out[10:]] = 0
    found = read(study(tmp_path, (subject, time, event, risk)), "survival")
    first = found["horizons"][0]
    assert first["models"] == first["calibration"] == {}
    assert first["counts"] is first["incidence"] is None
    assert not first["is_enough"]


def test_a_horizon_beyond_the_follow_up_has_no_metrics():
    subject, time, event, risk = followed_people(60)
    people = Followed(np.minimum(time, 300), np.where(time > 300, 0, event), subject // 2)
    found = metrics_at(people, risk[:, 0], 365, Bootstrap(int(people.owner.max()) + 1, 20, 0))
    assert np.isnan([found[name].estimate for name in NAMES]).all()
    assert calibration(people, risk[:, 0], 365, Bootstrap(int(people.owner.max()) + 1, 20, 0)) == []


def test_replicates_of_incidence_are_those_of_the_subjects_drawn():
    _, time, event, _ = followed_people(40)
    owner = np.repeat(np.arange(40), 2)
    bootstrap = Bootstrap(40, 30, 0)
    found = incidence_at(Followed(time, event, owner), np.array([365.0]), bootstrap)[0]
    weights = np.concatenate([block.T for block in bootstrap.blocks])[:, owner]
    drawn = np.array([aalen_johansen(time, event, of).at(365.0) for of in weights])
    assert found.values == pytest.approx(drawn + found.estimate - drawn.mean(), abs=2e-3)


def test_no_event_has_no_curve_and_no_group():
    people, bootstrap = Followed(np.ones(30), np.zeros(30, int), np.arange(30)), Bootstrap(30, 10, 0)
    assert curve(people, 365, bootstrap) is None
    assert calibration(people, np.full(30, 0.5), 1, bootstrap) == []


@pytest.mark.parametrize(
    ("task", "outcome", "days"),
    [
        (TASK, OUTCOMES[1], 730),
        (TASK, "heart_failure within 31 d", None),
        ({"name": "readmission", "days": [30.0, 90.0]}, "readmission_within_90_days", 90),
        ({"name": "mortality", "window": "after_discharge"}, "death_within_30_days", 30),
        ({"name": "mortality"}, "in_hospital_death", None),
        ({"name": "next_diagnoses"}, "I50", None),
        ({"name": "a task that is gone"}, "I50", None),
    ],
)
def test_a_task_says_the_horizon_of_its_outcome(task, outcome, days):
    assert horizon(task, outcome) == days


def test_a_task_says_the_unit_of_its_number():
    assert unit({"name": "length_of_stay"}) == "days"
    assert unit({"name": "lab_value"}) == ""
