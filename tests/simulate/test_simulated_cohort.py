"""Draws agree with the truth, records are possible, small cohorts begin large ones, null mode has no order."""

import numpy as np
import pytest

from attending.simulate import truth, world
from attending.simulate.cohort import BLOCK, DAY, Block, simulate_block
from attending.simulate.conditions import N_CHRONIC, N_CONDITIONS, NAMES
from attending.simulate.config import Config
from attending.simulate.effects import INFECTIONS

N_BLOCKS = 4


@pytest.fixture(scope="module")
def cohort() -> list[Block]:
    return [simulate_block(Config(seed=7), index) for index in range(N_BLOCKS)]


@pytest.fixture(scope="module")
def next_visits(cohort: list[Block]) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities and what happened, of every visit that another follows."""
    has_next = [block.visits.has_next for block in cohort]
    probability = [
        world.expected_next_visit(b.visits.state.take(rows)) for b, rows in zip(cohort, has_next, strict=True)
    ]
    happened = [b.visits.recorded[1:][rows[:-1]] for b, rows in zip(cohort, has_next, strict=True)]
    return np.concatenate(probability).astype(np.float64), np.concatenate(happened)


def same_subject(block: Block) -> np.ndarray:
    return block.visits.subject[1:] == block.visits.subject[:-1]


def test_a_block_is_a_pure_function_of_seed_and_index():
    first, again = (simulate_block(Config(seed=3), 1) for _ in range(2))
    assert np.array_equal(first.visits.recorded, again.visits.recorded)
    assert np.array_equal(first.visits.admission, again.visits.admission)
    assert not np.array_equal(
        first.visits.admission[:100], simulate_block(Config(seed=4), 1).visits.admission[:100]
    )


def test_every_subject_has_a_visit_and_some_have_only_one(cohort):
    counts = np.concatenate([np.bincount(block.visits.subject, minlength=BLOCK) for block in cohort])
    assert counts.min() == 1 and counts.max() <= world.MAX_VISITS
    assert 5 < counts.mean() < 7 and 0.1 < (counts == 1).mean() < 0.2


def test_visits_never_overlap_and_come_in_order(cohort):
    for block in cohort:
        visits = block.visits
        assert (visits.discharge > visits.admission).all()
        gaps = (visits.admission[1:] - visits.discharge[:-1])[same_subject(block)]
        assert gaps.min() > DAY // 2
        assert np.array_equal(same_subject(block), visits.has_next[:-1])


def test_death_ends_the_record(cohort):
    for block in cohort:
        visits, death = block.visits, block.subjects.death
        assert not (visits.died & visits.has_next).any()
        assert (death[visits.subject[visits.died]] == visits.discharge[visits.died]).all()
        dead = death[visits.subject] >= 0
        assert (visits.discharge[dead] <= death[visits.subject][dead]).all()
        assert 0.1 < (death >= 0).mean() < 0.5


def test_a_visit_has_six_to_nine_codes(cohort):
    assert 6 < np.mean(np.concatenate([block.visits.recorded.sum(axis=1) for block in cohort])) < 9


def test_the_truth_is_calibrated_for_every_condition(next_visits):
    probability, happened = next_visits
    # Standard scores of 69 conditions: beyond 4.5 by chance once in 2,000 runs.
    scores = (happened - probability).sum(axis=0) / np.sqrt((probability * (1 - probability)).sum(axis=0))
    assert np.abs(scores).max() < 4.5


def test_the_truth_is_calibrated_at_every_level(next_visits):
    probability, happened = (values.ravel() for values in next_visits)
    order = np.argsort(probability)
    for part in np.array_split(order, 20):
        expected, spread = (
            probability[part].sum(),
            np.sqrt((probability[part] * (1 - probability[part])).sum()),
        )
        # The quadrature cuts the tail of the gap: half a percent is allowed beside the noise.
        assert abs(happened[part].sum() - expected) < 4 * spread + 0.005 * expected


def test_the_probabilities_of_death_and_readmission_are_calibrated(cohort):
    for block in cohort:
        visits = block.visits
        death = world.death_in_hospital(visits.state)
        assert abs(visits.died.sum() - death.sum()) < 4 * np.sqrt((death * (1 - death)).sum())
    left = [~b.visits.died & (b.visits.visit < world.MAX_VISITS - 1) for b in cohort]
    expected = np.concatenate(
        [world.readmission(b.visits.state.take(rows)) for b, rows in zip(cohort, left, strict=True)]
    )
    back = np.concatenate([_readmitted(block)[rows] for block, rows in zip(cohort, left, strict=True)])
    assert abs(back.sum() - expected.sum()) < 4 * np.sqrt((expected * (1 - expected)).sum())
    high = expected > np.median(expected)
    assert abs(back[high].mean() - expected[high].mean()) < 0.01


def _readmitted(block: Block) -> np.ndarray:
    visits = block.visits
    soon = np.zeros(len(visits.subject), np.bool_)
    soon[:-1] = same_subject(block) & (visits.admission[1:] - visits.discharge[:-1] <= 30 * DAY)
    return soon


def rates_after(blocks: list[Block], first: str, then: str, outcome: str) -> tuple[float, float]:
    """Rates of `outcome` at the visit after `first` then `then`, and after the other order."""
    a, b, c = (NAMES.index(name) for name in (first, then, outcome))
    hits = np.zeros((2, 2))
    for block in blocks:
        recorded, subject = block.visits.recorded, block.visits.subject
        three = subject[2:] == subject[:-2]
        before, last, after = recorded[:-2][three], recorded[1:-1][three], recorded[2:][three]
        for row, (x, y) in enumerate(((a, b), (b, a))):
            rows = before[:, x] & last[:, y] & ~before[:, y] & ~last[:, x]
            hits[row] += after[rows, c].sum(), rows.sum()
    forward, backward = hits[:, 0] / hits[:, 1]
    return float(forward), float(backward)


def test_order_decides_in_the_records(cohort):
    a, b, _ = INFECTIONS
    forward, backward = rates_after(cohort, a, b, "pulmonary_embolism")
    assert forward > 5 * backward and forward > 0.3


@pytest.mark.parametrize("scope", ["subject", "cohort"])
def test_null_mode_has_no_order(cohort, scope):
    config = Config(seed=7, shuffle=scope)
    null = [simulate_block(config, index) for index in range(N_BLOCKS)]
    a, b, _ = INFECTIONS
    forward, backward = rates_after(null, a, b, "pulmonary_embolism")
    assert abs(forward - backward) < 0.08  # about 500 visits on each side, rates near 0.13
    for shuffled, block in zip(null, cohort, strict=True):
        assert np.array_equal(shuffled.visits.admission, block.visits.admission)
        assert np.array_equal(shuffled.visits.recorded.sum(axis=0), block.visits.recorded.sum(axis=0))


def test_null_mode_keeps_what_a_subject_had(cohort):
    null = simulate_block(Config(seed=7, shuffle="subject"), 0)
    for visits in (null.visits, cohort[0].visits):
        assert (
            visits.recorded[visits.subject == 5].sum()
            == cohort[0].visits.recorded[cohort[0].visits.subject == 5].sum()
        )


def test_causes_are_past_records_that_raise_the_hazard(cohort):
    block = cohort[0]
    causes = truth.causes(block)
    assert causes["effect"].min() > truth.LEAST_EFFECT
    row = {int(visit): at for at, visit in enumerate(block.visit_id)}
    at = [row[visit] for visit in causes["cause_visit_id"].to_list()]
    assert block.visits.recorded[at, causes["cause_condition"].to_numpy()].all()
    assert (causes["subject_id"].to_numpy() == block.subject_id[at]).all()
    known = (causes["prediction_time"] >= truth.moments(block.visits.discharge[at])).all()
    assert known
    assert causes["condition"].is_between(0, N_CONDITIONS - 1).all()


def test_a_cause_has_the_effect_that_removing_it_undoes(cohort):
    block = cohort[0]
    rows = np.flatnonzero(block.visits.has_next)
    state = block.visits.state.take(rows)
    causes = truth.causes(block)
    a, _, _ = INFECTIONS
    outcome, cause = NAMES.index("pulmonary_embolism"), NAMES.index(a)
    wanted = (causes["condition"] == outcome) & (causes["cause_condition"] == cause)
    found = causes.filter(wanted)
    without = state.since.copy()
    without[:, cause - N_CHRONIC] = np.inf
    removed = world.State(state.age, state.female, state.frailty, state.chronic, without, state.severity)
    change = np.log(_mean_rate(state, outcome) / _mean_rate(removed, outcome))
    times = truth.moments(block.visits.discharge[rows])
    at = {
        key: place
        for place, key in enumerate(zip(block.subject_id[rows].tolist(), times.tolist(), strict=True))
    }
    places = [at[key] for key in found.select("subject_id", "prediction_time").iter_rows()]
    # The mean of the rate is not the rate of the mean, so the two agree in size, not in the last digit.
    assert np.corrcoef(change[places], found["effect"].to_numpy())[0, 1] > 0.9


def _mean_rate(state: world.State, outcome: int) -> np.ndarray:
    hazard, steady = world.onset_hazard(state), world.steady_log_rate(state)
    total = np.zeros(len(state.age))
    for days, weight in zip(*world.gap_nodes(state), strict=True):
        _, happens = world.next_visit(state, hazard, steady, days)
        total += weight * np.log(-np.log1p(-happens[:, outcome - N_CHRONIC]))
    return np.exp(total)
