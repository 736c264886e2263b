"""CGL: codes that learn from their ontology and from the patients who share them, then a GRU with attention.

Lu, Reddy, Chakraborty, Kleinberg, Ning: "Collaborative Graph Learning with Auxiliary Text for Temporal Event
Prediction in Healthcare", IJCAI 2021. A code i starts as one embedding for each level of the ontology, side by side,
and takes from its relatives and from the mean patient p̄_i of those who have it:

    E⁰_i = [T_1[i's 1st concept] … T_4[its 4th]]           i itself, then the smallest concepts above it
    φ_ij = σ(μ_j A_ij + θ_j), rows summing to 1            A_ij: how many concepts hold both; its closest relatives only
    p̄_i  = W_cp (Σ_j S_ij E_j) + b_cp                      S_ij: share of j in what shares training visits with i
    E_i  ← relu(BN(W (E_i + W_pc p̄_i + b_pc + Σ_j φ_ij E_j) + b))                                        L times
    v_t  = mean over the codes of visit t of E_i;   h_t = GRU(v_t, h_{t-1})
    α    = softmax_t(u · W_a h_t);   logits = W_o Σ_t α_t h_t + b_o

Notable: the paper's patients are nodes with embeddings of their own, learned for training patients only; nothing can
be said of a new one. Here a patient is the mean of what he has, so the walk code → patients → codes is the matrix S
of counts, and the graph needs no patient: no score depends on who else is in the batch, and no training patient is
stored. The layer itself is proven against the released code with its explicit patients. The paper's second input,
clinical notes, is not read yet. Batch norm runs over the codes of the vocabulary, never over patients.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Facts, Ontology, Output
from attending.config import Positive, Share
from attending.errors import ConfigError
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.graph import Graph, KeptGraph, co_occurrence, in_shares, neighbour_sum, shared_concepts
from attending.nn.packed import as_set, attended, bag, run, segment_sum

LARGEST = 64  # concepts of more tokens do not make relatives


class Config(interface.OntologyConfig):
    """Settings of CGL.

    width           codes; divides into `n_levels` equal parts
    width_patient   what passes between patients and codes
    width_state     the recurrence
    n_levels        levels of the ontology that make a code: itself and the smallest concepts above it
    n_layers        graph layers
    n_neighbours    relatives of a code, and codes it shares visits with, at most
    threshold       … which hold at least this share of all it shares visits with
    """

    width: Positive = 128
    width_patient: Positive = 64
    width_state: Positive = 128
    width_attention: Positive = 32
    n_levels: Positive = 4
    n_layers: Positive = 2
    n_neighbours: Positive = 32
    threshold: float = 0.01
    dropout: Share = 0.2


EXAMPLE = Config(
    n_tokens=40,
    n_concepts=56,
    n_outcomes=5,
    width=16,
    width_patient=8,
    width_state=16,
    width_attention=8,
    dropout=0.0,
)


class Model(interface.Model):
    """CGL over packed histories."""

    needs = frozenset({"ontology", "together"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.width % config.n_levels:
            raise ConfigError(
                f"the 'width' of models.cgl must divide into n_levels equal parts; "
                f"got width {config.width}, n_levels {config.n_levels}"
            )
        if config.n_tokens < 2:
            raise ConfigError(
                f"models.cgl normalises over the vocabulary, which must hold at least 2 codes; got {config.n_tokens}; "
                "choose another model"
            )
        self.config = config
        n_tokens, part = config.n_tokens, config.width // config.n_levels
        self.embedding = nn.Parameter(
            torch.randn(config.n_levels, config.n_concepts, part) / config.width**0.5
        )
        self.mu = nn.Parameter(torch.ones(n_tokens))
        self.theta = nn.Parameter(torch.zeros(n_tokens))
        self.layers = nn.ModuleList(
            Layer(config.width, config.width, config.width_patient) for _ in range(config.n_layers)
        )
        self.recurrence = nn.GRU(config.width, config.width_state)
        self.attention = nn.Linear(config.width_state, config.width_attention, bias=False)
        self.context = nn.Parameter(torch.randn(config.width_attention) / config.width_attention**0.5)
        self.output = nn.Linear(config.width_state, config.n_outcomes)
        self.dropout = Dropout(config.dropout)
        self.levels = nn.Buffer(torch.arange(n_tokens)[:, None].repeat(1, config.n_levels))
        self.relatives, self.companions = KeptGraph(n_tokens), KeptGraph(n_tokens)

    def use(self, facts: Facts) -> None:
        """Keep the levels of codes, their relatives and companions, and start the bias at the first guess."""
        super().use(facts)
        n_tokens, strongest = self.config.n_tokens, self.config.n_neighbours
        if facts.ontology is not None:
            self.levels = nn.Buffer(levels_of(facts.ontology, n_tokens, self.config.n_levels))
            graph = shared_concepts(facts.ontology, n_tokens, largest=LARGEST, strongest=strongest)
            self.relatives.keep(graph)
        if facts.together is not None:
            graph = co_occurrence(
                facts.together, n_tokens, threshold=self.config.threshold, strongest=strongest
            )
            self.companions.keep(graph)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and the attention over visits."""
        present, weights = as_set(batch)
        codes = self.codes().to(weights.dtype)
        n_codes = segment_sum(present.to(weights.dtype), batch.visit_of_token, batch.n_visits)
        visits = bag(codes, batch, weights, batch.visit_offsets) / n_codes.clamp(min=1)[:, None]
        return self.read(visits, batch)

    def codes(self) -> Float[Tensor, "vocabulary width"]:
        """Return E after the graph layers: the same for every history."""
        codes = hierarchical(self.embedding, self.levels)
        relatives = ontology_weights(self.relatives(), self.mu, self.theta)
        companions = self.companions()
        for layer in self.layers:
            codes = layer(codes, companions, relatives).to(self.embedding.dtype)
        return codes

    def read(self, visits: Float[Tensor, "visit width"], batch: Batch) -> Output:
        """Return what is read from the visits: recurrence, attention, logits."""
        states = run(self.recurrence, self.dropout(visits), batch.subject_offsets)
        scores = self.attention(states) @ self.context
        context, attention = attended(states, scores, batch.subject_of_visit, batch.n_subjects)
        return Output(logits=self.output(self.dropout(context)), visit_attention=attention)


