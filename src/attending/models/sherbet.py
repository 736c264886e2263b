"""Sherbet: codes placed in hyperbolic space by the ontology, joined by who occurs with whom, read by two attentions.

Lu, Reddy, Ning: "Self-Supervised Graph Learning with Hyperbolic Embedding for Temporal Health Event Prediction", IEEE
Transactions on Cybernetics 2021. The vectors e_i start at the tokens' places in the Poincaré ball (`nn.hyperbolic`),
times √width. With S_ij the share of token j in what i shares visits with:

    c_i = ReLU(W (0.9 e_i + 0.1 Σ_j S_ij e_j) + b)                  complications: one layer of graph convolution
    a_i = softmax_{i in visit}(uᵀ tanh(W_c c_i + b_c)),  v_t = Σ_i a_i c_i
    p_t = LReLU(W_p v_t + b_p),   q_t = tanh(W_v p_t + b_v, of length 1)
    α_t = softmax_t(wᵀ q_t),   β_t = n softmax_features(U q_t)      one weight a visit, one for each of its n features
    logits = W_o Σ_t α_t β_t ⊙ p_t + b_o

Before labels (`self_loss`), Σ_t α_t β_t ⊙ p_t must say what the history holds, from the root of the ontology down:

    p(concept) = p(parent) · σ(z_concept),   z = W_z Σ_t α_t β_t ⊙ p_t + b_z

so that the model first learns chapters, then categories, then codes.

Notable: the softmax of β goes over features and the tanh sees a vector of length 1, as in the released code. The
factors √width and n, which weights could hold as well, keep vectors and gradients from starting next to nothing.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, logsigmoid, normalize

from attending.batch import Batch, Facts, Ontology, Output
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.graph import KeptGraph, co_occurrence, edges_of
from attending.nn.hyperbolic import place_concepts
from attending.nn.ontology import levels_of, links_of, mix, sort_links
from attending.nn.packed import as_set, attended, segment_shares, segment_softmax, segment_sum
from attending.nn.precision import exact

OWN = 0.9  # how much of a code is itself, and not its company
SLOPE = 0.3
SURE = 1e-6  # log-probabilities stay this far below 0


class Config(interface.OntologyConfig):
    """Settings of Sherbet.

    width           of the hyperbolic places
    width_graph     of codes after the graph convolution
    width_code      of the attention over codes
    width_patient   of visits and of the patient
    width_visit     of the attention over visits
    n_neighbours    how many codes that share most visits with a code are its company
    """

    width: Positive = 128
    width_graph: Positive = 64
    width_code: Positive = 64
    width_patient: Positive = 64
    width_visit: Positive = 32
    n_neighbours: Positive = 64
    dropout: Share = 0.2


EXAMPLE = Config(
    n_tokens=40,
    n_outcomes=5,
    n_concepts=56,
    width=16,
    width_graph=16,
    width_code=8,
    width_patient=16,
    width_visit=8,
    dropout=0.0,
)


class Model(interface.Model):
    """Sherbet over packed histories."""

    needs = frozenset({"ontology", "together"})
    sized = ("above", "by_level", "n_of_level", "parent_place")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) / config.width**0.5)
        self.graph = nn.Linear(config.width, config.width_graph)
        self.code = nn.Linear(config.width_graph, config.width_code)
        self.code_score = nn.Linear(config.width_code, 1, bias=False)
        self.patient = nn.Linear(config.width_graph, config.width_patient)
        self.visit = nn.Linear(config.width_patient, config.width_visit)
        self.visit_score = nn.Linear(config.width_visit, 1, bias=False)
        self.feature_score = nn.Linear(config.width_visit, config.width_patient, bias=False)
        self.output = nn.Linear(config.width_patient, config.n_outcomes)
        self.dropout = Dropout(config.dropout)
        self.pretext = nn.Linear(config.width_patient, config.n_concepts)
        self.company = KeptGraph(config.n_tokens)
        self.above = nn.Buffer(torch.zeros(2, 0, dtype=torch.int64))
        self.by_level = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.n_of_level = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.parent_place = nn.Buffer(torch.zeros(0, dtype=torch.int64))

    def use(self, facts: Facts) -> None:
        """Place the tokens by the ontology, and keep their company and the order of the concepts from the root down."""
        super().use(facts)
        assert facts.ontology is not None
        assert facts.together is not None
        places = place_concepts(facts.ontology.parents, facts.ontology.n_concepts, self.config.width)
        with torch.no_grad():
            self.embedding.copy_(places[: self.config.n_tokens] * self.config.width**0.5)
        graph = co_occurrence(
            facts.together, self.config.n_tokens, threshold=0.0, strongest=self.config.n_neighbours
        )
        self.company.keep(graph)
        self.above = nn.Buffer(facts.ontology.above.clone())
        levels = _levels(facts.ontology)
        self.by_level, self.n_of_level, self.parent_place = (nn.Buffer(one) for one in levels)

    def forward(self, batch: Batch) -> Output:
        """Return the logits, each visit's α, and each code's share of its visit's α."""
        patient, visit_attention, code_attention = self._read(batch)
        looked = visit_attention[batch.visit_of_token] * code_attention
        return Output(
            logits=self.output(self.dropout(patient)),
            visit_attention=visit_attention,
            token_attention=segment_shares(looked, batch.subject_of_token, batch.n_subjects),
        )

    def self_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return how badly a history says what it holds: the mean cross-entropy of a level, mean over levels."""
        z = exact(self.pretext(self._read(batch)[0]))
        links = links_of(self.above, batch.tokens)
        held = torch.zeros(batch.n_subjects, self.config.n_concepts, dtype=torch.bool, device=z.device)
        held[batch.subject_of_token[links[0]], links[1]] = True
        loss, log_p = z.sum() * 0, z.new_zeros(len(z), 1)  # the root is certain
        sizes = self.n_of_level.tolist()
        levels = zip(torch.split(self.by_level, sizes), torch.split(self.parent_place, sizes), strict=True)
        for concepts, parents in levels:
            log_p = log_p[:, parents] + logsigmoid(z[:, concepts])
            log_not = torch.log(-torch.expm1(log_p.clamp(max=-SURE)))
            loss = loss - torch.where(held[:, concepts], log_p, log_not).sum() / max(log_p.numel(), 1)
        return loss / max(len(sizes), 1)

    def _read(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "subject patient"], Float[Tensor, " visit"], Float[Tensor, " token"]]:
        """Return each patient, the attention over visits, and that over the codes of each visit."""
        tokens, place = torch.unique(batch.tokens, return_inverse=True)
        present, weights = as_set(batch)
        codes = self._codes(tokens)[place] * weights[:, None]
        scores = self.code_score(torch.tanh(self.code(codes)))[:, 0].to(codes.dtype)
        scores = scores.masked_fill(~present, -torch.inf)
        visits, of_code = attended(codes, scores, batch.visit_of_token, batch.n_visits)
        return *self._attend(visits, batch), of_code

    def _codes(self, tokens: Int64[Tensor, " chosen"]) -> Float[Tensor, "chosen width"]:
        """Return c: the tokens in their company."""
        graph = self.company()
        own = self.dropout(self.embedding)
        item, edge = edges_of(graph, tokens)
        links = torch.stack([item, graph.to[edge]])
        company = mix(own[:, None], links, graph.strength[edge, None], len(tokens))[:, 0]
        alone = (graph.starts.diff()[tokens] == 0)[:, None]
        mixed = torch.where(alone, own[tokens], OWN * own[tokens] + (1 - OWN) * company)
        return self.graph(mixed).relu().to(own.dtype)

    def _attend(
        self, visits: Float[Tensor, "visit width"], batch: Batch
    ) -> tuple[Float[Tensor, "subject patient"], Float[Tensor, " visit"]]:
        """Return each patient and the attention over visits."""
        owner, n, exact = batch.subject_of_visit, batch.n_subjects, visits.dtype
        visits = leaky_relu(self.patient(visits), SLOPE)
        look = torch.tanh(normalize(self.visit(visits), eps=SURE))
        of_visit = segment_softmax(self.visit_score(look)[:, 0].to(exact), owner, n)
        of_feature = torch.softmax(self.feature_score(look), 1) * self.config.width_patient
        return segment_sum(of_visit[:, None] * of_feature * visits, owner, n), of_visit


def _levels(
    ontology: Ontology,
) -> tuple[Int64[Tensor, " concept"], Int64[Tensor, " level"], Int64[Tensor, " concept"]]:
    """Return the concepts below the root by level, how many each has, and where in the level above a parent stands.

    A concept's parent is the smallest that holds it, so that the ontology is a tree.
    """
    edges = sort_links(ontology.parents)
    first = torch.searchsorted(edges[0].contiguous(), torch.unique(edges[0]))
    child, parent = edges[:, first]
    level = levels_of(torch.stack([child, parent]), ontology.n_concepts)
    order = torch.argsort(level, stable=True)
    sizes = torch.bincount(level)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - (sizes.cumsum(0) - sizes)[level[order]]
    below = order[int(sizes[0]) :]
    parent_of = torch.zeros(ontology.n_concepts, dtype=torch.int64).scatter_(0, child, parent)
    return below, sizes[1:], place[parent_of[below]]
