"""The law of the simulated world: who falls ill, when they come back, when they die.

The state of a subject at the end of a visit (`State`) is age a (decades from 60), sex, frailty z (gamma,
mean 1), the set of chronic conditions, the days s_c since the last visit that recorded acute condition c
(infinite if none), and the severity of the visit. The next visit comes after a gap of G days.

Chronic onset: competing hazards, at most one onset in a gap::

    h_k = base_k z exp(per_decade_k a + female_k sex + Σ_{j present} risk_jk)        H = Σ_{k absent} h_k
    P(onset of k | G) = h_k / H (1 - exp(-H G))

Acute conditions at the next visit: independent given the state and G::

    rate_c = exp(base_c + per_decade_c a + Σ_{j present} risk_jc + recurrence_c exp(-(s_c + G) / fades_c)
                 + Σ_{pairs (A, B, W) of c} effect · [s_A > s_B and s_A + G ≤ W]
                 + Σ_{lone causes (A, W) of c} effect · [s_A + G ≤ W])
    P(c | G) = 1 - exp(-min(rate_c, 2.5))

A pair is *ordered*: A's last visit lies strictly before B's last visit, and still within W days. Two conditions
that undo each other make a `Switch`, three make a `Ring` (`effects.py`). A ring's effects say next to nothing unless
order is seen; a switch shows a learner that order is worth seeing. All these act from the state at the end of the
last visit; a chronic condition that begins in the gap is recorded at the next visit, and acts from then on.

Gap: one day + a mixture of two lognormals, early (a readmission) and late. Death within the gap has a constant
hazard; a subject leaves the hospital's sight after a visit with probability 1 - FOLLOWED, whatever the
state, so neither the gap nor the next visit depends on it.

`next_visit` gives the probability of every condition at a *given* gap, and both the draw
(`cohort.py`) and the truth (`expected_next_visit`, by quadrature over the law of the gap, weighted by
survival) call it: the truth cannot drift from the generator.
"""

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from attending.simulate.conditions import ACUTE, CHRONIC, N_ACUTE, N_CHRONIC, NAMES, NOISE
from attending.simulate.effects import RISKS, pairs, recents

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

YEAR = 365.25
FOLLOWED = 0.885
MAX_VISITS = 25
MAX_RATE = 2.5
EARLY_MEDIAN, EARLY_SIGMA = 14.0, 0.7
LATE_MEDIAN, LATE_SIGMA = 100.0, 0.9
N_EARLY, N_LATE, N_READMISSION = 4, 12, 6
READMISSION_DAYS = 30.0


