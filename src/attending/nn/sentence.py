"""A history as a sentence: room for words that no record holds ([CLS], [SEP], passing time), an order, positions."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from attending.batch import Batch, owners

DAYS_A_YEAR = 365.25


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
    widened = torch.zeros_like(offsets)
    widened[1:] = (offsets.diff() + before + after).cumsum(0)
    shift = widened[:-1] + before - offsets[:-1]
    of_item, of_place = owners(offsets), owners(widened)
    items = torch.arange(len(of_item), device=offsets.device) + shift[of_item]
    nearest = torch.arange(len(of_place), device=offsets.device) - shift[of_place]
    nearest = nearest.clamp(offsets[:-1][of_place], offsets[1:][of_place] - 1)
    return Room(widened, items, nearest)


def without_empty_visits(batch: Batch) -> Batch:
    """Return the batch without the visits that hold no token; every history stays."""
    present = batch.visit_offsets.diff() > 0
    before = torch.zeros_like(batch.visit_offsets)
    before[1:] = present.cumsum(0)
    kept = torch.cat([batch.visit_offsets[:-1][present], batch.visit_offsets[-1:]])
    return replace(batch, visit_offsets=kept, subject_offsets=before[batch.subject_offsets])


def canonical(batch: Batch) -> tuple[Batch, Int64[Tensor, " token"]]:
    """Sort each visit's tokens by time and then by number, and say where each came from.

    What is simultaneous has no order of its own; a model that reads tokens one after another needs one.
    """
    order = torch.argsort(batch.tokens, stable=True)
    for key in (batch.days, batch.visit_of_token):
        order = order[torch.argsort(key[order], stable=True)]
    sorted_ = {name: getattr(batch, name)[order] for name in ("tokens", "days", "ages", "values")}
    weights = None if batch.weights is None else batch.weights[order]
    return replace(batch, **sorted_, weights=weights), order


def age_now(batch: Batch) -> Float[Tensor, " subject"]:
    """Return each subject's age in years at the prediction time; 0 where the history is empty."""
    if len(batch.ages) == 0:
        return batch.ages.new_zeros(batch.n_subjects)
    last = (batch.token_offsets[1:] - 1).clamp(min=0)
    ages = batch.ages[last] - batch.days[last] / DAYS_A_YEAR
    return torch.where(batch.token_offsets.diff() > 0, ages, 0.0)


def visit_number(batch: Batch) -> Int64[Tensor, " visit"]:
    """Return how many visits of its history came before each visit."""
    return (
        torch.arange(batch.n_visits, device=batch.tokens.device)
        - batch.subject_offsets[batch.subject_of_visit]
    )


def sinusoid(
    number: Int64[Tensor, " place"], like: Float[Tensor, "rows width"], size: float
) -> Float[Tensor, "place width"]:
    """Return sines and cosines of a number at geometric rates, of root mean square `size`; of `like`'s width and type.

    Vaswani et al., "Attention is all you need", NeurIPS 2017; there the size is √½.
    """
    width = like.shape[1]
    rate = 10_000 ** (-torch.arange(0, width, 2, device=like.device, dtype=like.dtype) / width)
    angle = number[:, None] * rate
    return size * 2**0.5 * torch.cat([angle.sin(), angle.cos()], 1)[:, :width]
