"""A history as a sentence: room for words that no record holds ([CLS], [SEP], passing time) and the age at its end."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from attending.batch import Batch, offsets_of, owners
from attending.nn.time import DAYS_A_YEAR


@dataclass(frozen=True)
class Room:
    """Segments with places added around their items.

    offsets   where each segment starts among the places, and the end
    items     the place of each item
    nearest   the item that is nearest to each place, in its own segment if that holds any
    """

    offsets: Int64[Tensor, " bounds"]
    items: Int64[Tensor, " item"]
    nearest: Int64[Tensor, " place"]


def make_room(
    offsets: Int64[Tensor, " bounds"],
    before: Int64[Tensor, " segment"] | int = 0,
    after: Int64[Tensor, " segment"] | int = 0,
) -> Room:
    """Add `before` places at the start and `after` places at the end of each segment."""
    widened = offsets_of(offsets.diff() + before + after)
    shift = widened[:-1] + before - offsets[:-1]
    of_item, of_place = owners(offsets), owners(widened)
    items = torch.arange(len(of_item), device=offsets.device) + shift[of_item]
    nearest = torch.arange(len(of_place), device=offsets.device) - shift[of_place]
    nearest = nearest.clamp(offsets[:-1][of_place], offsets[1:][of_place] - 1)
    return Room(widened, items, nearest)


def without_empty_visits(batch: Batch) -> Batch:
    """Return the batch without the visits that hold no token; every history stays."""
    present = batch.visit_offsets.diff() > 0
    kept = torch.cat([batch.visit_offsets[:-1][present], batch.visit_offsets[-1:]])
    return replace(
        batch, visit_offsets=kept, subject_offsets=offsets_of(present.long())[batch.subject_offsets]
    )


def age_now(batch: Batch) -> Float[Tensor, " subject"]:
    """Return each subject's age in years at the prediction time; 0 where the history is empty."""
    if len(batch.ages) == 0:
        return batch.ages.new_zeros(batch.n_subjects)
    last = (batch.token_offsets[1:] - 1).clamp(min=0)
    ages = batch.ages[last] - batch.days[last] / DAYS_A_YEAR
    return torch.where(batch.token_offsets.diff() > 0, ages, 0.0)
