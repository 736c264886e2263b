"""G-BERT: codes that know their ontology, visits read as sets by a small BERT, and a history as its past and its last.

Shang, Ma, Xiao, Sun: "Pre-training of Graph Augmented Transformers for Medication Recommendation", IJCAI 2019. One
graph attention G, with the same weights both times (`nn.ontology.GraphAttention`), sends word up and down the ontology:

    x' = G(x; each concept takes from itself and its children)
    o  = G(x'; each token takes from itself and everything above it)

The codes of one kind in one visit are a set. A [CLS] joins them, a Transformer without positions reads them, and what
becomes of the [CLS] is s_k, the visit as told by kind k (the paper's kinds are diagnoses and medications; here all):

    s_k = BERT([CLS] + type_k, o_i + type_k, …),   z_k = ReLU(M_k s_k + m_k)
    logits = W_o ReLU(W [mean of the past z_k; z_k of the last visit], all k) + b_o

Before labels (`self_loss`), a visit's diagnoses and medications say themselves, with some codes masked, and each other.

Notable: a set is exact, so no order and no padding enters. The last layer computes the [CLS] alone: its weights are the
attention that is shown. A token's weight scales its vector; how many codes a set has stays to be seen in the softmax.
"""

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from attending.batch import KINDS, Batch, Facts, Output, owners
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.attention import layout
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.ontology import GraphAttention, links_of, sort_links
from attending.nn.packed import segment_sum, set_weights
from attending.nn.sets import SetLayer, Sets, sets_of, share_of

TOLD = (
    KINDS.index("diagnosis"),
    KINDS.index("medication"),
)  # the kinds that foretell themselves and each other
MASKED = 0.15
MOST_VISITS = 512  # visits whose codes one step foretells


class Config(interface.OntologyConfig):
    """Settings of G-BERT; `width` must divide into `n_heads`, those of the graph and of the visit alike."""

    width: Positive = 128
    n_layers: int = Field(default=2, ge=1)
    n_heads: Positive = 4
    dropout: Share = 0.2


