"""GRU and LSTM over packed histories, with a way back written by hand.

    GRU    r, z = σ(W x + b + U h + c)     n = tanh(W_n x + b_n + r (U_n h + c_n))     h' = n + z (h − n)
    LSTM   i, f, o = σ(W x + b + U h + c)  g = tanh(W_g x + b_g + U_g h + c_g)         m' = f m + i g,  h' = o tanh m'

as torch has them (Cho et al., EMNLP 2014, with the reset after the product; Hochreiter and Schmidhuber, 1997). On a
CPU, torch's own way back through packed histories writes a gradient of the size of all items at every step, so its time
is quadratic in the length; and autograd over single steps keeps a record of a dozen operations for each. Here a step
back is one product and three or five small operations, for all that it multiplies by is known beforehand. Steps go
block by block: a product for a block's inputs, its steps, and on the way back one product for each gradient.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx, once_differentiable

from attending.nn.grid import before, blocks, each_step

BLOCK = 1024  # cells that go together: few enough to stay in cache


def gru(
    x: Float[Tensor, "cell input"],
    start: Float[Tensor, "history width"],
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    sizes: list[int],
) -> Float[Tensor, "cell width"]:
    """Return the states in the cells of a grid (`nn.grid`) whose steps have `sizes`; in the precision of the weights.

    `weights` are W, b, U and c as `nn.GRU` has them: gates in the order r, z, n.
    """
    return _run(_GRU, x, start, weights, sizes)


def lstm(
    x: Float[Tensor, "cell input"],
    start: Float[Tensor, "history width"],
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    sizes: list[int],
) -> Float[Tensor, "cell width"]:
    """Return the states in the cells of a grid, as `gru` does; the memory starts at 0, gates stand as i, f, g, o."""
    return _run(_LSTM, x, start, weights, sizes)


def _run(
    kind: type[torch.autograd.Function],
    x: Tensor,
    start: Tensor,
    weights: tuple[Tensor, Tensor, Tensor, Tensor],
    sizes: list[int],
) -> Tensor:
    weight = weights[0]
    with torch.autocast(x.device.type, enabled=False):
        states: Tensor = kind.apply(x.to(weight.dtype), start.to(weight.dtype), *weights, sizes)  # type: ignore[no-untyped-call]
    return states


class _GRU(torch.autograd.Function):
    """The GRU and its way back.

    With dh the whole gradient of a step's h', q = U_n h + c_n, and d before a gate that of what σ or tanh is taken of,

        dn = dh (1 − z) (1 − n²)     dz = dh (h − n) z (1 − z)     dr = dn q r (1 − r)     dq = dn r
        dh_t-1 = dh z + [dr, dz, dq] U      dU = Σ_t [dr, dz, dq]_t h_t-1      dW = Σ_t [dr, dz, dn]_t x_t

    The four stand in the order q, r, z, n, so that both triples lie side by side.
    """

    @staticmethod
    def forward(
        context: FunctionCtx,
        x: Tensor,
        start: Tensor,
        weight: Tensor,
        bias: Tensor,
        recurrent: Tensor,
        recurrent_bias: Tensor,
        sizes: list[int],
    ) -> Tensor:
        n_first, width = start.shape
        states = x.new_empty(n_first + len(x), width)
        states[:n_first] = start
        of_both, of_new = recurrent[: 2 * width].T, recurrent[2 * width :].T
        bias_both, bias_new = torch.split(recurrent_bias, [2 * width, width])
        bias = torch.cat([bias[: 2 * width] + bias_both, bias[2 * width :]])
        h, kept = states[:n_first], []
        for alive, cells in blocks(sizes, BLOCK):
            gates = torch.addmm(bias, x[cells], weight.T)
            recalled = x.new_empty(len(gates), width)
            kept += [gates, recalled]
            columns = (gates[:, : 2 * width], *gates.chunk(3, 1), recalled, states[n_first:][cells])
            for both, reset, update, new, q, after in each_step(alive, *columns):
                h = h[: len(q)]
                both.addmm_(h, of_both).sigmoid_()
                torch.addmm(bias_new, h, of_new, out=q)
                new.addcmul_(reset, q).tanh_()
                h = torch.lerp(new, h, update, out=after)
        context.save_for_backward(torch.tensor(sizes), x, weight, recurrent, states, *kept)
        return states[n_first:]

    @staticmethod
    @once_differentiable
    def backward(context: BackwardCFunction, to_states: Tensor) -> tuple[Tensor | None, ...]:
        saved: list[Tensor] = list(context.saved_tensors)
        alive_at, x, weight, recurrent, states, *kept = saved
        sizes, width = alive_at.tolist(), recurrent.shape[1]
        with torch.autocast(x.device.type, enabled=False):
            past, carried = before(sizes, x.device), torch.zeros_like(states[: sizes[0]])
            rolled = recurrent.roll(width, 0)  # q, r, z
            to_x, to_biases = torch.empty_like(x), weight.new_zeros(4 * width)
            to_weight, to_rolled = (weight.new_zeros(one.T.shape) for one in (weight, recurrent))
            for gates, recalled, (alive, cells) in zip(
                kept[-2::-2], kept[::-2], reversed(blocks(sizes, BLOCK)), strict=True
            ):
                h = states[past[cells]]
                slopes, update = _gru_slopes(gates, recalled, h)
                found = torch.empty_like(slopes)
                rows = each_step(
                    alive, to_states[cells], slopes, update, found, found.flatten(1)[:, : 3 * width]
                )
                for grad, slope, update, four, of_state in reversed(rows):
                    dh = carried[: len(grad)].add_(grad)
                    torch.mul(slope, dh[:, None], out=four)
                    dh.mul_(update).addmm_(of_state, rolled)
                of_state, of_input = found.flatten(1)[:, : 3 * width], found.flatten(1)[:, width:]
                torch.mm(of_input, weight, out=to_x[cells])
                to_weight.addmm_(x[cells].T, of_input)
                to_rolled.addmm_(h.T, of_state)
                to_biases += found.sum(0).flatten()
        to_bias, to_recurrent_bias = to_biases[width:], to_biases[: 3 * width].roll(-width)
        return to_x, carried, to_weight.T, to_bias, to_rolled.T.roll(-width, 0), to_recurrent_bias, None


def _gru_slopes(gates: Tensor, recalled: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for a block of cells, what dh is multiplied by to give dq, dr, dz and dn, and z."""
    reset, update, new = gates.chunk(3, 1)
    slopes = gates.new_empty(len(gates), 4, h.shape[1])
    of_recalled, of_reset, of_update, of_new = slopes.unbind(1)
    open_ = 1 - update
    torch.mul(h - new, update, out=of_update).mul_(open_)
    torch.mul(open_, 1 - new * new, out=of_new)
    torch.mul(of_new, reset, out=of_recalled)
    torch.mul(of_recalled, 1 - reset, out=of_reset).mul_(recalled)
    return slopes, update


