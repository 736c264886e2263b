"""HiTANet: how much a visit counts is judged twice, by what it holds and by when it was, and the two are weighed.

Luo, Ye, Xiao, Ma: "HiTANet: Hierarchical Time-Aware Attention Networks for Risk Prediction on Electronic Health
Records", KDD 2020. For visits x_1 … x_T (sets of codes) that lie d_1 … d_T days before the prediction, and a summary
slot x_{T+1}, a learned vector at d = 0:

    f(d) = 1 - tanh((w d / 180 + b)²)                      near visits light up other features than far ones
    v_i = Σ_{c ∈ x_i} e_c + b_e + W_t f(d_i) + PE(i)       PE: sinusoids of the number of visits before
    h_1 … h_{T+1} = Transformer(v_1 … v_{T+1})             over the visits and the summary slot
    α = softmax_i(w_α · h_i)                               local: what a visit holds
    q = ReLU(W_q h_{T+1}),  k_i = ReLU(W_k f'(d_i))
    β = softmax_i(q · k_i / √size)                         global: when it was, as this patient's summary sees it
    z = softmax(W_z h_{T+1}) ∈ ℝ²
    γ_i = z_1 β_i + z_2 α_i                                sums to 1, as α and β do
    logits = W_o Σ_i γ_i h_i + b_o

over i = 1 … T: the summary asks, and is not pooled.

Notable: the released code differs (`strict="authors"`, to which parity is proven). Its heads are blocks of the padded
time steps, its mask is tiled over them in another order, its scores are scaled by 1 / √(size / heads), so that a score
depends on who shares the batch; and γ is divided by its sum plus 1e-5. The paper's form has heads that are heads.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from attending.batch import Batch, Output, mask_of_lengths
from attending.config import Positive, Share
from attending.errors import ConfigError
from attending.nn import interface
from attending.nn.dropout import Dropout
from attending.nn.heads import check_heads
from attending.nn.packed import segment_softmax, segment_sum, visit_days, visit_sums
from attending.nn.places import numbers, sinusoids
from attending.nn.post_norm import Heads, PostNormLayer, encode
from attending.nn.time import visits_ago

DAYS_OF_ONE = 180.0
PADDING_DAYS = 1e5
# Of embeddings at the start: at 1 / √width the sinusoids drown them, and a deep stack does not learn.
SPREAD = 0.5


class Config(interface.ModelConfig):
    """Settings of HiTANet; widths of the visits, which must divide into `n_heads`, and of the features of time."""

    width: Positive = 128
    width_time: Positive = 64
    n_layers: Positive = 1
    n_heads: Positive = 4
    dropout: Share = 0.2
    strict: Literal["paper", "authors"] = "paper"


EXAMPLE = Config(n_tokens=40, n_outcomes=5, width=16, width_time=8, n_heads=2, dropout=0.0)


class Model(interface.Model):
    """A time-aware Transformer over packed visits, pooled by two kinds of attention."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_heads("hitanet", config.width, config.n_heads)
        if config.strict == "authors" and config.n_layers != 1:
            raise ConfigError(
                f"models.hitanet with strict: authors is the released model of n_layers: 1; got {config.n_layers}"
            )
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.n_tokens, config.width) * SPREAD)
        self.summary = nn.Parameter(torch.randn(config.width) * SPREAD)
        self.bias = nn.Parameter(torch.zeros(config.width))
        self.visit_light = Light(config.width_time)
        self.time = nn.Linear(config.width_time, config.width)
        self.layers = nn.ModuleList(
            PostNormLayer(config.width, config.n_heads, config.dropout) for _ in range(config.n_layers)
        )
        self.local = nn.Linear(config.width, 1)
        self.query = nn.Linear(config.width, config.width_time)
        self.key_light = Light(config.width_time)
        self.key = nn.Linear(config.width_time, config.width_time)
        self.gate = nn.Linear(config.width, 2)
        self.output = nn.Linear(config.width, config.n_outcomes)
        self.dropout = Dropout(config.dropout)

    def forward(self, batch: Batch) -> Output:
        """Return the logits and the fused weight γ of each visit."""
        ago = -visit_days(batch) if self.config.strict == "authors" else visits_ago(batch)
        owner = batch.subject_of_visit
        visits, summary = self._encode(batch, ago)
        weights = self._weigh(visits, summary, ago, owner)
        pooled = segment_sum(weights[:, None] * visits, owner, batch.n_subjects)
        return Output(logits=self.output(self.dropout(pooled)), visit_attention=weights)

    def _encode(
        self, batch: Batch, ago: Float[Tensor, " visit"]
    ) -> tuple[Float[Tensor, "visit width"], Float[Tensor, "subject width"]]:
        """Run the Transformer over each history's visits and the summary slot behind them."""
        offsets = batch.subject_offsets + torch.arange(batch.n_subjects + 1, device=ago.device)
        of_visit = torch.arange(batch.n_visits, device=ago.device) + batch.subject_of_visit
        of_summary = offsets[1:] - 1
        codes = visit_sums(self.embedding, batch)
        x = self.summary.expand(int(offsets[-1]), -1).index_copy(0, of_visit, codes)
        x = x + self._when(x.new_zeros(len(x)).index_copy(0, of_visit, ago))
        x = self.dropout(x + sinusoids(numbers(offsets), x))
        released = self.config.strict == "authors"
        x = self._encode_as_released(x, offsets) if released else encode(self.layers, x, offsets)
        return x[of_visit], x[of_summary]

    def _when(self, ago: Float[Tensor, " item"]) -> Float[Tensor, "item width"]:
        return self.bias + self.time(self.visit_light(ago))

    def _encode_as_released(
        self, x: Float[Tensor, "item width"], offsets: Int64[Tensor, " bounds"]
    ) -> Float[Tensor, "item width"]:
        """Run the layer with a last row that stands for every padded place, an empty visit 1e5 days ago."""
        padding = self._when(x.new_full((1,), PADDING_DAYS))
        x = self.layers[0](
            torch.cat([x, padding]),
            lambda query, key, value: attend_as_released(query, key, value, offsets),
        )
        return x[:-1]

    def _weigh(
        self,
        visits: Float[Tensor, "visit width"],
        summary: Float[Tensor, "subject width"],
        ago: Float[Tensor, " visit"],
        owner: Int64[Tensor, " visit"],
    ) -> Float[Tensor, " visit"]:
        """Return γ: the attention by content and the attention by time, weighed for each history."""
        n = len(summary)
        local = segment_softmax(self.local(visits)[:, 0], owner, n)
        query, key = self.query(summary).relu(), self.key(self.key_light(ago)).relu()
        overall = segment_softmax((query[owner] * key).sum(1) / self.config.width_time**0.5, owner, n)
        gate = self.gate(summary).softmax(1)[owner]
        weights = gate[:, 0] * overall + gate[:, 1] * local
        if self.config.strict == "authors":
            weights = weights / (segment_sum(weights, owner, n)[owner] + 1e-5)
        return weights


