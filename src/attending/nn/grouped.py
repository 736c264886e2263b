"""Many small GRUs at once: one for each group (a channel, a feature), all run by one product of matrices a step.

A module for each group costs a call a group and a step, most of it overhead. Here their weights stand side by side and
a step of all groups is one batched product. Gates are those of `nn.GRU` (Cho et al., EMNLP 2014, with the reset after
the product), whose two biases of r and z are one here, as they only ever add up:

    r, z = σ(W x + U h + b)      n = tanh(W_n x + b_n + r ⊙ (U_n h + c_n))      h' = n + z ⊙ (h − n)
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GroupedGRU(nn.Module):
    """`n_groups` GRUs of one size, the i-th of which reads the i-th input."""

    undecayed = frozenset({"bias", "reset_bias"})

    def __init__(self, n_groups: int, n_inputs: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.input = nn.Parameter(torch.empty(n_groups, n_inputs, 3 * width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_groups, 1, 3 * width).uniform_(-bound, bound))
        self.state = nn.Parameter(torch.empty(n_groups, width, 3 * width).uniform_(-bound, bound))
        self.reset_bias = nn.Parameter(torch.empty(n_groups, 1, width).uniform_(-bound, bound))

    def forward(
        self, cells: Float[Tensor, "group cell input"], sizes: list[int]
    ) -> Float[Tensor, "group cell width"]:
        """Return the states in the cells of a grid (`nn.grid`) whose steps have `sizes`; in the weights' precision."""
        width = self.state.shape[1]
        cells = cells.to(self.state.dtype)
        h = cells.new_zeros(len(cells), max(sizes, default=0), width)
        states = [h[:, :0]]
        with torch.autocast(cells.device.type, enabled=False):
            for inputs, alive in zip(torch.split(cells, sizes, 1), sizes, strict=False):
                if alive < h.shape[1]:
                    h = h[:, :alive]
                h = self._step(torch.baddbmm(self.bias, inputs, self.input), h)
                states.append(h)
        return torch.cat(states, 1)

    def _step(
        self, x: Float[Tensor, "group alive gates"], h: Float[Tensor, "group alive width"]
    ) -> Float[Tensor, "group alive width"]:
        width = h.shape[2]
        x_gates, x_new = torch.split(x, [2 * width, width], -1)
        h_gates, h_new = torch.split(torch.bmm(h, self.state), [2 * width, width], -1)
        reset, update = torch.sigmoid(x_gates + h_gates).chunk(2, -1)
        new = torch.tanh(torch.addcmul(x_new, reset, h_new + self.reset_bias))
        return torch.lerp(new, h, update)
