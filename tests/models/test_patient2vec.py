"""Patient2Vec against its equations in plain loops."""

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models.patient2vec import EXAMPLE, Model
from histories import batch_of, random_batch
from plain_layers import softmax, weights_of
from plain_loops import both_ways_gru, exact_batch, histories_of


def exact_model() -> Model:
    """Return a model some of whose codes lie beyond either end of the hard tanh."""
    torch.manual_seed(0)
    model = Model(EXAMPLE).double().eval()
    with torch.no_grad():
        model.weigh.weight *= 4
    return model


def plain_patient2vec(model: Model, batch: Batch) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Restate the equations, one patient, one visit, one code at a time; return logits and β (hop, visit)."""
    w, logits, betas = weights_of(model), [], []
    for visits in histories_of(batch):
        vectors = []
        for visit in visits:
            v = np.zeros(16)
            for e in w["embedding"][visit.codes]:
                v += min(max(float(w["weigh.weight"][0] @ e + w["weigh.bias"][0]), 0.0), 1.0) * e
            vectors.append(v)
        states = both_ways_gru(vectors, w)
        beta = np.array(
            [
                softmax(np.array([w["hops.weight"][hop] @ h + w["hops.bias"][hop] for h in states]))
                for hop in range(EXAMPLE.n_hops)
            ]
        )
        read = [sum(b * h for b, h in zip(of_hop, states, strict=True)) for of_hop in beta]
        logits.append(w["output.weight"] @ np.concatenate(read) + w["output.bias"])
        betas.append(beta)
    return logits, betas


def test_the_model_matches_the_equations_in_plain_loops() -> None:
    model, batch = exact_model(), exact_batch(12, seed=4)
    with torch.no_grad():
        found, counts = model(batch), model.code_weights(batch)
    assert bool((counts == 0).any() and (counts == 1).any() and ((counts > 0) & (counts < 1)).any())
    logits, betas = plain_patient2vec(model, batch)
    np.testing.assert_allclose(found.logits, logits, atol=1e-12)
    np.testing.assert_allclose(found.visit_attention, np.concatenate([b.mean(0) for b in betas]), atol=1e-12)
    assert found.penalty is None


def test_the_penalty_on_hops_that_look_alike_matches_its_equation_and_trains() -> None:
    model, batch = exact_model().train(), exact_batch(12, seed=5)
    penalty = model(batch).penalty
    _, betas = plain_patient2vec(model, batch)
    expected = np.mean([((b @ b.T - np.eye(EXAMPLE.n_hops)) ** 2).sum() for b in betas])
    assert float(penalty.detach()) == pytest.approx(EXAMPLE.diversity * float(expected), abs=1e-12)
    penalty.backward()
    assert float(model.hops.weight.grad.abs().max()) > 0


def test_a_diversity_of_zero_leaves_the_penalty_out() -> None:
    model = Model(EXAMPLE.model_copy(update={"diversity": 0.0})).train()
    assert model(random_batch(3)).penalty is None


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    model, batch = Model(EXAMPLE).double().eval(), exact_batch(3, seed=2, max_visits=3)
    weights = torch.linspace(0.5, 1.5, len(batch.tokens), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one: model(batch.with_weights(one)).logits, (weights,))


def test_attention_falls_to_codes_by_what_they_count() -> None:
    model = exact_model().float()
    batch = batch_of([[(9.0, [5, 5, 6]), (1.0, [1, 2, 3])]])
    with torch.no_grad():
        found, counts = model(batch), model.code_weights(batch)
    shares = found.visit_attention[batch.visit_of_token] * counts
    torch.testing.assert_close(found.token_attention, shares / shares.sum())
    assert float(found.token_attention[1]) == 0.0, "a visit is a set"
