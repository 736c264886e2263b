"""RETAIN against its authors' code (golden arrays) and against the paper's equations in plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models import retain
from attending.models.retain import EXAMPLE, Config, Model
from histories import batch_of, double, random_batch
from plain_loops import gru_step

GOLDEN = Path(__file__).parent.parent / "golden"


def golden(time: bool) -> tuple[Model, Batch, dict[str, np.ndarray]]:
    """Return the authors' weights in our model, their input as a batch, and their arrays.

    Recipe: the authors' Theano code was run on random input with random weights (x: visit, patient, code multi-hot;
    t: visit, patient; L visits a patient); its recurrence is a GRU without a recurrent bias.
    """
    arrays = dict(np.load(GOLDEN / f"retain_time{int(time)}.npz", allow_pickle=False))
    weights = {name[2:]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith("w.")}
    n_tokens, width = weights["W_emb"].shape
    sizes = {"width_alpha": len(weights["U_gru_a"]), "width_beta": len(weights["U_gru_b"])}
    config = Config(
        n_tokens=n_tokens, n_outcomes=1, width=width, dropout=0.0, time=time, strict="authors", **sizes
    )
    model = Model(config).double().eval()
    state = {
        "embedding": weights["W_emb"],
        "alpha.weight": weights["w_alpha"].T,
        "alpha.bias": weights["b_alpha"],
        "beta.weight": weights["W_beta"].T,
        "beta.bias": weights["b_beta"],
        "output.weight": weights["w_output"].T,
        "output.bias": weights["b_output"],
    }
    for ours, theirs in (("alpha", "a"), ("beta", "b")):
        state |= {
            f"{ours}_recurrence.weight_ih_l0": weights[f"W_gru_{theirs}"].T,
            f"{ours}_recurrence.weight_hh_l0": weights[f"U_gru_{theirs}"].T,
            f"{ours}_recurrence.bias_ih_l0": weights[f"b_gru_{theirs}"],
            f"{ours}_recurrence.bias_hh_l0": torch.zeros_like(weights[f"b_gru_{theirs}"]),
        }
    model.load_state_dict(state)
    histories = [
        [(0.0, np.flatnonzero(arrays["x"][visit, patient]).tolist()) for visit in range(length)]
        for patient, length in enumerate(arrays["L"])
    ]
    batch = batch_of(histories)
    return model, double(batch), arrays


@pytest.mark.parametrize("time", [False, True])
def test_the_authors_form_matches_their_own_code(time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch, arrays = golden(time)
    stored = np.concatenate([arrays["t"][:length, patient] for patient, length in enumerate(arrays["L"])])
    # Their time enters the recurrence as it is; ours as log(1 + gap).
    monkeypatch.setattr(retain, "visit_gaps", lambda _: torch.from_numpy(np.expm1(stored)))
    with torch.no_grad():
        found = torch.sigmoid(model(batch).logits[:, 0]).numpy()
    np.testing.assert_allclose(found, arrays["yhat"], atol=1e-12, rtol=0)


def test_the_authors_gradients_match_too() -> None:
    model, batch, arrays = golden(time=False)
    cost = torch.nn.functional.binary_cross_entropy_with_logits(
        model(batch).logits[:, 0], torch.from_numpy(arrays["y"])
    )
    cost.backward()
    embedding, alpha = model.embedding.grad, model.alpha_recurrence.weight_hh_l0.grad
    assert model.output.weight.grad is not None
    assert embedding is not None
    assert alpha is not None
    for name, ours in (  # a corner of each was kept; their logarithms have 1e-8 added
        ("g_w_output", model.output.weight.grad[0, :3]),
        ("g_W_emb", embedding[:3, :2]),
        ("g_U_gru_a", alpha.T[:2, :3]),
    ):
        np.testing.assert_allclose(ours.flatten().numpy(), arrays[name], rtol=1e-5, err_msg=name)


def test_the_papers_form_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).double().eval()
    batch = double(random_batch(9, seed=4))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_retain(model, batch), atol=1e-10)


def plain_retain(model: Model, batch: Batch) -> np.ndarray:
    """Restate the paper's five equations, one patient, one visit, one step at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    logits = []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        visits, days = [], []
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            codes = set(batch.tokens[start:stop].tolist())  # a visit is a set
            visits.append(sum((w["embedding"][code] for code in codes), np.zeros(w["embedding"].shape[1])))
            days.append(float(batch.days[stop - 1]))
        gaps = [0.0 if i == 0 else days[i] - days[i - 1] for i in range(len(days))]
        inputs = [np.append(v, np.log1p(gap)) for v, gap in zip(visits, gaps, strict=True)]
        states = {}
        for gate in ("alpha", "beta"):
            h, out = np.zeros(w[f"{gate}_recurrence.weight_hh_l0"].shape[1]), []
            for x in reversed(inputs):
                h = gru_step(x, h, w, f"{gate}_recurrence")
                out.append(h)
            states[gate] = out[::-1]
        scores = np.array([w["alpha.weight"][0] @ g + w["alpha.bias"][0] for g in states["alpha"]])
        alpha = np.exp(scores - scores.max())
        alpha /= alpha.sum()
        beta = [np.tanh(w["beta.weight"] @ h + w["beta.bias"]) for h in states["beta"]]
        context = sum(a * b * v for a, b, v in zip(alpha, beta, visits, strict=True))
        logits.append(w["output.weight"] @ context + w["output.bias"])
    return np.array(logits)


@pytest.mark.parametrize("seed", range(5))
def test_contributions_sum_to_the_logit(seed: int) -> None:
    """logit = Σ contributions + base, exactly, for any history and any outcome."""
    torch.manual_seed(seed)
    model = Model(EXAMPLE).eval()
    batch = random_batch(12, seed=seed)
    outcome = torch.randint(0, 5, (12,))
    with torch.no_grad():
        logit = model(batch).logits.gather(1, outcome[:, None])[:, 0]
        total = torch.zeros(12).index_add(0, batch.subject_of_token, model.contributions(batch, outcome))
        torch.testing.assert_close(total + model.base(outcome), logit, atol=1e-5, rtol=1e-5)


def test_the_order_of_visits_matters() -> None:
    """A then B is not B then A: what attention in reverse time is for."""
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    forwards = batch_of([[(60.0, [1]), (30.0, [2]), (0.0, [3])]])
    backwards = batch_of([[(60.0, [2]), (30.0, [1]), (0.0, [3])]])
    with torch.no_grad():
        assert float((model(forwards).logits - model(backwards).logits).abs().max()) > 1e-4
