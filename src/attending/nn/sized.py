"""Modules some of whose buffers are as large as the data say."""

import torch
from torch import Tensor, nn


class Sized(nn.Module):
    """`sized` names buffers whose shape no setting tells; loading makes room for them before they are copied in."""

    sized: tuple[str, ...] = ()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        for name in self.sized:
            if prefix + name in state_dict:
                setattr(self, name, nn.Buffer(torch.zeros_like(state_dict[prefix + name])))
        super()._load_from_state_dict(state_dict, prefix, *rest)
