"""Hi-BEHRT against the paper's equations in plain loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models import hi_behrt
from attending.models.hi_behrt import EXAMPLE, Model
from histories import batch_of, double, random_batch
from plain_bert import assert_matches, encode, norm
from plain_layers import Weights, linear, wave, weights_of


def test_the_model_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    assert_matches(Model(EXAMPLE), plain_hi_behrt)


def plain_hi_behrt(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Read one history after another, one window after another."""
    w, logits, attention = weights_of(model), [], np.zeros(len(batch.tokens))
    for subject in range(batch.n_subjects):
        states, windows, looks = plain_segments(model, batch, subject, batch.tokens)
        pooled = np.tanh(linear(w, "pool", states.mean(0)))
        logits.append(linear(w, "output", pooled))
        for (tokens, within), among in zip(windows, looks.mean((0, 1)), strict=True):
            for token, share in zip(tokens, within, strict=True):
                attention[token] += share * among
    return np.array(logits), attention


def plain_segments(
    model: Model, batch: Batch, subject: int, number_of: torch.Tensor
) -> tuple[np.ndarray, list[tuple[list[int], np.ndarray]], np.ndarray]:
    """Return each segment's state, the tokens of each window with the attention they receive, and that of segments."""
    w, config = weights_of(model), model.config
    places = []
    for number, visit in enumerate(range(*batch.subject_offsets[subject : subject + 2].tolist())):
        tokens = range(*batch.visit_offsets[visit : visit + 2].tolist())
        in_order = sorted(
            tokens, key=lambda one: (float(batch.days[one]), int(number_of[one]), float(batch.values[one]))
        )
        places += [(token, number) for token in in_order]
    windows, segments, first = [], [], 0
    while True:
        window = places[first : first + config.segment]
        e = np.array([word(w, batch, token, number) for token, number in window])
        states, looks = encode(w, "local", e, config.n_layers, config.n_heads)
        pooled = np.tanh(linear(w, "segment_pool", states.mean(0)))
        segments.append(norm(w, "segment_norm", pooled))
        windows.append(([token for token, _ in window], looks.mean((0, 1))))
        if first + config.segment >= len(places):
            break
        first += config.stride
    states, looks = encode(w, "whole", np.array(segments), config.n_layers, config.n_heads)
    return states, windows, looks


def word(w: Weights, batch: Batch, token: int, visit: int) -> np.ndarray:
    weight = 1.0 if batch.weights is None else float(batch.weights[token])
    e = w["inputs.words.weight"][int(batch.tokens[token])] * weight
    e = e + w["inputs.ages.weight"][int(batch.ages[token])] + w["inputs.segments.weight"][visit % 2]
    return norm(w, "inputs.norm", e + 0.02 * 2**0.5 * wave(visit, len(e)))


def test_its_own_objective_compares_two_views_of_each_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).double().eval()
    batch = double(random_batch(4, seed=2))
    ordered, _ = hi_behrt.canonical(batch)
    views = [
        replace(ordered, tokens=torch.where(torch.rand(len(batch.tokens)) < 0.3, 40, ordered.tokens))
        for _ in "12"
    ]
    waiting = list(views)
    monkeypatch.setattr(hi_behrt, "mask_tokens", lambda *_: (waiting.pop(0), None))
    with torch.no_grad():
        found = float(model.self_loss(batch))
    w, aims = weights_of(model), []
    for view in views:
        states = np.concatenate(
            [plain_segments(model, view, subject, ordered.tokens)[0] for subject in range(4)]
        )
        z = perceptron(w, "pretext.project", states)
        aims.append((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5))
    one, other = (perceptron(w, "pretext.predict", z) for z in aims)
    expected = (2 - 2 * cosine(one, aims[1])).mean() / 2 + (2 - 2 * cosine(other, aims[0])).mean() / 2
    assert found == pytest.approx(expected, abs=1e-6)  # the cosine is computed in single precision


def perceptron(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return linear(w, f"{name}.3", np.maximum(norm(w, f"{name}.1", linear(w, f"{name}.0", x)), 0))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize(
    ("length", "starts", "lengths"),
    [
        (0, [], []),
        (1, [0], [1]),
        (8, [0], [8]),
        (9, [0, 5], [8, 4]),
        (13, [0, 5], [8, 8]),
        (14, [0, 5, 10], [8, 8, 4]),
    ],
)
def test_windows_overlap_and_cover_every_token(length: int, starts: list[int], lengths: list[int]) -> None:
    batch = batch_of([[(3.0, [7])], [(float(99 - event), [event]) for event in range(length)]])
    windows = Model(EXAMPLE)._cut(batch)
    assert windows.subjects.tolist() == [0, 1, 1 + len(starts)]
    assert windows.segments.diff().tolist() == [1, *lengths]
    assert windows.source[windows.segments[1:-1]].tolist() == [1 + start for start in starts]
    assert set(windows.source.tolist()) == set(range(1 + length))


def test_a_batch_without_events_costs_nothing() -> None:
    model, batch = Model(EXAMPLE), batch_of([[], [(0.0, [])]])
    assert float(model.self_loss(batch).detach()) == 0
    assert bool(torch.isfinite(model.eval()(batch).logits).all())


def test_a_stride_that_loses_tokens_is_refused() -> None:
    with pytest.raises(ConfigError, match="stride 9, segment 8"):
        Model(EXAMPLE.model_copy(update={"stride": 9}))
