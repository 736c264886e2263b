"""Layers over packed, ragged data: bags of tokens, recurrences and softmax within segments.

Nothing here pads what it need not, and nothing loops over patients.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from attending.batch import Batch, owners
from attending.nn.grid import Grid, grid, to_cells, to_items
from attending.nn.places import numbers
from attending.nn.precision import exact
from attending.nn.recurrence import gru, lstm


def as_set(batch: Batch) -> tuple[Bool[Tensor, " token"], Float[Tensor, " token"]]:
    """Say which tokens are the first of their kind in their visit, a *set* of codes, and what each code weighs there.

    A code that stands there several times weighs as much as the heaviest of them, and is gone when all are hidden. Its
    weight stands at the first; the others have 0.
    """
    first, order, leads = _side_by_side(batch)
    if batch.weights is None:
        return first, first.to(batch.values.dtype)
    leader = torch.empty_like(order).scatter_(0, order, order[leads][leads.cumsum(0) - 1])
    return first, torch.where(first, batch.weights[_heaviest(batch.weights.detach(), leader)], 0.0)


def _side_by_side(
    batch: Batch,
) -> tuple[Bool[Tensor, " token"], Int64[Tensor, " token"], Bool[Tensor, " token"]]:
    """Return which tokens are the first of their kind in their visit, and an order in which equals stand together.

    The last says it of the tokens in that order.
    """
    size = int(batch.tokens.max()) + 1 if len(batch.tokens) else 1
    key = batch.visit_of_token * size + batch.tokens
    ordered, order = torch.sort(key, stable=True)
    leads = torch.ones_like(ordered, dtype=torch.bool)
    leads[1:] = ordered[1:] != ordered[:-1]
    return torch.zeros_like(leads).scatter_(0, order, leads), order, leads


def _heaviest(weights: Float[Tensor, " token"], leader: Int64[Tensor, " token"]) -> Int64[Tensor, " token"]:
    """Return, at each leader, the first of the heaviest tokens that it leads; anything at the others."""
    largest = torch.zeros_like(weights).scatter_reduce(0, leader, weights, "amax")
    place = torch.arange(len(weights), device=weights.device)
    heavy = torch.where(weights == largest[leader], place, len(weights))
    return place.scatter_reduce(0, leader, heavy, "amin", include_self=False)


def multi_hot(batch: Batch) -> Bool[Tensor, " token"]:
    """Say which tokens are the first of their kind in their visit."""
    return _side_by_side(batch)[0]


def set_weights(batch: Batch) -> Float[Tensor, " token"]:
    """Return what each code weighs in its visit, a *set*: at the first of several equal tokens, 0 at the others."""
    return as_set(batch)[1]


def token_weights(batch: Batch) -> Float[Tensor, " token"]:
    """Return the weight of each token's embedding: the batch's own, or 1."""
    return batch.weights if batch.weights is not None else torch.ones_like(batch.values)


def bag(
    embedding: Float[Tensor, "vocabulary width"],
    batch: Batch,
    weights: Float[Tensor, " token"],
    offsets: Int64[Tensor, " bounds"],
) -> Float[Tensor, "segment width"]:
    """Return the weighted sum of the embeddings of each segment's tokens; 0 for an empty segment."""
    return nn.functional.embedding_bag(
        batch.tokens, embedding, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def visit_sums(embedding: Float[Tensor, "vocabulary width"], batch: Batch) -> Float[Tensor, "visit width"]:
    """Return the sum of the embeddings of each visit's distinct codes, times their weights; 0 for an empty visit."""
    return bag(embedding, batch, set_weights(batch), batch.visit_offsets)


def segment_sum(
    values: Float[Tensor, " item *rest"], owner: Int64[Tensor, " item"], n: int
) -> Float[Tensor, " segment *rest"]:
    """Return the sum of the items of each of `n` segments; 0 for an empty one."""
    return values.new_zeros(n, *values.shape[1:]).index_add(0, owner, values)


def segment_mean(
    items: Float[Tensor, "item width"], offsets: Int64[Tensor, " bounds"]
) -> Float[Tensor, "segment width"]:
    """Return the mean of the items of each segment; 0 for an empty one."""
    lengths = offsets.diff()
    return segment_sum(items, owners(offsets), len(lengths)) / lengths.clamp(min=1)[:, None]


def segment_softmax(
    scores: Float[Tensor, " item *heads"], owner: Int64[Tensor, " item"], n: int
) -> Float[Tensor, " item *heads"]:
    """Return the softmax of the scores within each of `n` segments, of each head by itself; safe for empty segments.

    In float32 at least: in bfloat16 a sum stops growing at a few hundred items.
    """
    scores = exact(scores)
    peak = scores.new_full((n, *scores.shape[1:]), -torch.inf)
    of_item = owner.view(-1, *(1 for _ in scores.shape[1:])).expand_as(scores)
    peak = peak.scatter_reduce(0, of_item, scores.detach(), "amax")
    raised = (scores - peak[owner]).exp()
    return raised / segment_sum(raised, owner, n)[owner]


def attended(
    items: Float[Tensor, "item width"],
    scores: Float[Tensor, " item"],
    owner: Int64[Tensor, " item"],
    n: int,
) -> tuple[Float[Tensor, "segment width"], Float[Tensor, " item"]]:
    """Return the mean of each segment's items, weighed by the softmax of their scores, and these weights."""
    weights = segment_softmax(scores, owner, n)
    return segment_sum(weights[:, None] * items, owner, n), weights


def segment_shares(
    values: Float[Tensor, " item"], owner: Int64[Tensor, " item"], n: int
) -> Float[Tensor, " item"]:
    """Return each value, none below 0, as a share of its segment's sum; 0 where that is 0."""
    total = segment_sum(values, owner, n)
    return values / total.clamp(min=torch.finfo(total.dtype).tiny)[owner]


def run(
    recurrence: nn.GRU | nn.LSTM,
    items: Float[Tensor, "item width"],
    offsets: Int64[Tensor, " bounds"],
    *,
    backwards: bool = False,
    start: Float[Tensor, "segment hidden"] | None = None,
) -> Float[Tensor, "item hidden"]:
    """Run a recurrence over each segment and return its state at each item, in the items' own order.

    A bidirectional one gives both directions' states side by side: what it read up to the item, and from its end.
    `start` is the state before each segment's first item, 0 unless told; only for a GRU of one layer and one direction.
    """
    if len(items) == 0:
        return items.new_zeros(0, recurrence.hidden_size * (2 if recurrence.bidirectional else 1))
    if items.is_cuda or recurrence.num_layers > 1:
        places, dtype = grid(offsets, backwards=backwards), next(recurrence.parameters()).dtype
        cells, sizes = to_cells(items, places).to(dtype), torch.tensor(places.sizes, dtype=torch.int64)
        before = None if start is None else _first_rows(start, places, offsets)[None].to(dtype)
        with torch.autocast(items.device.type, enabled=False):  # which would make cuDNN compute in float16
            states = recurrence(PackedSequence(cells, sizes), before)[0].data
        return to_items(states, places)
    ways = [_one_way(recurrence, items, offsets, start, "", backwards=backwards)]
    if recurrence.bidirectional:
        ways.append(_one_way(recurrence, items, offsets, start, "_reverse", backwards=not backwards))
    return torch.cat(ways, 1)


def _one_way(
    recurrence: nn.GRU | nn.LSTM,
    items: Float[Tensor, "item width"],
    offsets: Int64[Tensor, " bounds"],
    start: Float[Tensor, "segment hidden"] | None,
    way: str,
    *,
    backwards: bool,
) -> Float[Tensor, "item hidden"]:
    """Run one direction of a recurrence as torch defines it, by `nn.recurrence`."""
    places = grid(offsets, backwards=backwards)
    weight, bias, recurrent, recurrent_bias = (
        getattr(recurrence, f"{name}_l0{way}") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
    )
    go = gru if isinstance(recurrence, nn.GRU) else lstm
    if start is None:
        before = items.new_zeros(places.sizes[0], recurrence.hidden_size)
    else:
        before = _first_rows(start, places, offsets)
    states = go(to_cells(items, places), before, (weight, bias, recurrent, recurrent_bias), places.sizes)
    return to_items(states, places)


def _first_rows(
    start: Float[Tensor, "segment hidden"], places: Grid, offsets: Int64[Tensor, " bounds"]
) -> Float[Tensor, "row hidden"]:
    """Return the state before each history of the grid, in the order in which they stand there."""
    return start[owners(offsets)[places.source[: places.sizes[0]]]]


def last(
    items: Float[Tensor, "item width"], offsets: Int64[Tensor, " bounds"]
) -> Float[Tensor, "segment width"]:
    """Return the last item of each segment; 0 for an empty one."""
    return _picked(items, offsets[1:] - 1, offsets)


def first(
    items: Float[Tensor, "item width"], offsets: Int64[Tensor, " bounds"]
) -> Float[Tensor, "segment width"]:
    """Return the first item of each segment; 0 for an empty one."""
    return _picked(items, offsets[:-1], offsets)


def _picked(items: Tensor, place: Int64[Tensor, " segment"], offsets: Int64[Tensor, " bounds"]) -> Tensor:
    """Return the item at the place of each segment; 0 for an empty one."""
    if len(items) == 0:
        return items.new_zeros(len(place), items.shape[1])
    found = items[place.clamp(min=0, max=len(items) - 1)]
    return torch.where(offsets.diff()[:, None] > 0, found, torch.zeros_like(found))


def visit_days(batch: Batch) -> Float[Tensor, " visit"]:
    """Return when each visit was last heard from, in days before the prediction (≤ 0)."""
    return _of_last_token(batch.days, batch)


def _of_last_token(values: Float[Tensor, " token"], batch: Batch) -> Float[Tensor, " visit"]:
    """Return the value of the last token up to the end of each visit; before its history's first, that of the first."""
    if len(values) == 0:
        return values.new_zeros(batch.n_visits)
    owner, bounds = batch.subject_of_visit, batch.token_offsets
    place = torch.maximum(batch.visit_offsets[1:] - 1, bounds[:-1][owner])
    return torch.where(place < bounds[1:][owner], values[place.clamp(max=len(values) - 1)], 0.0)


def visit_gaps(batch: Batch) -> Float[Tensor, " visit"]:
    """Return the days from the previous visit to each visit; 0 for the first, and after static facts at birth."""
    days, ages = visit_days(batch), _of_last_token(batch.ages, batch)
    gaps = torch.zeros_like(days)
    gaps[1:] = days[1:] - days[:-1]
    first = numbers(batch.subject_offsets) == 0
    after_birth = torch.zeros_like(first)
    after_birth[1:] = first[:-1] & (ages[:-1] <= 0)
    return torch.where(first | after_birth, torch.zeros_like(gaps), gaps).clamp(min=0)
