"""Attention over an ontology: each concept is a mixture of what stands above or below it in a directed acyclic graph.

A *link* is a pair (receiver, giver): the receiver takes from the giver. Links are sorted by receiver, so those of one
receiver lie together. Nothing here makes a tensor of links × width: scores of pairs split into a part of the receiver
and a part of the giver, each computed once for each concept, and mixtures are gathered and summed in one fused kernel.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, leaky_relu

from attending.batch import runs
from attending.nn.packed import segment_softmax


def sort_links(links: Int64[Tensor, "2 link"]) -> Int64[Tensor, "2 link"]:
    """Return (receiver, giver) links by receiver; those of one receiver keep their order."""
    return links[:, torch.argsort(links[0], stable=True)]


def links_of(
    links: Int64[Tensor, "2 link"], receivers: Int64[Tensor, " receiver"]
) -> Int64[Tensor, "2 chosen"]:
    """Return the links of some receivers, each receiver named by its place among them."""
    owner = links[0].contiguous()
    first = torch.searchsorted(owner, receivers)
    n_links = torch.searchsorted(owner, receivers, right=True) - first
    place, link = runs(first, n_links)
    return torch.stack([place, links[1][link]])


def mix(
    table: Float[Tensor, "concept heads size"],
    links: Int64[Tensor, "2 link"],
    weights: Float[Tensor, "link heads"],
    n: int,
) -> Float[Tensor, "receiver heads size"]:
    """Return Σ_j a_ij e_j of each of `n` receivers and each head; 0 where there is no link."""
    n_heads, n_links = table.shape[1], links.shape[1]
    head = torch.arange(n_heads, device=links.device)[:, None]
    ends = torch.searchsorted(links[0].contiguous(), torch.arange(n, device=links.device), right=True)
    offsets = torch.cat([ends.new_zeros(1), (ends + n_links * head).flatten()])
    mixed = embedding_bag(
        (links[1] * n_heads + head).flatten(),
        table.flatten(0, 1),
        offsets,
        mode="sum",
        per_sample_weights=weights.T.flatten().to(table.dtype),
        include_last_offset=True,
    )
    return mixed.view(n_heads, n, table.shape[2]).transpose(0, 1)


class AncestorAttention(nn.Module):
    """f_ij = vᵀ tanh(W [e_i; e_j] + b), a_i = softmax_j f_ij, g_i = Σ_j a_ij e_j.

    Choi et al., "GRAM", KDD 2017. W [e_i; e_j] is W_1 e_i + W_2 e_j: two products a concept, none a pair.
    """

    def __init__(self, width: int, width_attention: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(width, width_attention)
        self.giver = nn.Linear(width, width_attention, bias=False)
        self.score = nn.Linear(width_attention, 1, bias=False)

    def forward(
        self,
        receivers: Float[Tensor, "receiver width"],
        givers: Float[Tensor, "giver width"],
        links: Int64[Tensor, "2 link"],
    ) -> tuple[Float[Tensor, "receiver width"], Float[Tensor, " link"]]:
        """Return each receiver's mixture of givers, and the weight of each link."""
        n = len(receivers)
        pairs = torch.tanh(self.receiver(receivers)[links[0]] + self.giver(givers)[links[1]])
        weights = segment_softmax(self.score(pairs).to(givers.dtype), links[0], n)
        return mix(givers[:, None], links, weights, n)[:, 0], weights[:, 0]


class GraphAttention(nn.Module):
    """h = W x; f_ij = leaky(aᵀ h_i + cᵀ h_j), a_i = softmax_j f_ij, x'_i = Σ_j a_ij h_j + b, in several heads.

    Veličković et al., "Graph Attention Networks", ICLR 2018. A receiver takes from itself only where a link says so.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.weight = nn.Linear(width, width, bias=False)
        nn.init.xavier_normal_(self.weight.weight)  # what goes in comes out as loud
        self.receiver = nn.Parameter(torch.randn(n_heads, width // n_heads) / width**0.5)
        self.giver = nn.Parameter(torch.randn(n_heads, width // n_heads) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        concepts: Float[Tensor, "concept width"],
        links: Int64[Tensor, "2 link"],
        receivers: Int64[Tensor, " receiver"] | None = None,
    ) -> tuple[Float[Tensor, "receiver width"], Float[Tensor, "link heads"]]:
        """Return the receivers after they took from their givers, and the weights; all concepts unless some are named.

        The links name receivers by their place among `receivers`.
        """
        h = self.weight(concepts).to(concepts.dtype).view(len(concepts), self.n_heads, -1)
        own, other = (h * self.receiver).sum(2), (h * self.giver).sum(2)
        own = own if receivers is None else own[receivers]
        weights = segment_softmax(leaky_relu(own[links[0]] + other[links[1]], 0.2), links[0], len(own))
        return mix(h, links, weights, len(own)).flatten(1) + self.bias, weights


def levels_of(edges: Int64[Tensor, "2 edge"], n: int) -> Int64[Tensor, " concept"]:
    """Return, for edges (receiver, giver) of an acyclic graph, the length of the longest way to one that only gives."""
    level = torch.zeros(n, dtype=torch.int64, device=edges.device)
    for _ in range(n):
        raised = level.scatter_reduce(0, edges[0], level[edges[1]] + 1, "amax")
        if torch.equal(raised, level):
            break
        level = raised
    return level


class Sweep(nn.Module):
    """Ancestor attention along the edges of a graph, level by level, so that it carries across the whole of it.

    A concept takes from what its givers have *become*, and from its own vector: one of the two passes of Zhang et al.,
    "HAP", KDD 2020. The order of the levels is found once, in `use`.
    """

    def __init__(self, width: int, width_attention: int) -> None:
        super().__init__()
        self.attention = AncestorAttention(width, width_attention)

    def forward(
        self,
        concepts: Float[Tensor, "concept width"],
        links: Int64[Tensor, "2 link"],
        n_links: Int64[Tensor, " level"],
    ) -> tuple[Float[Tensor, "concept width"], Float[Tensor, " link"]]:
        """Return the concepts after the sweep, and the weight of each link; a concept without links stays."""
        weights = []
        for level in torch.split(links, n_links.tolist(), dim=1):
            receivers, to = torch.unique_consecutive(level[0], return_inverse=True)
            givers, source = torch.unique(level[1], return_inverse=True)
            mixed, weight = self.attention(concepts[receivers], concepts[givers], torch.stack([to, source]))
            concepts = concepts.index_copy(0, receivers, mixed)
            weights.append(weight)
        return concepts, torch.cat(weights) if weights else concepts.new_zeros(0)


def sweep_links(
    edges: Int64[Tensor, "2 edge"], n: int
) -> tuple[Int64[Tensor, "2 link"], Int64[Tensor, " level"]]:
    """Return the links of a sweep along edges (receiver, giver), and how many each level has, lowest level first.

    Each receiver also takes from itself.
    """
    level = levels_of(edges, n)
    receivers = torch.nonzero(level)[:, 0]
    links = torch.cat([torch.stack([receivers, receivers]), edges], 1)
    order = torch.argsort(level[links[0]] * n + links[0], stable=True)
    links = links[:, order]
    return links, torch.bincount(level[links[0]])[1:]
