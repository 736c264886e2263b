"""Graph convolutional transformer: attention inside a visit that starts from how often codes share visits.

Choi, Xu, Li, Dusenberry, Flores, Xue, Dai: "Learning the Graphical Structure of Electronic Health Records with Graph
Convolutional Transformer", AAAI 2020. The nodes of a visit are the visit itself (x_0, one learned vector) and its
distinct codes. Who may attend to whom follows how a visit comes about, visit – diagnosis – treatment – measurement:
a node sees itself and the codes of the neighbouring kinds (a kind that the visit lacks is skipped). With M the mask
of this and P_ij = share of the training visits with i that also hold j, held to M, each row summing to 1:

    A_0 = P;   A_l = softmax(Q x (K x)ᵀ / √d, over M)                  l = 1 … L, the layers that learn to look
    z = LayerNorm(A_l V x + x),   x ← LayerNorm(W_2 relu(W_1 z) + z)
    penalty = 0.1 · mean_l KL(A_{l-1} ‖ A_l)                           attention leaves P only for a reason
    α = softmax_i(u · tanh(W [v_i, log(1 + days ago)] + b)),   logits = W_o Σ_i α_i v_i + b_o,   v_i = x_0 of visit i

The paper classifies one encounter; the last line, over the visits of a history, is ours, and of one visit it is the
paper's. Notable: visits of one size, up to a few nodes that nothing sees, are laid side by side: no loop over visits.
Of a visit with more than `max_codes` codes the kinds nearest to the visit and the most frequent codes stay. Where a
token weighs less than 1, so does its embedding and what every other node takes from it.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from attending.batch import KINDS, Batch, Facts, Output, offsets_of, owners
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.attention import layout
from attending.nn.dropout import Dropout
from attending.nn.graph import find, graph_of
from attending.nn.packed import as_set, attended
from attending.nn.places import numbers
from attending.nn.post_norm import FeedForward
from attending.nn.time import visits_ago

LEVELS = {"other": 0, "diagnosis": 1, "procedure": 2, "medication": 2, "measurement": 3}
VISIT, FILLER = -1, -2  # tokens of a visit's own node, and of nodes that nothing sees
FAR = len(KINDS) + 1  # their rank
STEP = 4  # visits are filled up to a multiple of this many nodes, so that few sizes are left
PENALTY = 0.1
EPSILON = 1e-12  # of the norms


class Config(interface.ModelConfig):
    """Settings of the graph convolutional transformer.

    n_layers       layers that learn whom to look at; one that looks as often as codes share visits comes before them
    max_codes      distinct codes of a visit that are read, at most: its cost grows with their square
    n_neighbours   shares P_ij that are kept for each code, the largest first
    """

    width: Positive = 128
    n_layers: Positive = 2
    max_codes: Positive = 128
    n_neighbours: Positive = 256
    dropout: Share = 0.1


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, n_layers=2, dropout=0.0)


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of all visits, each visit's own first.

    token     of each node, or VISIT, or FILLER
    weight    of each node
    rank      how far each stands from its visit: 0 the visit, 1 the first kind it holds …; -1 for other codes
    offsets   where the nodes of each visit start, and the end
    """

    token: Int64[Tensor, " node"]
    weight: Float[Tensor, " node"]
    rank: Int64[Tensor, " node"]
    offsets: Int64[Tensor, " bounds"]


