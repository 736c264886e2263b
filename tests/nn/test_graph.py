"""Sparse graphs against dense matrices."""

import numpy as np
import pytest
import torch

from attending.batch import Together
from attending.nn.graph import (
    Graph,
    co_occurrence,
    edges_of,
    edges_within,
    find,
    graph_of,
    in_shares,
    neighbour_sum,
    shared_concepts,
)
from histories import ontology

N = 7


def random_counts(seed: int = 0) -> tuple[np.ndarray, Together]:
    """Return symmetric counts of shared visits, dense and as pairs; the diagonal is each token's own count."""
    generator = np.random.default_rng(seed)
    half = np.triu(generator.integers(0, 9, (N, N)) * (generator.random((N, N)) < 0.6), 1)
    dense = (half + half.T + np.diag(np.full(N, 20))).astype(np.float32)
    pairs = np.argwhere(dense > 0).T
    return dense, Together(pairs=torch.from_numpy(pairs), count=torch.from_numpy(dense[pairs[0], pairs[1]]))


def dense_of(graph: Graph) -> np.ndarray:
    out = np.zeros((graph.n_nodes, graph.n_nodes))
    for row in range(graph.n_nodes):
        for edge in range(int(graph.starts[row]), int(graph.starts[row + 1])):
            out[row, graph.to[edge]] = graph.strength[edge]
    return out


@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.2])
@pytest.mark.parametrize("strongest", [1, 3, 99])
def test_co_occurrence_keeps_the_strongest_in_shares(threshold: float, strongest: int) -> None:
    dense, together = random_counts()
    found = dense_of(co_occurrence(together, N, threshold=threshold, strongest=strongest))
    expected = np.zeros((N, N))
    for i in range(N):
        others = {j: dense[i, j] for j in range(N) if j != i and dense[i, j] > 0}
        total = sum(others.values())
        often = [j for j, count in others.items() if count / total >= threshold]
        kept = sorted(often, key=lambda j: (-others[j], j))[:strongest]
        for j in kept:
            expected[i, j] = others[j] / sum(others[k] for k in kept)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_shared_concepts_are_counted_without_the_large_ones() -> None:
    """Four tokens below a concept, eight below another, all below the root, which is too large to tell."""
    given = ontology(40)
    found = dense_of(shared_concepts(given, 40, largest=8, strongest=99))
    expected = np.array([[(i // 4 == j // 4) + (i // 8 == j // 8) for j in range(40)] for i in range(40)])
    np.fill_diagonal(expected, 0)
    np.testing.assert_array_equal(found, expected)
    few = shared_concepts(given, 40, largest=8, strongest=3)
    assert few.to[:3].tolist() == [1, 2, 3], "the closest stay"


def test_a_row_lists_its_edges_in_rising_order_and_keys_rise() -> None:
    pairs = torch.tensor([[2, 0, 2, 0, 2], [1, 2, 0, 1, 2]])
    graph = graph_of(pairs, torch.tensor([1.0, 5.0, 3.0, 2.0, 4.0]), 3, strongest=2)
    assert graph.starts.tolist() == [0, 2, 2, 4]
    assert graph.to.tolist() == [1, 2, 0, 2]
    assert graph.strength.tolist() == [2.0, 5.0, 3.0, 4.0]
    assert graph.keys.tolist() == [1, 2, 6, 8]


def test_the_edges_of_items_are_those_of_their_nodes() -> None:
    graph = graph_of(torch.tensor([[0, 0, 2], [1, 2, 0]]), torch.ones(3), 3, strongest=9)
    item, edge = edges_of(graph, torch.tensor([2, 1, 0, 2]))
    assert item.tolist() == [0, 2, 2, 3]
    assert edge.tolist() == [2, 0, 1, 2]


def test_edges_within_a_group_end_at_its_members() -> None:
    graph = graph_of(torch.tensor([[0, 0, 2], [1, 2, 0]]), torch.ones(3), 3, strongest=9)
    keys = torch.tensor([0, 2, 4])  # group 0 holds the nodes 0 and 2, group 1 the node 1
    item, edge, member = edges_within(graph, torch.tensor([0, 2, 0]), torch.tensor([0, 0, 1]), keys)
    assert item.tolist() == [0, 1, 2]
    assert edge.tolist() == [1, 2, 0]
    assert member.tolist() == [1, 0, 2]


def test_a_sum_over_neighbours_is_a_matrix_product_with_its_gradient() -> None:
    _, together = random_counts(1)
    graph = co_occurrence(together, N, threshold=0.01, strongest=4)
    table = torch.randn(N, 3, dtype=torch.float64, requires_grad=True)
    np.testing.assert_allclose(
        neighbour_sum(table, graph).detach().numpy(), dense_of(graph) @ table.detach().numpy(), atol=1e-12
    )
    strength = graph.strength.double().requires_grad_()

    def summed(table: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        return neighbour_sum(table, Graph(starts=graph.starts, to=graph.to, strength=strength))

    assert torch.autograd.gradcheck(summed, (table, strength))


def test_an_empty_graph_sums_to_zero_and_finds_nothing() -> None:
    graph = in_shares(graph_of(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), 3, strongest=5))
    assert neighbour_sum(torch.ones(3, 2), graph).tolist() == [[0.0, 0.0]] * 3
    assert not find(graph.keys, torch.tensor([0, 4]))[1].any()


def test_finding_says_where_and_whether() -> None:
    place, there = find(torch.tensor([2, 5, 9]), torch.tensor([9, 1, 5, 10]))
    assert there.tolist() == [True, False, True, False]
    assert place[there].tolist() == [2, 1]
