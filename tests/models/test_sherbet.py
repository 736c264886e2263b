"""Sherbet against its authors' code (golden arrays), and its two parts more against their equations in plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from attending.batch import Batch, Ontology
from attending.models.sherbet import EXAMPLE, Config, Model, _levels
from attending.nn.graph import Graph
from attending.nn.hyperbolic import place_concepts
from histories import batch_of, double, facts, random_batch
from plain_layers import softmax, weights_of

GOLDEN = Path(__file__).parent.parent / "golden"
FACTS = facts(torch.full((40,), -1), torch.full((5,), 0.5))


def golden() -> tuple[Model, Batch, np.ndarray]:
    """Return the authors' weights in our model, their input as a batch, and their outputs.

    Recipe: their TensorFlow code on random codes (X: patient, visit, code; 0 is none; L visits a patient) and a random
    co-occurrence (adj: 0.1 of it shares, 0.9 the code itself), stored in float32. Of their two weights by the name
    `encoder_attention_visit_u` the archive kept the second; the first, which weighs visits, starts at 0 here.
    """
    stored = np.load(GOLDEN / "sherbet.npz", allow_pickle=False)
    weights = {
        name.rpartition("/")[2]
        if "dense" not in name and "gcn" not in name
        else "/".join(name.split("/")[-2:]): one
        for name, one in ((name, torch.from_numpy(stored[name]).double()) for name in stored.files)
        if name[:2] == "w."
    }
    code, visit = "encoder_attention_code", "encoder_attention_visit"
    config = Config(
        n_tokens=30,
        n_outcomes=30,
        n_concepts=31,
        width=16,
        width_graph=12,
        width_code=8,
        width_patient=10,
        width_visit=6,
        dropout=0.0,
    )
    model = Model(config).double().eval()
    company = torch.from_numpy(stored["adj"][1:, 1:]).double().fill_diagonal_(0) / 0.1
    row, to = torch.nonzero(company, as_tuple=True)
    starts = torch.searchsorted(row, torch.arange(31))
    model.company.keep(Graph(starts=starts, to=to, strength=company[row, to]))
    state = {
        "embedding": weights["w.code_embedding_v:0"][1:],
        "graph.weight": weights["gcn_layer_0/kernel:0"].T,
        "graph.bias": weights["gcn_layer_0/bias:0"],
        "code.weight": weights[f"{code}_w:0"].T,
        "code.bias": weights[f"w.{code}_b:0"],
        "code_score.weight": weights[f"w.{code}_u:0"][None],
        "patient.weight": weights["dense_1/kernel:0"].T,
        "patient.bias": weights["dense_1/bias:0"],
        "visit.weight": weights[f"{visit}_w:0"].T,
        "visit.bias": weights[f"w.{visit}_b:0"],
        "visit_score.weight": torch.zeros(1, 6).double(),
        "feature_score.weight": weights[f"w.{visit}_u:0"].T,
        "output.weight": weights["dense_2/kernel:0"].T / 10,  # our β is the width, 10, times theirs
        "output.bias": weights["dense_2/bias:0"],
    }
    assert not model.load_state_dict(state, strict=False).unexpected_keys
    histories = [
        [(0.0, (codes[codes > 0] - 1).tolist()) for codes in visits[:length]]
        for visits, (length,) in zip(stored["X"], stored["L"], strict=True)
    ]
    return model, double(batch_of(histories)), stored["out"]


def test_patients_of_one_visit_match_the_authors_own_code() -> None:
    """One visit has all the weight whatever scores it: 27 patients check all of the network but that score."""
    model, batch, theirs = golden()
    single = batch.subject_offsets.diff().numpy() == 1
    assert single.sum() == 27
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found[single], theirs[single], atol=1e-6, rtol=0)


def test_one_lost_weight_explains_all_patients_of_several_visits() -> None:
    """Six numbers, found from 690 outputs of 23 patients: with them every patient matches."""
    model, batch, theirs = golden()

    def missed(score: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            model.visit_score.weight.copy_(torch.from_numpy(score)[None])
            return (model(batch).logits.numpy() - theirs).ravel()

    found = least_squares(missed, np.zeros(6), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    assert np.abs(found.x).max() > 0.1
    assert np.abs(missed(found.x)).max() < 1e-6


def test_the_whole_matches_its_equations_in_plain_loops() -> None:
    model, batch = random_model(), double(random_batch(7, seed=4))
    with torch.no_grad():
        output = model(batch)
    logits, _, visit_attention, token_attention = plain_sherbet(model, batch)
    np.testing.assert_allclose(output.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(output.visit_attention.numpy(), visit_attention, atol=1e-10)
    np.testing.assert_allclose(output.token_attention.numpy(), token_attention, atol=1e-10)


def test_its_own_objective_goes_down_the_ontology_level_by_level() -> None:
    """p(concept) = p(parent) σ(z), from the root down, one patient and one concept at a time."""
    model, batch = random_model(), double(random_batch(7, seed=4))
    w = weights_of(model)
    parent_of = dict(FACTS.ontology.parents.T.tolist())
    above = FACTS.ontology.above.T.tolist()
    losses: dict[int, list[float]] = {}
    for subject, patient in enumerate(plain_sherbet(model, batch)[1]):
        tokens = batch.tokens[batch.subject_of_token == subject].tolist()
        held = {concept for token, concept in above if token in tokens}
        for concept in range(55):
            p, level, one = 1.0, 0, concept
            while one != 55:
                z = w["pretext.weight"][one] @ patient + w["pretext.bias"][one]
                p, level, one = p / (1 + np.exp(-z)), level + 1, parent_of[one]
            losses.setdefault(level, []).append(-np.log(p if concept in held else 1 - p))
    with torch.no_grad():
        assert float(model.self_loss(batch)) == pytest.approx(
            np.mean([np.mean(one) for one in losses.values()])
        )
    assert sorted(losses) == [1, 2, 3]


def test_levels_follow_the_smallest_parent() -> None:
    """Concept 1 is in 3 and in 4; 2 hangs on the root, 6; 3 is in 5."""
    edges = torch.tensor([[0, 1, 1, 2, 3, 4, 5], [3, 3, 4, 6, 5, 6, 6]])
    below, sizes, place = _levels(Ontology(n_concepts=7, above=torch.zeros(2, 0).long(), parents=edges))
    assert below.tolist() == [2, 4, 5, 3, 0, 1]
    assert sizes.tolist() == [3, 1, 2]
    assert place.tolist() == [0, 0, 0, 2, 0, 0], "3 under 5, the third of its level; 0 and 1 under 3"


def test_codes_start_at_their_places_in_hyperbolic_space() -> None:
    model = Model(EXAMPLE)
    model.use(FACTS)
    places = place_concepts(FACTS.ontology.parents, 56, EXAMPLE.width)
    assert torch.equal(model.embedding.detach(), places[:40] * 4)  # √16
    assert float(places.norm(dim=1).max()) < 1


def test_a_code_keeps_the_company_of_its_strongest_neighbours() -> None:
    model = Model(EXAMPLE.model_copy(update={"n_neighbours": 1}))
    model.use(FACTS)
    assert model.company.starts.diff().tolist() == [1] * 40
    assert model.company.strength.tolist() == [1.0] * 40


def test_a_history_without_weights_says_no_more_than_one_of_empty_visits() -> None:
    model = random_model()
    with torch.no_grad():
        silent = model(
            double(batch_of([[(9.0, [1, 2]), (0.0, [3, 3])]])).with_weights(torch.zeros(4).double())
        )
        assert torch.equal(silent.logits, model(double(batch_of([[(9.0, []), (0.0, [])]]))).logits)


def test_gradients_are_those_of_finite_differences() -> None:
    model, batch = random_model(), double(batch_of([[(9.0, [1, 6, 3]), (5.0, []), (0.0, [3, 8])]]))

    def logits(embedding: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, {"embedding": embedding}, (batch,)).logits

    assert torch.autograd.gradcheck(logits, model.embedding.detach().requires_grad_(), fast_mode=True)


def random_model() -> Model:
    torch.manual_seed(0)
    model = Model(EXAMPLE)
    model.use(FACTS)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.double().eval()


def plain_codes(w: dict[str, np.ndarray]) -> np.ndarray:
    """Each code is nine tenths itself, one tenth its company in shares."""
    shared = np.zeros((40, 40))
    for (one, other), count in zip(
        FACTS.together.pairs.T.tolist(), FACTS.together.count.tolist(), strict=True
    ):
        if one != other:
            shared[one, other] = count
    mixed = 0.9 * w["embedding"] + 0.1 * (shared / shared.sum(1, keepdims=True)) @ w["embedding"]
    return np.maximum(mixed @ w["graph.weight"].T + w["graph.bias"], 0)


def plain_sherbet(model: Model, batch: Batch) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
    """Restate the equations, one patient, one visit, one code at a time."""
    w = weights_of(model)
    c = plain_codes(w)
    logits, patients = [], []
    of_visit, of_token = np.zeros(batch.n_visits), np.zeros(len(batch.tokens))
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        p, looks, places = [], [], []
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            tokens = batch.tokens[start:stop].tolist()
            codes = sorted(set(tokens))
            a = softmax(
                np.array(
                    [
                        w["code_score.weight"][0] @ np.tanh(w["code.weight"] @ c[i] + w["code.bias"])
                        for i in codes
                    ]
                )
            )
            v = sum(share * c[i] for share, i in zip(a, codes, strict=True))
            z = w["patient.weight"] @ v + w["patient.bias"]
            p.append(np.where(z > 0, z, 0.3 * z))
            t = w["visit.weight"] @ p[-1] + w["visit.bias"]
            looks.append(np.tanh(t / np.linalg.norm(t)))
            places.append((a, [start + tokens.index(code) for code in codes]))
        alpha = softmax(np.array([w["visit_score.weight"][0] @ q for q in looks]))
        beta = [16 * softmax(w["feature_score.weight"] @ q) for q in looks]
        patients.append(sum(alpha[t] * beta[t] * p[t] for t in range(len(p))))
        logits.append(w["output.weight"] @ patients[-1] + w["output.bias"])
        of_visit[first:end] = alpha
        for weight, (a, where) in zip(alpha, places, strict=True):
            of_token[where] = weight * a
    return np.array(logits), patients, of_visit, of_token


def test_with_the_root_alone_nothing_is_left_to_be_said() -> None:
    model = Model(EXAMPLE.model_copy(update={"n_tokens": 1, "n_concepts": 1}))
    nothing = torch.zeros(2, 0, dtype=torch.int64)
    root = Ontology(n_concepts=1, above=torch.zeros(2, 1, dtype=torch.int64), parents=nothing)
    model.use(replace(facts(torch.full((1,), -1), torch.full((5,), 0.5)), ontology=root))
    assert model.self_loss(batch_of([[(0.0, [0])]])).tolist() == 0.0
