"""LSAN against its equations in plain loops, and what its two paths see."""

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.lsan import EXAMPLE, Model
from histories import batch_of, double, random_batch
from plain_layers import linear, softmax, transformer_layer, wave


def test_the_model_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update={"n_layers": 2, "reach": 2})).double().eval()
    batch = double(random_batch(9, seed=4))
    with torch.no_grad():
        found = model(batch)
    logits, visits, tokens = plain_lsan(model, batch)
    np.testing.assert_allclose(found.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(found.visit_attention.numpy(), visits, atol=1e-10)
    np.testing.assert_allclose(found.token_attention.numpy(), tokens, atol=1e-10)


def plain_lsan(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Restate the equations, one patient, one visit, one code at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    logits, of_visits, of_tokens = [], [], []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        v, of_codes = [], []
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            tokens = batch.tokens[start:stop].tolist()
            codes = list(dict.fromkeys(tokens))  # a visit is a set
            a = softmax([score(w, "code_score", w["embedding"][code]) for code in codes])
            v.append(sum(share * w["embedding"][code] for share, code in zip(a, codes, strict=True)))
            seen = dict(zip(codes, a, strict=True))
            of_codes.append([seen.pop(token, 0.0) for token in tokens])
        x = [one + wave(i, len(one)) for i, one in enumerate(v)]
        for layer in range(len(model.layers)):
            x = transformer_layer(w, f"layers.{layer}", x, model.layers[0].n_heads)
        z = []
        for i in range(len(v)):
            near = [
                v[i + j] if 0 <= i + j < len(v) else np.zeros_like(v[0])
                for j in range(-model.reach, model.reach + 1)
            ]
            short = np.maximum(linear(w, "short", np.concatenate(near)), 0)
            z.append(np.tanh(linear(w, "both", np.concatenate([x[i], short]))))
        b = softmax([score(w, "visit_score", one) for one in z])
        logits.append(linear(w, "output", sum(share * one for share, one in zip(b, z, strict=True))))
        of_visits.extend(b)
        of_tokens.extend(share * one for share, codes in zip(b, of_codes, strict=True) for one in codes)
    return np.array(logits), np.array(of_visits), np.array(of_tokens)


def score(w: dict[str, np.ndarray], name: str, x: np.ndarray) -> float:
    return float(w[f"{name}.outer.weight"][0] @ np.tanh(linear(w, f"{name}.inner", x)))


def test_the_short_path_sees_its_neighbours_and_no_further() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    batch = batch_of([[(float(9 - visit), [visit]) for visit in range(5)], [(3.0, [7]), (1.0, [8])]])
    visits = torch.randn(7, 16, requires_grad=True)
    seen = []
    for visit in range(7):
        (gradient,) = torch.autograd.grad(model._short(visits, batch)[visit].sum(), visits)
        seen.append(np.flatnonzero(gradient.abs().sum(1).numpy()).tolist())
    assert seen == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4], [5, 6], [5, 6]]


def test_the_long_path_sees_all_of_its_history_and_nothing_else() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    batch = batch_of([[(float(9 - visit), [visit]) for visit in range(5)], [(3.0, [7]), (1.0, [8])]])
    visits = torch.randn(7, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(model._long(visits, batch)[0].square().sum(), visits)
    assert np.flatnonzero(gradient.abs().sum(1).numpy()).tolist() == [0, 1, 2, 3, 4]


def test_a_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 16, n_heads 3"):
        Model(EXAMPLE.model_copy(update={"n_heads": 3}))
