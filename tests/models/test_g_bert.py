"""G-BERT's ontology attention against its authors' code (golden arrays), the rest against its equations in loops."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import KINDS, Batch, Ontology
from attending.errors import ConfigError
from attending.models import g_bert
from attending.models.g_bert import EXAMPLE, TOLD, Config, Model
from histories import batch_of, double, facts, random_batch
from plain_layers import Weights, linear, normal, softmax, weights_of

GOLDEN = Path(__file__).parent.parent / "golden"
FACTS = facts(torch.full((40,), -1), torch.full((5,), 0.5))


def test_the_ontology_attention_matches_the_authors_own_code() -> None:
    """Recipe: their two passes on random vectors; e1 (concept, child), e2 (leaf, above it), map the leaves.

    Stored in float32, in which the original computed; ours in float64 agrees to its rounding. Concepts are renumbered
    so that leaves come first, as our tokens do.
    """
    arrays = dict(np.load(GOLDEN / "gbert_gat.npz", allow_pickle=False))
    leaves, n_concepts = arrays["map"].tolist(), len(arrays["w.embedding"])
    order = leaves + [one for one in range(n_concepts) if one not in leaves]
    number = torch.argsort(torch.tensor(order))
    below, above = (number[torch.from_numpy(arrays[name])] for name in ("e1", "e2"))
    above = torch.cat([torch.arange(len(leaves)).repeat(2, 1), above], 1)
    model = Model(
        Config(n_tokens=len(leaves), n_outcomes=1, n_concepts=n_concepts, width=20, n_heads=5, dropout=0.0)
    ).double()
    known = replace(
        facts(torch.full((len(leaves),), -1), torch.full((1,), 0.5)),
        ontology=Ontology(
            n_concepts=n_concepts,
            above=above[:, torch.argsort(above[0], stable=True)],
            parents=below.flip(0),
        ),
    )
    model.use(known)
    weights = {name: torch.from_numpy(value).double() for name, value in arrays.items() if name[:2] == "w."}
    with torch.no_grad():
        model.embedding.copy_(weights["w.embedding"][order])
        model.graph.weight.weight.copy_(weights["w.g.weight"].T)
        model.graph.receiver.copy_(weights["w.g.att"][0, :, :4])
        model.graph.giver.copy_(weights["w.g.att"][0, :, 4:])
        model.graph.bias.copy_(weights["w.g.bias"])
        found = model._codes(torch.arange(len(leaves))).numpy()
    np.testing.assert_allclose(found, arrays["out"], atol=1e-6, rtol=0)


def test_the_whole_matches_its_equations_in_plain_loops() -> None:
    model, batch = random_model(), double(random_batch(7, seed=4))
    with torch.no_grad():
        output = model(batch)
    logits, attention = plain_g_bert(model, batch)
    np.testing.assert_allclose(output.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(output.token_attention.numpy(), attention, atol=1e-10)


def test_its_own_objective_matches_its_equations_in_plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(g_bert, "MASKED", 0.0)
    model, batch = random_model(), double(random_batch(7, seed=4))
    with torch.no_grad():
        found = float(model.self_loss(batch))
    w, o = weights_of(model), plain_codes(model)
    losses: dict[tuple[int, int], list[float]] = {}
    for visit in range(batch.n_visits):
        sets = sets_by_kind(batch, visit)
        for n, (source, target) in enumerate((one, other) for one in TOLD for other in TOLD):
            if source in sets and target in sets:
                state = read_set(model, w, o, sets[source], source)[0]
                hidden = linear(w, f"pretext.hidden.{n}", state)
                logits = linear(w, "pretext.code", np.maximum(hidden, 0))
                for code in range(40):
                    if code % len(KINDS) == target:
                        sign = 1 if code in sets[target] else -1
                        losses.setdefault((source, target), []).append(
                            math.log1p(math.exp(-sign * logits[code]))
                        )
    assert len(losses) == 4
    assert found == pytest.approx(np.mean([np.mean(one) for one in losses.values()]), abs=1e-10)


def test_masked_codes_change_what_is_foretold_and_only_that() -> None:
    model, batch = random_model(), double(random_batch(7, seed=4))
    with torch.no_grad():
        before = model(batch).logits
        losses = []
        for seed in range(2):
            torch.manual_seed(seed)
            losses.append(float(model.self_loss(batch)))
        assert losses[0] != losses[1]
        model.pretext.mask += 1.0
        assert torch.equal(model(batch).logits, before)


def test_a_batch_without_diagnoses_or_medications_costs_nothing() -> None:
    model = random_model()
    loss = model.self_loss(double(batch_of([[(0.0, [0, 5])], []])))  # tokens of the kind "other"
    loss.backward()
    assert float(loss.detach()) == 0


def test_only_attention_within_a_visit_and_a_kind_meets_a_code() -> None:
    """A code in an old visit moves the mean of the past; it cannot change how another visit is read."""
    model = random_model()
    with torch.no_grad():
        one, other = (
            model(double(batch_of([[(90.0, [code, 11]), (9.0, [1, 6])]]))).token_attention for code in (1, 21)
        )
    torch.testing.assert_close(one[2:], other[2:])
    assert float((one[:2] - other[:2]).abs().max()) > 1e-6


def test_gradients_are_those_of_finite_differences() -> None:
    model, batch = random_model(), double(batch_of([[(9.0, [1, 6, 3]), (0.0, [3, 8])]]))

    def logits(embedding: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, {"embedding": embedding}, (batch,)).logits

    assert torch.autograd.gradcheck(logits, model.embedding.detach().requires_grad_(), fast_mode=True)


def test_a_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 10, n_heads 4"):
        Model(Config(n_tokens=4, n_outcomes=1, n_concepts=5, width=10, n_heads=4))


def random_model() -> Model:
    torch.manual_seed(0)
    model = Model(EXAMPLE)
    model.use(FACTS)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.double().eval()


def take(w: Weights, x: list[np.ndarray], links: list[tuple[int, int]], receiver: int) -> np.ndarray:
    """One receiver of the graph attention: two heads of eight."""
    out = []
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        h = [(w["graph.weight.weight"] @ one)[part] for one in x]
        givers = [giver for one, giver in links if one == receiver]
        scores = [w["graph.receiver"][head] @ h[receiver] + w["graph.giver"][head] @ h[j] for j in givers]
        shares = softmax(np.array([score if score > 0 else 0.2 * score for score in scores]))
        out.append(sum(share * h[j] for share, j in zip(shares, givers, strict=True)))
    return np.concatenate(out) + w["graph.bias"]


def plain_codes(model: Model) -> list[np.ndarray]:
    """Word goes up, from children, and comes down, from everything above."""
    w, x = weights_of(model), list(weights_of(model)["embedding"])
    up = [(i, i) for i in range(56)] + [
        (parent, child) for child, parent in FACTS.ontology.parents.T.tolist()
    ]
    x = [take(w, x, up, i) for i in range(56)]
    return [take(w, x, [tuple(link) for link in FACTS.ontology.above.T.tolist()], i) for i in range(40)]


def sets_by_kind(batch: Batch, visit: int) -> dict[int, list[int]]:
    start, stop = batch.visit_offsets[visit : visit + 2].tolist()
    codes = sorted(set(batch.tokens[start:stop].tolist()))
    return {
        kind: found for kind in range(len(KINDS)) if (found := [c for c in codes if c % len(KINDS) == kind])
    }


def read_set(model: Model, w: Weights, o: list[np.ndarray], codes: list[int], kind: int) -> tuple:
    """Two layers of BERT over a [CLS] and a set; return what becomes of the [CLS], and where it looked at last."""
    x = np.array([w["cls"], *(o[code] for code in codes)]) + w["kind_embedding"][kind]
    for layer in ("layers.0", "top"):
        q, k, v = (
            np.array([linear(w, f"{layer}.{one}", item) for item in x]) for one in ("query", "key", "value")
        )
        mixed, looked = [], []
        for head in (slice(0, 8), slice(8, 16)):
            shares = np.array([softmax(q[i, head] @ k[:, head].T / 8**0.5) for i in range(len(x))])
            mixed.append(shares @ v[:, head])
            looked.append(shares[0])
        mixed = np.hstack(mixed)
        y = [normal(w, f"{layer}.norm", x[i] + linear(w, f"{layer}.mixed", mixed[i])) for i in range(len(x))]
        up = [linear(w, f"{layer}.feed.up", one) for one in y]
        up = [np.array([z / 2 * (1 + math.erf(z / 2**0.5)) for z in one]) for one in up]
        x = np.array(
            [
                normal(w, f"{layer}.feed.norm", y[i] + linear(w, f"{layer}.feed.down", up[i]))
                for i in range(len(x))
            ]
        )
    return x[0], np.mean(looked, 0)[1:]


def plain_g_bert(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Restate the equations, one patient, one visit, one kind at a time."""
    w, o = weights_of(model), plain_codes(model)
    logits, attention = [], np.zeros(len(batch.tokens))
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        past: dict[int, list[np.ndarray]] = {kind: [] for kind in range(len(KINDS))}
        last = {kind: np.zeros(16) for kind in range(len(KINDS))}
        looks = []
        for visit in range(first, end):
            start = int(batch.visit_offsets[visit])
            for kind, codes in sets_by_kind(batch, visit).items():
                state, looked = read_set(model, w, o, codes, kind)
                told = np.maximum(linear(w, f"told.{kind}", state), 0)
                if visit == end - 1:
                    last[kind] = told
                else:
                    past[kind].append(told)
                places = [start + batch.tokens[start:].tolist().index(code) for code in codes]
                looks.append((places, looked / looked.sum()))
        for places, looked in looks:
            attention[places] = looked / len(looks)
        means = [np.mean(past[kind], 0) if past[kind] else np.zeros(16) for kind in past]
        read = np.concatenate([part for kind in past for part in (means[kind], last[kind])])
        logits.append(linear(w, "output", np.maximum(linear(w, "combine", read), 0)))
    return np.array(logits), attention