class _LSTM(torch.autograd.Function):
    """The LSTM and its way back.

    With dh and dm the whole gradients of a step's h' and m', and d before a gate that of what σ or tanh is taken of,

        dm += dh o (1 − tanh² m')      di = dm g i (1 − i)      df = dm m f (1 − f)      dg = dm i (1 − g²)
        do = dh tanh m' o (1 − o)      dm_t-1 = dm f            dh_t-1 = [di, df, dg, do] U
    """

    @staticmethod
    def forward(
        context: FunctionCtx,
        x: Tensor,
        start: Tensor,
        weight: Tensor,
        bias: Tensor,
        recurrent: Tensor,
        recurrent_bias: Tensor,
        sizes: list[int],
    ) -> Tensor:
        n_first, width = start.shape
        states, memories, tanhs = x.new_empty(3, n_first + len(x), width)
        states[:n_first], memories[:n_first] = start, 0
        bias = bias + recurrent_bias
        h, m, kept = states[:n_first], memories[:n_first], []
        for alive, cells in blocks(sizes, BLOCK):
            gates = torch.addmm(bias, x[cells], weight.T)
            kept.append(gates)
            course = (part[n_first:][cells] for part in (states, memories, tanhs))
            columns = (gates, gates[:, : 2 * width], *gates.chunk(4, 1), *course)
            for z, both, let_in, forget, candidate, out, next_h, next_m, tanh in each_step(alive, *columns):
                n = len(z)
                z.addmm_(h[:n], recurrent.T)
                both.sigmoid_()
                candidate.tanh_()
                out.sigmoid_()
                m = torch.mul(forget, m[:n], out=next_m).addcmul_(let_in, candidate)
                h = torch.mul(out, torch.tanh(m, out=tanh), out=next_h)
        context.save_for_backward(torch.tensor(sizes), x, weight, recurrent, states, memories, tanhs, *kept)
        return states[n_first:]

    @staticmethod
    @once_differentiable
    def backward(context: BackwardCFunction, to_states: Tensor) -> tuple[Tensor | None, ...]:
        saved: list[Tensor] = list(context.saved_tensors)
        alive_at, x, weight, recurrent, states, memories, tanhs, *kept = saved
        sizes, width = alive_at.tolist(), recurrent.shape[1]
        with torch.autocast(x.device.type, enabled=False):
            past, to_h, to_m = before(sizes, x.device), *states.new_zeros(2, sizes[0], width)
            to_x, to_bias = torch.empty_like(x), weight.new_zeros(4 * width)
            to_weight, to_recurrent = (weight.new_zeros(one.T.shape) for one in (weight, recurrent))
            for gates, (alive, cells) in zip(reversed(kept), reversed(blocks(sizes, BLOCK)), strict=True):
                to_z = torch.empty_like(gates)
                slopes, of_memory = _lstm_slopes(gates, memories[past[cells]], tanhs[sizes[0] :][cells])
                parts = to_z.view_as(slopes)
                rows = each_step(
                    alive,
                    to_states[cells],
                    of_memory,
                    gates[:, width : 2 * width],
                    *(slopes[:, :3], slopes[:, 3], parts[:, :3], parts[:, 3], to_z),
                )
                for grad, of_memory, forget, of_three, of_out, to_three, to_out, to_four in reversed(rows):
                    n = len(grad)
                    dh = to_h[:n].add_(grad)
                    dm = to_m[:n].addcmul_(dh, of_memory)
                    torch.mul(of_three, dm[:, None], out=to_three)
                    torch.mul(of_out, dh, out=to_out)
                    dm.mul_(forget)
                    torch.mm(to_four, recurrent, out=dh)
                torch.mm(to_z, weight, out=to_x[cells])
                to_weight.addmm_(x[cells].T, to_z)
                to_recurrent.addmm_(states[past[cells]].T, to_z)
                to_bias += to_z.sum(0)
        return to_x, to_h, to_weight.T, to_bias, to_recurrent.T, to_bias, None


def _lstm_slopes(gates: Tensor, memory: Tensor, tanh: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for a block of cells, what dm gives to i, f, g and dh to o, and what dh gives to dm."""
    let_in, forget, candidate, out = gates.chunk(4, 1)
    slopes = gates.new_empty(len(gates), 4, memory.shape[1])
    of_in, of_forget, of_candidate, of_out = slopes.unbind(1)
    torch.mul(let_in, 1 - let_in, out=of_in).mul_(candidate)
    torch.mul(forget, 1 - forget, out=of_forget).mul_(memory)
    torch.mul(let_in, 1 - candidate * candidate, out=of_candidate)
    torch.mul(out, 1 - out, out=of_out).mul_(tanh)
    return slopes, out * (1 - tanh * tanh)
