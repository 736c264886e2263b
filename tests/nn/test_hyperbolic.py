"""The Poincaré ball: identities, finite differences, and safety where the formulas divide by nothing."""

import numpy as np
import pytest
import torch

from attending.nn.hyperbolic import border, distance, exp_map, mobius_add, place_concepts, project
from histories import ontology


def points(n: int, *, seed: int = 0, largest: float = 0.95) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    return (
        x / x.norm(dim=1, keepdim=True) * torch.rand(n, 1, generator=generator, dtype=torch.float64) * largest
    )


def test_the_distance_is_that_of_the_paper() -> None:
    u, v = points(20).numpy(), points(20, seed=1).numpy()
    above = 2 * ((u - v) ** 2).sum(1)
    below = (1 - (u**2).sum(1)) * (1 - (v**2).sum(1))
    np.testing.assert_allclose(
        distance(points(20), points(20, seed=1)), np.arccosh(1 + above / below), rtol=1e-10
    )


def test_the_distance_is_a_metric() -> None:
    a, b, c = points(50), points(50, seed=1), points(50, seed=2)
    torch.testing.assert_close(distance(a, b), distance(b, a))
    assert float(distance(a, a).max()) < 1e-100
    assert bool((distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12).all())


def test_mobius_addition_has_a_neutral_and_an_inverse_and_cancels_on_the_left() -> None:
    x, y = points(50), points(50, seed=1)
    torch.testing.assert_close(mobius_add(x, torch.zeros_like(x)), x)
    torch.testing.assert_close(mobius_add(torch.zeros_like(x), x), x)
    torch.testing.assert_close(mobius_add(-x, mobius_add(x, y)), y)
    torch.testing.assert_close(
        distance(x, y), 2 * torch.atanh(mobius_add(-x, y).norm(dim=1)), msg="the other form of the distance"
    )


def test_a_way_starts_in_its_direction_and_goes_as_far_as_it_is_long() -> None:
    x, v = points(50), 0.1 * points(50, seed=1)
    length = 2 / (1 - (x * x).sum(1)) * v.norm(dim=1)
    torch.testing.assert_close(distance(x, exp_map(x, v)), length)
    torch.testing.assert_close((exp_map(x, 1e-7 * v) - x) / 1e-7, v, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_is_finite_at_the_border_in_the_middle_and_where_points_meet(dtype: torch.dtype) -> None:
    edge = torch.zeros(4, 5, dtype=dtype)
    edge[0, 0], edge[1, 0], edge[2, 1] = 1.0, -1.0, 5.0  # on the border twice, beyond it, and the middle
    u = edge.repeat_interleave(4, 0).requires_grad_()
    v = edge.repeat(4, 1).requires_grad_()
    inside_u, inside_v = project(u), project(v)
    assert float(inside_u.detach().norm(dim=1).max()) <= border(u) + torch.finfo(dtype).eps
    for found in (
        distance(inside_u, inside_v),
        distance(u, v),
        mobius_add(inside_u, inside_v),
        exp_map(inside_u, v),
    ):
        assert bool(torch.isfinite(found).all())
        for gradient in torch.autograd.grad(found.sum(), [u, v], retain_graph=True, allow_unused=True):
            assert gradient is None or bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("function", [distance, mobius_add, exp_map])
def test_gradients_are_those_of_finite_differences(function) -> None:
    assert torch.autograd.gradcheck(
        function, (points(4, largest=0.9).requires_grad_(), points(4, seed=1, largest=0.9).requires_grad_())
    )


def test_every_concept_of_a_tree_stands_nearest_to_its_parent_or_its_children() -> None:
    tree = ontology(200)
    places = place_concepts(tree.parents, tree.n_concepts, 32).double()
    apart = distance(*torch.broadcast_tensors(places[:, None], places[None])).fill_diagonal_(torch.inf)
    kin = torch.zeros_like(apart, dtype=torch.bool)
    kin[tree.parents[0], tree.parents[1]] = kin[tree.parents[1], tree.parents[0]] = True
    nearest = apart.argmin(1)
    assert float(kin[torch.arange(len(places)), nearest].double().mean()) > 0.9
    norm = places.norm(dim=1)
    child, parent = tree.parents
    assert bool((norm[child] > norm[parent]).all()), "leaves outside, the root in the middle"
    assert float(norm.max()) < 1


def test_places_are_the_same_for_the_same_seed_and_a_child_of_two_stands_between_them() -> None:
    parents = torch.tensor([[0, 0, 1, 2, 3, 4], [3, 4, 3, 4, 5, 5]])
    one, again, other = (place_concepts(parents, 6, 16, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    torch.testing.assert_close(distance(one[0], (one[3] + one[4]) / 2), torch.tensor(1.0), rtol=1e-4, atol=0)
    assert place_concepts(torch.zeros(2, 0, dtype=torch.int64), 3, 4).tolist() == [[0.0] * 4] * 3
