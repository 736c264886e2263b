"""What plain-loop restatements of models share: one patient, one visit, one step at a time, in NumPy and float64."""

from dataclasses import dataclass

import numpy as np
import torch

from attending.batch import Batch
from histories import double, random_batch
from plain_layers import Weights, sigmoid


@dataclass(frozen=True)
class Visit:
    """A visit as a set of codes, when it was last heard from (days before the prediction, ≤ 0), and the age then."""

    codes: list[int]
    days: float
    age: float


def exact_batch(n: int, **options: int) -> Batch:
    """Return random histories in float64."""
    return double(random_batch(n, **options))


def histories_of(batch: Batch) -> list[list[Visit]]:
    """Return the batch's histories as lists of visits; none of them is empty."""
    found = []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        visits = []
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            codes = sorted(set(batch.tokens[start:stop].tolist()))
            visits.append(Visit(codes, float(batch.days[stop - 1]), float(batch.ages[stop - 1])))
        found.append(visits)
    return found


def weight_of_codes(batch: Batch, start: int, stop: int) -> dict[int, float]:
    """Return what each code of a visit weighs: as much as the heaviest token of it."""
    weights = batch.weights if batch.weights is not None else torch.ones_like(batch.values)
    found: dict[int, float] = {}
    for code, one in zip(batch.tokens[start:stop].tolist(), weights[start:stop].tolist(), strict=True):
        found[code] = max(found.get(code, 0.0), one)
    return found


def gaps_of(visits: list[Visit]) -> list[float]:
    """Return the days since the previous visit; 0 for the first, and after static facts at birth."""
    gaps = []
    for i, visit in enumerate(visits):
        no_gap = i == 0 or (i == 1 and visits[0].age <= 0)
        gaps.append(0.0 if no_gap else visit.days - visits[i - 1].days)
    return gaps


def gru_step(x: np.ndarray, h: np.ndarray, w: Weights, name: str = "recurrence", way: str = "") -> np.ndarray:
    """One step of a GRU, gates in the order reset, update, candidate; `way` is `_reverse` of the backward half."""
    n = len(h)
    a = w[f"{name}.weight_ih_l0{way}"] @ x + w[f"{name}.bias_ih_l0{way}"]
    u = w[f"{name}.weight_hh_l0{way}"] @ h + w[f"{name}.bias_hh_l0{way}"]
    reset, update = sigmoid(a[:n] + u[:n]), sigmoid(a[n : 2 * n] + u[n : 2 * n])
    return update * h + (1 - update) * np.tanh(a[2 * n :] + reset * u[2 * n :])


def lstm_step(
    x: np.ndarray, state: tuple[np.ndarray, np.ndarray], w: Weights, way: str
) -> tuple[np.ndarray, np.ndarray]:
    """One step of the LSTM `recurrence`, gates in the order input, forget, candidate, output; returns h and c."""
    h, c = state
    a = w[f"recurrence.weight_ih_l0{way}"] @ x + w[f"recurrence.bias_ih_l0{way}"]
    a = a + w[f"recurrence.weight_hh_l0{way}"] @ h + w[f"recurrence.bias_hh_l0{way}"]
    let_in, forget, candidate, let_out = np.split(a, 4)
    c = sigmoid(forget) * c + sigmoid(let_in) * np.tanh(candidate)
    return sigmoid(let_out) * np.tanh(c), c


def both_ways_gru(xs: list[np.ndarray], w: Weights) -> list[np.ndarray]:
    """Return [h→; h←] of the GRU `recurrence` at each x."""
    n = w["recurrence.weight_hh_l0"].shape[1]
    forwards, backwards = [], []
    h = np.zeros(n)
    for x in xs:
        h = gru_step(x, h, w)
        forwards.append(h)
    h = np.zeros(n)
    for x in reversed(xs):
        h = gru_step(x, h, w, way="_reverse")
        backwards.append(h)
    return [np.concatenate(pair) for pair in zip(forwards, reversed(backwards), strict=True)]


def both_ways_lstm(xs: list[np.ndarray], w: Weights) -> list[np.ndarray]:
    """Return [h→; h←] of the LSTM `recurrence` at each x."""
    n = w["recurrence.weight_hh_l0"].shape[1]
    forwards, backwards = [], []
    state = np.zeros(n), np.zeros(n)
    for x in xs:
        state = lstm_step(x, state, w, "")
        forwards.append(state[0])
    state = np.zeros(n), np.zeros(n)
    for x in reversed(xs):
        state = lstm_step(x, state, w, "_reverse")
        backwards.append(state[0])
    return [np.concatenate(pair) for pair in zip(forwards, reversed(backwards), strict=True)]
