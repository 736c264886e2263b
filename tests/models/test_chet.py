"""Chet against its authors' code (golden arrays) and against the paper's equations in plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models.chet import EXAMPLE, Config, Model
from histories import batch_of, double, facts, random_batch
from plain_layers import linear, softmax
from plain_loops import gru_step, weight_of_codes

GOLDEN = Path(__file__).parent.parent / "golden"
Rows = dict[int, dict[int, float]]


def golden() -> tuple[Model, Batch, np.ndarray]:
    """Return the authors' weights in our model, their input as a batch, and their probabilities.

    Recipe: the authors' PyTorch code was run on random visits (x: patient, visit, code; l: visits of a patient) with
    random weights and a random co-occurrence matrix, in float32.
    """
    arrays = dict(np.load(GOLDEN / "chet.npz", allow_pickle=False))
    w = {name[2:]: torch.from_numpy(one) for name, one in arrays.items() if name.startswith("w.")}
    n_tokens, width = w["embedding_layer.c_embeddings"].shape
    width_graph, width_state = len(w["graph_layer.dense.bias"]), w["classifier.linear.weight"].shape[1]
    model = Model(
        Config(
            n_tokens=n_tokens,
            n_outcomes=len(w["classifier.linear.bias"]),
            width=width,
            width_graph=width_graph,
            width_state=width_state,
            width_attention=len(w["attention.context"]),
        )
    )
    adjacency = torch.from_numpy(arrays["adj"])
    rows, to = adjacency.nonzero().T
    starts = torch.cat(
        [torch.zeros(1, dtype=torch.int64), torch.bincount(rows, minlength=n_tokens).cumsum(0)]
    )
    heads = {"query": "q", "key": "k", "value": "v"}
    state = {
        "recorded": w["embedding_layer.c_embeddings"],
        "near": w["embedding_layer.n_embeddings"],
        "unrelated": w["embedding_layer.u_embeddings"],
        "context": w["attention.context"][:, 0],
        "company.starts": starts,
        "company.to_node": to,
        "company.strength": adjacency[rows, to],
    }
    for ours, theirs in {"graph_layer": "graph_layer.dense", "attention": "attention.dense"}.items():
        state |= {f"{ours}.{part}": w[f"{theirs}.{part}"] for part in ("weight", "bias")}
    for part in ("weight", "bias"):
        state[f"output.{part}"] = w[f"classifier.linear.{part}"]
        for ours, theirs in heads.items():
            state[f"{ours}.{part}"] = w[f"transition_layer.single_head_attention.dense_{theirs}.{part}"]
        for side in ("ih", "hh"):
            state[f"recurrence.{part}_{side}_l0"] = w[f"transition_layer.gru.{part}_{side}"]
    model.load_state_dict(state)
    histories = [
        [(0.0, np.flatnonzero(visit).tolist()) for visit in x[:length]]
        for x, length in zip(arrays["x"], arrays["l"], strict=True)
    ]
    return model.eval(), batch_of(histories), arrays["out"]


def test_it_matches_its_authors_code() -> None:
    model, batch, expected = golden()
    with torch.no_grad():
        found = torch.sigmoid(model(batch).logits).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-7, rtol=0)


def example(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    model = Model(EXAMPLE)
    model.use(facts(torch.full((40,), -1), torch.full((5,), 0.3)))
    return model.double().eval()


@pytest.mark.parametrize("seed", range(4))
def test_it_matches_its_equations_in_plain_loops(seed: int) -> None:
    model = example(seed)
    batch = double(random_batch(9, seed=seed, max_visits=8))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_chet(model, batch), atol=1e-10)


def test_weights_scale_what_the_equations_say_they_scale() -> None:
    model = example()
    batch = double(random_batch(9, seed=2, max_visits=8))
    weights = torch.rand(len(batch.tokens), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    batch = batch.with_weights(weights * (weights > 0.2))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_chet(model, batch), atol=1e-10)


def test_a_token_of_weight_zero_is_not_there() -> None:
    model = example()
    whole = double(batch_of([[(9.0, [3, 7]), (5.0, [3, 4]), (0.0, [4, 5])]]))
    less = double(batch_of([[(9.0, [3]), (5.0, [3, 4]), (0.0, [4])]]))
    weights = torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(whole.with_weights(weights)).logits, model(less).logits)


def test_without_weight_nothing_is_left_and_near_it_little() -> None:
    model = example()
    batches = [double(random_batch(5, seed=3)) for _ in range(2)]
    batches[1] = replace(batches[1], tokens=(batches[1].tokens + 11) % 40)
    with torch.no_grad():
        empty = [model(one.with_weights(torch.zeros_like(one.values))).logits for one in batches]
        nearly = model(batches[0].with_weights(torch.full_like(batches[0].values, 1e-6))).logits
    assert torch.equal(*empty)
    torch.testing.assert_close(nearly, empty[0], atol=1e-4, rtol=0)


def plain_chet(model: Model, batch: Batch) -> np.ndarray:
    """Restate the equations: one patient, one visit, one code at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    n_tokens = len(w["recorded"])
    adjacency: Rows = {
        i: {
            int(w["company.to_node"][e]): float(w["company.strength"][e])
            for e in range(w["company.starts"][i], w["company.starts"][i + 1])
        }
        for i in range(n_tokens)
    }
    logits = []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        vectors, before, states = [], None, {}
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            weight = {code: one for code, one in weight_of_codes(batch, start, stop).items() if one != 0}
            near: dict[int, float] = {}
            for i in weight:
                for k in adjacency[i]:
                    if k not in weight:
                        near[k] = max(near.get(k, 0.0), weight[i])
            here = {
                i: through(
                    w,
                    weight[i]
                    * (w["recorded"][i] + around(w, adjacency[i], weight, dict.fromkeys(near, 1.0))),
                )
                for i in weight
            }
            nearby = {
                i: through(w, near[i] * (w["near"][i] + around(w, adjacency[i], weight, near))) for i in near
            }
            now = {}
            if before is None:
                now = {i: gru_step(here[i], np.zeros(w["output.weight"].shape[1]), w) for i in weight}
            else:
                old, old_near = before
                fresh = [i for i in weight if i not in old]
                for i in set(weight) - set(fresh):
                    now[i] = gru_step(here[i], states[i], w)
                role = {i: weight[i] * (old_near[i] if i in old_near else w["unrelated"][i]) for i in fresh}
                for i in fresh:
                    scores = np.array(
                        [linear(w, "query", role[i]) @ linear(w, "key", role[j]) for j in fresh]
                    )
                    share = softmax(scores / np.sqrt(len(w["query.bias"])))
                    mixed = sum(
                        s * weight[j] * linear(w, "value", here[j]) for s, j in zip(share, fresh, strict=True)
                    )
                    now[i] = np.tanh(mixed)
            vectors.append(
                np.max([weight[i] * now[i] for i in now], axis=0)
                if now
                else np.zeros(w["output.weight"].shape[1])
            )
            # A chain starts from the emerging state scaled by its weight; its inner states are not scaled.
            emerged = set() if before is None else set(weight) - set(before[0])
            states = {i: now[i] * weight[i] if i in emerged else now[i] for i in now}
            before = (weight, nearby)
        attention = softmax(np.array([w["context"] @ linear(w, "attention", v) for v in vectors]))
        logits.append(linear(w, "output", sum(a * v for a, v in zip(attention, vectors, strict=True))))
    return np.array(logits)


def around(w: dict, row: dict[int, float], recorded: dict[int, float], near: dict[int, float]) -> np.ndarray:
    """What the neighbours in a visit send to one code."""
    out = np.zeros(w["near"].shape[1])
    for k, share in row.items():
        if k in recorded:
            out += share * recorded[k] * w["recorded"][k]
        elif k in near:
            out += share * near[k] * w["near"][k]
    return out


def through(w: dict, x: np.ndarray) -> np.ndarray:
    y = linear(w, "graph_layer", x)
    return np.where(y > 0, y, 0.01 * y)
