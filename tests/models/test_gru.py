"""The GRU and its second task against Doctor AI's equations in plain loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models.gru import EXAMPLE, Model
from histories import batch_of, random_batch, with_static_facts
from plain_layers import weights_of
from plain_loops import exact_batch, gaps_of, gru_step, histories_of


def exact_model(**settings: float) -> Model:
    torch.manual_seed(0)
    return Model(EXAMPLE.model_copy(update=settings)).double().eval()


def plain_states(model: Model, batch: Batch) -> list[list[np.ndarray]]:
    """Return h_1 … h_T of each history: v = tanh(W x + b), h = GRU([v, log(1 + gap)], h)."""
    w, found = weights_of(model), []
    for visits in histories_of(batch):
        h, states = np.zeros(16), []
        for visit, gap in zip(visits, gaps_of(visits), strict=True):
            v = np.tanh(w["embedding"][visit.codes].sum(0) + w["bias"])
            h = gru_step(np.append(v, np.log1p(gap)), h, w)
            states.append(h)
        found.append(states)
    return found


def plain_penalty(model: Model, batch: Batch) -> float:
    """Average (ReLU(w · h + b) − log(1 + gap))² over visits with a next one, then over histories.

    Static facts at birth are no visit; a history without a next visit counts as 0.
    """
    w, means = weights_of(model), []
    for visits, states in zip(histories_of(batch), plain_states(model, batch), strict=True):
        errors = []
        for i in range(len(visits) - 1):
            if i == 0 and visits[0].age <= 0:
                continue
            guess = max(float(w["gap.weight"][0] @ states[i] + w["gap.bias"][0]), 0.0)
            errors.append((guess - np.log1p(visits[i + 1].days - visits[i].days)) ** 2)
        means.append(np.mean(errors) if errors else 0.0)
    return 0.1 * float(np.mean(means))


def test_the_logits_match_the_equations_in_plain_loops() -> None:
    model, batch = exact_model(), with_static_facts(exact_batch(9, seed=4))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    w = weights_of(model)
    expected = [w["output.weight"] @ states[-1] + w["output.bias"] for states in plain_states(model, batch)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_second_task_matches_its_equation_in_plain_loops() -> None:
    model, batch = exact_model(), with_static_facts(exact_batch(9, seed=5))
    with torch.no_grad():
        assert model(batch).penalty is None, "only training needs it"
        found = model.train()(batch).penalty
    assert float(found) == pytest.approx(plain_penalty(model, batch), abs=1e-12)


def test_the_gap_after_the_last_visit_is_no_target() -> None:
    """Asked a year later, the visits and the gaps between them are the same, and so is the penalty."""
    model, batch = exact_model().train(), exact_batch(5, seed=6)
    later = replace(batch, days=batch.days - 365)
    with torch.no_grad():
        torch.testing.assert_close(model(batch).penalty, model(later).penalty, atol=1e-12, rtol=0)


def test_without_a_next_visit_the_penalty_is_zero() -> None:
    model = exact_model().float().train()
    assert float(model(batch_of([[(3.0, [1, 2])], [], [(0.0, [5])]])).penalty.detach()) == 0.0


def test_a_weight_of_zero_leaves_the_second_task_out_and_the_logits_as_they_were() -> None:
    torch.manual_seed(0)
    without = Model(EXAMPLE.model_copy(update={"gap_weight": 0.0})).train()
    torch.manual_seed(0)
    model, batch = Model(EXAMPLE).train(), random_batch(5)
    assert not any(name.startswith("gap") for name in without.state_dict())
    assert without(batch).penalty is None
    assert torch.equal(model(batch).logits, without(batch).logits)


def test_the_second_task_learns_who_comes_back_when() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).train()
    monthly = [(150.0 - 30 * visit, [1]) for visit in range(6)]
    yearly = [(1825.0 - 365 * visit, [2]) for visit in range(6)]
    batch = batch_of([monthly, yearly])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        penalty = model(batch).penalty
        penalty.backward()
        optimizer.step()
    assert float(penalty.detach()) < 0.01 * EXAMPLE.gap_weight
