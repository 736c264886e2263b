"""The settings of training."""

from typing import Any, Literal

from pydantic import Field

from attending.config import Positive, Settings, Share

OF_THE_RUN = ("checkpoint_seconds", "device", "parallel")  # they change no result


class Config(Settings):
    """Settings of training.

    epochs                at most so many passes over the training split
    samples               `every` sample each epoch, or `one_a_subject` drawn anew each epoch
    learning_rate         its highest value; it rises to there, then falls to 2 % of it
    weight_decay          how fast matrices shrink beside what is learned
    warmup                the share of the run in which the learning rate rises
    clip                  the longest that a gradient may be; a longer one is shortened
    patience              stop after so many epochs without a lower tuning loss
    max_steps             stop after so many steps, whatever the epoch; 0 is no limit
    hide_events           the share of events whose code is hidden from the model in a step, at random
    hide_histories        the share of histories whose codes are all hidden: what the model then says is what it
                          knows of a patient without content, the base that explanations start from
    checkpoint_seconds    write a state at most this often within an epoch (one is always written at its end)
    precision             `bf16` computes the matrix products in bfloat16
    accumulate            add up the gradients of so many batches before each step, as if they were one
    ema                   above 0, a moving average of the weights that keeps this share at each step is what is
                          measured on the tuning split, and kept
    pretrain_epochs       first, so many epochs on the histories alone, by the model's own objective where it has one
    rate_width            the width at which `learning_rate` was chosen: at other widths the rate of each matrix that
                          grows with the width is scaled so that the same setting fits; 0 scales nothing
    device                `auto` trains on a CUDA device where there is one
    parallel              how the processes that `torchrun` starts share the work: `ddp` (also if `none` is said), each
                          with all weights, or `fsdp`, each with its part of them
    compile               compile the model first: minutes once, for faster steps on a GPU
    """

    epochs: Positive = 30
    samples: Literal["every", "one_a_subject"] = "every"
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup: Share = 0.05
    clip: float = Field(default=1.0, gt=0)
    patience: Positive = 4
    max_steps: int = Field(default=0, ge=0)
    hide_events: Share = 0.05
    hide_histories: Share = 0.02
    checkpoint_seconds: float = Field(default=60.0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    accumulate: Positive = 1
    ema: Share = 0.0
    pretrain_epochs: int = Field(default=0, ge=0)
    rate_width: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    parallel: Literal["none", "ddp", "fsdp"] = "none"
    compile: bool = False

    def of_result(self) -> dict[str, Any]:
        """Return the settings that decide what comes out; where and how safely a run goes does not."""
        return {key: one for key, one in self.to_dict().items() if key not in OF_THE_RUN}
