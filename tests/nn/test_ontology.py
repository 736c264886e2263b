"""Attention over an ontology against plain loops, on a graph whose concepts have several parents."""

import torch

from attending.nn.ontology import (
    AncestorAttention,
    GraphAttention,
    Sweep,
    levels_of,
    links_of,
    mix,
    sort_links,
    sweep_links,
)

# A graph of 7 concepts: 0, 1, 2 are tokens, 6 is the root, 1 has two parents, and 2 hangs on the root directly.
EDGES = torch.tensor([[0, 1, 1, 2, 3, 4, 5], [3, 3, 4, 6, 5, 6, 6]])  # (child, parent)


def test_links_of_some_receivers_are_named_by_their_place() -> None:
    links = torch.tensor([[0, 0, 1, 3, 3, 3], [5, 6, 7, 8, 9, 4]])
    chosen = links_of(links, torch.tensor([1, 2, 3]))
    assert chosen.tolist() == [[0, 2, 2, 2], [7, 8, 9, 4]]
    assert links_of(links, torch.tensor([], dtype=torch.int64)).shape == (2, 0)


def test_links_are_sorted_by_receiver_and_keep_their_order() -> None:
    assert sort_links(torch.tensor([[2, 0, 2], [9, 8, 7]])).tolist() == [[0, 2, 2], [8, 9, 7]]


def test_a_mixture_is_a_weighted_sum_of_each_head() -> None:
    torch.manual_seed(0)
    table, weights = torch.randn(5, 2, 3), torch.rand(4, 2)
    links = torch.tensor([[0, 0, 2, 2], [1, 4, 4, 0]])
    found = mix(table, links, weights, 3)
    assert torch.equal(found[1], torch.zeros(2, 3)), "no link, nothing"
    for head in range(2):
        for receiver, (one, other) in ((0, (0, 1)), (2, (2, 3))):
            first, second = (weights[link, head] * table[links[1, link], head] for link in (one, other))
            torch.testing.assert_close(found[receiver, head], first + second)


def test_the_level_of_a_concept_is_its_longest_way() -> None:
    assert levels_of(EDGES.flip(0), 7).tolist() == [0, 0, 0, 1, 1, 2, 3], "heights over the tokens"
    assert levels_of(EDGES, 7).tolist() == [3, 3, 1, 2, 1, 1, 0], "depths below the root"


def test_a_sweep_gives_every_concept_what_its_givers_have_become() -> None:
    torch.manual_seed(0)
    sweep, concepts = Sweep(4, 3).double(), torch.randn(7, 4).double()
    links, n_links = sweep_links(EDGES.flip(0), 7)
    with torch.no_grad():
        found, weights = sweep(concepts, links, n_links)
        became = concepts.clone()
        for parent in (3, 4, 5, 6):
            givers = [parent, *EDGES[0, EDGES[1] == parent].tolist()]
            own = torch.tensor([[0] * len(givers), list(range(len(givers)))])
            became[parent] = sweep.attention(became[[parent]], became[givers], own)[0][0]
    torch.testing.assert_close(found, became)
    assert int(n_links.sum()) == links.shape[1] == len(weights) == 7 + 4


def test_graph_attention_of_some_receivers_is_that_of_all() -> None:
    torch.manual_seed(0)
    layer, concepts = GraphAttention(6, 2), torch.randn(7, 6)
    loops = torch.arange(7).repeat(2, 1)
    links = sort_links(torch.cat([EDGES, loops], 1))
    chosen = torch.tensor([1, 4])
    with torch.no_grad():
        everything, _ = layer(concepts, links)
        some, weights = layer(concepts, links_of(links, chosen), chosen)
    torch.testing.assert_close(some, everything[chosen])
    assert weights.shape == (3 + 2, 2)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    attention, graph = AncestorAttention(4, 3).double(), GraphAttention(4, 2).double()
    concepts = torch.randn(7, 4).double().requires_grad_()
    links = sort_links(torch.cat([EDGES, torch.arange(7).repeat(2, 1)], 1))
    sweep, (swept, n_links) = Sweep(4, 3).double(), sweep_links(EDGES, 7)
    assert torch.autograd.gradcheck(lambda x: attention(x, x, links), concepts)
    assert torch.autograd.gradcheck(lambda x: graph(x, links), concepts)
    assert torch.autograd.gradcheck(lambda x: sweep(x, swept, n_links), concepts)


def test_a_graph_without_edges_leaves_its_concepts_as_they_are() -> None:
    links, n_links = sweep_links(torch.zeros(2, 0, dtype=torch.int64), 3)
    concepts = torch.randn(3, 4)
    assert torch.equal(Sweep(4, 3)(concepts, links, n_links)[0], concepts)