EXAMPLE = Config(n_tokens=40, n_outcomes=5, n_concepts=56, width=16, n_layers=2, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """G-BERT over packed histories."""

    needs = frozenset({"ontology"})
    sized = ("from_below", "from_above")

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("g_bert", config.width, config.n_heads)
        width = config.width
        self.embedding = nn.Parameter(torch.randn(config.n_concepts, width))  # mixing many makes them quieter
        self.graph = GraphAttention(width, config.n_heads)
        self.cls = nn.Parameter(torch.randn(width) * 0.1)
        self.kind_embedding = nn.Parameter(torch.randn(len(KINDS), width) * 0.1)
        layers = [SetLayer(width, config.n_heads, config.dropout) for _ in range(config.n_layers)]
        self.layers, self.top = nn.ModuleList(layers[:-1]), layers[-1]
        self.told = nn.ModuleList(nn.Linear(width, width) for _ in KINDS)
        self.combine = nn.Linear(2 * len(KINDS) * width, 2 * width)
        self.output = nn.Linear(2 * width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)
        self.pretext = Pretext(width, config.n_tokens)
        self.kind = nn.Buffer(torch.zeros(config.n_tokens, dtype=torch.int64))
        self.from_below = nn.Buffer(torch.zeros(2, 0, dtype=torch.int64))
        self.from_above = nn.Buffer(torch.zeros(2, 0, dtype=torch.int64))

    def use(self, facts: Facts) -> None:
        """Keep the kinds of tokens, and who takes from whom: concepts from their children, tokens from all above."""
        super().use(facts)
        assert facts.ontology is not None
        everyone = torch.arange(facts.ontology.n_concepts).repeat(2, 1)
        self.kind.copy_(facts.kind_of_token)
        self.from_below = nn.Buffer(sort_links(torch.cat([everyone, facts.ontology.parents.flip(0)], 1)))
        self.from_above = nn.Buffer(facts.ontology.above.clone())

    def forward(self, batch: Batch) -> Output:
        """Return the logits, and how the [CLS] of each set divides its attention among the codes."""
        states, sets, attention = self._read(batch)
        subject = batch.subject_of_visit[sets.visit]
        is_last = sets.visit == batch.subject_offsets[1:][subject] - 1
        slot, n_slots = subject * len(KINDS) + sets.kind, batch.n_subjects * len(KINDS)
        told = self._told(states, sets.kind)
        last = segment_sum(told * is_last[:, None], slot, n_slots)
        past = segment_sum(told * ~is_last[:, None], slot, n_slots)
        n_past = segment_sum((~is_last).to(told.dtype), slot, n_slots).clamp(min=1)
        read = torch.cat([past / n_past[:, None], last], 1).view(batch.n_subjects, self.combine.in_features)
        logits = self.output(self.dropout(self.combine(read).relu()))
        return Output(logits=logits, token_attention=share_of(attention, sets, batch))

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return how badly a visit's diagnoses and medications foretell themselves and each other: cross-entropy."""
        masked = torch.rand(len(batch.tokens), device=batch.tokens.device) < MASKED
        states, sets, _ = self._read(batch, masked)
        place = states.new_full((batch.n_visits, len(KINDS)), -1, dtype=torch.int64)
        place[sets.visit, sets.kind] = torch.arange(len(states), device=states.device)
        losses = [states.sum() * 0]
        for n, (source, target) in enumerate((one, other) for one in TOLD for other in TOLD):
            both = (place[:, source] >= 0) & (place[:, target] >= 0)
            visits = torch.nonzero(both)[:, 0]
            if len(visits) == 0:
                continue
            visits = visits[torch.randperm(len(visits), device=visits.device)[:MOST_VISITS]]
            codes = torch.nonzero(self.kind == target)[:, 0]
            found = self.pretext(states[place[visits, source]], n, codes)
            losses.append(
                binary_cross_entropy_with_logits(found, _holds(batch, visits, codes).to(found.dtype))
            )
        return torch.stack(losses).sum() / max(len(losses) - 1, 1)

    def _read(
        self, batch: Batch, masked: Bool[Tensor, " token"] | None = None
    ) -> tuple[Float[Tensor, "set width"], Sets, Float[Tensor, " item"]]:
        """Return what becomes of each set's [CLS], the sets, and the share of the [CLS]'s attention of each item."""
        sets = sets_of(batch, self.kind[batch.tokens])
        x = self.dropout(self._embed(batch, sets, masked))
        within = layout(sets.offsets)
        for layer in self.layers:
            x = layer(x, within)
        states, weights = self.top.read(x, sets.offsets)
        return states, sets, weights.mean(1)

    def _embed(
        self, batch: Batch, sets: Sets, masked: Bool[Tensor, " token"] | None
    ) -> Float[Tensor, "item width"]:
        tokens, place = torch.unique(batch.tokens, return_inverse=True)
        codes = self._codes(tokens)[place]
        if masked is not None:
            codes = torch.where(masked[:, None], self.pretext.mask, codes)
        codes = (codes + self.kind_embedding[self.kind[batch.tokens]]) * set_weights(batch)[:, None]
        items = torch.cat([codes, self.cls + self.kind_embedding])  # of a kind's [CLS], the last rows
        opening = len(codes) + sets.kind[owners(sets.offsets)]
        return items[torch.where(sets.token < 0, opening, sets.token)]

    def _codes(self, tokens: Int64[Tensor, " chosen"]) -> Float[Tensor, "chosen width"]:
        """Return o: tokens after word went up the ontology and came down."""
        concepts, _ = self.graph(self.embedding, self.from_below)
        return self.graph(concepts, links_of(self.from_above, tokens), tokens)[0]

    def _told(
        self, states: Float[Tensor, "set width"], kind: Int64[Tensor, " set"]
    ) -> Float[Tensor, "set width"]:
        told = torch.zeros_like(states)
        for one, layer in enumerate(self.told):
            chosen = torch.nonzero(kind == one)[:, 0]
            told = told.index_copy(0, chosen, layer(states[chosen]).relu().to(told.dtype))
        return told


class Pretext(nn.Module):
    """What foretells the codes of a visit: one hidden layer for each pair of kinds, one vector for each code."""

    def __init__(self, width: int, n_tokens: int) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.randn(width) / width**0.5)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(len(TOLD) ** 2))
        self.code = nn.Linear(width, n_tokens)

    def forward(
        self, states: Float[Tensor, "visit width"], pair: int, codes: Int64[Tensor, " code"]
    ) -> Float[Tensor, "visit code"]:
        """Return the logit of each of the codes."""
        hidden = self.hidden[pair](states).relu()
        return linear(hidden, self.code.weight[codes], self.code.bias[codes])


def _holds(
    batch: Batch, visits: Int64[Tensor, " chosen"], codes: Int64[Tensor, " code"]
) -> Bool[Tensor, "chosen code"]:
    """Say which of the codes each of the visits holds."""
    row = torch.full((batch.n_visits,), -1, device=visits.device)
    row[visits] = torch.arange(len(visits), device=visits.device)
    column = torch.searchsorted(codes, batch.tokens).clamp(max=len(codes) - 1)
    chosen = (row[batch.visit_of_token] >= 0) & (codes[column] == batch.tokens)
    holds = torch.zeros(len(visits), len(codes), dtype=torch.bool, device=visits.device)
    holds[row[batch.visit_of_token[chosen]], column[chosen]] = True
    return holds