@dataclass(frozen=True)
class State:
    """Subjects at the end of a visit, one a row."""

    age: Floats  # [n], years
    female: Bools  # [n]
    frailty: Floats  # [n]
    chronic: Bools  # [n, N_CHRONIC]
    since: Floats  # [n, N_ACUTE], days since the last record, inf if none
    severity: Floats  # [n], of the visit that ends

    def take(self, rows: NDArray[np.intp] | Bools) -> Self:
        """Return the state of some rows."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def without_chronic(self) -> Self:
        """Return the same subjects without their chronic conditions."""
        return replace(self, chronic=np.zeros_like(self.chronic))

    @property
    def decades(self) -> Floats:
        """Age in decades from 60."""
        return (self.age - np.float32(60)) / np.float32(10)


@dataclass(frozen=True)
class World:
    """The tables above as arrays."""

    onset_risk: Floats  # [N_CHRONIC, N_CHRONIC], log hazard by parent and child
    acute_risk: Floats  # [N_CHRONIC, N_ACUTE]
    first: NDArray[np.intp]  # [n_pairs]
    then: NDArray[np.intp]  # [n_pairs]
    window: Floats  # [n_pairs]
    pair_effect: Floats  # [n_pairs, N_ACUTE]
    recent: NDArray[np.intp]  # [n_recent]
    recent_window: Floats  # [n_recent]
    recent_effect: Floats  # [n_recent, N_ACUTE]


@cache
def world() -> World:
    """Return the tables as arrays."""
    risk = np.zeros((N_CHRONIC, N_CHRONIC + N_ACUTE), np.float32)
    for entry in RISKS.replace("\n", ";").split(";"):
        if entry.strip():
            parent, child, effect = entry.split()
            risk[NAMES.index(parent), NAMES.index(child)] = float(effect)
    ordered, pair_effect = _effects([((p.first, p.then, p.window), p.outcome, p.effect) for p in pairs()])
    lone, recent_effect = _effects([((r.cause, r.window), r.outcome, r.effect) for r in recents()])
    return World(
        onset_risk=risk[:, :N_CHRONIC],
        acute_risk=risk[:, N_CHRONIC:],
        first=np.array([_acute(first) for first, _, _ in ordered], np.intp),
        then=np.array([_acute(then) for _, then, _ in ordered], np.intp),
        window=_table([window for _, _, window in ordered]),
        pair_effect=pair_effect,
        recent=np.array([_acute(cause) for cause, _ in lone], np.intp),
        recent_window=_table([window for _, window in lone]),
        recent_effect=recent_effect,
    )


def _effects(entries: list[tuple[Any, str, float]]) -> tuple[list[Any], Floats]:
    """Return the distinct causes and, row by row, their effects on the acute conditions."""
    causes = list(dict.fromkeys(cause for cause, _, _ in entries))
    effects = np.zeros((len(causes), N_ACUTE), np.float32)
    for cause, outcome, effect in entries:
        effects[causes.index(cause), _acute(outcome)] += np.float32(effect)
    return causes, effects


def _acute(name: str) -> int:
    return NAMES.index(name) - N_CHRONIC


def _table(values: list[float]) -> Floats:
    return np.array(values, np.float32)


def onset_hazard(state: State) -> Floats:
    """Return the daily hazard of onset of each chronic condition, 0 where present. Shape [n, N_CHRONIC]."""
    base = np.log(_table([c.hazard / YEAR for c in CHRONIC]))
    log_hazard = base + np.outer(state.decades, _table([c.per_decade for c in CHRONIC]))
    log_hazard += np.outer(state.female, _table([c.female for c in CHRONIC]))
    log_hazard += state.chronic.astype(np.float32) @ world().onset_risk
    hazard: Floats = np.exp(log_hazard) * state.frailty[:, None] * ~state.chronic
    return hazard


def onset(hazard: Floats, gap: Floats) -> Floats:
    """Return the probability of onset of each chronic condition within `gap` days: one at most."""
    total = hazard.sum(axis=1)
    any_onset = -np.expm1(-total * gap)
    shared: Floats = hazard * (any_onset / np.maximum(total, np.float32(1e-12)))[:, None]
    return shared


def steady_log_rate(state: State) -> Floats:
    """Return what does not depend on the gap: base, age and chronic parents. Shape [n, N_ACUTE]."""
    base = _table([np.log(-np.log1p(-c.base)) for c in ACUTE])
    log_rate: Floats = base + np.outer(state.decades, _table([c.per_decade for c in ACUTE]))
    log_rate += state.chronic.astype(np.float32) @ world().acute_risk
    return log_rate


def recurrence(state: State, gap: Floats) -> Floats:
    """Return what each acute condition adds to its own log rate. Shape [n, N_ACUTE]."""
    fades = _table([c.fades for c in ACUTE])
    strength = _table([c.recurrence for c in ACUTE])
    fading: Floats = strength * np.exp(-(state.since + gap[:, None]) / fades)
    return fading


def active_pairs(state: State, gap: Floats) -> Bools:
    """Return which pairs stand in order and within their window at the next visit. Shape [n, n_pairs]."""
    law = world()
    first = state.since[:, law.first]
    active: Bools = (first > state.since[:, law.then]) & (first + gap[:, None] <= law.window)
    return active


def active_recents(state: State, gap: Floats) -> Bools:
    """Return which lone causes are within their window at the next visit. Shape [n, n_recent]."""
    law = world()
    active: Bools = state.since[:, law.recent] + gap[:, None] <= law.recent_window
    return active


def next_visit(state: State, hazard: Floats, steady: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """Return P(onset) of chronic and P(recorded) of acute conditions at a visit after `gap` days.

    `hazard` is `onset_hazard(state)`, `steady` is `steady_log_rate(state)`.
    """
    log_rate = steady + recurrence(state, gap)
    log_rate += active_pairs(state, gap).astype(np.float32) @ world().pair_effect
    log_rate += active_recents(state, gap).astype(np.float32) @ world().recent_effect
    rate = np.exp(np.minimum(log_rate, np.float32(np.log(MAX_RATE))))
    return onset(hazard, gap), -np.expm1(-rate)


def recorded_chronic() -> Floats:
    """Return the probability that a visit records each chronic condition, where present."""
    return _table([c.recorded for c in CHRONIC])


def noise_probability() -> Floats:
    """Return the probability of each noise condition at a visit."""
    return _table([c.probability for c in NOISE])


def gap_law(state: State) -> tuple[Floats, Floats]:
    """Return the probability of an early return and the log median of a late one. Shapes [n], [n]."""
    n_chronic = state.chronic.sum(axis=1)
    early = expit(-2.1 + 0.10 * n_chronic + 0.25 * state.severity + 0.25 * (state.frailty - 1))
    late = np.log(LATE_MEDIAN) - 0.05 * n_chronic - 0.15 * (state.frailty - 1)
    return early.astype(np.float32), late.astype(np.float32)


def gap_nodes(state: State) -> tuple[Floats, Floats]:
    """Return the days and weights, [n_nodes, n], of the quadrature over the gap of those who come back.

    Midpoints of equal slices of each part of the mixture, weighted by survival to that day.
    """
    early, late = gap_law(state)
    near = EARLY_MEDIAN * np.exp(EARLY_SIGMA * _midpoints(N_EARLY))
    far = np.exp(LATE_SIGMA * _midpoints(N_LATE)[:, None] + late)
    days = 1 + np.concatenate([np.repeat(near[:, None], len(late), axis=1), far])
    weights = np.concatenate(
        [np.repeat(early[None] / N_EARLY, N_EARLY, 0), np.repeat((1 - early)[None] / N_LATE, N_LATE, 0)]
    )
    weights = weights * np.exp(-death_hazard(state) * days)
    return days.astype(np.float32), (weights / weights.sum(axis=0)).astype(np.float32)


def _midpoints(n: int) -> NDArray[np.float64]:
    nodes: NDArray[np.float64] = ndtri((np.arange(n) + 0.5) / n)
    return nodes


def expected_next_visit(state: State) -> Floats:
    """Return P(recorded at the next visit | state, there is one) of every condition. Shape [n, N_CONDITIONS]."""
    hazard, steady = onset_hazard(state), steady_log_rate(state)
    chronic, acute = state.chronic.astype(np.float32), np.zeros_like(steady)
    for days, weight in zip(*gap_nodes(state), strict=True):
        begins, happens = next_visit(state, hazard, steady, days)
        chronic += weight[:, None] * begins
        acute += weight[:, None] * happens
    noise = np.repeat(noise_probability()[None], len(acute), axis=0)
    return np.concatenate([chronic * recorded_chronic(), acute, noise], axis=1)


def death_hazard(state: State) -> Floats:
    """Return the daily hazard of death outside hospital. Shape [n]."""
    n_chronic = state.chronic.sum(axis=1)
    log_hazard = np.log(0.03 / YEAR) + 0.6 * state.decades + 0.10 * n_chronic + 0.25 * (state.severity - 1)
    hazard: Floats = (np.exp(log_hazard) * state.frailty).astype(np.float32)
    return np.minimum(hazard, np.float32(2 / YEAR))


def death_in_hospital(state: State) -> Floats:
    """Return the probability that the visit that ends with this state ends in death. Shape [n]."""
    log_odds = -6.0 + 0.30 * state.decades + 0.9 * state.severity + 0.3 * (state.frailty - 1)
    probability: Floats = expit(log_odds).astype(np.float32)
    return probability


def readmission(state: State) -> Floats:
    """Return the probability of a next admission within 30 days of discharge, alive. Shape [n]."""
    early, late = gap_law(state)
    hazard = death_hazard(state)
    reach = np.log(READMISSION_DAYS - 1)
    parts = (early, np.float32(np.log(EARLY_MEDIAN)), EARLY_SIGMA), (1 - early, late, LATE_SIGMA)
    total = np.zeros_like(hazard)
    for weight, centre, sigma in parts:
        below = ndtr((reach - centre) / sigma) * np.ones_like(hazard)
        for node in range(N_READMISSION):
            days = 1 + np.exp(centre + sigma * ndtri(below * (node + 0.5) / N_READMISSION))
            total += weight * below * np.exp(-hazard * days) / N_READMISSION
    return (FOLLOWED * total).astype(np.float32)
