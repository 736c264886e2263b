"""Med-BERT against the paper's equations in plain loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from attending.batch import Batch
from attending.models import med_bert
from attending.models.med_bert import EXAMPLE, Model, long_stay
from histories import batch_of, double, random_batch
from plain_bert import assert_matches, code_head, encode, norm
from plain_layers import linear, weights_of


def test_the_model_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    assert_matches(Model(EXAMPLE), plain_med_bert)


def plain_med_bert(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Read one history after another."""
    w, config = weights_of(model), model.config
    logits, attention = [], []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        x = []
        for number, visit in enumerate(range(first, end)):
            for token in range(*batch.visit_offsets[visit : visit + 2].tolist()):
                code = w["codes.weight"][int(batch.tokens[token])] * float(batch.weights[token])
                x.append(norm(w, "norm", code + w["visits.weight"][number]))
        states, looks = encode(w, "encoder", np.array(x), config.n_layers, config.n_heads)
        pooled = np.tanh(linear(w, "pool", states.mean(0)))
        logits.append(linear(w, "output", pooled))
        attention += list(looks.mean((0, 1)))
    return np.array(logits), np.array(attention)


def test_its_own_objective_is_both_of_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).double().eval()
    batch = double(random_batch(4, seed=2))
    chosen = torch.arange(len(batch.tokens)) % 7 == 0
    masked = replace(batch, tokens=torch.where(chosen, 40, batch.tokens))
    monkeypatch.setattr(med_bert, "mask_tokens", lambda batch, n_tokens: (masked, chosen))
    with torch.no_grad():
        found = float(model.self_loss(batch))
        states, _ = model._encode(masked)
        w = weights_of(model)
        said = code_head(w, "pretext.code", states[chosen].numpy(), w["codes.weight"][:40])
        codes = cross_entropy(torch.from_numpy(said), batch.tokens[chosen])
        stay = linear(w, "pretext.stay", model._pool(states, masked).numpy())[:, 0]
    assert found == pytest.approx(
        float(codes) + float(np.log1p(np.exp(stay)).mean()), abs=1e-6
    )  # no long stay


def test_a_long_stay_is_told_by_the_events_of_one_visit() -> None:
    batch = batch_of([[(90.0, [1, 2]), (80.0, [3])], [(30.0, [1, 2]), (0.0, [3])], [], [(1.0, [])]])
    batch = replace(batch, days=torch.tensor([-90.0, -80.0, -80.0, -30.0, -23.0, 0.0]))
    assert long_stay(batch).tolist() == [True, False, False, False]


def test_of_a_long_history_some_places_are_asked_whom_they_look_at() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    batch = batch_of([[(float(1000 - event), [event % 40]) for event in range(1000)], [(0.0, [1])]])
    with torch.no_grad():
        attention = model(batch).token_attention
    assert float(attention[:1000].sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(attention[1000]) == pytest.approx(1.0)


def test_when_a_code_came_is_not_read_but_in_which_visit() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    recent, old = batch_of([[(9.0, [1]), (3.0, [2])]]), batch_of([[(900.0, [1]), (30.0, [2])]])
    swapped = batch_of([[(9.0, [2]), (3.0, [1])]])
    with torch.no_grad():
        found = [model(batch).logits for batch in (recent, old, swapped)]
    assert torch.equal(found[0], found[1])
    assert float((found[0] - found[2]).abs().max()) > 1e-7


def test_a_batch_without_events_can_be_read() -> None:
    model, batch = Model(EXAMPLE), batch_of([[], [(0.0, [])]])
    assert bool(torch.isfinite(model.self_loss(batch)))
    assert bool(torch.isfinite(model.eval()(batch).logits).all())
