"""SAnD against its equations in plain loops."""

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.sand import EXAMPLE, Model, interpolation
from histories import batch_of, double, random_batch
from plain_layers import linear, transformer_layer, wave


@torch.no_grad()
def test_the_model_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).double().eval()
    torch.nn.init.normal_(model.embed.value)
    batch = double(random_batch(9, seed=4, max_visits=9))
    np.testing.assert_allclose(model(batch).logits.numpy(), plain_sand(model, batch), atol=1e-12)


def plain_sand(model: Model, batch: Batch) -> np.ndarray:
    """Restate the equations, one patient, one step at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    width, n_slots = model.config.width, model.config.slots
    tokens, values, logits = batch.tokens.numpy(), batch.values.numpy(), []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        s = []
        for place, visit in enumerate(range(first, end)):
            codes = slice(*batch.visit_offsets[visit : visit + 2].tolist())
            x = wave(place, width)
            for code in set(tokens[codes].tolist()):
                mean = values[codes][tokens[codes] == code].mean()
                x += w["embed.code"][code] + mean * w["embed.value"][code]
            s.append(x)
        for layer in range(model.config.n_layers):
            s = transformer_layer(w, f"layers.{layer}", s, model.config.n_heads, back=True)
        u, length = np.zeros((n_slots, width)), len(s)
        for t in range(1, length + 1):
            for m in range(1, n_slots + 1):
                u[m - 1] += (1 - abs(n_slots * t / length - m) / n_slots) ** 2 * s[t - 1] / length
        logits.append(linear(w, "output", u.flatten()))
    return np.array(logits)


def test_a_step_weighs_most_in_the_slot_where_it_lies() -> None:
    length = torch.full((12,), 12)
    weights = interpolation(torch.arange(1.0, 13.0), length, 4) * 12
    assert weights.argmax(1)[[2, 5, 8, 11]].tolist() == [0, 1, 2, 3]
    assert weights[[2, 5, 8, 11], [0, 1, 2, 3]].tolist() == [1.0] * 4
    assert bool((weights >= 0).all())


@torch.no_grad()
def test_the_order_of_visits_matters() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    forwards = batch_of([[(60.0, [1]), (30.0, [2]), (0.0, [3])]])
    backwards = batch_of([[(60.0, [2]), (30.0, [1]), (0.0, [3])]])
    assert float((model(forwards).logits - model(backwards).logits).abs().max()) > 1e-4


def test_widths_that_do_not_divide_into_heads_are_refused() -> None:
    with pytest.raises(ConfigError, match="got width 10, n_heads 4"):
        Model(EXAMPLE.model_copy(update={"width": 10, "n_heads": 4}))
