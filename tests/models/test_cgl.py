"""CGL's graph layers against its authors' code (golden arrays), and the whole against plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.cgl import (
    EXAMPLE,
    Block,
    Config,
    Layer,
    Model,
    hierarchical,
    levels_of,
    ontology_weights,
)
from attending.nn.graph import Graph
from histories import batch_of, double, facts, ontology, random_batch, together
from plain_layers import linear, softmax
from plain_loops import gru_step, weight_of_codes

GOLDEN = Path(__file__).parent.parent / "golden"


def golden() -> dict[str, torch.Tensor]:
    """Return the authors' arrays in double precision.

    Recipe: the authors' TensorFlow code was run, in float32, on random patients (pc: patient, code), a random
    ontology (lev: code, level; cc: levels that two codes share) and random weights; ce are its codes after the layers.
    """
    arrays = np.load(GOLDEN / "cgl.npz", allow_pickle=False)
    tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return {name: one.double() if one.is_floating_point() else one for name, one in tensors.items()}


def weight(given: dict[str, torch.Tensor], *parts: str) -> torch.Tensor:
    return next(one for name, one in given.items() if name.startswith("w.") and all(p in name for p in parts))


def set_dense(layer: torch.nn.Linear, given: dict[str, torch.Tensor], name: str) -> None:
    layer.load_state_dict(
        {"weight": weight(given, f"{name}/kernel").T, "bias": weight(given, f"{name}/bias")}
    )


def set_block(block: Block, given: dict[str, torch.Tensor], name: str) -> None:
    set_dense(block.dense, given, f"{name}_dense")
    pairs = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    state = {ours: weight(given, f"{name}bn/{theirs}") for ours, theirs in pairs.items()}
    block.norm.load_state_dict(state | {"num_batches_tracked": torch.tensor(0)})


def mean_of(incidence: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return incidence @ rows / incidence.sum(1, keepdim=True).clamp(min=1)


def authors_codes() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Run our layers with the authors' explicit patients."""
    given = golden()
    incidence, n_codes = given["pc"], len(given["cc"])
    rows, to = torch.cartesian_prod(torch.arange(n_codes), torch.arange(n_codes)).T
    everyone = Graph(starts=torch.arange(n_codes + 1) * n_codes, to=to, strength=given["cc"][rows, to])
    relatives = ontology_weights(everyone, weight(given, "miu"), weight(given, "theta"))
    tables = [weight(given, f"hier_emb_level_{level}") for level in range(4)]
    embedding = torch.zeros(4, n_codes, tables[0].shape[1], dtype=torch.float64)
    for level, table in enumerate(tables):
        embedding[level, : len(table)] = table
    codes, patients = hierarchical(embedding, given["lev"]), weight(given, "p_emb")
    first, second = (Layer(*sizes).double().eval() for sizes in ((32, 16, 8), (16, 24, 8)))
    of_patients = Block(8, 8).double().eval()
    for number, layer in enumerate((first, second)):
        set_dense(layer.to_code, given, f"patient_to_code_dense_{number}")
        set_block(layer.block, given, f"code_graph_block_{number}")
    set_dense(first.to_patient, given, "code_to_patient_dense_0")
    set_block(of_patients, given, "patient_graph_block_0")
    known = incidence.sum(0) > 0
    with torch.no_grad():
        updated = of_patients(patients + mean_of(incidence, first.to_patient(codes)))
        codes = first.convolve(codes, mean_of(incidence.T, patients), known, relatives)
        codes = second.convolve(codes, mean_of(incidence.T, updated), known, relatives)
    return codes, given


def test_its_graph_layers_match_the_authors_code_with_explicit_patients() -> None:
    codes, given = authors_codes()
    np.testing.assert_allclose(codes, given["ce"], atol=1e-6, rtol=0)


def test_what_is_read_from_the_codes_matches_the_authors_code() -> None:
    codes, given = authors_codes()
    n_tokens, n_outcomes = len(codes), given["out"].shape[1]
    model = Model(
        Config(
            n_tokens=n_tokens,
            n_concepts=n_tokens,
            n_outcomes=n_outcomes,
            width=24,
            width_state=40,
            width_attention=8,
            dropout=0.0,
        )
    )
    model = model.double().eval()
    set_dense(model.output, given, "classifier/dense")
    kernel, recurrent = weight(given, "gru_cell/kernel"), weight(given, "gru_cell/recurrent_kernel")
    inner, outer = weight(given, "gru_cell/bias")
    resets_first = torch.cat([torch.arange(40, 80), torch.arange(40), torch.arange(80, 120)])
    model.recurrence.load_state_dict(
        {
            "weight_ih_l0": kernel.T[resets_first],
            "weight_hh_l0": recurrent.T[resets_first],
            "bias_ih_l0": inner[resets_first],
            "bias_hh_l0": outer[resets_first],
        }
    )
    model.attention.weight.data = weight(given, "visit_temporal_attention_w").T
    model.context.data = weight(given, "visit_temporal_attention_u")
    visits = [
        [(0.0, sorted(set(visit[visit > 0].tolist()))) for visit in patient[: int(length)]]
        for patient, length in zip(given["X"], given["L"], strict=True)
    ]
    batch = batch_of(visits)
    batch = double(batch)
    model.codes = lambda: codes
    with torch.no_grad():
        found = model(batch).logits
    np.testing.assert_allclose(found, given["out"], atol=1e-6, rtol=0)


