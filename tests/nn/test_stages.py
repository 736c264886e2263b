"""The recurrence of StageNet, derived by hand, against its equations step by step and against finite differences."""

import pytest
import torch
from torch.autograd import gradcheck

from attending.nn import stages
from attending.nn.stages import stage_recurrence

LEVELS, UNITS, INPUTS = 3, 2, 4
GATES, STATE = 2 * LEVELS + 4 * LEVELS * UNITS, LEVELS * UNITS
SIZES = [3, 3, 2, 1, 1]  # histories of 5, 3 and 2 steps


def cumax(scores: torch.Tensor) -> torch.Tensor:
    return scores.softmax(-1).cumsum(-1)


def step_by_step(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, recurrent: torch.Tensor, sizes: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Restate Gao et al.'s equations one step at a time, for autograd."""
    h = c = x.new_zeros(sizes[0], recurrent.shape[1])
    states, forgets = [], []
    for now in torch.split(x, sizes):
        h, c = h[: len(now)], c[: len(now)]
        z = now @ weight.T + bias + h @ recurrent.T
        forget, keep = cumax(z[:, :LEVELS]), cumax(z[:, LEVELS : 2 * LEVELS]).flip(1)
        wide = [one.repeat_interleave(UNITS, 1) for one in (forget, keep)]
        overlap = wide[0] * wide[1]
        f, i, o, candidate = z[:, 2 * LEVELS :].chunk(4, 1)
        fresh = torch.tanh(candidate)
        inner = overlap * (torch.sigmoid(f) * c + torch.sigmoid(i) * fresh)
        c = inner + (wide[0] - overlap) * c + (wide[1] - overlap) * fresh
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
        forgets.append(forget)
    return torch.cat(states), torch.cat(forgets)


def random_parts(n_cells: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((n_cells, INPUTS), (GATES, INPUTS), (GATES,), (GATES, STATE))
    return [
        torch.randn(*one, dtype=torch.float64, generator=generator).div_(2).requires_grad_() for one in shapes
    ]


@pytest.mark.parametrize("block", [1, 4, 256])
def test_states_and_gradients_are_those_of_the_equations(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BLOCK", block)
    parts, found = random_parts(sum(SIZES)), []
    for both in (stage_recurrence(*parts, SIZES, LEVELS), step_by_step(*parts, SIZES)):
        loss = sum((one * torch.arange(one.numel()).view_as(one).cos()).sum() for one in both)
        found.append([*both, *torch.autograd.grad(loss, parts)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


def test_gradients_match_finite_differences() -> None:
    assert gradcheck(lambda *parts: stage_recurrence(*parts, SIZES, LEVELS), random_parts(sum(SIZES)))


def test_inputs_and_gradients_may_lie_in_memory_as_they_like() -> None:
    parts = random_parts(sum(SIZES))
    turned = [one.detach().mT.contiguous().mT.requires_grad_() if one.dim() == 2 else one for one in parts]
    weight, found = torch.randn(STATE, sum(SIZES), dtype=torch.float64), []
    for inputs in (parts, turned):
        states = stage_recurrence(*inputs, SIZES, LEVELS)[0]
        found.append(torch.autograd.grad((states.T * weight).sum(), inputs))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_a_second_way_back_gives_the_same() -> None:
    parts = random_parts(sum(SIZES))
    loss = stage_recurrence(*parts, SIZES, LEVELS)[0].sum()
    once, again = (torch.autograd.grad(loss, parts, retain_graph=True) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


def test_no_cells_have_no_states() -> None:
    states, forget = stage_recurrence(*random_parts(0), [], LEVELS)
    assert states.shape == (0, STATE) and forget.shape == (0, LEVELS)
