"""What training minimises: the loss of the labels, or the model's own objective on histories without labels.

Each is a module around the model, so that whatever wraps a module (compilation, several devices) sees one `forward`.
A step may consist of several parts (batches whose gradients add up, shares of other processes): a part's loss is
weighed by what it holds of the whole step, so that the sum is the loss of one big batch: exactly for labels and for
penalties that are means over samples, nearly for objectives that are means over what they ask (hidden codes, pairs of
codes), which are weighed by samples.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attending.batch import Batch
from attending.nn.interface import Model, SelfSupervised
from attending.nn.losses import loss


class OfLabels(nn.Module):
    """The mean loss over known pairs of sample and outcome; in training, and the model's penalty."""

    def __init__(self, model: Model, target: str, *, bf16: bool = False) -> None:
        super().__init__()
        self.model, self.target, self.bf16 = model, target, bf16

    def forward(self, batch: Batch, weights: Float[Tensor, " 2"]) -> Float[Tensor, ""]:
        """Return what the part adds to the loss of its step."""
        assert batch.labels is not None
        with torch.autocast(batch.values.device.type, torch.bfloat16, enabled=self.bf16 and self.training):
            output = self.model(batch.without_labels())
        found = loss(output.logits.float(), batch.labels, self.target) * weights[0]
        if self.training and output.penalty is not None:
            found = found + output.penalty.float() * weights[1]
        return found


class OfHistories(nn.Module):
    """The model's own objective, `self_loss`: labels are not looked at."""

    def __init__(self, model: Model, *, bf16: bool = False) -> None:
        super().__init__()
        self.model, self.bf16 = model, bf16

    def forward(self, batch: Batch, weights: Float[Tensor, " 2"]) -> Float[Tensor, ""]:
        """Return what the part adds to the loss of its step."""
        assert isinstance(self.model, SelfSupervised)
        with torch.autocast(batch.values.device.type, torch.bfloat16, enabled=self.bf16 and self.training):
            found = self.model.self_loss(batch.without_labels())
        return found.float() * weights[1]


Objective = OfLabels | OfHistories