def example(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    model = Model(EXAMPLE)
    model.use(facts(torch.full((40,), -1), torch.full((5,), 0.3)))
    for layer in model.layers:  # as after some training
        layer.block.norm.running_mean.uniform_(-0.1, 0.1)
        layer.block.norm.running_var.uniform_(0.5, 1.5)
    return model.double().eval()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [False, True])
def test_it_matches_its_equations_in_plain_loops(seed: int, weighted: bool) -> None:
    model = example(seed)
    batch = double(random_batch(7, seed=seed))
    if weighted:
        generator = torch.Generator().manual_seed(seed)
        batch = batch.with_weights(torch.rand(len(batch.tokens), dtype=torch.float64, generator=generator))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_cgl(model, batch), atol=1e-6)


def test_without_weight_nothing_is_left() -> None:
    model = example()
    one = random_batch(5, seed=3)
    one = double(one)
    other = replace(one, tokens=(one.tokens + 11) % 40)
    with torch.no_grad():
        empty = [model(x.with_weights(torch.zeros_like(x.values))).logits for x in (one, other)]
    assert torch.equal(*empty)


def test_the_levels_of_a_token_are_its_concepts_from_small_to_large() -> None:
    levels = levels_of(ontology(40), 40, 5)
    assert levels[9].tolist() == [9, 40 + 2, 50 + 1, 55, 55], (
        "itself, its four, its eight, the root, and again"
    )
    assert levels_of(ontology(40), 40, 2)[9].tolist() == [9, 42]


def test_a_width_that_does_not_divide_into_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 18, n_levels 4"):
        Model(EXAMPLE.model_copy(update={"width": 18}))


def test_a_vocabulary_of_one_code_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 codes; got 1"):
        Model(EXAMPLE.model_copy(update={"n_tokens": 1}))


def plain_cgl(model: Model, batch: Batch) -> np.ndarray:
    """Restate the equations: one code, one visit, one patient at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    codes = plain_codes(w, len(model.layers))
    logits = []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        h, states = np.zeros(len(w["recurrence.weight_hh_l0"]) // 3), []
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            held = weight_of_codes(batch, start, stop)
            h = gru_step(np.mean([one * codes[code] for code, one in held.items()], axis=0), h, w)
            states.append(h)
        share = softmax(np.array([w["context"] @ (w["attention.weight"] @ h) for h in states]))
        logits.append(linear(w, "output", sum(a * h for a, h in zip(share, states, strict=True))))
    return np.array(logits)


def plain_codes(w: dict, n_layers: int) -> list[np.ndarray]:
    """Return every code after the graph layers; the ontology and the counts are those of `histories`."""
    n = len(w["mu"])
    given = together(n)
    counts = {tuple(pair): float(c) for pair, c in zip(given.pairs.T.tolist(), given.count, strict=True)}
    concepts = [(i, n + i // 4, n + 10 + i // 8, n + 15) for i in range(n)]
    codes = [
        np.concatenate([w["embedding"][level, concept] for level, concept in enumerate(concepts[i])])
        for i in range(n)
    ]
    for layer in range(n_layers):
        p = f"layers.{layer}."
        after = []
        for i in range(n):
            related = {
                j: len(set(concepts[i]) & set(concepts[j])) for j in range(n) if j != i
            }  # all 40 stand below the root: it is small enough to count
            closest = sorted(related, key=lambda j: (-related[j], j))[:32]
            phi = {j: 1 / (1 + np.exp(-(w["mu"][j] * related[j] + w["theta"][j]))) for j in closest}
            total = sum(phi.values())
            around = sum(one / total * codes[j] for j, one in phi.items())
            seen = {j: counts[i, j] for j in range(n) if j != i and (i, j) in counts}
            typical = sum(one / sum(seen.values()) * codes[j] for j, one in seen.items())
            patient = linear(w, p + "to_patient", typical)
            x = linear(w, p + "block.dense", codes[i] + linear(w, p + "to_code", patient) + around)
            norm = p + "block.norm."
            x = (x - w[norm + "running_mean"]) / np.sqrt(w[norm + "running_var"] + 1e-3)
            after.append(np.maximum(x * w[norm + "weight"] + w[norm + "bias"], 0))
        codes = after
    return codes
