"""The recurrence of StageNet: an LSTM whose state is split into levels, of which soft steps say what is kept and taken.

With cumax gates F and K of one number a level, σ and tanh gates f, i, o, ĉ of one number a unit, all of x_t and h_t-1:

    ω = F K,   c_t = old c_t-1 + new ĉ,   old = F − ω (1 − f),   new = K − ω (1 − i),   h_t = o tanh c_t

Source: Gao et al., "StageNet", WWW 2020.

The way back is written by hand. Autograd would keep a record of some twenty operations for each step, and add the
gradient of all weights to what it has at every one of them. Here a step, there and back, is one product and a dozen
small operations in buffers that are already there. Steps go block by block: a product for a block's inputs, its steps,
and on the way back one product for each gradient; what a block needs stays in cache meanwhile.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx, once_differentiable

from attending.nn.grid import before, blocks, each_step

BLOCK = 256  # cells that go together: few enough to stay in cache


def stage_recurrence(
    x: Float[Tensor, "cell input"],
    weight: Float[Tensor, "gate input"],
    bias: Float[Tensor, " gate"],
    recurrent: Float[Tensor, "gate state"],
    sizes: list[int],
    levels: int,
) -> tuple[Float[Tensor, "cell state"], Float[Tensor, "cell level"]]:
    """Return h and F in the cells of a grid (`nn.grid`) whose steps have `sizes`; in the precision of the weights.

    Gates stand in the order F, K, f, i, o, ĉ; those of K from the right to the left, in which they are summed.
    """
    if len(x) == 0:
        return recurrent.new_zeros(0, recurrent.shape[1]), recurrent.new_zeros(0, levels)
    with torch.autocast(x.device.type, enabled=False):
        found: tuple[Tensor, Tensor] = _StageRecurrence.apply(  # type: ignore[no-untyped-call]
            x.to(recurrent.dtype), weight, bias, recurrent, sizes, levels
        )
    return found


class _StageRecurrence(torch.autograd.Function):
    """The recurrence and its way back.

    With dh and dc the whole gradients of a step's h and c, dz those before σ, tanh and softmax, and p the softmax of F,

        dc += dh o (1 − tanh² c)             dz_o = dh tanh c  o (1 − o)
        dz_f = dc ω f (1 − f) c_t-1          dz_i = dc ω i (1 − i) ĉ          dz_ĉ = dc new (1 − ĉ²)
        dF = Σ dc (c_t-1 − K lost)           dK = Σ dc (ĉ − F lost)           over the units of a level,
                                             lost = (1 − f) c_t-1 + (1 − i) ĉ
        dp_j = Σ_(l ≥ j) dF_l                dz_F = p (dp − Σ_j p_j dp_j)     and so for K, from the right
        dc_t-1 = dc old                      dh_t-1 = dz U                    dU = Σ_t dz_t h_t-1

    All but dh and dc is known beforehand (`Slopes`).
    """

    @staticmethod
    def forward(
        context: FunctionCtx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        recurrent: Tensor,
        sizes: list[int],
        levels: int,
    ) -> tuple[Tensor, Tensor]:
        n_first, n_state = sizes[0], recurrent.shape[1]
        states, memories, tanhs = x.new_empty(3, n_first + len(x), n_state)
        states[:n_first], memories[:n_first] = 0, 0
        shares, rises = x.new_empty(2, len(x), 2 * levels)
        sums, h, c, gates = _running_sums(x, levels), states[:n_first], memories[:n_first], []
        for alive, cells in blocks(sizes, BLOCK):
            z = torch.addmm(bias, x[cells], weight.T)
            gates.append(z)
            course = (part[n_first:][cells] for part in (states, memories, tanhs))
            for row, parts in zip(
                each_step(alive, shares[cells], rises[cells], *course),
                each_step(alive, *_gates(z, levels)),
                strict=True,
            ):
                after = Course(*row)
                _step(h, c, Gates(*parts), after, recurrent, sums)
                h, c = after.h, after.c
        context.save_for_backward(
            torch.tensor(sizes), x, weight, recurrent, states, memories, tanhs, shares, rises, *gates
        )
        return states[n_first:], rises[:, :levels]

    @staticmethod
    @once_differentiable
    def backward(
        context: BackwardCFunction, to_states: Tensor, to_forget: Tensor
    ) -> tuple[Tensor | None, ...]:
        saved: list[Tensor] = list(context.saved_tensors)
        alive_at, x, weight, recurrent, states, memories, tanhs, shares, rises, *gates = saved
        sizes, levels = alive_at.tolist(), to_forget.shape[1]
        with torch.autocast(x.device.type, enabled=False):
            to_x, to_weight, to_recurrent = (torch.zeros_like(one) for one in (x, weight, recurrent))
            to_bias, to_c = weight.new_zeros(len(weight)), torch.zeros_like(memories[: sizes[0]])
            past, later, sums = (
                before(sizes, x.device),
                weight.new_zeros(0, len(weight)),
                _running_sums(x, levels),
            )
            for z, (alive, cells) in zip(reversed(gates), reversed(blocks(sizes, BLOCK)), strict=True):
                to_z, to_h = (
                    torch.empty_like(z),
                    to_states[cells].clone(memory_format=torch.contiguous_format),
                )
                tanh = tanhs[sizes[0] :][cells]
                slopes = _slopes(_gates(z, levels), memories[past[cells]], tanh, rises[cells], levels)
                for (dh, df, share), factors, parts in zip(
                    reversed(each_step(alive, to_h, to_forget[cells], shares[cells])),
                    reversed(each_step(alive, *slopes)),
                    reversed(each_step(alive, *_gates(to_z, levels))),
                    strict=True,
                ):
                    dh[: len(later)].addmm_(later, recurrent)
                    later = _step_back(dh, to_c, df, share, Slopes(*factors), Gates(*parts), sums)
                torch.mm(to_z, weight, out=to_x[cells])
                to_weight.addmm_(to_z.T, x[cells])
                to_recurrent.addmm_(to_z.T, states[past[cells]])
                to_bias += to_z.sum(0)
        return to_x, to_weight, to_bias, to_recurrent, None, None


class Gates(NamedTuple):
    """Views of z and of parts of it: F and K, all that σ is taken of, of these f and i, and o; and ĉ."""

    z: Float[Tensor, "cell gate"]
    masters: Float[Tensor, "cell 2 level"]
    squashed: Float[Tensor, "cell three_states"]
    kept: Float[Tensor, "cell 2 level unit"]
    out: Float[Tensor, "cell level unit"]
    candidate: Float[Tensor, "cell level unit"]


class Course(NamedTuple):
    """What a step writes down: p and its running sums F and K, the state, the memory, and the tanh of it."""

    share: Float[Tensor, "cell two_levels"]
    rise: Float[Tensor, "cell two_levels"]
    h: Float[Tensor, "cell state"]
    c: Float[Tensor, "cell state"]
    tanh: Float[Tensor, "cell state"]


class Slopes(NamedTuple):
    """∂h/∂c, ∂h/∂z_o, ∂c/∂z of f and i, ∂c/∂z of ĉ, ∂c/∂F and ∂c/∂K, ∂c_t/∂c_t-1."""

    of_memory: Float[Tensor, "cell level unit"]
    of_out: Float[Tensor, "cell level unit"]
    of_kept: Float[Tensor, "cell 2 level unit"]
    of_candidate: Float[Tensor, "cell level unit"]
    of_rise: Float[Tensor, "cell 2 level unit"]
    old: Float[Tensor, "cell level unit"]


def _step(h: Tensor, c: Tensor, gates: Gates, after: Course, recurrent: Tensor, sums: Tensor) -> None:
    """Make gates of the inputs' share of z, in place, and write the course on from h and c."""
    z, masters, squashed, kept, out, candidate = gates
    n, _, levels = masters.shape
    z.addmm_(h[:n], recurrent.T)
    torch.softmax(masters, 2, out=after.share.view_as(masters))
    torch.mm(after.share, sums, out=after.rise)
    squashed.sigmoid_()
    candidate.tanh_()
    overlap = after.rise[:, :levels] * after.rise[:, levels:]
    rest = after.rise.view_as(masters) - overlap[:, None]
    old, new = torch.addcmul(rest[..., None], overlap[:, None, :, None], kept).unbind(1)
    torch.mul(old, c[:n].view_as(old), out=after.c.view_as(old)).addcmul_(new, candidate)
    torch.tanh(after.c, out=after.tanh)
    torch.mul(out, after.tanh.view_as(out), out=after.h.view_as(out))


