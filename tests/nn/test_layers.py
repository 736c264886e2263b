"""The modern transformer layer, against its equations in plain loops."""

import itertools

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.nn.attention import layout
from attending.nn.layers import EPSILON, Encoder, normalise
from attending.nn.time import fading_slopes, rotary_frequencies
from histories import batch_of, random_batch

N_HEADS, WIDTH = 2, 8


def encoder(sees: str, *, normalised: bool, fades: bool = False) -> Encoder:
    torch.manual_seed(0)
    made = Encoder(
        width=WIDTH,
        n_layers=2,
        n_heads=N_HEADS,
        dropout=0.0,
        frequencies=rotary_frequencies(WIDTH // N_HEADS),
        sees=sees,
        normalised=normalised,
        slopes=fading_slopes(N_HEADS) if fades else None,
    )
    if normalised:
        for layer in made.layers:
            layer.temperature.data += torch.rand(N_HEADS)
    return made.double()


def norm(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean() + EPSILON)


def turned(x: np.ndarray, time: float, frequencies: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    for pair, frequency in enumerate(frequencies):
        angle = frequency * time
        a, b = x[2 * pair], x[2 * pair + 1]
        out[2 * pair] = a * np.cos(angle) - b * np.sin(angle)
        out[2 * pair + 1] = a * np.sin(angle) + b * np.cos(angle)
    return out


def plain(made: Encoder, x: np.ndarray, days: np.ndarray, batch: Batch, sees: str) -> np.ndarray:
    """Restate the stack, one token and one head at a time."""
    subject, visit = batch.subject_of_token.numpy(), batch.visit_of_token.numpy()
    frequencies, size = made.frequencies.numpy(), WIDTH // N_HEADS
    for layer in made.layers:
        w = {name: value.detach().numpy() for name, value in layer.named_parameters()}
        heads = [(w["inputs.weight"] @ norm(row)).reshape(3, N_HEADS, size) for row in x]
        after = []
        for i in range(len(x)):
            read = []
            for head in range(N_HEADS):
                seen = [
                    j
                    for j in range(len(x))
                    if subject[j] == subject[i]
                    and (
                        sees == "all"
                        or (sees == "before" and j <= i)
                        or (sees == "past" and visit[j] <= visit[i])
                    )
                ]
                scores = []
                for j in seen:
                    q, k = heads[i][0, head], heads[j][1, head]
                    if "temperature" in w:
                        q, k = norm(q) * w["temperature"][head], norm(k)
                    q, k = turned(q, days[i], frequencies), turned(k, days[j], frequencies)
                    gone = 0 if made.slopes is None else made.slopes.numpy()[head] * abs(days[i] - days[j])
                    scores.append(q @ k / np.sqrt(size) - gone)
                raised = np.exp(np.array(scores) - max(scores))
                read.append(
                    sum(a * heads[j][2, head] for a, j in zip(raised / raised.sum(), seen, strict=True))
                )
            mixed = x[i] + w["output.weight"] @ np.concatenate(read)
            gate, up = w["gate.weight"] @ norm(mixed), w["up.weight"] @ norm(mixed)
            after.append(mixed + w["down.weight"] @ (gate / (1 + np.exp(-gate)) * up))
        x = np.array(after)
    return np.array([norm(row) for row in x])


@pytest.mark.parametrize("sees", ["all", "past", "before"])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("fades", [False, True])
def test_a_stack_matches_its_equations_in_plain_loops(sees: str, normalised: bool, fades: bool) -> None:
    made, batch = encoder(sees, normalised=normalised, fades=fades), random_batch(5, seed=2)
    days, x = batch.days.double(), torch.randn(len(batch.tokens), WIDTH, dtype=torch.float64)
    with torch.no_grad():
        found = made(x, days, layout(batch.token_offsets, batch.visit_of_token)).numpy()
    np.testing.assert_allclose(found, plain(made, x.numpy(), days.numpy(), batch, sees), atol=1e-10)


def test_only_the_time_between_tokens_matters() -> None:
    made, batch = encoder("all", normalised=True), random_batch(5, seed=3)
    x, laid = torch.randn(len(batch.tokens), WIDTH, dtype=torch.float64), layout(batch.token_offsets)
    with torch.no_grad():
        here = made(x, batch.days.double(), laid)
        torch.testing.assert_close(made(x, batch.days.double() - 100, laid), here, atol=1e-9, rtol=0)
        assert float((made(x, batch.days.double() * 2, laid) - here).abs().max()) > 1e-3


@pytest.mark.parametrize("slope", [0.0, 0.05])
def test_what_the_last_token_watches_is_its_share_of_the_last_layer(slope: float) -> None:
    """One layer of one head, against a softmax written out."""
    torch.manual_seed(0)
    frequencies, slopes = rotary_frequencies(WIDTH), torch.tensor([slope]) if slope else None
    made = Encoder(
        width=WIDTH,
        n_layers=1,
        n_heads=1,
        dropout=0.0,
        frequencies=frequencies,
        sees="before",
        slopes=slopes,
    )
    made, batch = made.double(), random_batch(4, seed=2)
    days, x = batch.days.double(), torch.randn(len(batch.tokens), WIDTH, dtype=torch.float64)
    laid = layout(batch.token_offsets)
    with torch.no_grad():
        states, shares = made.watched(x, days, laid, batch.token_offsets)
        torch.testing.assert_close(states, made(x, days, laid), atol=0, rtol=0)
    weights = made.layers[0].inputs.weight.detach().numpy()
    for start, end in itertools.pairwise(batch.token_offsets.tolist()):
        q, *_ = np.split(weights @ norm(x[end - 1].numpy()), 3)
        q = turned(q, float(days[end - 1]), made.frequencies.numpy())
        keys = [
            turned(np.split(weights @ norm(x[j].numpy()), 3)[1], float(days[j]), made.frequencies.numpy())
            for j in range(start, end)
        ]
        scores = np.array(keys) @ q / np.sqrt(WIDTH)
        if made.slopes is not None:
            scores -= made.slopes.item() * (days[end - 1] - days[start:end]).numpy()
        raised = np.exp(scores)
        np.testing.assert_allclose(shares[start:end].numpy(), raised / raised.sum(), atol=1e-12)


def test_no_tokens_pass_through() -> None:
    nothing = batch_of([[], [(0.0, [])]])
    made = encoder("both", normalised=True).float()
    assert made(torch.zeros(0, WIDTH), nothing.days, layout(nothing.token_offsets)).shape == (0, WIDTH)


def test_the_norm_has_the_right_gradient() -> None:
    x = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.rms_norm(x, (5,), eps=EPSILON)
    torch.testing.assert_close(normalise(x), expected)
    assert torch.autograd.gradcheck(normalise, x)
    zeros = torch.zeros(2, 4, requires_grad=True)
    normalise(zeros).sum().backward()
    assert zeros.grad is not None
    assert bool(torch.isfinite(zeros.grad).all())
