"""Recurrences over packed histories, against torch's own over each history alone; softmax within histories."""

import pytest
import torch
from torch import nn

from attending.nn.packed import run, segment_softmax

OFFSETS = torch.tensor([0, 3, 3, 8, 9])  # segment 1 is empty
KINDS = {
    "gru": lambda: nn.GRU(4, 5),
    "gru_both_ways": lambda: nn.GRU(4, 5, bidirectional=True),
    "gru_of_two_layers": lambda: nn.GRU(4, 5, num_layers=2),
    "lstm": lambda: nn.LSTM(4, 5),
    "lstm_both_ways": lambda: nn.LSTM(4, 5, bidirectional=True),
}


@pytest.fixture(params=list(KINDS))
def recurrence(request: pytest.FixtureRequest) -> nn.GRU | nn.LSTM:
    torch.manual_seed(0)
    return KINDS[request.param]().double()


@pytest.fixture
def items() -> torch.Tensor:
    return torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("backwards", [False, True])
def test_a_state_is_that_of_the_history_read_alone(
    recurrence: nn.GRU | nn.LSTM, items: torch.Tensor, backwards: bool
) -> None:
    with torch.no_grad():
        found = run(recurrence, items, OFFSETS, backwards=backwards)
        for first, end in zip(OFFSETS[:-1].tolist(), OFFSETS[1:].tolist(), strict=True):
            if first == end:
                continue
            alone = items[first:end].flip(0) if backwards else items[first:end]
            states = recurrence(alone)[0]
            expected = states.flip(0) if backwards else states
            torch.testing.assert_close(found[first:end], expected, atol=1e-12, rtol=0)


def test_weights_learn_as_those_of_torch_do(recurrence: nn.GRU | nn.LSTM, items: torch.Tensor) -> None:
    def gradients(states: torch.Tensor) -> list[torch.Tensor]:
        return list(torch.autograd.grad(states.square().sum(), list(recurrence.parameters())))

    alone = [recurrence(items[first:end])[0] for first, end in ((0, 3), (3, 8), (8, 9))]
    ours, theirs = gradients(run(recurrence, items, OFFSETS)), gradients(torch.cat(alone))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_gradients_are_those_of_finite_differences(recurrence: nn.GRU | nn.LSTM, items: torch.Tensor) -> None:
    assert torch.autograd.gradcheck(lambda one: run(recurrence, one, OFFSETS), (items.requires_grad_(),))


def test_no_items_have_no_states(recurrence: nn.GRU | nn.LSTM) -> None:
    found = run(recurrence, torch.zeros(0, 4, dtype=torch.float64), torch.zeros(3, dtype=torch.int64))
    assert found.shape == (0, 10 if recurrence.bidirectional else 5)


def test_attention_over_a_thousand_visits_sums_to_one_in_bfloat16() -> None:
    found = segment_softmax(torch.zeros(1000, dtype=torch.bfloat16), torch.zeros(1000, dtype=torch.int64), 1)
    assert float(found.sum()) == pytest.approx(1.0)
