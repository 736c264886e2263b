"""Hyperbolic geometry in the Poincaré ball, and a place in it for every concept of an ontology.

The ball is all vectors of norm below 1, with lengths stretched by 2 / (1 − |x|²): from the middle to the border it is
infinitely far, and room grows with the distance as the number of concepts grows down a tree. So a tree fits with little
distortion: the root in the middle, leaves near the border, siblings nearer to each other than to strangers.

Nickel and Kiela, "Poincaré Embeddings for Learning Hierarchical Representations", NeurIPS 2017; Möbius addition and
the maps after Ungar, as in Ganea et al., "Hyperbolic Neural Networks", NeurIPS 2018. All functions act on the last
dimension and stay finite, with finite gradients, at the border, in the middle and where two points are one.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from attending.nn.ontology import levels_of
from attending.nn.packed import segment_sum

Points = Float[Tensor, "*rest width"]

STEP = 1.0  # how far a child is put from its parents …
DEEPEST = 5.0  # … unless the deepest would be farther out than this
OUTWARDS = 0.5  # how much of its way leads away from the middle of the ball; 1 of it leads aside


def border(x: Tensor) -> float:
    """Return the largest norm that is safe in this precision."""
    return 1 - (1e-10 if x.dtype == torch.float64 else 1e-5)


def project(x: Points) -> Points:
    """Return the points, those at or beyond the border pulled just inside it."""
    norm = _norm(x)
    return torch.where(norm > border(x), x / norm * border(x), x)


def mobius_add(x: Points, y: Points) -> Points:
    """Return x ⊕ y: where y is, seen from x; neither commutative nor associative."""
    xy, xx, yy = (x * y).sum(-1, keepdim=True), _square(x), _square(y)
    above = (1 + 2 * xy + yy) * x + (1 - xx) * y
    return project(above / (1 + 2 * xy + xx * yy).clamp(min=torch.finfo(x.dtype).tiny))


def exp_map(x: Points, v: Points) -> Points:
    """Return where one arrives who starts at x in the direction v and goes as far as v is long there."""
    norm = _norm(v)
    return mobius_add(x, torch.tanh(norm / (1 - _square(x)).clamp(min=1 - border(x))) * v / norm)


def distance(u: Points, v: Points) -> Float[Tensor, "*rest"]:
    """Return arcosh(1 + 2 |u − v|² / ((1 − |u|²)(1 − |v|²))), as 2 arsinh of a root, which is exact for near points."""
    room = 1 - border(u)
    stretched = (1 - _square(u)).clamp(min=room) * (1 - _square(v)).clamp(min=room)
    return 2 * torch.asinh(_norm((u - v) / stretched.sqrt()))[..., 0]


def place_concepts(
    parents: Int64[Tensor, "2 edge"], n_concepts: int, width: int, *, seed: int = 0
) -> Float[Tensor, "concept width"]:
    """Return a place in the ball for every concept of a directed acyclic graph, the same for the same seed.

    First parents, then their children, level by level: a child stands one step away from the middle of its parents,
    some of it outwards, most to a side of its own. What has no parents stands in the middle.

    parents   (child, parent) of every edge
    """
    generator = torch.Generator().manual_seed(seed)
    aside = torch.randn(n_concepts, width, generator=generator, dtype=torch.float64)
    aside = aside / _norm(aside)
    depth = levels_of(parents, n_concepts)
    deepest = int(depth.max())
    step = min(STEP, DEEPEST / max(deepest, 1))
    points = torch.zeros_like(aside)
    for level in range(1, deepest + 1):
        child, parent = parents[:, depth[parents[0]] == level]
        here, place = torch.unique(child, return_inverse=True)
        middle = _mean(points[parent], place, len(here))
        way = OUTWARDS * middle / _norm(middle) + aside[here]
        points[here] = exp_map(middle, step * (1 - _square(middle)) / 2 * way / _norm(way))
    return points.float()


def _mean(
    values: Float[Tensor, "item width"], owner: Int64[Tensor, " item"], n: int
) -> Float[Tensor, "segment width"]:
    """Return the mean of the items of each of `n` segments, none of them empty."""
    ones = torch.ones(len(owner), 1, dtype=values.dtype)
    return segment_sum(values, owner, n) / segment_sum(ones, owner, n)


def _square(x: Points) -> Float[Tensor, "*rest 1"]:
    return (x * x).sum(-1, keepdim=True)


def _norm(x: Points) -> Float[Tensor, "*rest 1"]:
    return _square(x).clamp(min=torch.finfo(x.dtype).tiny).sqrt()
