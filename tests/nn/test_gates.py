"""A gate that shares out, against its definition."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import plain_layers
from attending.nn.gates import sparsemax


@pytest.mark.parametrize("seed", range(4))
def test_sparsemax_is_the_nearest_point_of_the_simplex(seed: int) -> None:
    """Found independently: the threshold by bisection."""
    scores = 2 * np.random.default_rng(seed).normal(size=(30, 7))
    found = sparsemax(torch.from_numpy(scores)).numpy()
    for row, one in zip(scores, found, strict=True):
        np.testing.assert_allclose(one, plain_layers.sparsemax(row), atol=1e-12)
    assert (found == 0).any(), "some shares are exactly zero"


def test_sparsemax_of_equal_scores_is_even_and_of_one_far_above_is_that_one() -> None:
    torch.testing.assert_close(sparsemax(torch.full((4,), 3.0)), torch.full((4,), 0.25))
    torch.testing.assert_close(sparsemax(torch.tensor([9.0, 1.0, -50.0])), torch.tensor([1.0, 0.0, 0.0]))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("high", [256.0, 1e6, 3e8])
def test_sparsemax_shares_out_scores_far_from_zero(kind: torch.dtype, high: float) -> None:
    """There 1 + s = s in few digits: the first score must count as positive nonetheless."""
    found = sparsemax(torch.tensor([[high, 0.0, -high], [-high, -high, -2 * high]], dtype=kind))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], dtype=kind))


def test_gradients_match_finite_differences() -> None:
    scores = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert gradcheck(sparsemax, scores.requires_grad_())