class Light(nn.Module):
    """f(d) = 1 - tanh((w d / 180 + b)²): each feature lights up around a time of its own, -180 b / w days ago."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(1, width)

    def forward(self, ago: Float[Tensor, " item"]) -> Float[Tensor, "item width"]:
        """Return the features of so many days ago."""
        return 1 - torch.tanh(self.inner(ago[:, None] / DAYS_OF_ONE) ** 2)


def attend_as_released(query: Heads, key: Heads, value: Heads, offsets: Int64[Tensor, " bounds"]) -> Heads:
    """Attend as the released code does; the last row of each is a padded place. For parity only.

    The padded grid [history, step, heads, size] is cut into as many blocks as histories and heads without moving the
    heads before the steps, so a block holds the heads of a quarter of the steps; block i takes the mask of history
    i modulo the number of histories.
    """
    if len(offsets) == 1:
        return value
    n_heads, size = query.shape[1:]
    real = mask_of_lengths(offsets.diff(), int(offsets.diff().max()))
    steps = torch.arange(real.shape[1], device=offsets.device)
    place = torch.where(real, offsets[:-1, None] + steps, len(query) - 1)
    q, k, v = (part[place].reshape(-1, len(steps), size) for part in (query, key, value))
    mask = real.repeat(n_heads, 1)[:, None]
    mixed = scaled_dot_product_attention(q, k, v, mask, scale=(size // n_heads) ** -0.5)
    return torch.zeros_like(value).index_copy(0, place[real], mixed.reshape(*real.shape, n_heads, size)[real])
