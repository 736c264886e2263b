"""TransformEHR against its equations in plain loops, and its pretext: whole visits from those before them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.transform_ehr import EXAMPLE, Model, before
from attending.nn.time import rotary_frequencies
from histories import batch_of, double, random_batch
from plain_layers import linear, normal, softmax, transformer_layer

HISTORIES = [
    [(400.0, [1, 2]), (200.0, [3, 3, 4]), (10.0, [5])],
    [(90.0, [6]), (30.0, [7, 8])],
    [(5.0, [9])],
    [],
]


def test_the_model_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update={"n_layers": 2})).double().eval()
    torch.nn.init.normal_(model.value)
    batch = double(random_batch(9, seed=4))
    with torch.no_grad():
        found = model(batch)
    logits, attention = plain_transform_ehr(model, batch)
    np.testing.assert_allclose(found.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(found.token_attention.numpy(), attention, atol=1e-10)


def plain_transform_ehr(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Restate the equations, one patient, one token, one head at a time."""
    w = {name: one.numpy() for name, one in model.state_dict().items()}
    frequencies = rotary_frequencies(len(model.query)).double().numpy()
    n_heads, logits, attention = model.encoder[0].n_heads, [], []
    for subject in range(batch.n_subjects):
        first, end = batch.token_offsets[subject : subject + 2].tolist()
        x = []
        for j in range(first, end):
            code, day = int(batch.tokens[j]), float(batch.days[j])
            when = [*np.sin(frequencies * day), *np.cos(frequencies * day), float(batch.ages[j]) / 100]
            what = w["embedding"][code] + float(batch.values[j]) * w["value"][code]
            x.append(what + linear(w, "time", np.array(when)))
        for layer in range(len(model.encoder)):
            x = transformer_layer(w, f"encoder.{layer}", x, n_heads)
        state = w["query"]
        for layer in range(len(model.decoder)):
            state, a = ask(w, f"decoder.{layer}", state, x, n_heads)
        logits.append(linear(w, "output", state))
        attention.extend(a)
    return np.array(logits), np.array(attention)


def ask(
    w: dict[str, np.ndarray], name: str, state: np.ndarray, x: list[np.ndarray], n_heads: int
) -> tuple[np.ndarray, np.ndarray]:
    """One layer of the decoder: every head asks every token."""
    width = len(state)
    size = width // n_heads
    query, both = linear(w, f"{name}.query", state), [linear(w, f"{name}.key_value", one) for one in x]
    heads, shares = [], []
    for start in range(0, width, size):
        part = slice(start, start + size)
        a = softmax([query[part] @ one[part] / np.sqrt(size) for one in both])
        heads.append(sum(share * one[width:][part] for share, one in zip(a, both, strict=True)))
        shares.append(a)
    y = normal(w, f"{name}.norm", state + linear(w, f"{name}.mixed", np.concatenate(heads)))
    fed = linear(w, f"{name}.feed.down", np.maximum(linear(w, f"{name}.feed.up", y), 0))
    return normal(w, f"{name}.feed.norm", y + fed), np.mean(shares, axis=0)


def test_the_history_before_a_visit_is_seen_from_that_visit() -> None:
    found = before(batch_of(HISTORIES), torch.tensor([1, 4, 6, 6]))
    expected = batch_of([[(200.0, [1, 2])], [(60.0, [6])], [(5.0, [9])], []])
    for name in ("tokens", "days", "visit_offsets", "subject_offsets", "values"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    assert found.ages.tolist() == pytest.approx([50 - 400 / 365.25] * 2 + [50 - 90 / 365.25, 50 - 5 / 365.25])


def test_the_pretext_is_the_mean_cross_entropy_of_a_visits_codes() -> None:
    """Histories of two visits leave no choice of the target; those of one visit have none."""
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    histories = [[(90.0, [6]), (30.0, [7, 8, 8])], [(70.0, [1, 2]), (50.0, [3])], [(5.0, [9])], []]
    earlier = batch_of([[(60.0, [6])], [(20.0, [1, 2])]])
    earlier = replace(earlier, ages=batch_of(histories).ages[[0, 4, 5]])
    with torch.no_grad():
        chances = torch.log_softmax(model.pretext(model._read(earlier)[0]), 1)
        expected = -(chances[0, 7] + chances[0, 8] + chances[1, 3]) / 3
        torch.testing.assert_close(model.self_loss(batch_of(histories)), expected)


def test_every_visit_but_the_first_may_be_the_target() -> None:
    """A code seen only in one visit is predicted sometimes, whichever that visit is."""
    torch.manual_seed(0)
    model = Model(EXAMPLE).train()
    predicted = torch.zeros(40)
    for _ in range(40):
        model.zero_grad()
        model.self_loss(batch_of(HISTORIES[:1])).backward()
        predicted += model.pretext.bias.grad < 0
    assert predicted.nonzero()[:, 0].tolist() == [3, 4, 5]


@pytest.mark.parametrize("histories", [[], [[]], [[(5.0, [9])]], [[(5.0, []), (1.0, [])]]])
def test_histories_without_an_earlier_visit_cost_nothing(histories: list) -> None:
    model = Model(EXAMPLE).train()
    loss = model.self_loss(batch_of(histories))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


def test_a_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 16, n_heads 3"):
        Model(EXAMPLE.model_copy(update={"n_heads": 3}))
