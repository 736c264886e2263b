"""GCT against its authors' code (golden arrays) and against the paper's equations in plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import KINDS, Batch
from attending.models.gct import EXAMPLE, LEVELS, Config, Model
from histories import batch_of, double, facts, random_batch, together
from plain_layers import linear, softmax
from plain_loops import weight_of_codes

GOLDEN = Path(__file__).parent.parent / "golden"
BLOCKS = [(None, None, 2, 4, 5), (6, 7, 8, 10, 11), (12, 13, 14, 16, 17)]  # their layers' numbers


def test_its_blocks_match_the_authors_code() -> None:
    """Recipe: the authors' TensorFlow code was run, in float32, on random nodes, guides and priors.

    Compared in double precision: what is left, 1.2e-6, is the rounding of their own run.
    """
    arrays = dict(np.load(GOLDEN / "gct.npz", allow_pickle=False))
    given = {name: torch.from_numpy(one).double() for name, one in arrays.items()}
    name = "w.graph_convolutional_transformer/dense_{}/{}:0"
    model = Model(Config(n_tokens=1, n_outcomes=1, width=8, n_layers=2, dropout=0.0)).double().eval()
    for layer, (query, key, value, up, down) in zip(model.layers, BLOCKS, strict=True):
        state = {"value.weight": given[name.format(value, "kernel")].T}
        for ours, theirs in (("query", query), ("key", key)):
            if theirs is not None:
                state[f"{ours}.weight"] = given[name.format(theirs, "kernel")].T
        for ours, theirs in (("feed.up", up), ("feed.down", down)):
            state[f"{ours}.weight"] = given[name.format(theirs, "kernel")].T
            state[f"{ours}.bias"] = given[name.format(theirs, "bias")]
        # Their norms scale by 1 and shift by 0, as ours do at the start.
        layer.load_state_dict(state, strict=False)
    mask = given["mask"][:, :, 0]
    allowed = (given["guide"] > 0) & (mask[:, None] > 0)
    prior = given["prior"] * mask[:, None]
    with torch.no_grad():
        found, attentions = model.transform(given["f"], prior, allowed, torch.ones_like(mask))
    np.testing.assert_allclose(found * mask[:, :, None], arrays["out"], atol=2e-6, rtol=0)
    for layer in (1, 2):
        real = arrays["mask"][:, :, 0] > 0
        theirs = arrays[f"att{layer}"][:, 0]
        np.testing.assert_allclose(attentions[layer][real], theirs[real], atol=2e-6, rtol=0)


def example(seed: int = 0, **options: int) -> Model:
    torch.manual_seed(seed)
    model = Model(EXAMPLE.model_copy(update=options))
    model.use(facts(torch.full((40,), -1), torch.full((5,), 0.3)))
    return model.double().eval()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weighted", [False, True])
def test_it_matches_its_equations_in_plain_loops(seed: int, weighted: bool) -> None:
    model = example(seed)
    batch = double(random_batch(7, seed=seed))
    if weighted:
        weights = torch.rand(
            len(batch.tokens), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        )
        batch = batch.with_weights(weights * (weights > 0.2))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_gct(model, batch), atol=1e-6)


def test_the_smallest_size_learns_whom_to_look_at() -> None:
    model = Model(Config(n_tokens=40, n_outcomes=5, size="tiny"))
    assert [layer.learns for layer in model.layers] == [False, True]


def test_the_penalty_is_the_mean_divergence_between_blocks() -> None:
    model = example().train()
    batch = double(random_batch(4, seed=1))
    moved: list[float] = []
    plain_gct(model, batch, moved)
    assert float(model(batch).penalty.detach()) == pytest.approx(0.1 * np.mean(moved), rel=1e-6)
    assert model.eval()(batch).penalty is None


def test_a_large_visit_keeps_the_first_kinds_and_the_most_frequent_codes() -> None:
    """Kinds take turns and later tokens are more frequent: of 40 codes the three diagnoses with the highest numbers."""
    model = example(max_codes=3)
    diagnoses = [token for token in range(40) if KINDS[token % len(KINDS)] == "diagnosis"]
    with torch.no_grad():
        many = model(double(batch_of([[(0.0, list(range(40)))]]))).logits
        few = model(double(batch_of([[(0.0, diagnoses[-3:])]]))).logits
    torch.testing.assert_close(many, few)


def test_without_weight_nothing_is_left_and_near_it_little() -> None:
    model = example()
    one = double(random_batch(5, seed=3))
    other = replace(one, tokens=(one.tokens + 11) % 40)
    with torch.no_grad():
        empty = [model(x.with_weights(torch.zeros_like(x.values))).logits for x in (one, other)]
        nearly = model(one.with_weights(torch.full_like(one.values, 1e-7))).logits
    assert torch.equal(*empty)
    torch.testing.assert_close(nearly, empty[0], atol=1e-4, rtol=0)


def plain_gct(model: Model, batch: Batch, moved: list[float] | None = None) -> np.ndarray:
    """Restate the equations: one patient, one visit, one node at a time."""
    w = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    given = together(40)
    count = {tuple(pair): float(n) for pair, n in zip(given.pairs.T.tolist(), given.count, strict=True)}
    logits = []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        vectors, ago = [], []
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            weight = {code: one for code, one in weight_of_codes(batch, start, stop).items() if one != 0}
            vectors.append(plain_visit(w, weight, count, len(model.layers), moved))
            ago.append(-float(batch.days[stop - 1]))
        scores = [
            w["context"] @ np.tanh(linear(w, "attention", np.append(v, np.log1p(days))))
            for v, days in zip(vectors, ago, strict=True)
        ]
        share = softmax(np.array(scores))
        logits.append(linear(w, "output", sum(a * v for a, v in zip(share, vectors, strict=True))))
    return np.array(logits)


def plain_visit(
    w: dict, weight: dict[int, float], count: dict, n_layers: int, moved: list[float] | None
) -> np.ndarray:
    """Return the visit's own node after all layers."""
    codes = list(weight)
    level = {code: LEVELS[KINDS[code % len(KINDS)]] for code in codes}
    kinds = sorted({level[code] for code in codes} - {0})
    rank = [0] + [kinds.index(level[code]) + 1 if level[code] else -1 for code in codes]
    worth = [1.0] + [weight[code] for code in codes]
    x = [w["visit"]] + [weight[code] * w["embedding"][code] for code in codes]
    n = len(x)
    sees = [[i == j or abs(rank[i] - rank[j]) == 1 for j in range(n)] for i in range(n)]
    attention = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if sees[i][j]:
                sure = i == j or i == 0 or j == 0
                share = (
                    1.0
                    if sure
                    else count.get((codes[i - 1], codes[j - 1]), 0.0) / count[codes[i - 1], codes[i - 1]]
                )
                attention[i, j] = share * worth[j]
        attention[i] /= attention[i].sum()
    for layer in range(n_layers):
        p = f"layers.{layer}."
        if layer:
            earlier, attention = attention, np.zeros((n, n))
            for i in range(n):
                scores = np.full(n, -np.inf)
                for j in range(n):
                    if sees[i][j]:
                        match = (w[p + "query.weight"] @ x[i]) @ (w[p + "key.weight"] @ x[j])
                        scores[j] = match / np.sqrt(len(x[i])) + np.log(worth[j])
                attention[i] = softmax(scores)
                if moved is not None:
                    moved.append(
                        sum(a * np.log(a / b) for a, b in zip(earlier[i], attention[i], strict=True) if a > 0)
                    )
        taken = [sum(attention[i, j] * (w[p + "value.weight"] @ x[j]) for j in range(n)) for i in range(n)]
        z = [norm(one + more) for one, more in zip(x, taken, strict=True)]
        x = [
            norm(one + linear(w, p + "feed.down", np.maximum(linear(w, p + "feed.up", one), 0))) for one in z
        ]
    return x[0]


def norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-12)
