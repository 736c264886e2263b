"""Where training starts: at what is known of everyone."""

import pytest
import torch

from attending import registry
from attending.nn.interface import first_guess
from histories import facts


def known(target):
    prevalence = torch.tensor([0.5, 0.1, 1.0, 0.2, 0.3]) if target == "multilabel" else torch.ones(5)
    return facts(torch.full((40,), -1), prevalence, target)


def test_outcomes_start_at_their_log_odds_and_a_number_at_its_mean():
    assert first_guess(known("multilabel"))[:2].tolist() == pytest.approx([0, -2.197225], abs=1e-6)
    assert first_guess(known("value")).tolist() == [0] * 5


@pytest.mark.parametrize("name", ["gru", "retain", "transformer"])
def test_a_network_that_predicts_a_number_starts_at_the_mean(name):
    module = registry.load("models", name)
    model = module.Model(module.EXAMPLE)
    model.use(known("value"))
    bias = model.bias if name == "transformer" else model.output.bias
    assert bias.abs().max() == 0
