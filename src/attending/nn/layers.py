"""The modern transformer over packed histories: pre-norm layers, gated feed-forward, rotary angles of time.

One layer, for token j at time t_j of a history, with N(x) = x / √(mean x² + ε):

    q_j, k_j, v_j = W_q N(x_j), W_k N(x_j), W_v N(x_j)             for each head
    x_j ← x_j + W_o Σ_i softmax_i(R(t_j) q_j · R(t_i) k_i / √size) v_i        over the i that j sees
    x_j ← x_j + W_d (silu(W_g N(x_j)) ⊙ W_u N(x_j))

R(t) turns each pair of dimensions by an angle that grows with t, so a score depends on the time *between* two tokens.
With `normalised`, q and k pass through N, and a learned temperature of each head stands beside 1 / √size, which keeps
scores bounded however long training runs. With `slopes`, a score falls with the days between two tokens (ALiBi).

Sources: pre-norm with RMSNorm (Zhang and Sennrich 2019; its gain is left to the matrix that follows), SwiGLU (Shazeer
2020), rotary angles (Su et al. 2021), normalised queries and keys (Henry et al. 2020). No biases.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction, FunctionCtx, once_differentiable
from torch.nn.functional import rms_norm, silu

from attending.batch import owners
from attending.nn.attention import Fading, Layout, Sees, attend
from attending.nn.dropout import Dropout
from attending.nn.packed import segment_softmax
from attending.nn.time import rotate, turns

EPSILON = 1e-6
HIDDEN_MULTIPLE = 16  # the feed-forward's width is a multiple, which matrix products like


class Encoder(nn.Module):
    """A stack of layers and the last norm; tokens are sorted by the length of their history once, not in each layer."""

    def __init__(
        self,
        *,
        width: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
        frequencies: Float[Tensor, " half"],
        sees: Sees,
        normalised: bool = False,
        slopes: Float[Tensor, " heads"] | None = None,
    ) -> None:
        super().__init__()
        self.slopes = None if slopes is None else nn.Buffer(slopes, persistent=False)
        self.frequencies = nn.Buffer(frequencies, persistent=False)
        self.layers = nn.ModuleList(
            Layer(width, n_heads, dropout, sees=sees, normalised=normalised) for _ in range(n_layers)
        )

    def forward(
        self, x: Float[Tensor, "token width"], times: Float[Tensor, " token"], layout: Layout
    ) -> Float[Tensor, "token width"]:
        """Return the state of each token; `times` are in the unit of the frequencies."""
        return normalise(self._through(self.layers, x, times, layout))

    def watched(
        self,
        x: Float[Tensor, "token width"],
        times: Float[Tensor, " token"],
        layout: Layout,
        offsets: Int64[Tensor, " bounds"],
    ) -> tuple[Float[Tensor, "token width"], Float[Tensor, " token"]]:
        """Return the states, and how each history's last token shares its attention in the last layer, head by head.

        The shares are the mean of the heads and sum to 1 over each history that `offsets` bounds.
        """
        x = self._through(self.layers[:-1], x, times, layout)
        states = normalise(self._through(self.layers[-1:], x, times, layout))
        owner, n = owners(offsets), len(offsets) - 1
        if len(x) == 0:
            return states, x.new_zeros(0)
        last: Layer = self.layers[-1]  # type: ignore[assignment]
        q, k, _ = last.heads(normalise(x), turns(times, self.frequencies))
        end = offsets[1:][owner] - 1
        scores = (q[end] * k).sum(2) / q.shape[2] ** 0.5
        if self.slopes is not None:
            scores = scores - (times[end] - times).abs()[:, None] * self.slopes
        return states, segment_softmax(scores, owner, n).mean(1)

    def _through(
        self, layers: Iterable[nn.Module], x: Float[Tensor, "token width"], times: Tensor, layout: Layout
    ) -> Float[Tensor, "token width"]:
        times, x, inside = layout.sort(times), layout.sort(x), layout.sorted
        angles = turns(times, self.frequencies)
        fading = None if self.slopes is None else Fading(times, self.slopes)
        for layer in layers:
            x = layer(x, angles, inside, fading)
        return layout.unsort(x)


class Layer(nn.Module):
    """Attention within the history, then a gated feed-forward."""

    def __init__(self, width: int, n_heads: int, dropout: float, *, sees: Sees, normalised: bool) -> None:
        super().__init__()
        hidden = -(-8 * width // (3 * HIDDEN_MULTIPLE)) * HIDDEN_MULTIPLE
        self.n_heads, self.sees = n_heads, sees
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.temperature = nn.Parameter(torch.ones(n_heads)) if normalised else None
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "token width"],
        angles: Complex[Tensor, "token half"],
        layout: Layout,
        fading: Fading | None = None,
    ) -> Float[Tensor, "token width"]:
        """Return the tokens after attending to their history and thinking for themselves."""
        q, k, v = self.heads(normalise(x), angles)
        x = x + self.dropout(self.output(attend(q, k, v, layout, sees=self.sees, fading=fading).flatten(1)))
        inner = normalise(x)
        return x + self.dropout(self.down(silu(self.gate(inner)) * self.up(inner)))

    def heads(
        self, x: Float[Tensor, "token width"], angles: Complex[Tensor, "token half"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of each head, as they meet."""
        size = x.shape[1] // self.n_heads
        mixed = self.inputs(x).view(len(x), 3 * self.n_heads, size)
        both, v = mixed[:, : 2 * self.n_heads], mixed[:, 2 * self.n_heads :]
        if self.temperature is not None:
            both = normalise(both)
        q, k = rotate(both, angles).chunk(2, dim=1)
        return (q if self.temperature is None else q * self.temperature[:, None]), k, v


def normalise(x: Float[Tensor, "*rest width"]) -> Float[Tensor, "*rest width"]:
    """Return x / √(mean x² + ε) over the last axis."""
    if x.is_cuda:
        return rms_norm(x, x.shape[-1:], eps=EPSILON)
    normalised: Tensor = _RootMeanSquare.apply(x)  # type: ignore[no-untyped-call]
    return normalised


class _RootMeanSquare(torch.autograd.Function):
    """The norm with its own gradient: torch's on a CPU takes ten passes over memory for it, this one four."""

    @staticmethod
    def forward(context: FunctionCtx, x: Tensor) -> Tensor:
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square()
        inverse = torch.rsqrt(square / x.shape[-1] + EPSILON)
        y = x * inverse
        context.save_for_backward(y, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(context: BackwardCFunction, gradient: Tensor) -> Tensor:
        saved: tuple[Tensor, ...] = context.saved_tensors
        y, inverse = saved
        along = torch.linalg.vecdot(gradient, y)[..., None] / y.shape[-1]
        return torch.addcmul(gradient, y, along, value=-1).mul_(inverse)
