"""Where training starts: at what is known of everyone."""

import pytest
import torch

from attending import registry
from attending.batch import Facts
from attending.nn.interface import first_guess


def facts(target):
    nothing = torch.full((40,), -1)
    prevalence = torch.tensor([0.5, 0.1, 1.0, 0.2, 0.3]) if target == "multilabel" else torch.ones(5)
    return Facts(
        outcome_of_token=nothing,
        prevalence=prevalence,
        code_of_token=nothing,
        sex_of_token=nothing,
        target=target,
    )


def test_outcomes_start_at_their_log_odds_and_a_number_at_its_mean():
    assert first_guess(facts("multilabel"))[:2].tolist() == pytest.approx([0, -2.197225], abs=1e-6)
    assert first_guess(facts("value")).tolist() == [0] * 5


@pytest.mark.parametrize("name", ["gru", "retain", "transformer"])
def test_a_network_that_predicts_a_number_starts_at_the_mean(name):
    module = registry.load("models", name)
    model = module.Model(module.EXAMPLE)
    model.use(facts("value"))
    bias = model.bias if name == "transformer" else model.output.bias
    assert bias.abs().max() == 0
