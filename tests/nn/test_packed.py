"""Recurrences over packed histories, against torch's own over each history alone; softmax within histories."""

import pytest
import torch
from torch import nn

from attending.batch import offsets_of, owners
from attending.nn.packed import as_set, run, segment_shares, segment_softmax, set_weights, visit_sums
from histories import batch_of

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


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_each_head_has_a_softmax_of_its_own_within_each_segment(scale: float) -> None:
    scores = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)) * scale
    found = segment_softmax(scores, owners(OFFSETS), 4)
    for start, end in ((0, 3), (3, 8), (8, 9)):
        torch.testing.assert_close(found[start:end], torch.softmax(scores[start:end], 0))


def test_shares_of_a_segment_sum_to_one_unless_it_is_all_zeros() -> None:
    values = torch.tensor([1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0])
    assert segment_shares(values, owners(OFFSETS), 4).tolist() == [0.25, 0.75, 0, 0, 0, 0, 0, 0, 1]


def test_a_visit_is_the_sum_of_its_distinct_codes() -> None:
    batch = batch_of([[(9.0, [1, 2, 1]), (5.0, [])], [(0.0, [0])]])
    found = visit_sums(
        torch.tensor([[1.0], [10.0], [100.0]]), batch.with_weights(torch.tensor([1, 0.5, 1, 2]))
    )
    assert found[:, 0].tolist() == [60, 0, 2]


def test_offsets_follow_from_lengths() -> None:
    assert torch.equal(offsets_of(OFFSETS.diff()), OFFSETS)
    assert offsets_of(OFFSETS[:0]).tolist() == [0]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_recurrence_goes_on_from_each_history_s_own_start(items: torch.Tensor, backwards: bool) -> None:
    torch.manual_seed(0)
    recurrence = nn.GRU(4, 5).double()
    start = torch.randn(4, 5, dtype=torch.float64)
    with torch.no_grad():
        found = run(recurrence, items, OFFSETS, backwards=backwards, start=start)
        for segment, (first, end) in enumerate(zip(OFFSETS[:-1].tolist(), OFFSETS[1:].tolist(), strict=True)):
            if first < end:
                alone = items[first:end].flip(0) if backwards else items[first:end]
                states = recurrence(alone, start[segment][None])[0]
                expected = states.flip(0) if backwards else states
                torch.testing.assert_close(found[first:end], expected, atol=1e-12, rtol=0)


def test_a_code_weighs_what_the_heaviest_of_its_events_weighs() -> None:
    """Its weight stands at the first, and the gradient goes to the heaviest, the first of equals."""
    batch = batch_of([[(9.0, [4, 7, 4, 4]), (0.0, [4])]])
    weights = torch.tensor([0.2, 0.5, 0.9, 0.9, 0.3], requires_grad=True)
    first, found = as_set(batch.with_weights(weights))
    assert first.tolist() == [True, True, False, False, True]
    assert found.tolist() == pytest.approx([0.9, 0.5, 0, 0, 0.3])
    found.sum().backward()
    assert weights.grad.tolist() == [0, 1, 1, 0, 1]
    assert as_set(batch)[1].tolist() == [1, 1, 0, 0, 1]
    hidden = set_weights(batch.with_weights(torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0])))
    assert hidden.tolist() == [1, 1, 0, 0, 0], "it is gone when all of its events are hidden"