def _step_back(
    to_h: Tensor,
    to_c: Tensor,
    to_forget: Tensor,
    share: Tensor,
    slopes: Slopes,
    to_gates: Gates,
    sums: Tensor,
) -> Tensor:
    """Write and return dz from dh, dF and what `to_c` brings from later; leave there what goes to earlier steps."""
    n, levels = to_forget.shape
    to_h, to_c = to_h.view_as(slopes.old), to_c[:n].view_as(slopes.old)
    to_c.addcmul_(to_h, slopes.of_memory)
    torch.mul(slopes.of_out, to_h, out=to_gates.out)
    torch.mul(slopes.of_kept, to_c[:, None], out=to_gates.kept)
    torch.mul(slopes.of_candidate, to_c, out=to_gates.candidate)
    to_rise = (slopes.of_rise * to_c[:, None]).sum(3)
    to_rise[:, 0] += to_forget
    weighted = (to_rise.view(n, 2 * levels) @ sums.T).mul_(share).view_as(to_rise)
    total = weighted.sum(2, keepdim=True)
    torch.addcmul(weighted, share.view_as(weighted), total, value=-1, out=to_gates.masters)
    to_c.mul_(slopes.old)
    return to_gates.z


def _slopes(gates: Gates, memory: Tensor, tanh: Tensor, rise: Tensor, levels: int) -> Slopes:
    """Return the slopes in a block of cells, from c_t-1, tanh c_t and the gates."""
    kept, out, candidate = gates.kept, gates.out, gates.candidate
    forget, keep = rise.view(len(rise), 2, levels, 1).unbind(1)
    memory, tanh, overlap = memory.view_as(out), tanh.view_as(out), forget * keep
    forgotten, refused = (1 - kept).unbind(1)
    old = torch.addcmul(forget, overlap, forgotten, value=-1)
    new = torch.addcmul(keep, overlap, refused, value=-1)
    forgotten *= memory
    refused *= candidate
    of_kept = kept * overlap[:, None]
    of_kept[:, 0] *= forgotten
    of_kept[:, 1] *= refused
    lost, of_rise = forgotten + refused, torch.empty_like(of_kept)
    torch.addcmul(memory, keep, lost, value=-1, out=of_rise[:, 0])
    torch.addcmul(candidate, forget, lost, value=-1, out=of_rise[:, 1])
    of_candidate = torch.addcmul(new, new * candidate, candidate, value=-1)
    shown = out * tanh
    of_memory = torch.addcmul(out, shown, tanh, value=-1)
    of_out = torch.addcmul(shown, shown, out, value=-1)
    return Slopes(of_memory, of_out, of_kept, of_candidate, of_rise, old)


def _gates(z: Tensor, levels: int) -> Gates:
    n, n_state = len(z), (z.shape[1] - 2 * levels) // 4
    masters, squashed, candidate = torch.split(z, [2 * levels, 3 * n_state, n_state], 1)
    by_level = squashed.view(n, 3, levels, n_state // levels)
    return Gates(
        z,
        masters.view(n, 2, levels),
        squashed,
        by_level[:, :2],
        by_level[:, 2],
        candidate.view(n, levels, n_state // levels),
    )


def _running_sums(like: Tensor, levels: int) -> Tensor:
    """Return the matrix that makes shares into running sums: of F from the left, of K from the right."""
    sums = like.new_zeros(2 * levels, 2 * levels)
    triangle = like.new_ones(levels, levels).triu()
    sums[:levels, :levels], sums[levels:, levels:] = triangle, triangle.flip(1)
    return sums
