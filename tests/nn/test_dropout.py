"""Dropout: how much is left out, what is made up for, which gradient comes back."""

import pytest
import torch

from attending.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_share_is_left_out_and_the_rest_makes_up_for_it(p):
    y = Dropout(p)(torch.ones(1000, 401))
    n_left_out = int((y == 0).sum())
    assert n_left_out / y.numel() == pytest.approx(p, abs=5 * (p * (1 - p) / y.numel()) ** 0.5)
    torch.testing.assert_close(
        y[y != 0], torch.full((y.numel() - n_left_out,), 1 / (1 - p)), rtol=1e-4, atol=0
    )


def test_elements_are_left_out_independently():
    """Four elements share 64 bits: neighbours of any distance up to eight fall together no more often than others."""
    y = Dropout(0.5)(torch.ones(400_000)) == 0
    for distance in range(1, 9):
        both = float((y[distance:] & y[:-distance]).float().mean())
        assert both == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / len(y)) ** 0.5)


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (7, 3), (2, 3, 5)])
def test_any_shape(shape):
    x = torch.rand(shape) + 1
    y = Dropout(0.3)(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y[y != 0], x[y != 0] / 0.7, rtol=1e-4, atol=0)


def test_the_gradient_is_of_what_is_left():
    x = torch.rand(50, 30, requires_grad=True)
    y = Dropout(0.4)(x + 1)
    y.sum().backward()
    torch.testing.assert_close(x.grad, (y / (x + 1)).detach())


def test_masks_follow_the_seed_and_differ_from_call_to_call():
    layer, x = Dropout(0.5), torch.ones(64)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_nothing_is_left_out_of_a_prediction_nor_at_0(p):
    layer, x = Dropout(p), torch.rand(8)
    assert (layer if p == 0 else layer.eval())(x) is x


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_type_stays(dtype):
    assert Dropout(0.2)(torch.ones(10, dtype=dtype)).dtype == dtype
