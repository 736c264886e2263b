"""Sparse graphs over the vocabulary: who stands next to a token, how strongly, and sums over neighbours.

A vocabulary of 20,000 tokens has 400 million pairs; a graph keeps the strongest few of each row, in compressed rows,
so that memory grows with `n_nodes · strongest` and nothing of size `n_nodes²` is ever made.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from attending.batch import Ontology, Together, offsets_of, owners, runs
from attending.nn.packed import segment_shares
from attending.nn.sized import Sized


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Directed edges, row by row.

    starts     where the edges of each node start in `to`, and the end
    to         the node that an edge leads to, in rising order within a row
    strength   how much of it a sum over neighbours takes
    """

    starts: Int64[Tensor, " bounds"]
    to: Int64[Tensor, " edge"]
    strength: Float[Tensor, " edge"]

    @property
    def n_nodes(self) -> int:
        """How many nodes the graph has."""
        return len(self.starts) - 1

    @property
    def keys(self) -> Int64[Tensor, " edge"]:
        """One rising number for each edge: `from · n_nodes + to`."""
        return owners(self.starts) * self.n_nodes + self.to


class KeptGraph(Sized):
    """A graph as a part of a model: one without edges until it is told."""

    sized = ("to_node", "strength")

    def __init__(self, n_nodes: int) -> None:
        super().__init__()
        self.starts = nn.Buffer(torch.zeros(n_nodes + 1, dtype=torch.int64))
        self.to_node = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.strength = nn.Buffer(torch.zeros(0))

    def keep(self, graph: Graph) -> None:
        """Keep this graph."""
        self.starts, self.to_node = nn.Buffer(graph.starts), nn.Buffer(graph.to)
        self.strength = nn.Buffer(graph.strength)

    def forward(self) -> Graph:
        """Return the graph."""
        return Graph(starts=self.starts, to=self.to_node, strength=self.strength)


def graph_of(
    pairs: Int64[Tensor, "2 pair"], strength: Float[Tensor, " pair"], n_nodes: int, *, strongest: int
) -> Graph:
    """Return the graph of the `strongest` pairs (from, to) of each row; of equals, those with the smaller `to`."""
    order = torch.argsort(pairs[1], stable=True)
    order = order[torch.argsort(strength[order], descending=True, stable=True)]
    order = order[torch.argsort(pairs[0, order], stable=True)]
    starts = _starts(pairs[0], n_nodes)
    rank = torch.arange(len(order), device=pairs.device) - starts[pairs[0, order]]
    kept = order[rank < strongest]
    kept = kept[torch.argsort(pairs[0, kept] * n_nodes + pairs[1, kept])]
    return Graph(starts=_starts(pairs[0, kept], n_nodes), to=pairs[1, kept], strength=strength[kept])


def in_shares(graph: Graph) -> Graph:
    """Return the graph with the strengths of each row summing to 1."""
    row = owners(graph.starts)
    return replace(graph, strength=segment_shares(graph.strength, row, graph.n_nodes))


def co_occurrence(together: Together, n_tokens: int, *, threshold: float, strongest: int) -> Graph:
    """Return who shares visits with whom, each row in shares.

    An edge is kept where it holds at least `threshold` of all that a token shares with others, and is among the
    `strongest` of its row: with shares f_ij / Σ_k f_ik, no row has more than `1 / threshold` edges.
    """
    others = together.pairs[0] != together.pairs[1]
    pairs, count = together.pairs[:, others], together.count[others]
    share = segment_shares(count, pairs[0], n_tokens)
    often = share >= threshold
    return in_shares(graph_of(pairs[:, often], share[often], n_tokens, strongest=strongest))


def shared_concepts(ontology: Ontology, n_tokens: int, *, largest: int, strongest: int) -> Graph:
    """Return which tokens stand below the same concepts; an edge's strength is how many concepts hold both.

    Concepts of more than `largest` tokens say little of any two and are left out; of each row the `strongest` stay.
    """
    sizes = torch.bincount(ontology.above[1], minlength=ontology.n_concepts)
    token, concept = ontology.above[:, ontology.above[0] != ontology.above[1]]
    telling = sizes[concept] <= largest
    token, concept = token[telling], concept[telling]
    order = torch.argsort(concept, stable=True)
    members = Graph(
        starts=_starts(concept, ontology.n_concepts), to=token[order], strength=torch.ones(len(order))
    )
    link, edge = edges_of(members, concept)
    key, count = torch.unique(token[link] * n_tokens + members.to[edge], return_counts=True)
    pairs = torch.stack([key // n_tokens, key % n_tokens])
    others = pairs[0] != pairs[1]
    return graph_of(pairs[:, others], count[others].float(), n_tokens, strongest=strongest)


def edges_of(
    graph: Graph, nodes: Int64[Tensor, " item"]
) -> tuple[Int64[Tensor, " link"], Int64[Tensor, " link"]]:
    """Return every edge that leaves the node of each item: (item, edge), by item."""
    return runs(graph.starts[nodes], graph.starts.diff()[nodes])


def edges_within(
    graph: Graph,
    nodes: Int64[Tensor, " item"],
    group: Int64[Tensor, " item"],
    keys: Int64[Tensor, " member"],
) -> tuple[Int64[Tensor, " link"], Int64[Tensor, " link"], Int64[Tensor, " link"]]:
    """Return the edges that leave each item's node and end in its own group: (item, edge, member).

    `keys` are the members of the groups, rising: `group · n_nodes + node`.
    """
    item, edge = edges_of(graph, nodes)
    member, there = find(keys, group[item] * graph.n_nodes + graph.to[edge])
    return item[there], edge[there], member[there]


def neighbour_sum(table: Float[Tensor, "node width"], graph: Graph) -> Float[Tensor, "node width"]:
    """Return the sum over each node's neighbours, Σ_j strength_ij table_j, without making one row an edge."""
    weights = graph.strength.to(table.dtype)
    return embedding_bag(
        graph.to, table, graph.starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def find(
    keys: Int64[Tensor, " key"], wanted: Int64[Tensor, " item"]
) -> tuple[Int64[Tensor, " item"], Bool[Tensor, " item"]]:
    """Return where each wanted number stands in the rising `keys`, and whether it is there."""
    if len(keys) == 0:
        return torch.zeros_like(wanted), torch.zeros_like(wanted, dtype=torch.bool)
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return place, keys[place] == wanted


def _starts(rows: Int64[Tensor, " edge"], n_nodes: int) -> Int64[Tensor, " bounds"]:
    return offsets_of(torch.bincount(rows, minlength=n_nodes))
