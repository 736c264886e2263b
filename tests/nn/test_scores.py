"""Scores of items against a query, one item at a time; several softmaxes over the same items."""

import pytest
import torch

from attending.nn.packed import segment_softmax
from attending.nn.scores import Concat, General, Location, scorer

OWNER = torch.tensor([0, 0, 0, 2, 2, 3])  # segment 1 is empty


@pytest.fixture
def query() -> torch.Tensor:
    return torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def items() -> torch.Tensor:
    return torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_location_scores_an_item_by_itself(query: torch.Tensor, items: torch.Tensor) -> None:
    score = Location(5).double()
    found = score(query, items, OWNER)
    for i, item in enumerate(items):
        torch.testing.assert_close(found[i], score.weigh.weight[0] @ item + score.weigh.bias[0])
    assert torch.equal(found, score(-query, items, OWNER))


def test_general_scores_a_product(query: torch.Tensor, items: torch.Tensor) -> None:
    score = General(3, 5).double()
    found = score(query, items, OWNER)
    for i, (item, owner) in enumerate(zip(items, OWNER, strict=True)):
        torch.testing.assert_close(found[i], query[owner] @ score.project.weight.T @ item)


def test_concat_is_a_network_of_query_and_item_side_by_side(query: torch.Tensor, items: torch.Tensor) -> None:
    score = Concat(3, 5, 7).double()
    found = score(query, items, OWNER)
    both = torch.cat([score.query.weight, score.item.weight], 1)
    for i, (item, owner) in enumerate(zip(items, OWNER, strict=True)):
        expected = score.weigh.weight[0] @ torch.tanh(both @ torch.cat([query[owner], item]))
        torch.testing.assert_close(found[i], expected)


def test_a_score_has_a_name() -> None:
    kinds = {"location": Location, "general": General, "concat": Concat}
    assert all(isinstance(scorer(name, 3, 5, 7), kind) for name, kind in kinds.items())


@pytest.mark.parametrize("name", ["location", "general", "concat"])
def test_gradients_are_those_of_finite_differences(
    name: str, query: torch.Tensor, items: torch.Tensor
) -> None:
    score = scorer(name, 3, 5, 7).double()
    inputs = query.requires_grad_(), items.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda q, h: segment_softmax(
            score(q, h, OWNER)[:, None] * torch.tensor([1.0, 2.0]).double(), OWNER, 4
        ),
        inputs,
    )
