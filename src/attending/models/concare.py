"""ConCare: one recurrence and one attention over time for each feature, then attention between the features.

Ma, Zhang, Wang, Ruan, Wang, Tang, Ma, Gao, Gao: "ConCare: Personalized Clinical Feature Embedding via Capturing the
Healthcare Context", AAAI 2020. A step is a visit, or an hour of one (`step_hours` of the batches). A channel n is a
code, or what is rare of one kind; x_nt sums the channel's codes of step t, each E[k] + value U[k]. With Δ_t the days
from step t to the last:

    h_nt = GRU_n(x_nt, h_n,t-1)                                        each channel has a recurrence of its own
    q = W_n h_nT,  k_t = V_n h_nt,  s_t = q · k_t
    ζ_nt = tanh(s_t / (β_n log(e + (1 − σ(s_t)) Δ_t)))                 what is long ago fades, unless it matters now
    f_n = Σ_t softmax_t(ζ_n)_t h_nt,     f_0 = tanh(W_0 [static; age])
    z = x + MultiHead(norm(x)),  z = z + FFN(norm(z))   of x = f_0 … f_N
    logits = W_o Σ_n softmax_n(W_k z_n · W_q z_0) W_v z_n + b_o        the patient at rest asks, the features answer

and training adds λ Σ_n ½ (‖C_n‖² − ‖diag C_n‖²) / (N + 1), with C_n the covariance over the batch of what the heads say
of channel n (DeCov, Cogswell et al., ICLR 2016): heads shall not repeat each other.

Notable: the most frequent codes of the training data have a channel each, the others share one a kind, so that a
vocabulary of thousands costs no more than a chart of 32 columns; all recurrences run at once (`nn.grouped`).
`strict="authors"` is the released code: time counted in steps and appended to a score W_a tanh(W [h_T; h_t; Δ_t]), and
norms that are computed and left out. Its penalty runs over widths where it means features; ours over features.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor, nn

from attending.batch import KINDS, Batch, Facts, Output, offsets_of
from attending.config import Positive, Share
from attending.nn import interface
from attending.nn.channels import AuthorsTimeAttention, ChannelAttention, TimeAttention, decorrelation
from attending.nn.dropout import Dropout
from attending.nn.grid import grid
from attending.nn.grouped import GroupedGRU
from attending.nn.heads import check_heads
from attending.nn.packed import bag, last, segment_shares, segment_softmax, segment_sum, visit_days
from attending.nn.steps import shares
from attending.nn.time import known_from_birth


class Config(interface.ModelConfig):
    """Settings of ConCare; `width`, of a channel's state, must divide into `n_heads`.

    n_channels        codes with a channel of their own, the most frequent ones; all others share one a kind
    channel_width     of a channel's input; 1 as in the paper, where it is a measured number
    width_attention   of the keys of attention over time
    most_steps        the newest steps that are read: memory grows with steps × channels × width
    decorrelation     λ, the weight of the penalty
    """

    width: Positive = 32
    width_attention: Positive = 8
    n_heads: Positive = 4
    n_channels: Positive = 32
    channel_width: Positive = 4
    most_steps: Positive = 512
    decorrelation: float = Field(default=10.0, ge=0)
    dropout: Share = 0.2
    strict: Literal["paper", "authors"] = "paper"


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=8, width_attention=4, n_heads=2, n_channels=10, dropout=0.0)


class Model(interface.Model):
    """ConCare over packed histories."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("concare", config.width, config.n_heads)
        self.config = config
        width, n_channels = config.width, config.n_channels + len(KINDS)
        self.code = nn.Parameter(torch.randn(config.n_tokens, config.channel_width))
        self.value = nn.Parameter(torch.zeros(config.n_tokens, config.channel_width))
        self.channel_of_token = nn.Buffer(torch.full((config.n_tokens,), config.n_channels))
        self.recurrence = GroupedGRU(n_channels, config.channel_width, width)
        attention = AuthorsTimeAttention if config.strict == "authors" else TimeAttention
        self.attention = attention(n_channels, width, config.width_attention)
        self.static = nn.Parameter(torch.randn(config.n_tokens, width) / width**0.5)
        self.age = nn.Linear(1, width)
        self.channels = ChannelAttention(
            width, config.n_heads, config.dropout, published=config.strict == "paper"
        )
        self.query, self.key, self.answer = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def use(self, facts: Facts) -> None:
        """Give the most frequent codes a channel each, and every kind one for the rest."""
        super().use(facts)
        own = self.config.n_channels
        by_count = torch.argsort(facts.count_of_code, descending=True, stable=True)
        rank = torch.argsort(by_count, stable=True)[facts.code_of_token]
        self.channel_of_token.copy_(torch.where(rank < own, rank, own + facts.kind_of_token))

    def forward(self, batch: Batch) -> Output:
        """Return the logits and, for each visit, the attention over time and channels that it receives."""
        static = known_from_birth(batch) & (batch.visit_offsets.diff() > 0)
        number = torch.arange(batch.n_visits, device=batch.tokens.device)
        from_end = batch.subject_offsets[1:][batch.subject_of_visit] - number
        kept = ~static & (from_end <= self.config.most_steps)
        offsets = offsets_of(kept.long())[batch.subject_offsets]
        places = grid(offsets)
        visits = kept.nonzero()[:, 0][places.source]
        owner, ends = batch.subject_of_visit[visits], _ends(places.cell, offsets)
        cells = self._cells(batch, visits)
        patient = self._patient(batch, static)
        ago = self._ago(batch, from_end)[visits]
        logits, shared, over_time, penalty = self._read(cells, ago, owner, ends, places.sizes, patient)
        on_steps = (over_time * shared[owner, :-1].T).sum(0)
        at_rest = shared[batch.subject_of_visit, -1].to(on_steps.dtype)
        attention = torch.zeros_like(at_rest).index_copy(0, visits, on_steps)
        attention = torch.where(static, at_rest, attention)
        attention = segment_shares(attention, batch.subject_of_visit, batch.n_subjects)
        return Output(logits=logits, visit_attention=attention, penalty=penalty)

    def _read(
        self,
        cells: Float[Tensor, "channel cell input"],
        ago: Float[Tensor, " cell"],
        owner: Int64[Tensor, " cell"],
        ends: Int64[Tensor, " subject"],
        sizes: list[int],
        patient: Float[Tensor, "subject width"],
    ) -> tuple[Tensor, Float[Tensor, "subject token"], Float[Tensor, "channel cell"], Tensor | None]:
        """Return logits, attention over channels (the patient last) and over each one's time, and the penalty.

        Cells are those of a grid; `ends` is the cell of each history's last step, or -1.
        """
        states = self.recurrence(cells, sizes)
        n_channels, n = len(states), len(ends)
        present = (ends >= 0).nonzero()[:, 0]
        newest = states.new_zeros(n_channels, n, states.shape[2])
        newest = newest.index_copy(1, present, states.index_select(1, ends[present]))
        scores = self.attention(states, newest, owner, ago)
        over_time = segment_softmax(scores.T, owner, n).T
        features = torch.zeros_like(newest).index_add(1, owner, over_time[..., None] * states)
        z = self.dropout(torch.cat([features.transpose(0, 1), patient[:, None]], 1))
        z, heads = self.channels(z)
        shared = (self.key(z) @ self.query(z[:, -1])[..., None])[..., 0].softmax(1)
        pooled = (shared[..., None] * self.answer(z)).sum(1)
        weight = self.config.decorrelation
        penalty = weight * decorrelation(heads) if self.training and weight else None
        return self.output(self.dropout(pooled)), shared, over_time, penalty

    def _cells(self, batch: Batch, visits: Int64[Tensor, " cell"]) -> Float[Tensor, "channel cell input"]:
        """Return what each channel reads in each cell, which holds a visit."""
        cell_of_visit = torch.full((batch.n_visits,), -1, device=visits.device)
        cell_of_visit[visits] = torch.arange(len(visits), device=visits.device)
        cell = cell_of_visit[batch.visit_of_token]
        read = self.code[batch.tokens] + batch.values[:, None] * self.value[batch.tokens]
        read = read * (shares(batch) * (cell >= 0))[:, None]
        n_channels = self.config.n_channels + len(KINDS)
        place = self.channel_of_token[batch.tokens] * len(visits) + cell.clamp(min=0)
        if len(visits) == 0:
            return read.new_zeros(n_channels, 0, read.shape[1])
        return segment_sum(read, place, n_channels * len(visits)).view(n_channels, len(visits), -1)

    def _ago(self, batch: Batch, from_end: Int64[Tensor, " visit"]) -> Float[Tensor, " visit"]:
        """Return the days, or in the authors' form the steps, from each visit to the last of its history."""
        days = visit_days(batch)
        if self.config.strict == "authors":
            return (from_end - 1).to(days.dtype)
        return (last(days[:, None], batch.subject_offsets)[batch.subject_of_visit, 0] - days).clamp(min=0)

    def _patient(self, batch: Batch, static: Bool[Tensor, " visit"]) -> Float[Tensor, "subject width"]:
        """Return what is known of the patient at rest: static facts and the age when last heard from."""
        weights = shares(batch) * static[batch.visit_of_token]
        age = last(batch.ages[:, None], batch.token_offsets)
        return torch.tanh(bag(self.static, batch, weights, batch.token_offsets) + self.age(age / 100))


def _ends(cell: Int64[Tensor, " visit"], offsets: Int64[Tensor, " bounds"]) -> Int64[Tensor, " subject"]:
    """Return the cell of the last step of each history, or -1."""
    ends = torch.full((len(offsets) - 1,), -1, device=cell.device)
    present = offsets.diff() > 0
    ends[present] = cell[offsets[1:][present] - 1]
    return ends