class Model(interface.Model):
    """A graph convolutional transformer over the visits of packed histories."""

    needs = frozenset({"together"})
    sized = ("pairs", "share")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width, n_tokens = config.width, config.n_tokens
        self.visit = nn.Parameter(torch.randn(width) * width**-0.5)
        self.embedding = nn.Parameter(torch.randn(n_tokens, width) * width**-0.5)
        self.layers = nn.ModuleList(Layer(config, learns=layer > 0) for layer in range(config.n_layers + 1))
        self.attention = nn.Linear(width + 1, width)
        self.context = nn.Parameter(torch.randn(width) * width**-0.5)
        self.output = nn.Linear(width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)
        self.level = nn.Buffer(torch.zeros(n_tokens, dtype=torch.int64))
        self.place = nn.Buffer(torch.arange(n_tokens))
        self.pairs = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.share = nn.Buffer(torch.zeros(0))

    def use(self, facts: Facts) -> None:
        """Keep the kinds of tokens and which share visits, and start the bias at the first guess."""
        super().use(facts)
        level = torch.tensor([LEVELS[kind] for kind in KINDS])[facts.kind_of_token]
        by_count = torch.argsort(facts.count_of_token, descending=True, stable=True)
        order = by_count[torch.argsort((level[by_count] - 1) % len(KINDS), stable=True)]
        self.level = nn.Buffer(level)
        self.place = nn.Buffer(torch.empty_like(order).scatter_(0, order, torch.arange(len(order))))
        if facts.together is None:
            return
        (first, second), count = facts.together.pairs, facts.together.count
        total = torch.zeros(len(level)).index_put((first[first == second],), count[first == second])
        linked = (level[first] != level[second]) & (level[first] > 0) & (level[second] > 0)
        pairs, share = facts.together.pairs[:, linked], (count / total[first])[linked]
        graph = graph_of(pairs, share, len(level), strongest=self.config.n_neighbours)
        self.pairs, self.share = nn.Buffer(graph.keys), nn.Buffer(graph.strength)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, the attention over visits and, in training, the penalty."""
        visits, penalty = self._encode(self._nodes(batch))
        ago = visits_ago(batch).clamp(min=0).log1p()
        keys = torch.tanh(self.attention(torch.cat([visits, ago[:, None]], 1)))
        context, attention = attended(visits, keys @ self.context, batch.subject_of_visit, batch.n_subjects)
        logits = self.output(self.dropout(context))
        return Output(logits=logits, visit_attention=attention, penalty=penalty)

    def transform(
        self,
        x: Float[Tensor, "visit node width"],
        prior: Float[Tensor, "visit node node"],
        allowed: Bool[Tensor, "visit node node"],
        weight: Float[Tensor, "visit node"],
    ) -> tuple[Float[Tensor, "visit node width"], list[Tensor]]:
        """Return the nodes after all layers, and the attention of each layer."""
        attentions = []
        for layer in self.layers:
            x, attention = layer(x, prior, allowed, weight)
            attentions.append(attention)
        return x, attentions

    def _nodes(self, batch: Batch) -> Nodes:
        """Lay out the nodes of every visit; codes in an order that does not depend on the record's."""
        n_tokens, n_visits = self.config.n_tokens, batch.n_visits
        present, weights = as_set(batch)
        kept = torch.nonzero(present & (weights != 0))[:, 0]
        visit = batch.visit_of_token[kept]
        order = torch.argsort(visit * n_tokens + self.place[batch.tokens[kept]])
        kept, visit = kept[order], visit[order]
        number = numbers(offsets_of(torch.bincount(visit, minlength=n_visits)))
        few = number < self.config.max_codes
        kept, visit, number = kept[few], visit[few], number[few]
        sizes = torch.bincount(visit, minlength=n_visits) + 1
        offsets = offsets_of((sizes + STEP - 1) // STEP * STEP)
        at = offsets[visit] + 1 + number
        token = offsets.new_full((int(offsets[-1]),), FILLER).index_fill(0, offsets[:-1], VISIT)
        token = token.index_copy(0, at, batch.tokens[kept])
        weight = weights.new_ones(len(token)).index_copy(0, at, weights[kept])
        level = self.level[batch.tokens[kept]]
        holds = torch.zeros(n_visits, len(KINDS), dtype=torch.int64, device=visit.device)
        holds[visit, level] = 1
        holds[:, 0] = 0
        rank_of_code = torch.where(level > 0, holds.cumsum(1)[visit, level], -1)
        rank = torch.where(token == FILLER, FAR, 0).index_copy(0, at, rank_of_code)
        return Nodes(token, weight, rank, offsets)

    def _encode(self, nodes: Nodes) -> tuple[Float[Tensor, "visit width"], Float[Tensor, ""] | None]:
        """Return each visit's own node after all layers, and the penalty; visits of one size at a time."""
        by_size, visit_of_node = layout(nodes.offsets), owners(nodes.offsets)
        tokens, weights, ranks, visits = (
            torch.split(by_size.sort(one), [block.n * block.length for block in by_size.blocks])
            for one in (nodes.token, nodes.weight, nodes.rank, visit_of_node)
        )
        found, place, moved = [self.embedding[:0]], [nodes.token[:0]], []
        for i, block in enumerate(by_size.blocks):
            token, weight, rank = (one[i].view(block.n, -1) for one in (tokens, weights, ranks))
            allowed = (rank[:, :, None] - rank[:, None]).abs() == 1
            allowed |= torch.eye(block.length, dtype=torch.bool, device=token.device)
            own = (token == VISIT)[:, :, None]
            code = self.embedding[token.clamp(min=0)] * (weight * (token >= 0))[:, :, None]
            x = torch.where(own, self.visit, code)
            x, attentions = self.transform(x, self._prior(token, allowed, weight), allowed, weight)
            found.append(x[:, 0])
            place.append(visits[i].view(block.n, -1)[:, 0])
            if self.training:
                moved += [_divergence(*two) for two in pairwise(attentions)]
        out = torch.cat(found)[torch.argsort(torch.cat(place))]
        n_moves = (nodes.token != FILLER).sum() * self.config.n_layers
        return out, PENALTY * torch.stack(moved).sum() / n_moves if moved else None

    def _prior(
        self,
        token: Int64[Tensor, "visit node"],
        allowed: Bool[Tensor, "visit node node"],
        weight: Float[Tensor, "visit node"],
    ) -> Float[Tensor, "visit node node"]:
        """Return P: the visit holds its codes, and a code itself, for sure; others by their share of shared visits."""
        visit, one, other = torch.nonzero(allowed, as_tuple=True)
        first, second = token[visit, one], token[visit, other]
        place, there = find(self.pairs, first * self.config.n_tokens + second)
        share = weight.new_zeros(len(first))
        share[there] = self.share[place[there]].to(share.dtype)
        share[(one == other) | (first == VISIT) | (second == VISIT)] = 1
        prior = weight.new_zeros(allowed.shape).index_put((visit, one, other), share) * weight[:, None]
        return prior / prior.sum(2, keepdim=True)


class Layer(nn.Module):
    """One block: a weighted sum over nodes and a feed-forward, each normalised after it is added."""

    def __init__(self, config: Config, *, learns: bool) -> None:
        super().__init__()
        width = config.width
        self.learns = learns
        if learns:
            self.query = nn.Linear(width, width, bias=False)
            self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.feed = FeedForward(width, width, config.dropout, epsilon=EPSILON)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "visit node width"],
        prior: Float[Tensor, "visit node node"],
        allowed: Bool[Tensor, "visit node node"],
        weight: Float[Tensor, "visit node"],
    ) -> tuple[Float[Tensor, "visit node width"], Float[Tensor, "visit node node"]]:
        """Return the nodes after taking from each other and thinking for themselves, and who took from whom."""
        attention = self._attend(x, allowed, weight) if self.learns else prior
        z = self.norm(x + self.dropout(attention @ self.value(x)))
        return self.feed(z), attention

    def _attend(
        self,
        x: Float[Tensor, "visit node width"],
        allowed: Bool[Tensor, "visit node node"],
        weight: Float[Tensor, "visit node"],
    ) -> Float[Tensor, "visit node node"]:
        scores = self.query(x) @ self.key(x).transpose(1, 2) / x.shape[2] ** 0.5
        scores = scores + weight.log()[:, None]
        return scores.masked_fill(~allowed, -torch.inf).softmax(2)


def _divergence(
    earlier: Float[Tensor, "visit node node"], later: Float[Tensor, "visit node node"]
) -> Float[Tensor, ""]:
    """Return KL(earlier ‖ later), summed over nodes."""
    tiny = 1e-12
    return (earlier * (earlier.clamp(min=tiny).log() - later.clamp(min=tiny).log())).sum()
