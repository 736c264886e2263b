"""CEHR-BERT against the paper's equations in plain loops."""

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models.cehr_bert import EXAMPLE, Model, time_token
from histories import batch_of
from plain_bert import assert_matches, encode, norm
from plain_layers import Weights, linear, weights_of

MASK, VISIT_START, VISIT_END, FIRST_TIME = 40, 41, 42, 43
TIMES = ["W0", "W1", "W2", "W3", *(f"M{month}" for month in range(1, 12)), "LT"]


def test_the_model_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    assert_matches(Model(EXAMPLE), plain_cehr_bert)


def plain_cehr_bert(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Write each history as a timeline, place by place, and read it from both ends."""
    w, config = weights_of(model), model.config
    logits, attention = [], np.zeros(len(batch.tokens))
    for subject in range(batch.n_subjects):
        line, origin = plain_timeline(batch, subject)
        x = np.array([place(w, *one) for one in line])
        states, looks = encode(w, "encoder", x, config.n_layers, config.n_heads)
        received = looks.mean((0, 1))
        total = sum(received[i] for i, token in enumerate(origin) if token is not None)
        for i, token in enumerate(origin):
            if token is not None:
                attention[token] = received[i] / total
        last = int(batch.token_offsets[subject + 1]) - 1
        age = float(batch.ages[last] - batch.days[last] / 365.25) / 100
        read = np.concatenate([lstm(w, "forwards", states), lstm(w, "backwards", states[::-1]), [age]])
        logits.append(linear(w, "output", np.tanh(linear(w, "dense", read))))
    return np.array(logits), attention


def plain_timeline(batch: Batch, subject: int) -> tuple[list[tuple], list[int | None]]:
    """Return what stands at each place (code, day, age, visit number, weight), and the token it is, if it is one."""
    line, origin, before = [], [], None
    for number, visit in enumerate(range(*batch.subject_offsets[subject : subject + 2].tolist())):
        tokens = range(*batch.visit_offsets[visit : visit + 2].tolist())
        opening, closing = (
            (float(batch.days[one]), float(batch.ages[one])) for one in (tokens[0], tokens[-1])
        )
        if before is not None:
            name = plain_time(opening[0] - before)
            line.append((FIRST_TIME + TIMES.index(name), *opening, number, 1.0))
        line.append((VISIT_START, *opening, number, 1.0))
        origin += [None] * (len(line) - len(origin))
        for token in sorted(
            tokens, key=lambda one: (float(batch.days[one]), int(batch.tokens[one]), float(batch.values[one]))
        ):
            day, age, weight = (float(one[token]) for one in (batch.days, batch.ages, batch.weights))
            line.append((int(batch.tokens[token]), day, age, number, weight))
            origin.append(token)
        line.append((VISIT_END, *closing, number, 1.0))
        origin.append(None)
        before = closing[0]
    return line, origin


def plain_time(days: float) -> str:
    if days < 28:
        return f"W{int(days // 7)}"
    return f"M{min(max(int(days / 30.4375), 1), 11)}" if days < 365 else "LT"


def place(w: Weights, code: int, day: float, age: float, number: int, weight: float) -> np.ndarray:
    e = norm(w, "norm", w["codes.weight"][code] * weight + w["segments.weight"][number % 2])
    time = np.sin(w["time.rate"] * day / 365.25 + w["time.phase"])
    decades = np.sin(w["age.rate"] * age / 10 + w["age.phase"])
    return np.tanh(linear(w, "join", np.concatenate([e, time, decades])))


def lstm(w: Weights, name: str, items: np.ndarray) -> np.ndarray:
    """Return the last state of a recurrence with gates in the order input, forget, cell, output."""
    size = w[f"{name}.weight_hh_l0"].shape[1]
    h, c = np.zeros(size), np.zeros(size)
    for x in items:
        gates = w[f"{name}.weight_ih_l0"] @ x + w[f"{name}.weight_hh_l0"] @ h
        gates = gates + w[f"{name}.bias_ih_l0"] + w[f"{name}.bias_hh_l0"]
        enter, keep, new, leave = np.split(gates, 4)
        c = c / (1 + np.exp(-keep)) + np.tanh(new) / (1 + np.exp(-enter))
        h = np.tanh(c) / (1 + np.exp(-leave))
    return h


@pytest.mark.parametrize(
    ("days", "name"),
    [
        (0, "W0"),
        (6.9, "W0"),
        (7, "W1"),
        (27.9, "W3"),
        (28, "M1"),
        (61, "M2"),
        (364.9, "M11"),
        (365, "LT"),
        (1e5, "LT"),
    ],
)
def test_passing_time_has_a_name(days: float, name: str) -> None:
    assert TIMES[int(time_token(torch.tensor([float(days)])))] == name


def test_a_timeline_tells_visits_and_the_time_between_them() -> None:
    line = Model(EXAMPLE)._write(batch_of([[(60.0, [1, 2]), (30.0, []), (20.0, [3])], [], [(0.0, [4])]]))
    month = FIRST_TIME + TIMES.index("M1")
    assert line.codes.tolist() == [41, 1, 2, 42, month, 41, 3, 42, 41, 4, 42]
    assert line.visits.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert line.days.tolist() == [-60.0] * 4 + [-20.0] * 4 + [0.0] * 3
    assert line.offsets.tolist() == [0, 8, 8, 11]
    assert line.token.tolist() == [1, 2, 6, 9]


def test_how_much_time_passed_matters() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    soon, late = (batch_of([[(ago, [1]), (3.0, [2])]]) for ago in (9.0, 300.0))
    with torch.no_grad():
        assert float((model(soon).logits - model(late).logits).abs().max()) > 1e-6


def test_a_batch_without_events_can_be_read() -> None:
    model, batch = Model(EXAMPLE), batch_of([[], [(0.0, [])]])
    assert bool(torch.isfinite(model.self_loss(batch)))
    assert bool(torch.isfinite(model.eval()(batch).logits).all())
