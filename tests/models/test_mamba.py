"""Mamba against its equations, one event and one channel at a time, and its reading of time and order."""

from dataclasses import replace

import numpy as np
import torch

from attending.batch import Batch
from attending.models import mamba
from attending.models.mamba import EXAMPLE, Model, gaps
from attending.nn.canonical import canonical
from histories import batch_of, double, random_batch
from plain_layers import linear


def test_the_model_matches_its_equations_one_event_at_a_time() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update={"n_layers": 2})).double().eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    batch = double(random_batch(7, seed=4))
    with torch.no_grad():
        found = model(batch).logits.numpy()
    np.testing.assert_allclose(found, plain_mamba(model, batch), atol=1e-10)


def plain_mamba(model: Model, batch: Batch) -> np.ndarray:
    """Restate the equations; every visit of the batch is one moment."""
    w = {name: one.numpy() for name, one in model.state_dict().items()}
    logits = []
    for subject in range(batch.n_subjects):
        x, previous = [], None
        for visit in range(*batch.subject_offsets[subject : subject + 2].tolist()):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            for j in sorted(range(start, stop), key=lambda j: (int(batch.tokens[j]), float(batch.values[j]))):
                code, day, age = int(batch.tokens[j]), float(batch.days[j]), float(batch.ages[j]) / 100
                gap = 0.0 if previous is None else day - previous
                recency = [np.log1p(-day) / 8, np.exp(day / 30), np.exp(day / 365)]
                what = w["embedding"][code] + float(batch.values[j]) * w["value"][code]
                x.append(what + linear(w, "time", np.array([np.log1p(gap), age])))
                previous = day
        for layer in range(len(model.layers)):
            mine = f"layers.{layer}."
            x = plain_layer({name.removeprefix(mine): one for name, one in w.items() if mine in name}, x)
        read = normal(x[-1], w["norm.weight"]) + w["recency.weight"] @ np.array([age, *recency])
        logits.append(linear(w, "output", read))
    return np.array(logits)


def plain_layer(w: dict[str, np.ndarray], x: list[np.ndarray]) -> list[np.ndarray]:
    """One layer, channel by channel."""
    n_channels, n_states = w["log_rate"].shape
    both = [w["inputs.weight"] @ normal(one, w["norm.weight"]) for one in x]
    h, out = np.zeros((n_channels, n_states)), []
    for j, one in enumerate(x):
        u = w["taps_bias"].copy()
        for k in range(min(4, j + 1)):
            u += w["taps"][k] * both[j - k][:n_channels]
        u = silu(u)
        selected = w["select.weight"] @ u
        ranks, into, out_of = np.split(selected, [len(selected) - 2 * n_states, len(selected) - n_states])
        step = np.log1p(np.exp(linear(w, "step", ranks)))
        y = np.zeros(n_channels)
        for d in range(n_channels):
            h[d] = np.exp(-step[d] * np.exp(w["log_rate"][d])) * h[d] + step[d] * u[d] * into
            y[d] = out_of @ h[d] + w["skip"][d] * u[d]
        out.append(one + w["output.weight"] @ (y * silu(both[j][n_channels:])))
    return out


def normal(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean() + np.finfo(x.dtype).eps) * gain


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def test_gaps_count_from_the_event_before_and_not_from_birth() -> None:
    batch = batch_of([[(9.0, [3, 1]), (2.0, [0])], [(4.0, [7])]])
    assert gaps(batch).tolist() == [0, 0, 7, 0]
    static = replace(batch, ages=torch.tensor([0.0, 50.0, 50.0, 50.0]))
    assert gaps(static).tolist() == [0, 0, 7, 0]
    assert gaps(replace(static, days=torch.tensor([-18000.0, -9.0, -2.0, -4.0]))).tolist() == [0, 0, 7, 0]


def test_a_state_sees_the_past_of_its_own_history_alone() -> None:
    torch.manual_seed(0)
    layer, lengths = Model(EXAMPLE).layers[0], torch.tensor([3, 0, 9, 2])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    x, first = torch.randn(14, 16, requires_grad=True), torch.zeros(14, dtype=torch.bool)
    first[[0, 3, 12]] = True
    (gradient,) = torch.autograd.grad(layer(x, offsets, first)[10].square().sum(), x)
    assert gradient.abs().sum(1).nonzero()[:, 0].tolist() == list(range(3, 11))


def test_the_order_of_events_matters() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    forwards = batch_of([[(60.0, [1]), (30.0, [2]), (0.0, [3])]])
    backwards = batch_of([[(60.0, [2]), (30.0, [1]), (0.0, [3])]])
    with torch.no_grad():
        assert float((model(forwards).logits - model(backwards).logits).abs().max()) > 1e-5


def test_the_pretext_is_the_mean_cross_entropy_of_next_events() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    batch = batch_of([[(9.0, [3, 1]), (2.0, [0])], [], [(4.0, [7])], [(4.0, [8]), (1.0, [6])]])
    with torch.no_grad():
        chances = torch.log_softmax(model.pretext(model._read(canonical(batch)[0])), 1)
        expected = -(chances[0, 3] + chances[1, 0] + chances[4, 6]) / 3
        torch.testing.assert_close(model.self_loss(batch), expected)


def test_the_pretext_says_at_most_so_many_events(monkeypatch) -> None:
    monkeypatch.setattr(mamba, "PREDICTED_AT_ONCE", 5)
    seen = []
    model = Model(EXAMPLE)
    model.pretext.register_forward_hook(lambda _, inputs, output: seen.append(len(output)))
    model.self_loss(random_batch(9))
    model.self_loss(batch_of([[], [(1.0, [2])]])).backward()
    assert seen == [5, 0]


def test_states_do_not_know_when_the_record_ends() -> None:
    """Days before the prediction would tell pretraining how long it is censored; an event has its age and its gap."""
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    batch = batch_of([[(40.0, [1, 2]), (20.0, [3])]])
    later = replace(batch, days=batch.days - 500)
    with torch.no_grad():
        torch.testing.assert_close(model._read(batch), model._read(later), atol=0, rtol=0)
        now, then = model(batch).logits, model(later).logits
    assert float((now - then).abs().max()) > 1e-5, "but the prediction knows how old the record is"
