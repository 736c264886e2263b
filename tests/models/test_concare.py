"""ConCare against its authors' code (golden arrays) and against the paper's equations in plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from attending.batch import KINDS, Batch
from attending.errors import ConfigError
from attending.models.concare import EXAMPLE, Config, Model
from attending.nn.channels import decorrelation
from attending.nn.grid import grid
from attending.nn.grouped import GroupedGRU
from histories import batch_of, double, facts, random_batch, with_static_facts
from plain_layers import linear, normal, sigmoid, softmax

GOLDEN = Path(__file__).parent.parent / "golden"


def authors() -> tuple[Model, torch.Tensor, dict[str, np.ndarray]]:
    """Return the authors' weights in our model, their demographics as a token, and their arrays.

    Recipe: the authors' PyTorch code was run in float32 on random input (x: patient, step, feature; demo: patient,
    demographic) with random weights: 18 features, states of 16, 4 heads. Channels of codes are theirs; ours of kinds,
    which theirs lacks, are dropped from the parameters.
    """
    arrays = dict(np.load(GOLDEN / "concare.npz", allow_pickle=False))
    w = {name[2:]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith("w.")}
    config = Config(
        n_tokens=2,
        n_outcomes=1,
        width=16,
        width_attention=8,
        n_heads=4,
        n_channels=18 - len(KINDS),
        channel_width=1,
        dropout=0.0,
        strict="authors",
    )
    model = Model(config).eval()

    def side_by_side(name: str) -> torch.Tensor:
        return torch.stack([w[name.format(channel)] for channel in range(18)])

    biases = side_by_side("GRUs.{}.bias_ih_l0"), side_by_side("GRUs.{}.bias_hh_l0")
    bias = biases[0] + biases[1]
    bias[:, 32:] = biases[0][:, 32:]  # the candidate's recurrent bias is inside the reset
    hidden = side_by_side("LastStepAttentions.{}.Wh")
    heads = [w[f"MultiHeadedAttention.linears.{part}.weight"] for part in range(3)]
    head_biases = [w[f"MultiHeadedAttention.linears.{part}.bias"] for part in range(3)]
    state = {
        "recurrence.input": side_by_side("GRUs.{}.weight_ih_l0").mT,
        "recurrence.bias": bias[:, None],
        "recurrence.state": side_by_side("GRUs.{}.weight_hh_l0").mT,
        "recurrence.reset_bias": biases[1][:, None, 32:],
        "attention.query": hidden[:, :16],
        "attention.key": hidden[:, 16:32],
        "attention.time": hidden[:, 32:],
        "attention.score": side_by_side("LastStepAttentions.{}.Wa"),
        "channels.inputs.weight": torch.cat(heads),
        "channels.inputs.bias": torch.cat(head_biases),
    }
    for ours, theirs in (
        ("channels.mix", "MultiHeadedAttention.final_linear"),
        ("channels.up", "PositionwiseFeedForward.w_1"),
        ("channels.down", "PositionwiseFeedForward.w_2"),
        ("query", "FinalAttentionQKV.W_q"),
        ("key", "FinalAttentionQKV.W_k"),
        ("answer", "FinalAttentionQKV.W_v"),
        ("output", "output"),
    ):
        state |= {f"{ours}.{part}": w[f"{theirs}.{part}"] for part in ("weight", "bias")}
    own = model.state_dict()
    model.load_state_dict(own | state)
    demo = torch.from_numpy(arrays["demo"])
    return model, torch.tanh(demo @ w["demo_proj_main.weight"].T + w["demo_proj_main.bias"]), arrays


@torch.no_grad()
def test_the_authors_form_matches_their_own_code() -> None:
    model, patient, arrays = authors()
    n, length, _ = arrays["x"].shape
    offsets = torch.arange(n + 1) * length
    places = grid(offsets)
    x = torch.from_numpy(arrays["x"]).flatten(0, 1)[places.source]
    ago = torch.arange(length - 1.0, -1, -1).repeat(n)[places.source]
    owner = torch.arange(n).repeat_interleave(length)[places.source]
    ends = places.cell[offsets[1:] - 1]
    logits, _, _, _ = model._read(x.T[..., None], ago, owner, ends, places.sizes, patient)
    np.testing.assert_allclose(torch.sigmoid(logits).numpy(), arrays["out"], atol=1e-6, rtol=0)


@torch.no_grad()
def test_grouped_recurrences_are_those_of_torch() -> None:
    torch.manual_seed(0)
    grouped = GroupedGRU(3, 2, 5).double()
    offsets = torch.tensor([0, 4, 4, 11])
    places = grid(offsets)
    items = torch.randn(3, 11, 2, dtype=torch.float64)
    found = grouped(items[:, places.source], places.sizes)[:, places.cell]
    for group in range(3):
        single = torch.nn.GRU(2, 5, batch_first=True).double()
        single.weight_ih_l0.copy_(grouped.input[group].T)
        single.weight_hh_l0.copy_(grouped.state[group].T)
        single.bias_ih_l0.copy_(grouped.bias[group, 0])
        single.bias_hh_l0.zero_()
        single.bias_hh_l0[10:].copy_(grouped.reset_bias[group, 0])
        for start, end in ((0, 4), (4, 11)):
            torch.testing.assert_close(found[group, start:end], single(items[group, None, start:end])[0][0])


def told() -> Model:
    """Return a model in float64 that knows its vocabulary, its zero starts moved away from zero."""
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update={"most_steps": 5}))
    model.use(facts(torch.full((40,), -1), torch.full((5,), 0.3)))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.double().eval()


@torch.no_grad()
def test_the_papers_form_matches_its_equations_in_plain_loops() -> None:
    model = told()
    batch = with_static_facts(random_batch(9, seed=4, max_visits=9))
    batch = double(batch)
    output = model(batch)
    logits, attention = plain_concare(model, batch)
    np.testing.assert_allclose(output.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(output.visit_attention.numpy(), attention, atol=1e-10)


def plain_concare(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Restate the equations, one patient, one channel, one step at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    config, width = model.config, model.config.width
    n_channels, all_logits, attention = config.n_channels + len(KINDS), [], np.zeros(batch.n_visits)
    tokens, values, days, ages = (one.numpy() for one in (batch.tokens, batch.values, batch.days, batch.ages))
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        bounds = {visit: batch.visit_offsets[visit : visit + 2].tolist() for visit in range(first, end)}
        static = [first] if ages[bounds[first][1] - 1] <= 0 else []
        visits = [visit for visit in range(first, end) if visit not in static][-config.most_steps :]
        at_rest = sum(
            (w["static"][code] for v in static for code in set(tokens[slice(*bounds[v])])), np.zeros(width)
        )
        age = ages[bounds[end - 1][1] - 1] / 100
        z = []
        steps = {visit: [] for visit in visits}
        for channel in range(n_channels):
            h, states = np.zeros(width), []
            for visit in visits:
                codes, measured = tokens[slice(*bounds[visit])], values[slice(*bounds[visit])]
                x = np.zeros(config.channel_width)
                for code in set(codes.tolist()):
                    if w["channel_of_token"][code] == channel:
                        x += w["code"][code] + measured[codes == code].mean() * w["value"][code]
                h = plain_gru(w, channel, x, h)
                states.append(h)
            if not visits:
                z.append(np.zeros(width))
                continue
            scores = []
            for visit, h in zip(visits, states, strict=True):
                ago = days[bounds[end - 1][1] - 1] - days[bounds[visit][1] - 1]
                alike = (states[-1] @ w["attention.query"][channel]) @ (h @ w["attention.key"][channel])
                fade = np.log(np.e + (1 - sigmoid(alike)) * ago)
                scores.append(np.tanh(alike / (np.exp(w["attention.rate"][channel, 0]) * fade)))
            share = softmax(np.array(scores))
            z.append(sum(a * h for a, h in zip(share, states, strict=True)))
            for visit, a in zip(visits, share, strict=True):
                steps[visit].append(a)
        z.append(np.tanh(at_rest + linear(w, "age", np.array([age]))))
        z = plain_layer(w, np.array(z), config.n_heads)
        shared = softmax(np.array([linear(w, "key", one) @ linear(w, "query", z[-1]) for one in z]))
        pooled = sum(a * linear(w, "answer", one) for a, one in zip(shared, z, strict=True))
        all_logits.append(linear(w, "output", pooled))
        for visit in visits:
            attention[visit] = np.dot(shared[:-1], steps[visit])
        attention[static] = shared[-1]
        attention[first:end] /= attention[first:end].sum()
    return np.array(all_logits), attention


def plain_gru(w: dict[str, np.ndarray], channel: int, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    n = len(h)
    a = x @ w["recurrence.input"][channel] + w["recurrence.bias"][channel, 0]
    u = h @ w["recurrence.state"][channel]
    reset, update = sigmoid(a[:n] + u[:n]), sigmoid(a[n : 2 * n] + u[n : 2 * n])
    new = np.tanh(a[2 * n :] + reset * (u[2 * n :] + w["recurrence.reset_bias"][channel, 0]))
    return update * h + (1 - update) * new


def plain_layer(w: dict[str, np.ndarray], z: np.ndarray, n_heads: int) -> np.ndarray:
    width = z.shape[1]
    size = width // n_heads
    q, k, v = np.split(linear(w, "channels.inputs", normal(w, "channels.norm", z)), 3, axis=1)
    heads = []
    for head in range(n_heads):
        part = slice(head * size, (head + 1) * size)
        heads.append(np.array([softmax(k[:, part] @ one[part] / np.sqrt(size)) @ v[:, part] for one in q]))
    z = z + linear(w, "channels.mix", np.concatenate(heads, 1))
    return z + linear(
        w, "channels.down", np.maximum(linear(w, "channels.up", normal(w, "channels.feed_norm", z)), 0)
    )


def test_frequent_codes_have_a_channel_each_and_the_others_share_one_a_kind() -> None:
    known = facts(torch.full((40,), -1), torch.full((5,), 0.3))
    code = torch.arange(40) // 2  # two tokens a code; the later, the more frequent
    model = Model(EXAMPLE)
    model.use(replace(known, code_of_token=code))
    channel = model.channel_of_token
    assert channel[20:].tolist() == [(39 - token) // 2 for token in range(20, 40)]
    assert channel[:20].tolist() == [10 + token % len(KINDS) for token in range(20)]


def test_the_penalty_is_the_covariance_off_the_diagonal_of_every_channel() -> None:
    heads = np.random.default_rng(0).normal(size=(7, 3, 4))
    expected = 0.0
    for channel in range(3):
        covariance = np.cov(heads[:, channel], rowvar=False, bias=True)
        expected += 0.5 * ((covariance**2).sum() - (np.diag(covariance) ** 2).sum()) / 3
    assert float(decorrelation(torch.from_numpy(heads))) == pytest.approx(expected)


def test_training_adds_the_penalty_and_prediction_does_not() -> None:
    model, batch = Model(EXAMPLE), random_batch(6)
    assert float(model.train()(batch).penalty.detach()) > 0
    assert model.eval()(batch).penalty is None


def test_widths_that_do_not_divide_into_heads_are_refused() -> None:
    with pytest.raises(ConfigError, match="got width 10, n_heads 4"):
        Model(EXAMPLE.model_copy(update={"width": 10, "n_heads": 4}))


@torch.no_grad()
def test_static_facts_are_the_patient_at_rest_and_not_a_step() -> None:
    model = told().float()
    birth = replace(batch_of([[(9.0, [0]), (0.0, [3])]]), ages=torch.tensor([0.0, 50.0]))
    other = replace(birth, tokens=torch.tensor([1, 3]))
    assert float((model(birth).logits - model(other).logits).abs().max()) > 1e-4
    only = replace(batch_of([[(9.0, [0])]]), ages=torch.tensor([0.0]))
    assert model(only).visit_attention.tolist() == [1.0]


def test_gradients_match_finite_differences() -> None:
    torch.manual_seed(0)
    sizes = {"width": 2, "width_attention": 2, "n_heads": 1, "n_channels": 1, "channel_width": 1}
    model = Model(EXAMPLE.model_copy(update=sizes)).double()
    places = grid(torch.tensor([0, 3, 5]))
    owner, ends = torch.tensor([0, 0, 0, 1, 1])[places.source], places.cell[torch.tensor([2, 4])]
    ago, patient = torch.rand(5, dtype=torch.float64), torch.rand(2, 2, dtype=torch.float64)

    def read(cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, _, _, penalty = model._read(cells, ago, owner, ends, places.sizes, patient)
        return logits, penalty

    cells = torch.randn(1 + len(KINDS), 5, 1, dtype=torch.float64, requires_grad=True)
    assert gradcheck(read, cells)
