"""GRU and LSTM with a way back by hand, against autograd over torch's own cells and against finite differences."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from attending.nn import recurrence
from attending.nn.recurrence import gru, lstm

SIZES = [3, 3, 2, 1, 1]  # histories of 5, 3 and 2 steps
CELLS = {"gru": (gru, nn.GRUCell), "lstm": (lstm, nn.LSTMCell)}


@pytest.fixture(params=list(CELLS))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def random_parts(kind: str) -> list[torch.Tensor]:
    """Return inputs, a state to start from, and a cell's weights in the order W, b, U, c."""
    torch.manual_seed(0)
    cell = CELLS[kind][1](4, 3).double()
    weights = [cell.weight_ih, cell.bias_ih, cell.weight_hh, cell.bias_hh]
    inputs = [torch.randn(n, width, dtype=torch.float64) for n, width in ((sum(SIZES), 4), (SIZES[0], 3))]
    return [one.detach().requires_grad_() for one in (*inputs, *weights)]


def step_by_step(kind: str, parts: list[torch.Tensor]) -> torch.Tensor:
    x, h, *weights = parts
    names, memory, states = ("weight_ih", "bias_ih", "weight_hh", "bias_hh"), torch.zeros_like(h), []
    cell = CELLS[kind][1](4, 3).double()
    for now in torch.split(x, SIZES):
        h, memory = h[: len(now)], memory[: len(now)]
        state = (h, memory) if kind == "lstm" else h
        found = torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (now, state))
        h, memory = found if kind == "lstm" else (found, memory)
        states.append(h)
    return torch.cat(states)


@pytest.mark.parametrize("block", [1, 4, 1024])
def test_states_and_gradients_are_those_of_torchs_cells(
    kind: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrence, "BLOCK", block)
    parts, found = random_parts(kind), []
    ours = CELLS[kind][0](*parts[:2], tuple(parts[2:]), SIZES)
    for states in (ours, step_by_step(kind, parts)):
        loss = (states * torch.arange(states.numel()).view_as(states).cos()).sum()
        found.append([states, *torch.autograd.grad(loss, parts)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_gradients_match_finite_differences(kind: str) -> None:
    run = CELLS[kind][0]
    assert gradcheck(lambda x, start, *weights: run(x, start, weights, SIZES), random_parts(kind))


def test_inputs_and_gradients_may_lie_in_memory_as_they_like(kind: str) -> None:
    parts = random_parts(kind)
    turned = [one.detach().mT.contiguous().mT.requires_grad_() if one.dim() == 2 else one for one in parts]
    weight, found = torch.randn(3, sum(SIZES), dtype=torch.float64), []
    for inputs in (parts, turned):
        states = CELLS[kind][0](*inputs[:2], tuple(inputs[2:]), SIZES)
        found.append(torch.autograd.grad((states.T * weight).sum(), inputs))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_a_second_way_back_gives_the_same(kind: str) -> None:
    parts = random_parts(kind)
    loss = CELLS[kind][0](*parts[:2], tuple(parts[2:]), SIZES).sum()
    once, again = (torch.autograd.grad(loss, parts, retain_graph=True) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))
