"""Chet: codes with roles, by what they were in the previous visit, on a graph of codes that share visits.

Lu, Han, Ning: "Context-aware Health Event Prediction via Transition Functions on Dynamic Disease Graphs", AAAI 2022.
A (rows sum to 1) links codes that share training visits. D_t are the codes of visit t, N_t those next to one of them
and not in D_t. A code has two embeddings, c where it is recorded and n where it is only near, and a third, u:

    z_ti = LeakyReLU(W [c_i + Σ_{k∈D_t} A_ik c_k + Σ_{k∈N_t} A_ik n_k] + b)        i in D_t, recorded
    y_ti = LeakyReLU(W [n_i + Σ_{k∈N_t} A_ik n_k + Σ_{k∈D_t} A_ik c_k] + b)        i in N_t, near

A recorded code has a state h_ti, by its role: what it was in the visit before.

    persistent   i in D_{t-1}, or t = 1:   h_ti = GRU(z_ti, h_{t-1,i}),   h_0 = 0
    emerging     i in N_{t-1}:             r_i = y_{t-1,i};   i in neither: r_i = u_i
                 h_ti = tanh(Σ_j softmax_j(Q r_i · K r_j / √d) V z_tj)     over all emerging codes j of visit t

    v_t = max over D_t of h_ti, elementwise;   α = softmax_t(a · (W_a v_t));   logits = W_o Σ_t α_t v_t + b_o

Notable: no loop over patients or visits. What exists is a packed list of (visit, code) items. A state lives only as
long as its code stands in consecutive visits, so each such *chain* is a sequence of its own and all chains of a batch
run as one packed GRU, started from the emerging state. All k next to a recorded i are in D_t or N_t, so the sum over
neighbours of i is (A n)_i, once for the vocabulary, and a correction over the pairs that are both recorded.
Visit 0 with its static facts is a visit like any other. A token's weight scales its embedding, its value in the
attention and its state in the maximum; a token of weight 0 is in no set.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, scaled_dot_product_attention

from attending.batch import Batch, Facts, Output, offsets_of
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.attention import layout
from attending.nn.dropout import Dropout
from attending.nn.graph import Graph, KeptGraph, co_occurrence, edges_of, edges_within, find, neighbour_sum
from attending.nn.packed import as_set, attended, run, segment_sum


class Config(interface.ModelConfig):
    """Settings of Chet.

    width              embeddings c and n
    width_graph        codes after the graph, and u
    width_state        states of codes, visits
    width_attention    queries and keys
    threshold          an edge holds at least this share of what a code shares with others
    n_neighbours       and is among this many strongest edges of its code
    """

    width: Positive = 48
    width_graph: Positive = 32
    width_state: Positive = 150
    width_attention: Positive = 32
    threshold: float = 0.01
    n_neighbours: Positive = 32
    dropout: Share = 0.45


EXAMPLE = Config(
    n_tokens=40, n_outcomes=5, width=16, width_graph=12, width_state=16, width_attention=8, dropout=0.0
)


@dataclass(frozen=True, eq=False)
class Codes:
    """The distinct codes of every visit, by visit and code.

    code, visit, weight   of each item
    key                   visit · n_tokens + code, rising
    previous              the item of the same code in the visit before, or -1
    opening               whether the item stands in the first visit of its history
    """

    code: Int64[Tensor, " item"]
    visit: Int64[Tensor, " item"]
    weight: Float[Tensor, " item"]
    key: Int64[Tensor, " item"]
    previous: Int64[Tensor, " item"]
    opening: Bool[Tensor, " item"]

    @cached_property
    def emerging(self) -> Int64[Tensor, " emerging"]:
        """The items whose code the visit before did not hold."""
        return torch.nonzero((self.previous < 0) & ~self.opening)[:, 0]


class Model(interface.Model):
    """Chet over packed histories."""

    needs = frozenset({"together"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        scale = config.width**-0.5
        self.recorded = nn.Parameter(torch.randn(config.n_tokens, config.width) * scale)
        self.near = nn.Parameter(torch.randn(config.n_tokens, config.width) * scale)
        self.unrelated = nn.Parameter(
            torch.randn(config.n_tokens, config.width_graph) * config.width_graph**-0.5
        )
        self.graph_layer = nn.Linear(config.width, config.width_graph)
        self.recurrence = nn.GRU(config.width_graph, config.width_state)
        self.query = nn.Linear(config.width_graph, config.width_attention)
        self.key = nn.Linear(config.width_graph, config.width_attention)
        self.value = nn.Linear(config.width_graph, config.width_state)
        self.attention = nn.Linear(config.width_state, config.width_attention)
        self.context = nn.Parameter(torch.randn(config.width_attention) * config.width_attention**-0.5)
        self.output = nn.Linear(config.width_state, config.n_outcomes)
        self.dropout = Dropout(config.dropout)
        self.company = KeptGraph(config.n_tokens)

    def use(self, facts: Facts) -> None:
        """Keep which tokens share training visits, and start the bias at the first guess."""
        super().use(facts)
        config = self.config
        if facts.together is not None:
            graph = co_occurrence(
                facts.together, config.n_tokens, threshold=config.threshold, strongest=config.n_neighbours
            )
            self.company.keep(graph)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and the attention over visits."""
        codes = self._codes(batch)
        states = self._states(codes) * codes.weight[:, None]
        visits = _largest(states, codes.visit, batch.n_visits)
        scores = self.attention(visits) @ self.context
        context, attention = attended(visits, scores, batch.subject_of_visit, batch.n_subjects)
        return Output(logits=self.output(self.dropout(context)), visit_attention=attention)

    def _codes(self, batch: Batch) -> Codes:
        n_tokens = self.config.n_tokens
        present, weights = as_set(batch)
        kept = torch.nonzero(present & (weights != 0))[:, 0]
        key, order = torch.sort(batch.visit_of_token[kept] * n_tokens + batch.tokens[kept])
        visit, code = key // n_tokens, key % n_tokens
        opening = visit == batch.subject_offsets[batch.subject_of_visit[visit]]
        place, there = find(key, key - n_tokens)
        previous = torch.where(there & ~opening, place, -1)
        return Codes(code, visit, weights[kept[order]], key, previous, opening)

    def _states(self, codes: Codes) -> Float[Tensor, "item state"]:
        """Return h of every item: emerging codes by attention, chains from there on by the recurrence."""
        graph = self.company()
        recorded, roles, emerging = self._recorded(codes, graph), self._roles(codes, graph), codes.emerging
        states = recorded.new_zeros(len(recorded), self.config.width_state)
        emerged = self._emerge(roles, recorded[emerging], codes.weight[emerging], codes.visit[emerging])
        states = states.index_copy(0, emerging, emerged.to(states.dtype))
        return self._persist(recorded, states, codes)

    def _recorded(self, codes: Codes, graph: Graph) -> Float[Tensor, "item graph"]:
        """Return z of every item: (A n)_i, and for neighbours that are recorded too, c in the place of n."""
        own = self.recorded[codes.code] * codes.weight[:, None]
        item, edge, other = edges_within(graph, codes.code, codes.visit, codes.key)
        change = (own[other] - self.near[graph.to[edge]]) * graph.strength[edge, None]
        around = neighbour_sum(self.near, graph)[codes.code] + segment_sum(change, item, len(own))
        return leaky_relu(self.graph_layer(own + codes.weight[:, None] * around))

    def _near(self, codes: Codes, graph: Graph) -> tuple[Int64[Tensor, " near"], Float[Tensor, " near"]]:
        """Return N of every visit as rising keys, and how present each is: as the code that it is next to."""
        item, edge = edges_of(graph, codes.code)
        keys, copy = torch.unique(codes.visit[item] * graph.n_nodes + graph.to[edge], return_inverse=True)
        presence = codes.weight.new_zeros(len(keys)).scatter_reduce(0, copy, codes.weight[item], "amax")
        only_near = ~find(codes.key, keys)[1]
        return keys[only_near], presence[only_near]

    def _roles(self, codes: Codes, graph: Graph) -> Float[Tensor, "emerging graph"]:
        """Return r of every emerging code: y of the visit before where it was near, else u."""
        keys, presence = self._near(codes, graph)
        before = codes.key[codes.emerging] - graph.n_nodes
        place, was_near = find(keys, before)
        visit, code = before[was_near] // graph.n_nodes, before[was_near] % graph.n_nodes
        inputs = self.near[code]
        for members, weight, table in (
            (codes.key, codes.weight, self.recorded),
            (keys, presence, self.near),
        ):
            item, edge, member = edges_within(graph, code, visit, members)
            share = graph.strength[edge] * weight[member]
            inputs = inputs + segment_sum(table[graph.to[edge]] * share[:, None], item, len(code))
        near = leaky_relu(self.graph_layer(inputs * presence[place[was_near], None]))
        roles = self.unrelated[codes.code[codes.emerging]]
        roles = roles.index_copy(0, torch.nonzero(was_near)[:, 0], near.to(roles.dtype))
        return roles * codes.weight[codes.emerging, None]

    def _emerge(
        self,
        roles: Float[Tensor, "emerging graph"],
        recorded: Float[Tensor, "emerging graph"],
        weight: Float[Tensor, " emerging"],
        visit: Int64[Tensor, " emerging"],
    ) -> Float[Tensor, "emerging state"]:
        """Let the emerging codes of each visit attend to each other."""
        _, counts = torch.unique_consecutive(visit, return_counts=True)
        query, key, value = self.query(roles), self.key(roles), self.value(recorded)
        value = (value * weight[:, None]).to(query.dtype)
        by_size = layout(offsets_of(counts))
        sizes = [block.n * block.length for block in by_size.blocks]
        packed = (torch.split(by_size.sort(one), sizes) for one in (query, key, value))
        mixed = [
            scaled_dot_product_attention(*(one.view(block.n, block.length, -1) for one in parts)).flatten(
                0, 1
            )
            for block, *parts in zip(by_size.blocks, *packed, strict=True)
        ]
        return torch.tanh(by_size.unsort(torch.cat([value[:0], *mixed])))

    def _persist(
        self, recorded: Float[Tensor, "item graph"], states: Float[Tensor, "item state"], codes: Codes
    ) -> Float[Tensor, "item state"]:
        """Run every chain, a code in consecutive visits, from the state with which it emerged, if it did."""
        along = torch.argsort(codes.code, stable=True)
        head = codes.previous[along] < 0
        runs = ~head | codes.opening[along]  # an emerging head has its state already
        chain, item = head.cumsum(0) - 1, along[runs]
        initial = states[along[head]] * codes.weight[along[head], None]
        lengths = torch.bincount(chain[runs], minlength=len(initial))
        ran = run(self.recurrence, recorded[item], offsets_of(lengths), start=initial.to(recorded.dtype))
        return states.index_copy(0, item, ran.to(states.dtype))


def _largest(
    states: Float[Tensor, "item state"], visit: Int64[Tensor, " item"], n_visits: int
) -> Float[Tensor, "visit state"]:
    """Return the elementwise maximum over the items of each visit; 0 for an empty one."""
    index = visit[:, None].expand_as(states)
    return states.new_zeros(n_visits, states.shape[1]).scatter_reduce(
        0, index, states, "amax", include_self=False
    )