class Layer(nn.Module):
    """One graph layer of codes."""

    def __init__(self, width: int, width_out: int, width_patient: int) -> None:
        super().__init__()
        self.to_patient = nn.Linear(width, width_patient)
        self.to_code = nn.Linear(width_patient, width)
        self.block = Block(width, width_out)

    def forward(
        self, codes: Float[Tensor, "vocabulary width"], companions: Graph, relatives: Graph
    ) -> Float[Tensor, "vocabulary out"]:
        """Return the codes after one layer; the mean patient with a code is the mean of its companions."""
        patients = self.to_patient(neighbour_sum(codes, companions))
        return self.convolve(codes, patients, companions.starts.diff() > 0, relatives)

    def convolve(
        self,
        codes: Float[Tensor, "vocabulary width"],
        patients: Float[Tensor, "vocabulary patient"],
        known: Bool[Tensor, " vocabulary"],
        relatives: Graph,
    ) -> Float[Tensor, "vocabulary out"]:
        """Return the codes after one layer; `patients` is the mean patient with each code, if one is `known`."""
        from_patients = self.to_code(patients) * known[:, None]
        return self.block(codes + from_patients + neighbour_sum(codes, relatives))


class Block(nn.Module):
    """A dense layer over nodes, normalised over them."""

    def __init__(self, width: int, width_out: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width_out)
        self.norm = nn.BatchNorm1d(width_out, eps=1e-3)

    def forward(self, nodes: Float[Tensor, "node width"]) -> Float[Tensor, "node out"]:
        """Return relu(BN(W x + b))."""
        return torch.relu(self.norm(self.dense(nodes)))


def hierarchical(
    embedding: Float[Tensor, "level concept part"], levels: Int64[Tensor, "vocabulary level"]
) -> Float[Tensor, "vocabulary width"]:
    """Return each code as the embeddings of its concepts, one a level, side by side."""
    parts = [table[concept] for table, concept in zip(embedding, levels.T, strict=True)]
    return torch.cat(parts, 1)


def ontology_weights(
    relatives: Graph, mu: Float[Tensor, " vocabulary"], theta: Float[Tensor, " vocabulary"]
) -> Graph:
    """Return φ from the numbers of shared concepts."""
    strength = torch.sigmoid(mu[relatives.to] * relatives.strength + theta[relatives.to])
    return in_shares(replace(relatives, strength=strength))


def levels_of(ontology: Ontology, n_tokens: int, n_levels: int) -> Int64[Tensor, "vocabulary level"]:
    """Return the `n_levels` smallest concepts of each token, itself first; the last again where it has fewer."""
    token, concept = ontology.above
    size = torch.bincount(concept, minlength=ontology.n_concepts)[concept]
    size = torch.where(token == concept, 0, size)
    order = torch.argsort(concept, stable=True)
    order = order[torch.argsort(size[order], stable=True)]
    order = order[torch.argsort(token[order], stable=True)]
    n_above = torch.bincount(token, minlength=n_tokens)
    first = n_above.cumsum(0) - n_above
    rank = torch.minimum(torch.arange(n_levels)[None], n_above[:, None] - 1)
    return concept[order[first[:, None] + rank]]
