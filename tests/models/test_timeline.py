"""Timeline against its equations in plain loops: attention within a visit, codes that fade, a recurrence both ways."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models.timeline import EXAMPLE, Model
from histories import batch_of, with_static_facts
from plain_layers import sigmoid, softmax, weights_of
from plain_loops import both_ways_lstm, exact_batch, histories_of


def exact_model() -> Model:
    """Return a model in which every code has a weight and a rate of its own."""
    torch.manual_seed(0)
    model = Model(EXAMPLE).double().eval()
    with torch.no_grad():
        model.at_first += 0.5 * torch.randn(40)
        model.rate += 0.05 * torch.randn(40)
    return model


def plain_timeline(model: Model, batch: Batch) -> tuple[list[np.ndarray], list[dict[tuple[int, int], float]]]:
    """Restate the equations, one patient, one visit, one code at a time; return logits and what is left of codes."""
    w, logits, lefts = weights_of(model), [], []
    for visits in histories_of(batch):
        vectors, left_of_history = [], {}
        for i, visit in enumerate(visits):
            e = w["embedding"][visit.codes]
            static = i == 0 and visit.age <= 0
            months = 0.0 if static else -visit.days / 30
            v = np.zeros(16)
            for m, code in enumerate(visit.codes):
                asked = w["query.weight"] @ e[m]
                a = softmax(np.array([asked @ (w["key.weight"] @ other) for other in e]) / 16**0.5)
                left = float(sigmoid(w["at_first"][code] + w["rate"][code] * months))
                v += left * (a @ e)
                left_of_history[i, int(code)] = left
            vectors.append(v)
        states = both_ways_lstm(vectors, w)
        read = np.concatenate([states[-1][:8], states[0][8:]])  # each direction where it has read all visits
        logits.append(w["output.weight"] @ read + w["output.bias"])
        lefts.append(left_of_history)
    return logits, lefts


@pytest.mark.parametrize("static", [False, True])
def test_the_model_matches_the_equations_in_plain_loops(static: bool) -> None:
    model, batch = exact_model(), exact_batch(12, seed=4)
    batch = with_static_facts(batch, every=1) if static else batch
    with torch.no_grad():
        found = model(batch)
    logits, lefts = plain_timeline(model, batch)
    np.testing.assert_allclose(found.logits, logits, atol=1e-12)
    for subject, left in enumerate(lefts):
        of = (batch.subject_of_token == subject) & (found.token_attention > 0)
        visit = batch.visit_of_token[of] - batch.subject_offsets[subject]
        shares = zip(
            visit.tolist(), batch.tokens[of].tolist(), found.token_attention[of].tolist(), strict=True
        )
        expected = {code: one / sum(left.values()) for code, one in left.items()}
        assert {(visit, code): one for visit, code, one in shares} == pytest.approx(expected, abs=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    model, batch = exact_model(), exact_batch(3, seed=2, max_visits=3)
    weights = torch.linspace(0.5, 1.5, len(batch.tokens), dtype=torch.float64, requires_grad=True)
    days = batch.days.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda one, when: model(replace(batch, days=when).with_weights(one)).logits, (weights, days)
    )


def test_a_code_starts_at_three_quarters_and_is_half_gone_after_ten_months() -> None:
    batch = batch_of([[(300.0, [1]), (0.0, [2])]])
    left = Model(EXAMPLE).progression(batch)
    assert left.tolist() == pytest.approx([0.5, 0.731], abs=1e-3)


def test_facts_known_at_birth_do_not_fade() -> None:
    model = Model(EXAMPLE)
    batch = batch_of([[(40 * 365.25, [1]), (0.0, [2])]])
    assert float(model.progression(batch).detach()[0]) < 1e-16
    born = replace(batch, ages=torch.tensor([0.0, 50.0]))
    assert float(model.progression(born).detach()[0]) == pytest.approx(0.731, abs=1e-3)


def test_a_visit_is_a_set() -> None:
    model = exact_model().float()
    once, twice = (batch_of([[(9.0, [5]), (1.0, codes)]]) for codes in ([1, 2, 3], [3, 1, 2, 2, 1]))
    with torch.no_grad():
        torch.testing.assert_close(model(once).logits, model(twice).logits, atol=1e-6, rtol=0)


def test_a_history_whose_codes_are_hidden_is_a_history_without_content() -> None:
    model = exact_model().float()
    one, other = (batch_of([[(9.0, [5]), (1.0, codes)]]) for codes in ([1, 2], [7, 8]))
    with torch.no_grad():
        hidden = [model(batch.with_weights(torch.zeros(3))).logits for batch in (one, other)]
    assert torch.equal(*hidden)
