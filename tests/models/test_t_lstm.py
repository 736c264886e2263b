"""T-LSTM against the paper's equations in plain loops, and against torch's LSTM where no time passes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models.t_lstm import EXAMPLE, Model
from attending.nn.packed import run
from attending.nn.time import log_decay
from histories import batch_of
from plain_layers import sigmoid, weights_of
from plain_loops import exact_batch, gaps_of, histories_of


def exact_model() -> Model:
    torch.manual_seed(0)
    return Model(EXAMPLE).double().eval()


def plain_t_lstm(model: Model, batch: Batch) -> list[np.ndarray]:
    """Restate the equations, one patient and one visit at a time."""
    w, logits = weights_of(model), []
    for visits in histories_of(batch):
        h = c = np.zeros(w["short_term.bias"].shape)
        for visit, days in zip(visits, gaps_of(visits), strict=True):
            short = np.tanh(w["short_term.weight"] @ c + w["short_term.bias"])
            long = c - short
            kept = long + short / np.log(np.e + days)
            x = w["embedding"][visit.codes].sum(0)
            gates = w["inputs.weight"] @ x + w["inputs.bias"] + w["recurrent.weight"] @ h
            forget, let_in, let_out, candidate = np.split(gates, 4)
            c = sigmoid(forget) * kept + sigmoid(let_in) * np.tanh(candidate)
            h = sigmoid(let_out) * np.tanh(c)
        logits.append(w["output.weight"] @ h + w["output.bias"])
    return logits


def test_the_model_matches_the_equations_in_plain_loops() -> None:
    model, batch = exact_model(), exact_batch(12, seed=4)
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_t_lstm(model, batch), atol=1e-12)


def test_where_no_time_passes_it_is_an_lstm() -> None:
    """g(0) = 1: nothing is lost, whatever is short-term. Torch orders the gates input, forget, candidate, output."""
    model, batch = exact_model(), exact_batch(9, seed=5)
    at_once = replace(batch, days=torch.zeros_like(batch.days))
    order = torch.tensor([1, 0, 3, 2])
    lstm = torch.nn.LSTM(16, 16).double()
    ours = {
        "weight_ih_l0": model.inputs.weight,
        "bias_ih_l0": model.inputs.bias,
        "weight_hh_l0": model.recurrent.weight,
    }
    state = {name: one.unflatten(0, (4, 16))[order].flatten(0, 1) for name, one in ours.items()}
    lstm.load_state_dict(state | {"bias_hh_l0": torch.zeros(64, dtype=torch.float64)})
    sums = [model.embedding[visit.codes].sum(0) for visits in histories_of(batch) for visit in visits]
    with torch.no_grad():
        states = run(lstm, torch.stack(sums), batch.subject_offsets)
        expected = model.output(states[batch.subject_offsets[1:] - 1])
        torch.testing.assert_close(model(at_once).logits, expected, atol=1e-12, rtol=0)


def test_gradients_are_those_of_finite_differences() -> None:
    model, batch = exact_model(), exact_batch(4, seed=2, max_visits=4)
    weights = torch.linspace(0.5, 1.5, len(batch.tokens), dtype=torch.float64, requires_grad=True)
    days = batch.days.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda one, when: model(replace(batch, days=when).with_weights(one)).logits, (weights, days)
    )


def test_a_short_memory_fades_by_the_logarithm_of_the_gap() -> None:
    days = torch.tensor([0.0, math.e**2 - math.e, 365.0, 3650.0])
    assert log_decay(days).tolist() == pytest.approx([1.0, 0.5, 0.169, 0.122], abs=1e-3)


def test_the_same_visits_further_apart_give_another_answer() -> None:
    model = exact_model().float()
    near, far = (batch_of([[(2.0 * gap, [1]), (gap, [2]), (0.0, [3])]]) for gap in (1.0, 400.0))
    with torch.no_grad():
        assert float((model(near).logits - model(far).logits).abs().max()) > 1e-4
