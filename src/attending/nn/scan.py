"""The selective scan: a linear recurrence whose memory decides, token by token, what to keep and what to take in.

Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023. Each channel d has a state of N
numbers; token t has a step Δ_td, a way in B_t and a way out C_t:

    h_td = exp(Δ_td A_d) h_(t-1)d + Δ_td u_td B_t,     y_td = C_t · h_td

with A < 0, so a long step forgets and takes in, and a step of 0 passes the token by. At the first token of a history
nothing is kept: histories stand one after another and are scanned as one, without padding.

The states of all tokens are never held at once. Tokens go block by block, a block being cut into √block chunks that
walk side by side (`scan`); only the state between blocks is kept, and the way back computes the others again, as the
paper's kernel does.
"""

from math import isqrt

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx, once_differentiable
from torch.nn.functional import pad

BLOCK = 256  # tokens whose states exist at once: few enough to stay in cache


def selective_scan(
    u: Float[Tensor, "token channel"],
    step: Float[Tensor, "token channel"],
    rate: Float[Tensor, "channel state"],
    into: Float[Tensor, "token state"],
    out_of: Float[Tensor, "token state"],
    first: Bool[Tensor, " token"],
) -> Float[Tensor, "token channel"]:
    """Return y for inputs u, steps Δ, rates A, ways in B and ways out C, forgetting all where `first`."""
    with torch.autocast(u.device.type, enabled=False):
        parts = (one.to(rate.dtype) for one in (u, step, rate, into, out_of))
        y: Tensor = _SelectiveScan.apply(*parts, first)  # type: ignore[no-untyped-call]
    return y


def scan(
    keep: Float[Tensor, "token channel state"],
    add: Float[Tensor, "token channel state"],
    start: Float[Tensor, "channel state"],
) -> Float[Tensor, "token channel state"]:
    """Return h_t = keep_t h_(t-1) + add_t, h before the first token being `start`; two loops of about √tokens steps.

    Chunks walk side by side from nothing, and remember only what each adds and keeps; that is handed on from chunk to
    chunk; then they walk again, each from what it was handed.
    """
    n = len(add)
    size = max(isqrt(n), 1)
    n_chunks = -(-n // size)
    if n % size:
        keep, add = (pad(one, (0, 0, 0, 0, 0, n_chunks * size - n)) for one in (keep, add))
    keep, add = (one.view(n_chunks, size, *start.shape) for one in (keep, add))
    keeps, adds = keep.unbind(1), add.unbind(1)
    added, kept = torch.zeros_like(add[:, 0]), torch.ones_like(add[:, 0])
    for keep_now, add_now in zip(keeps, adds, strict=True):
        torch.addcmul(add_now, keep_now, added, out=added)
        kept.mul_(keep_now)
    state, states = torch.empty_like(added), torch.empty_like(add)
    for chunk in range(n_chunks):
        state[chunk] = start
        start = torch.addcmul(added[chunk], kept[chunk], start)
    for keep_now, add_now, out in zip(keeps, adds, states.unbind(1), strict=True):
        state = torch.addcmul(add_now, keep_now, state, out=out)
    return states.flatten(0, 1)[:n]


class _SelectiveScan(torch.autograd.Function):
    """The scan and its way back.

    With g_t the whole gradient of h_t, and dy_t that of y_t,

    g_t = dy_t C_t + keep_(t+1) g_(t+1),   dC_t = dy_t h_t,   d(Δ u B)_t = g_t,   d(Δ A)_t = g_t keep_t h_(t-1).
    """

    @staticmethod
    def forward(
        context: FunctionCtx,
        u: Tensor,
        step: Tensor,
        rate: Tensor,
        into: Tensor,
        out_of: Tensor,
        first: Tensor,
    ) -> Tensor:
        state, between, y = torch.zeros_like(rate), [], torch.empty_like(u)
        for start in range(0, len(u), BLOCK):
            now = slice(start, start + BLOCK)
            between.append(state)
            _, states = _walk(u[now], step[now], rate, into[now], first[now], state)
            y[now] = (states * out_of[now, None]).sum(2)
            state = states[-1].clone()  # a view would hold the whole block
        context.save_for_backward(u, step, rate, into, out_of, first, *between)
        return y

    @staticmethod
    @once_differentiable
    def backward(context: BackwardCFunction, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved: list[Tensor] = list(context.saved_tensors)
        (u, step, rate, into, out_of, first), between = saved[:6], saved[6:]
        with torch.autocast(u.device.type, enabled=False):
            to_u, to_step, to_rate = torch.empty_like(u), torch.empty_like(u), torch.zeros_like(rate)
            to_into, to_out = torch.empty_like(into), torch.empty_like(out_of)
            later = torch.zeros_like(rate)  # what the next block adds to the gradient of a block's last state
            for block in range(len(between) - 1, -1, -1):
                now = slice(block * BLOCK, (block + 1) * BLOCK)
                keep, states = _walk(u[now], step[now], rate, into[now], first[now], between[block])
                to_out[now] = (grad[now, None] @ states)[:, 0]
                to_states = _walk_back(keep, grad[now, :, None] * out_of[now, None], later)
                later = keep[0] * to_states[0]
                taken = (to_states * into[now, None]).sum(2)
                to_into[now] = ((step[now] * u[now])[:, None] @ to_states)[:, 0]
                to_u[now] = taken * step[now]
                to_power = to_states * keep
                to_power[1:] *= states[:-1]
                to_power[0] *= between[block]
                to_step[now] = (to_power * rate).sum(2) + taken * u[now]
                to_rate += (to_power * step[now, :, None]).sum(0)
        return to_u, to_step, to_rate, to_into, to_out, None


def _walk(
    u: Tensor, step: Tensor, rate: Tensor, into: Tensor, first: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what is kept at each token of a block, and the states."""
    keep = (step[..., None] * rate).exp_()
    keep[first] = 0
    return keep, scan(keep, (step * u)[..., None] * into[:, None], state)


def _walk_back(keep: Tensor, to_states: Tensor, later: Tensor) -> Tensor:
    """Return the whole gradient of each state: g_t = to_state_t + keep_(t+1) g_(t+1), `later` beyond the last."""
    to_states[-1] += later
    back = torch.cat([torch.zeros_like(keep[:1]), keep[1:].flip(0)])
    return scan(back, to_states.flip(0), torch.zeros_like(later)).flip(0)
