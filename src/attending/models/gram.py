"""GRAM: a code is a mixture of what stands above it in the ontology, so that a rare code leans on its category.

Choi, Bahadori, Song, Stewart, Sun: "GRAM: Graph-based Attention Model for Healthcare Representation Learning", KDD
2017. For token i and everything above it, itself and the root included:

    f_ij = vᵀ tanh(W [e_i; e_j] + b),   a_i = softmax_j f_ij,   g_i = Σ_j a_ij e_j
    v_t = tanh(Σ_{i in visit t} g_i)                  a visit is the *set* of its codes
    h_t = GRU(v_t, h_{t-1}),   logits = W_o h_T + b_o

`knowledge` adds the attention of KAME (Ma et al., CIKM 2018): the last state asks the concepts above the codes of the
last visit, b_j = softmax_j(e_jᵀ W h_T), k = Σ_j b_j e_j, and the output reads [h_T; k].

`passes: up_and_down` replaces the flat mixture by the two sweeps of HAP (Zhang et al., KDD 2020): from the tokens to
the root each concept mixes itself with what its children have become, then from the root to the tokens with what its
parents have become, so that a code hears of the whole ontology.

Notable: W [e_i; e_j] = W_1 e_i + W_2 e_j, computed once a concept; only the tokens that a batch holds are mixed.
`strict="authors"` drops parts of the state that is read out without scaling up what is left, and halves all of it to
predict, as the released code does: right where half is dropped, and done at any rate.
"""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.ontology import AncestorAttention, Sweep, links_of, mix, sweep_links
from attending.nn.packed import bag, last, run, segment_softmax, set_weights

Links = Int64[Tensor, "2 link"]


class Config(interface.OntologyConfig):
    """Settings of GRAM; widths of the embedding, of the attention over ancestors, and of the recurrence's state."""

    width: Positive = 128
    width_attention: Positive = 128
    width_state: Positive = 128
    dropout: Share = 0.2
    knowledge: bool = False
    passes: Literal["up", "up_and_down"] = "up"
    strict: Literal["paper", "authors"] = "paper"


EXAMPLE = Config(
    n_tokens=40, n_outcomes=5, n_concepts=56, width=16, width_attention=16, width_state=16, dropout=0.0
)


class Model(interface.Model):
    """GRAM over packed histories."""

    needs = frozenset({"ontology"})
    sized = ("above", "up_links", "n_up_links", "down_links", "n_down_links")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_concepts, config.width) / config.width**0.5)
        if config.passes == "up":
            self.attention = AncestorAttention(config.width, config.width_attention)
        else:
            self.up = Sweep(config.width, config.width_attention)
            self.down = Sweep(config.width, config.width_attention)
        self.recurrence = nn.GRU(config.width, config.width_state)
        if config.knowledge:
            self.ask = nn.Linear(config.width_state, config.width, bias=False)
        self.output = nn.Linear(config.width_state + config.knowledge * config.width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)
        self.above = nn.Buffer(torch.zeros(2, 0, dtype=torch.int64))
        self.up_links = nn.Buffer(torch.zeros(2, 0, dtype=torch.int64))
        self.n_up_links = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.down_links = nn.Buffer(torch.zeros(2, 0, dtype=torch.int64))
        self.n_down_links = nn.Buffer(torch.zeros(0, dtype=torch.int64))

    def use(self, facts: Facts) -> None:
        """Keep what is above each token and, for two sweeps, the edges in the order of their levels."""
        super().use(facts)
        assert facts.ontology is not None
        ontology = facts.ontology
        self.above = nn.Buffer(ontology.above.clone().contiguous())
        if self.config.passes == "up_and_down":
            up, n_up = sweep_links(ontology.parents.flip(0), ontology.n_concepts)
            down, n_down = sweep_links(ontology.parents, ontology.n_concepts)
            self.up_links, self.n_up_links = nn.Buffer(up), nn.Buffer(n_up)
            self.down_links, self.n_down_links = nn.Buffer(down), nn.Buffer(n_down)

    def forward(self, batch: Batch) -> Output:
        """Return the logits read from each history's last state."""
        weights = set_weights(batch)
        tokens, place = torch.unique(batch.tokens, return_inverse=True)
        codes = bag(self._mix(tokens)[0], replace(batch, tokens=place), weights, batch.visit_offsets)
        states = run(self.recurrence, self.dropout(torch.tanh(codes)), batch.subject_offsets)
        read = self.dropout(last(states, batch.subject_offsets))
        if self.config.strict == "authors":
            read = read * ((1 - self.config.dropout) if self.training else 0.5)
        if self.config.knowledge:
            read = torch.cat([read, self._recall(read, weights, batch)], 1)
        return Output(logits=self.output(read))

    @torch.no_grad()
    def ancestor_attention(self) -> tuple[Links, Float[Tensor, " link"]]:
        """Return who takes from whom, (concept, concept), and how much: the weights of each receiver sum to 1.

        Of two sweeps, this is the second: each concept takes from itself and its parents.
        """
        tokens = torch.arange(self.config.n_tokens, device=self.above.device)
        _, links, weights = self._mix(tokens)
        return links, weights

    def _mix(
        self, tokens: Int64[Tensor, " chosen"]
    ) -> tuple[Float[Tensor, "chosen width"], Links, Float[Tensor, " link"]]:
        """Return what the tokens are in the light of the ontology; links and weights say how."""
        if self.config.passes == "up":
            links = links_of(self.above, tokens)
            mixed, weights = self.attention(self.embedding[tokens], self.embedding, links)
            return mixed, torch.stack([tokens[links[0]], links[1]]), weights
        concepts, _ = self.up(self.embedding, self.up_links, self.n_up_links)
        concepts, weights = self.down(concepts, self.down_links, self.n_down_links)
        return concepts[tokens], self.down_links, weights

    def _recall(
        self, state: Float[Tensor, "subject hidden"], weights: Float[Tensor, " token"], batch: Batch
    ) -> Float[Tensor, "subject width"]:
        """Return KAME's k: what the state finds among the concepts above the codes of the last visit."""
        n, n_concepts = batch.n_subjects, self.config.n_concepts
        subject = batch.subject_of_token
        of_last = batch.visit_of_token == batch.subject_offsets[1:][subject] - 1
        links = links_of(self.above, batch.tokens[of_last])
        links = links[:, links[1] >= self.config.n_tokens]
        key, place = torch.unique(subject[of_last][links[0]] * n_concepts + links[1], return_inverse=True)
        above = torch.stack([key // n_concepts, key % n_concepts])
        present = weights.new_zeros(len(key)).scatter_reduce(0, place, weights[of_last][links[0]], "amax")
        scores = (self.embedding[above[1]] * self.ask(state)[above[0]]).sum(1, keepdim=True)
        shares = segment_softmax(scores.to(self.embedding.dtype), above[0], n) * present[:, None]
        return mix(self.embedding[:, None], above, shares, n)[:, 0]
