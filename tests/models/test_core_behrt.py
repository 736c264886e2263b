"""CORE-BEHRT against its equations in plain loops, and its traps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.core_behrt import EXAMPLE, VISITS_TOLD_APART, Model
from attending.nn.layers import EPSILON
from histories import batch_of, double, random_batch


def made() -> Model:
    torch.manual_seed(0)
    model = Model(EXAMPLE)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    model = model.double().eval()
    half = EXAMPLE.width // EXAMPLE.n_heads // 2
    model.encoder.frequencies = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)  # not rounded
    return model


def time2vec(w: dict[str, np.ndarray], name: str, time: float) -> np.ndarray:
    phase = w[f"{name}.weight"] * time + w[f"{name}.bias"]
    return np.concatenate([np.clip(phase[:1], -100, 100), np.sin(phase[1:])])


def rms(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean() + EPSILON)


def turned(x: np.ndarray, place: int) -> np.ndarray:
    """RoFormer: pair k of the dimensions turns by place / 10,000^(2k / size)."""
    pairs = np.array(
        [
            (x[2 * k] + 1j * x[2 * k + 1]) * np.exp(1j * place / 10_000 ** (2 * k / len(x)))
            for k in range(len(x) // 2)
        ]
    )
    return np.stack([pairs.real, pairs.imag], 1).ravel()


def plain(model: Model, batch: Batch) -> np.ndarray:
    """Restate the model, one history, one token and one head at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    n_heads, size = EXAMPLE.n_heads, EXAMPLE.width // EXAMPLE.n_heads
    logits = []
    for subject in range(batch.n_subjects):
        rows = []
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        for number, visit in enumerate(range(first, end)):
            inside = range(*batch.visit_offsets[visit : visit + 2].tolist())
            for j in sorted(inside, key=lambda j: (float(batch.days[j]), int(batch.tokens[j]))):
                e = w["embedding"][batch.tokens[j]] + time2vec(w, "age", float(batch.ages[j]))
                e = e + time2vec(w, "absolute", 24 * float(batch.days[j])) + w["segment"][number]
                e = (e - e.mean()) / np.sqrt(e.var() + 1e-5)
                rows.append(e * w["norm.weight"] + w["norm.bias"])
        x = np.array(rows)
        for layer in range(EXAMPLE.n_layers):
            at = {
                name: w[f"encoder.layers.{layer}.{name}.weight"]
                for name in ("inputs", "output", "gate", "up", "down")
            }
            heads = np.array([(at["inputs"] @ rms(row)).reshape(3, n_heads, size) for row in x])
            after = []
            for i in range(len(x)):
                read = []
                for head in range(n_heads):
                    q = turned(heads[i, 0, head], i)
                    scores = np.array([q @ turned(heads[j, 1, head], j) for j in range(len(x))]) / size**0.5
                    share = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
                    read.append(share @ heads[:, 2, head])
                mixed = x[i] + at["output"] @ np.concatenate(read)
                gate, up = at["gate"] @ rms(mixed), at["up"] @ rms(mixed)
                after.append(mixed + at["down"] @ (gate / (1 + np.exp(-gate)) * up))
            x = np.array(after)
        z = np.array([rms(row) for row in x])
        scores = z @ w["read.weight"][0]
        alpha = np.exp(scores - scores.max())
        context = alpha / alpha.sum() @ z
        logits.append(w["output.weight"] @ context + w["output.bias"])
    return np.array(logits)


def test_the_model_matches_its_equations_in_plain_loops() -> None:
    model, batch = made(), double(random_batch(6, seed=4))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain(model, batch), atol=1e-10)


def test_attention_stands_where_its_token_stood() -> None:
    """Tokens are put in order inside; what is given back is in the batch's own."""
    model = made()
    one, other = batch_of([[(9.0, [7, 3]), (0.0, [5])]]), batch_of([[(9.0, [3, 7]), (0.0, [5])]])
    with torch.no_grad():
        first, second = (model(double(batch)).token_attention for batch in (one, other))
    torch.testing.assert_close(first, second[[1, 0, 2]])


def test_what_a_mask_hides_cannot_be_told_from_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes of one time are sorted; a mask is sorted as a mask, not as the code below it."""
    model, seen = made(), []
    monkeypatch.setattr(
        Model, "_encode", lambda _, batch: seen.append(batch.tokens) or torch.zeros(len(batch.tokens), 16)
    )
    monkeypatch.setattr(
        "attending.models.core_behrt.mask_tokens",
        lambda batch, n_tokens: (
            replace(batch, tokens=torch.where(hidden, n_tokens, batch.tokens)),
            hidden,
        ),
    )
    model = model.float()
    hidden = torch.tensor([True, False, False])
    for token in (1, 20, 39):
        model.self_loss(batch_of([[(0.0, [token, 10, 30])]]))
    assert [one.tolist() for one in seen] == [[10, 30, EXAMPLE.n_tokens]] * 3


def test_visits_beyond_the_last_segment_share_it() -> None:
    many = [[(float(VISITS_TOLD_APART + 5 - visit), [visit % 40]) for visit in range(VISITS_TOLD_APART + 5)]]
    with torch.no_grad():
        assert bool(torch.isfinite(made()(double(batch_of(many))).logits).all())


def test_a_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"models\.core_behrt"):
        Model(EXAMPLE.model_copy(update={"width": 18, "n_heads": 4}))
