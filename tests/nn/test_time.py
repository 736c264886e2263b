"""How time enters a model."""

import numpy as np
import pytest
import torch

from attending.nn.time import (
    Time2Vec,
    age_frequencies,
    place_frequencies,
    rotary_frequencies,
    rotate,
    turns,
)


def test_a_rotated_product_depends_on_the_time_between_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 8, dtype=torch.float64)
    frequencies = rotary_frequencies(8).double()

    def score(one: float, other: float) -> float:
        turned = [
            rotate(side, turns(torch.tensor([at], dtype=torch.float64), frequencies))
            for side, at in ((q, one), (k, other))
        ]
        return float((turned[0] * turned[1]).sum())

    assert score(10.0, 3.0) == pytest.approx(score(1007.0, 1000.0), abs=1e-9)
    assert score(5.0, 5.0) == pytest.approx(float((q * k).sum()), abs=1e-9)
    assert abs(score(10.0, 3.0) - score(10.0, 0.0)) > 1e-3


def test_a_rotation_has_the_right_gradient() -> None:
    heads = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    turn = turns(torch.randn(3, dtype=torch.float64), rotary_frequencies(4).double())
    assert torch.autograd.gradcheck(lambda one: rotate(one, turn), heads)


@pytest.mark.parametrize(
    ("frequencies", "first", "last"),
    [
        (rotary_frequencies(16), 2 * np.pi / 2, 2 * np.pi / (365.25 * 40)),
        (age_frequencies(16), 1.0, 1e-8),
        (place_frequencies(16), 1.0, 10_000.0 ** (-7 / 8)),
    ],
)
def test_frequencies_fall_geometrically(frequencies: torch.Tensor, first: float, last: float) -> None:
    assert len(frequencies) == 8
    assert float(frequencies[0]) == pytest.approx(first, rel=1e-5)
    assert float(frequencies[-1]) == pytest.approx(last, rel=1e-5)
    ratios = frequencies[1:] / frequencies[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(7), rtol=1e-4, atol=0)


def test_time2vec_is_one_line_and_waves() -> None:
    torch.manual_seed(0)
    vector = Time2Vec(4, scale=0.01).double()
    w, b = vector.weight.detach().numpy(), vector.bias.detach().numpy()
    for time in (-3.0, 0.0, 70.0):
        found = vector(torch.tensor([time], dtype=torch.float64))[0].detach().numpy()
        assert found[0] == pytest.approx(w[0] * time + b[0])
        np.testing.assert_allclose(found[1:], np.sin(w[1:] * time + b[1:]), atol=1e-12)
    far = vector(torch.tensor([-1e9, 1e9], dtype=torch.float64))
    assert sorted(far[:, 0].tolist()) == [-100, 100]
    assert torch.autograd.gradcheck(vector, torch.randn(3, dtype=torch.float64, requires_grad=True))
