"""The selective scan against its recurrence, one token and one channel at a time, and its gradients."""

import numpy as np
import pytest
import torch

from attending.nn import scan as module
from attending.nn.scan import scan, selective_scan

LENGTHS = [0, 1, 5, 0, 12, 3]


def parts(lengths: list[int], *, n_channels: int = 3, n_states: int = 2, seed: int = 0) -> list[torch.Tensor]:
    """Return random inputs, steps, rates, ways in and out, and where histories of these lengths start."""
    torch.manual_seed(seed)
    n = sum(lengths)
    first = torch.zeros(n, dtype=torch.bool)
    starts = np.cumsum([0, *lengths[:-1]])
    first[[int(start) for start, length in zip(starts, lengths, strict=True) if length]] = True
    return [
        torch.randn(n, n_channels, dtype=torch.float64),
        torch.rand(n, n_channels, dtype=torch.float64),
        -torch.rand(n_channels, n_states, dtype=torch.float64),
        torch.randn(n, n_states, dtype=torch.float64),
        torch.randn(n, n_states, dtype=torch.float64),
        first,
    ]


def plain_scan(u, step, rate, into, out_of, first) -> np.ndarray:
    """Restate the recurrence."""
    y = np.zeros(u.shape)
    for d in range(u.shape[1]):
        h = np.zeros(rate.shape[1])
        for t in range(len(u)):
            if first[t]:
                h = np.zeros(rate.shape[1])
            h = np.exp(step[t, d] * rate[d]) * h + step[t, d] * u[t, d] * into[t]
            y[t, d] = out_of[t] @ h
    return y


@pytest.mark.parametrize("block", [1, 4, 7, 21, 1024])
def test_the_scan_is_its_recurrence_however_it_is_cut(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    found = selective_scan(*parts(LENGTHS))
    np.testing.assert_allclose(
        found.numpy(), plain_scan(*(one.numpy() for one in parts(LENGTHS))), atol=1e-12
    )


@pytest.mark.parametrize("block", [3, 1024])
def test_its_gradients_are_right(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    *tensors, first = parts([3, 1, 3], n_channels=2)
    for tensor in tensors:
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(lambda *some: selective_scan(*some, first), tensors)


def test_histories_do_not_meet() -> None:
    *tensors, first = parts(LENGTHS)
    tensors[0].requires_grad_()
    found = selective_scan(*tensors, first)
    (gradient,) = torch.autograd.grad(found[6:18].square().sum(), tensors[0])  # the history of twelve
    assert gradient.abs().sum(1).nonzero()[:, 0].tolist() == list(range(6, 18))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 16, 17])
def test_a_scan_starts_where_it_is_told(n: int) -> None:
    torch.manual_seed(n)
    keep, add, start = torch.rand(n, 2, 3), torch.randn(n, 2, 3), torch.randn(2, 3)
    state, expected = start, []
    for t in range(n):
        state = keep[t] * state + add[t]
        expected.append(state)
    torch.testing.assert_close(scan(keep, add, start), torch.stack(expected))


def test_a_very_long_history_neither_overflows_nor_fades_to_nothing() -> None:
    tensors = [one.float() if one.dtype == torch.float64 else one for one in parts([5000])]
    found = selective_scan(*tensors)
    assert torch.isfinite(found).all()
    assert float(found[-100:].abs().mean()) > 0.1


def test_no_token_is_no_answer() -> None:
    *tensors, first = parts([0, 0])
    tensors[2].requires_grad_()
    found = selective_scan(*tensors, first)
    found.sum().backward()
    assert found.shape == (0, 3)
    assert tensors[2].grad.eq(0).all()
