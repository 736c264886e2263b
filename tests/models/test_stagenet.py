"""StageNet against its authors' code (golden arrays) and against the equations in plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from attending.batch import Batch
from attending.models.stagenet import EXAMPLE, Config, Model
from histories import batch_of, random_batch
from plain_layers import sigmoid, softmax

GOLDEN = Path(__file__).parent.parent / "golden"


def authors() -> tuple[Model, dict[str, np.ndarray]]:
    """Return the authors' weights in our model, and their arrays.

    Recipe: the authors' PyTorch code was run in float32 on random input (x: patient, step, feature; dt: the gap before
    each step) with random weights: 3 levels of 16, a window of 5. Their gap enters two kernels, whose weights add up.
    """
    arrays = dict(np.load(GOLDEN / "stagenet.npz", allow_pickle=False))
    w = {name[2:]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith("w.")}
    config = Config(
        n_tokens=2, n_outcomes=1, width=12, width_level=16, levels=3, window=5, dropout=0.0, strict="authors"
    )
    model = Model(config).eval()
    order = torch.arange(len(w["kernel.weight"]))
    order[3:6] = order[3:6].flip(0)  # the input gates' levels are stored from right to left
    kernel, recurrent = w["kernel.weight"][order], w["recurrent_kernel.weight"][order]
    state = {
        "inputs.weight": torch.cat([kernel[:, :-1], kernel[:, -1:] + recurrent[:, -1:]], 1),
        "inputs.bias": (w["kernel.bias"] + w["recurrent_kernel.bias"])[order],
        "recurrent.weight": recurrent[:, :-1],
        "convolution.weight": w["nn_conv.weight"].transpose(1, 2).flatten(1),
        "convolution.bias": w["nn_conv.bias"],
        "embed.code": torch.zeros(2, 12),
        "embed.value": torch.zeros(2, 12),
    }
    for ours, theirs in (("scale", "nn_scale"), ("rescale", "nn_rescale"), ("output", "nn_output")):
        state |= {f"{ours}.{part}": w[f"{theirs}.{part}"] for part in ("weight", "bias")}
    model.load_state_dict(state)
    return model, arrays


@torch.no_grad()
def test_the_authors_form_matches_their_own_code_at_every_step() -> None:
    model, arrays = authors()
    n, length = arrays["dt"].shape
    visits, offsets = torch.arange(n * length), torch.arange(n + 1) * length
    x, gaps = torch.from_numpy(arrays["x"]).flatten(0, 1), torch.from_numpy(arrays["dt"]).flatten()
    states, distances = model._recur(x, gaps, offsets)
    start = offsets[:-1].repeat_interleave(length)
    read, _, _ = model._progress(states, distances, visits, start)
    found = torch.sigmoid(model.output(read)).view(n, length, 1).numpy()
    np.testing.assert_allclose(found, arrays["out"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(distances.view(n, length).T.numpy(), arrays["dist"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("strict", ["paper", "authors"])
@torch.no_grad()
def test_a_form_matches_its_equations_in_plain_loops(strict: str) -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update={"strict": strict})).double().eval()
    torch.nn.init.normal_(model.embed.value)
    batch = random_batch(9, seed=4, max_visits=9)
    batch = replace(batch, values=batch.values.double(), days=batch.days.double())
    output = model(batch)
    logits, attention = plain_stagenet(model, batch)
    np.testing.assert_allclose(output.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(output.visit_attention.numpy(), attention, atol=1e-10)


def plain_stagenet(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Restate the equations, one patient, one step at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    levels, window = model.config.levels, model.config.window
    n_state, all_logits, attention = w["recurrent.weight"].shape[1], [], np.zeros(batch.n_visits)
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        h = c = np.zeros(n_state)
        states, distances, last_day = [], [], None
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            day = float(batch.days[stop - 1])
            gap = 0.0 if last_day is None else day - last_day
            last_day = day
            x = np.append(plain_step(w, batch, start, stop), np.log1p(gap))
            z = w["inputs.weight"] @ x + w["inputs.bias"] + w["recurrent.weight"] @ h
            forget = np.cumsum(softmax(z[:levels]))
            keep = np.cumsum(softmax(z[levels : 2 * levels]))[::-1]
            f, i, o, candidate = np.split(z[2 * levels :], 4)
            new = np.empty(n_state)
            for level in range(levels):
                part = slice(level * n_state // levels, (level + 1) * n_state // levels)
                over = forget[level] * keep[level]
                fresh = np.tanh(candidate[part])
                new[part] = over * (sigmoid(f[part]) * c[part] + sigmoid(i[part]) * fresh)
                new[part] += (forget[level] - over) * c[part] + (keep[level] - over) * fresh
            c, h = new, sigmoid(o) * np.tanh(new)
            states.append(h)
            distances.append(1 - forget.mean())
        span = list(range(len(states) - window, len(states)))
        if model.config.strict == "paper":
            span = [step for step in span if step >= 0]
        moved = np.cumsum([distances[step] if step >= 0 else 0.0 for step in span])
        weights = softmax(moved)
        recent = np.zeros((window, n_state))
        for place, (step, weight) in enumerate(zip(span, weights, strict=True)):
            if step >= 0:
                recent[window - len(span) + place] = weight * states[step]
                attention[first + step] = weight
        hidden = np.maximum(w["scale.weight"] @ recent.mean(0) + w["scale.bias"], 0)
        theme = sigmoid(w["rescale.weight"] @ hidden + w["rescale.bias"])
        kernel = w["convolution.weight"].reshape(n_state, window, n_state)
        read = theme * (sum(kernel[:, k] @ recent[k] for k in range(window)) + w["convolution.bias"]) + h
        all_logits.append(w["output.weight"] @ read + w["output.bias"])
    return np.array(all_logits), attention


def plain_step(w: dict[str, np.ndarray], batch: Batch, start: int, stop: int) -> np.ndarray:
    """Sum the embeddings of the distinct codes of a step, each with the mean of its values."""
    tokens, values = batch.tokens[start:stop].numpy(), batch.values[start:stop].numpy()
    x = np.zeros(w["embed.code"].shape[1])
    for code in set(tokens.tolist()):
        x += w["embed.code"][code] + values[tokens == code].mean() * w["embed.value"][code]
    return x


@torch.no_grad()
def test_weights_of_a_window_sum_to_one_and_stand_on_its_newest_steps() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    histories = [[(float(20 - visit), [visit]) for visit in range(n)] for n in (1, 3, 12)]
    attention = model(batch_of(histories)).visit_attention
    short, middle, long = attention.split([1, 3, 12])
    for one in (short, middle, long):
        assert float(one.sum()) == pytest.approx(1.0)
    assert bool((long[:-4] == 0).all()) and bool((long[-4:] > 0).all())


def test_values_and_gaps_change_the_score() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    torch.nn.init.normal_(model.embed.value)
    batch = batch_of([[(60.0, [1]), (30.0, [2]), (0.0, [3])]])
    with torch.no_grad():
        before = model(batch).logits
        later = model(replace(batch, days=batch.days * torch.tensor([1.0, 0.1, 1.0]))).logits
        measured = model(replace(batch, values=torch.tensor([0.0, 2.0, 0.0]))).logits
    assert float((before - later).abs().max()) > 1e-4
    assert float((before - measured).abs().max()) > 1e-4


def test_gradients_match_finite_differences() -> None:
    torch.manual_seed(0)
    sizes = {"width": 2, "width_level": 2, "window": 2}
    model = Model(EXAMPLE.model_copy(update=sizes)).double()
    offsets = torch.tensor([0, 3, 3, 5])
    gaps = torch.rand(5, dtype=torch.float64)

    def read(x: torch.Tensor) -> torch.Tensor:
        return model._progress(*model._recur(x, gaps, offsets), offsets[1:] - 1, offsets[:-1])[0]

    assert gradcheck(read, torch.randn(5, 2, dtype=torch.float64, requires_grad=True))
