"""Time to event, held against lifelines and scikit-survival."""

import lifelines
import numpy as np
import pytest
from sksurv import metrics as sksurv
from sksurv import nonparametric

from attending.metrics.concordance import concordance, pair_sums
from attending.metrics.discrimination import auroc
from attending.metrics.survival import (
    Steps,
    aalen_johansen,
    answers,
    integrated_brier,
    kaplan_meier,
    leaving,
    nelson_aalen,
)

HORIZON = 5.05


def people(n=300, seed=0, *, competing=False, tied=False):
    """Times, events and risks; events may tie with events, and leavings with leavings, if `tied`."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=n)
    onset, death, end = (generator.exponential(scale, n) for scale in (8, 20, 9))
    onset *= np.exp(-risk)
    if not competing:
        death[:] = np.inf
    time = np.minimum(np.minimum(onset, death), end)
    event = np.where(time == onset, 1, np.where(time == death, 2, 0))
    if tied:
        time = np.where(event == 0, np.floor(time * 2) / 2 + 0.25, np.floor(time * 2) / 2 + 0.1)
    return time, event, np.round(1 / (1 + np.exp(1 - risk)), 2 if tied else 12)


def structured(time, event):
    return np.array(list(zip(event == 1, time, strict=True)), dtype=[("event", bool), ("time", float)])


@pytest.mark.parametrize("tied", [False, True])
def test_kaplan_meier_and_nelson_aalen_are_those_of_lifelines(tied):
    time, event, _ = people(tied=tied)
    grid = np.linspace(0, time.max(), 50)
    km = lifelines.KaplanMeierFitter().fit(time, event)
    assert kaplan_meier(time, event).at(grid) == pytest.approx(km.predict(grid).to_numpy(), abs=1e-9)
    na = lifelines.NelsonAalenFitter(nelson_aalen_smoothing=False).fit(time, event)
    assert nelson_aalen(time, event).at(grid) == pytest.approx(na.predict(grid).to_numpy(), abs=1e-9)


def test_weights_count_people_as_often_as_they_are_drawn():
    time, event, _ = people(80, competing=True)
    drawn = np.random.default_rng(1).integers(0, 3, 80)
    again = np.repeat(time, drawn), np.repeat(event, drawn)
    grid = np.linspace(0, time.max(), 30)
    for function in (kaplan_meier, nelson_aalen, leaving, aalen_johansen):
        assert function(time, event, drawn).at(grid) == pytest.approx(function(*again).at(grid), abs=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_leaving_is_the_censoring_distribution_of_scikit_survival(tied):
    time, event, _ = people(tied=tied)
    times, share = nonparametric.kaplan_meier_estimator(event == 1, time, reverse=True)
    assert leaving(time, event).at(times) == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("tied", [False, True])
def test_aalen_johansen_is_that_of_scikit_survival(tied):
    time, event, _ = people(competing=True, tied=tied)
    times, incidence = nonparametric.cumulative_incidence_competing_risks(event, time)
    assert aalen_johansen(time, event).at(times) == pytest.approx(incidence[1], abs=1e-9)
    assert aalen_johansen(time, event, competing=True).at(times) == pytest.approx(incidence[2], abs=1e-9)


def test_aalen_johansen_is_that_of_lifelines():
    time, event, _ = people(competing=True)
    fitted = lifelines.AalenJohansenFitter(calculate_variance=False).fit(time, event, 1)
    expected = fitted.cumulative_density_.iloc[:, 0]
    assert aalen_johansen(time, event).at(expected.index.to_numpy()) == pytest.approx(
        expected.to_numpy(), abs=1e-9
    )


def test_without_competing_events_incidence_is_one_minus_kaplan_meier():
    time, event, _ = people(tied=True)
    grid = np.linspace(0, 9, 40)
    assert aalen_johansen(time, event).at(grid) == pytest.approx(
        1 - kaplan_meier(time, event).at(grid), abs=1e-12
    )


@pytest.mark.parametrize("tied", [False, True])
def test_brier_scores_are_those_of_scikit_survival(tied):
    time, event, risk = people(tied=tied)
    horizons = np.array([2.05, 3.05, HORIZON])
    risks = risk[:, None] * np.array([0.4, 0.6, 0.9])
    y = structured(time, event)
    expected = sksurv.brier_score(y, y, 1 - risks, horizons)[1]
    found = [answers(time, event, at).brier(risks[:, column]) for column, at in enumerate(horizons)]
    assert found == pytest.approx(expected, abs=1e-9)
    whole = sksurv.integrated_brier_score(y, y, 1 - risks, horizons)
    assert integrated_brier(horizons, found) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("tied", [False, True])
def test_auroc_at_a_horizon_is_unos_cumulative_dynamic_one(tied):
    time, event, risk = people(tied=tied)
    y = structured(time, event)
    expected = sksurv.cumulative_dynamic_auc(y, y, risk, [HORIZON])[0][0]
    known = answers(time, event, HORIZON)
    assert auroc(risk, known.happened, known.weight) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("tied", [False, True])
def test_concordance_is_that_of_scikit_survival(tied):
    time, event, risk = people(tied=tied)
    harrell = sksurv.concordance_index_censored(event == 1, time, risk)[0]
    assert concordance(time, event, risk) == pytest.approx(harrell, abs=1e-9)
    y = structured(time, event)
    uno = sksurv.concordance_index_ipcw(y, y, risk, tau=HORIZON)[0]
    found = concordance(time, event, risk, horizon=HORIZON, staying=leaving(time, event))
    assert found == pytest.approx(uno, abs=1e-9)


def by_hand(time, event, risk, horizon):
    """Brier, AUROC and concordance by plain loops, with competing deaths."""
    g = leaving(time, event)
    people = range(len(time))
    case = [event[i] == 1 and time[i] <= horizon for i in people]
    dead = [event[i] == 2 and time[i] <= horizon for i in people]
    there = [time[i] > horizon or (time[i] == horizon and event[i] == 0) for i in people]
    weight = [
        1 / g.just_before(time[i]) if case[i] or dead[i] else there[i] / g.just_before(horizon)
        for i in people
    ]
    brier = sum(weight[i] * (risk[i] - case[i]) ** 2 for i in people) / len(time)
    pairs = [(i, j) for i in people if case[i] for j in people if dead[j] or there[j]]
    credit = {
        pair: (risk[pair[0]] > risk[pair[1]]) + 0.5 * (risk[pair[0]] == risk[pair[1]]) for pair in pairs
    }
    area = sum(weight[i] * weight[j] * credit[i, j] for i, j in pairs) / sum(
        weight[i] * weight[j] for i, j in pairs
    )
    above = below = 0.0
    for i in people:
        for j in people:
            after = time[j] > time[i] or (time[j] == time[i] and event[j] != 1)
            died = event[j] == 2 and time[j] < time[i]
            if not case[i] or not (after or died):
                continue
            v = 1 / (g.just_before(time[i]) * g.just_before(min(time[i], time[j])))
            above += v * ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j]))
            below += v
    return brier, area, above / below


@pytest.mark.parametrize("seed", [0, 1])
def test_with_competing_events_all_three_are_those_of_plain_loops(seed):
    time, event, risk = people(60, seed, competing=True)
    time = np.ceil(time)  # everything ties with everything
    known = answers(time, event, 5)
    found = (
        known.brier(risk),
        auroc(risk, known.happened, known.weight),
        concordance(time, event, risk, horizon=5, staying=leaving(time, event)),
    )
    assert found == pytest.approx(by_hand(time, event, risk, 5), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_weights_stand_for_everyone_and_their_share_is_that_of_aalen_and_johansen(seed):
    time, event, _ = people(100, seed, competing=True)
    time = np.ceil(time * 2) / 2
    known = answers(time, event, 4)
    assert known.defined
    assert known.weight.sum() == pytest.approx(100, abs=1e-9)
    assert known.observed() == pytest.approx(float(aalen_johansen(time, event).at(4)), abs=1e-9)


def test_who_leaves_at_the_horizon_was_there():
    known = answers([1.0, 3.0, 3.0, 2.0], [1, 0, 0, 0], 3.0)
    assert known.happened.tolist() == [True, False, False, False]
    assert known.weight == pytest.approx([1, 1.5, 1.5, 0])


def test_a_horizon_beyond_the_follow_up_has_no_answer():
    known = answers([1.0, 2.0, 3.0], [1, 1, 0], 4.0)
    assert not known.defined
    assert np.isnan([known.observed(), known.brier([0.5, 0.5, 0.5])]).all()
    assert answers([1.0, 2.0], [1, 2], 4.0).observed() == 0.5  # nobody is left to be followed


def test_nobody_has_no_answer_and_gives_no_warning():
    assert np.isnan(answers([], [], 1.0).observed())
    assert np.isnan(concordance([], [], []))
    assert np.isnan(concordance([1.0, 2.0], [0, 0], [0.1, 0.2]))
    assert np.isnan(integrated_brier([1.0], [0.2]))
    assert kaplan_meier([], []).at([0.0, 1.0]).tolist() == [1.0, 1.0]
    assert aalen_johansen([1.0], [0]).at([2.0]).tolist() == [0.0]


def test_two_events_at_one_time_are_no_pair_and_equal_risks_count_half():
    assert np.isnan(concordance([1.0, 1.0], [1, 1], [0.2, 0.9]))
    assert concordance([1.0, 1.0], [1, 0], [0.2, 0.2]) == 0.5
    assert concordance([2.0, 1.0], [1, 2], [0.9, 0.2]) == 1.0


def test_halves_of_pairs_say_how_a_persons_weight_counts():
    time, event, risk = people(50, competing=True)
    right, pairs = pair_sums(time, event, risk)
    without = pair_sums(time[1:], event[1:], risk[1:])
    assert right.sum() - without[0].sum() == pytest.approx(2 * right[0], abs=1e-9)
    assert pairs.sum() - without[1].sum() == pytest.approx(2 * pairs[0], abs=1e-9)


def test_a_step_stands_from_its_time_on():
    steps = Steps(np.array([1.0, 2.0]), np.array([0.5, 0.2]), 1.0)
    assert steps.at([0.9, 1.0, 2.5]).tolist() == [1.0, 0.5, 0.2]
    assert steps.just_before([1.0, 2.0]).tolist() == [1.0, 0.5]
