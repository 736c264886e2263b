"""GRAM against its authors' code (golden arrays), and its options against their equations in plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import Batch, Facts, Ontology
from attending.models.gram import EXAMPLE, Config, Model
from histories import batch_of, double, facts, random_batch
from plain_layers import softmax
from plain_loops import gru_step

GOLDEN = Path(__file__).parent.parent / "golden"
FACTS = facts(torch.full((40,), -1), torch.full((5,), 0.5))


def golden() -> tuple[Model, dict[str, np.ndarray]]:
    """Return the authors' weights in our model, and their arrays.

    Recipe: the authors' Theano code was run on random input with random weights (x: visit, patient, code multi-hot;
    leaves, anc: for each code of two depths, itself repeated and what is above it; L visits a patient).
    """
    arrays = dict(np.load(GOLDEN / "gram.npz", allow_pickle=False))
    weights = {name[2:]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith("w.")}
    n_concepts, width = weights["W_emb"].shape
    model = Model(
        Config(
            n_tokens=arrays["x"].shape[2],
            n_outcomes=arrays["y"].shape[2],
            n_concepts=n_concepts,
            width=width,
            width_attention=len(weights["v_attention"]),
            width_state=len(weights["U_gru"]),
            dropout=0.0,
            strict="authors",
        )
    )
    leaves = [row[0] for table in ("leaves0", "leaves1") for row in arrays[table]]
    assert leaves == list(range(12)), "their leaves have our numbers of tokens"
    above = [
        (row[0], concept)
        for depth in "01"
        for row, concepts in zip(arrays[f"leaves{depth}"], arrays[f"anc{depth}"], strict=True)
        for concept in concepts
    ]
    known = Facts(
        **{
            **vars(facts(torch.full((12,), -1), torch.full((7,), 0.5))),
            "ontology": Ontology(
                n_concepts=n_concepts,
                above=torch.tensor(above).T,
                parents=torch.zeros(2, 0, dtype=torch.int64),
            ),
        }
    )
    model = model.double().eval()
    model.use(known)
    state = {
        "embedding": weights["W_emb"],
        "attention.receiver.weight": weights["W_attention"][:width].T,
        "attention.receiver.bias": weights["b_attention"],
        "attention.giver.weight": weights["W_attention"][width:].T,
        "attention.score.weight": weights["v_attention"][None],
        "recurrence.weight_ih_l0": weights["W_gru"].T,
        "recurrence.weight_hh_l0": weights["U_gru"].T,
        "recurrence.bias_ih_l0": weights["b_gru"],
        "recurrence.bias_hh_l0": torch.zeros_like(weights["b_gru"]),
        "output.weight": weights["W_output"].T,
        "output.bias": weights["b_output"],
    }
    missing = model.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) == set(Model.sized)
    assert not missing.unexpected_keys
    return model, arrays


def test_the_authors_form_matches_their_own_code_at_every_visit() -> None:
    """Their softmax over the codes of the next visit, at each visit: each is the prediction of one of our prefixes."""
    model, arrays = golden()
    steps = [(patient, t) for patient, length in enumerate(arrays["L"]) for t in range(int(length))]
    histories = [
        [(0.0, np.flatnonzero(arrays["x"][visit, patient]).tolist()) for visit in range(t + 1)]
        for patient, t in steps
    ]
    with torch.no_grad():
        found = torch.softmax(model(double(batch_of(histories))).logits, 1).numpy()
    theirs = np.array([arrays["yhat"][t, patient] for patient, t in steps])
    np.testing.assert_allclose(found, theirs, atol=1e-12, rtol=0)


@pytest.mark.parametrize("knowledge", [False, True])
@pytest.mark.parametrize("passes", ["up", "up_and_down"])
def test_every_form_matches_its_equations_in_plain_loops(knowledge: bool, passes: str) -> None:
    model = random_model(knowledge=knowledge, passes=passes)
    batch = double(random_batch(7, seed=4))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_gram(model, batch), atol=1e-10)


@pytest.mark.parametrize("passes", ["up", "up_and_down"])
def test_the_attention_of_each_code_over_what_is_above_it_sums_to_one(passes: str) -> None:
    model = random_model(passes=passes)
    links, weights = model.ancestor_attention()
    total = torch.zeros(56).double().index_add(0, links[0], weights)
    receivers = 40 if passes == "up" else 55  # the root takes from none
    torch.testing.assert_close(total[:receivers], torch.ones(receivers).double())
    above = {tuple(pair) for pair in FACTS.ontology.above.T.tolist()}
    assert all(tuple(link) in above for link in links.T.tolist() if link[0] < 40)


@pytest.mark.parametrize("knowledge", [False, True])
def test_a_history_without_weights_says_no_more_than_one_of_empty_visits(knowledge: bool) -> None:
    model = random_model(knowledge=knowledge)
    batch = double(batch_of([[(9.0, [1, 2]), (0.0, [3, 3])]]))
    empty = double(batch_of([[(9.0, []), (0.0, [])]]))
    with torch.no_grad():
        silent = model(batch.with_weights(torch.zeros(4).double())).logits
        assert torch.equal(silent, model(empty).logits)


@pytest.mark.parametrize("knowledge", [False, True])
@pytest.mark.parametrize("passes", ["up", "up_and_down"])
def test_every_form_takes_empty_and_long_histories_alone_or_together(knowledge: bool, passes: str) -> None:
    model = random_model(knowledge=knowledge, passes=passes).float()
    long = [(500.0 - visit, [visit % 40, visit % 40, (7 * visit) % 40]) for visit in range(500)]
    histories = [[], [(0.0, [5])], [(3.0, [5]), (0.0, [])], long]
    with torch.no_grad():
        together = model(batch_of(histories)).logits
        alone = torch.cat([model(batch_of([one])).logits for one in histories])
        with torch.autocast("cpu", torch.bfloat16):
            short = model(batch_of(histories)).logits.float()
    assert bool(torch.isfinite(together).all())
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(short, together, atol=0.1, rtol=0.1)  # bf16 keeps 8 bits


def test_gradients_are_those_of_finite_differences() -> None:
    model = random_model(knowledge=True, passes="up_and_down")
    batch = double(batch_of([[(9.0, [1, 2]), (0.0, [3, 9])]]))

    def logits(embedding: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, {"embedding": embedding}, (batch,)).logits

    assert torch.autograd.gradcheck(logits, model.embedding.detach().requires_grad_(), fast_mode=True)


def random_model(**options: object) -> Model:
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update=options))
    model.use(FACTS)
    return model.double().eval()


def attend(w: dict[str, np.ndarray], name: str, own: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """f_j = vᵀ tanh(W [e_i; e_j] + b), softmax over j, and the mixture."""
    joined = np.hstack([w[f"{name}.receiver.weight"], w[f"{name}.giver.weight"]])
    scores = [
        w[f"{name}.score.weight"][0]
        @ np.tanh(joined @ np.concatenate([own, other]) + w[f"{name}.receiver.bias"])
        for other in others
    ]
    return sum(a * other for a, other in zip(softmax(np.array(scores)), others, strict=True))


def plain_table(model: Model, w: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return every concept's vector: mixed with all above it, or after the two sweeps."""
    e, above, parents = (
        list(w["embedding"]),
        FACTS.ontology.above.T.tolist(),
        FACTS.ontology.parents.T.tolist(),
    )
    if model.config.passes == "up":
        return [attend(w, "attention", e[i], [e[j] for i_, j in above if i_ == i]) for i in range(40)]
    for name, edges, order in (
        (
            "up.attention",
            [(parent, child) for child, parent in parents],
            range(56),
        ),  # numbers grow to the root
        ("down.attention", parents, reversed(range(56))),
    ):
        for i in order:
            givers = [j for i_, j in edges if i_ == i]
            if givers:
                e[i] = attend(w, name, e[i], [e[i], *(e[j] for j in givers)])
    return e


def plain_gram(model: Model, batch: Batch) -> np.ndarray:
    """Restate the equations, one patient, one visit, one code at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    g, logits = plain_table(model, w), []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        h = np.zeros(16)
        for visit in range(first, end):
            codes = set(batch.tokens[batch.visit_offsets[visit] : batch.visit_offsets[visit + 1]].tolist())
            v = np.tanh(sum((g[code] for code in codes), np.zeros(16)))
            h = gru_step(v, h, w)
        read = h
        if model.config.knowledge:
            above = sorted({j for i, j in FACTS.ontology.above.T.tolist() if i in codes and j >= 40})
            b = softmax(np.array([w["embedding"][j] @ w["ask.weight"] @ h for j in above]))
            read = np.concatenate([h, sum(b_j * w["embedding"][j] for b_j, j in zip(b, above, strict=True))])
        logits.append(w["output.weight"] @ read + w["output.bias"])
    return np.array(logits)
