"""The transformer: what goes into its layers and what is read from them, in plain loops; layers have their own test."""

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.transformer import EXAMPLE, FADING_DAYS, VISITS_TOLD_APART, Config, Model
from attending.nn.attention import layout
from histories import batch_of, double, random_batch


def made() -> Model:
    torch.manual_seed(0)
    model = Model(EXAMPLE)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.double().eval()


def plain(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Restate the inputs, the readout and the memory, one history, one token, one outcome at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    logits, attention = [], []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        rows, days, tokens, visits = [], [], [], []
        for visit in range(first, end):
            for j in range(*batch.visit_offsets[visit : visit + 2].tolist()):
                token, ago = int(batch.tokens[j]), -float(batch.days[j])
                code = w["embedding"][token] + float(batch.values[j]) * w["value"][token]
                features = [
                    float(batch.ages[j]) / 100,
                    np.log1p(ago) / 8,
                    np.exp(-ago / 30),
                    np.exp(-ago / 365),
                ]
                place = w["recency"][min(end - 1 - visit, VISITS_TOLD_APART - 1)]
                rows.append(code + w["time.weight"] @ np.array(features) + place)
                days.append(-ago), tokens.append(token), visits.append(visit - first)
        alone = layout(torch.tensor([0, len(rows)]), torch.tensor(visits))
        z = model.encoder(torch.tensor(np.array(rows)), torch.tensor(days), alone).numpy()
        of, shares = [], []
        for outcome in range(EXAMPLE.n_outcomes):
            raised = np.exp(z @ w["query"][outcome])
            share = raised / raised.sum()
            remembered = sum(
                np.exp(day / rate) * w["memory"][place, token, outcome]
                for place, rate in enumerate(FADING_DAYS)
                for day, token in {
                    (visit, token): (day, token)
                    for visit, day, token in zip(visits, days, tokens, strict=True)
                }.values()
            )
            of.append(w["read"][outcome] @ (share @ z) + remembered + w["bias"][outcome])
            shares.append(share)
        logits.append(of)
        attention.append(np.mean(shares, axis=0))
    return np.array(logits), np.concatenate(attention)


def test_the_model_matches_its_equations_in_plain_loops() -> None:
    model, batch = made(), double(random_batch(7, seed=4))
    with torch.no_grad():
        found = model(batch)
        logits, attention = plain(model, batch)
    np.testing.assert_allclose(found.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(found.token_attention.numpy(), attention, atol=1e-10)


def test_a_then_b_is_not_b_then_a() -> None:
    model = made()
    forwards = double(batch_of([[(60.0, [1]), (30.0, [2]), (0.0, [3])]]))
    backwards = double(batch_of([[(60.0, [2]), (30.0, [1]), (0.0, [3])]]))
    with torch.no_grad():
        assert float((model(forwards).logits - model(backwards).logits).abs().max()) > 1e-4


def test_a_code_that_stands_twice_in_a_visit_is_remembered_once() -> None:
    model = made()
    batch = double(batch_of([[(30.0, [1, 1, 2]), (0.0, [3])]]))
    once = double(batch_of([[(30.0, [1, 2]), (0.0, [3])]]))
    with torch.no_grad():
        torch.testing.assert_close(model._remember(batch), model._remember(once))


@pytest.mark.parametrize("sizes", [{"width": 18, "n_heads": 4}, {"width": 96, "n_heads": 3}])
def test_heads_that_do_not_fit_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="n_heads even parts"):
        Model(Config(n_tokens=4, n_outcomes=1, **sizes))


def test_heads_of_both_directions_fade_alike() -> None:
    """Each direction has slow and fast heads, and no weight is added; `tests/nn/test_layers.py` has what they do."""
    plainly, fading = (
        Model(EXAMPLE.model_copy(update={"fades": fades, "n_heads": 4})) for fades in (False, True)
    )
    assert plainly.state_dict().keys() == fading.state_dict().keys()
    assert fading.encoder.slopes.tolist() == pytest.approx([1 / 480, 1 / 7680] * 2)
