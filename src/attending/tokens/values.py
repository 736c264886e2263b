"""Bins and scales of numeric values: associative per-shard summaries, merged into quantiles.

A shard summarises each code by its count and a fixed grid of quantiles; merging weights the grids by their counts.
So the edges depend on the training split alone and never need all values in one place.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.schema import CENTER, CODE, EDGES, NUMERIC_VALUE, SCALE

GRID = np.linspace(0.0, 1.0, 129)
N_VALUES = "n_values"
QUANTILES = "quantiles"
CLIP = 5.0
IQR_TO_SD = 1.349  # of a normal distribution


def summarise(events: pl.DataFrame) -> pl.DataFrame:
    """Return `code, n_values, quantiles` of the finite numeric values of each code."""
    value = pl.col(NUMERIC_VALUE).cast(pl.Float64)
    quantiles = pl.concat_list([value.quantile(q, "linear") for q in GRID]).alias(QUANTILES)
    return (
        events.filter(value.is_finite())
        .group_by(CODE)
        .agg(pl.len().cast(pl.Int64).alias(N_VALUES), quantiles)
    )


def merge(summaries: pl.DataFrame, *, n_bins: int, min_values: int) -> pl.DataFrame:
    """Return `code, edges, center, scale` of each code with at least `min_values` values.

    A code's edges cut its training values into `n_bins` parts of about equal size, fewer where values tie.
    Center and scale are the median and the interquartile range in units of a standard deviation.
    """
    rows = []
    for (code,), group in summaries.sort(CODE).group_by([CODE], maintain_order=True):
        if group[N_VALUES].sum() < min_values:
            continue
        points = np.concatenate(group[QUANTILES].to_list())
        weights = np.repeat(group[N_VALUES].to_numpy() / len(GRID), len(GRID))
        inner = _weighted_quantiles(points, weights, np.arange(1, n_bins) / n_bins)
        low, middle, high = _weighted_quantiles(points, weights, np.array([0.25, 0.5, 0.75]))
        spread = (high - low) / IQR_TO_SD
        rows.append((code, np.unique(inner).tolist(), float(middle), float(spread) if spread > 0 else 1.0))
    kinds = {CODE: pl.String(), EDGES: pl.List(pl.Float64()), CENTER: pl.Float64(), SCALE: pl.Float64()}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def bins(
    owner: NDArray[np.int64], value: NDArray[np.float64], edges: list[NDArray[np.float64]]
) -> NDArray[np.int64]:
    """Return, for each value, how many edges of its owner lie at or below it: its bin, from 0.

    One sorted search serves all codes: each (owner, edge) becomes an integer key that sorts as the pair does.
    """
    if not edges:
        return np.zeros(len(owner), dtype=np.int64)
    flat = np.concatenate(edges)
    steps = np.unique(flat)
    width = len(steps) + 1
    edge_owner = np.repeat(np.arange(len(edges)), [len(one) for one in edges])
    edge_keys = edge_owner * width + np.searchsorted(steps, flat) + 1
    value_keys = owner * width + np.searchsorted(steps, value, side="right")
    starts = np.concatenate([[0], np.cumsum([len(one) for one in edges])])
    found = np.searchsorted(edge_keys, value_keys, side="right")
    return (found - starts[owner]).astype(np.int64)


def standardise(
    value: NDArray[np.float64], center: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return values in robust standard deviations from the training median, within ±5; 0 where there is none."""
    with np.errstate(invalid="ignore", over="ignore"):
        standard = np.clip((value - center) / scale, -CLIP, CLIP)
    return np.nan_to_num(standard, nan=0.0).astype(np.float32)


def _weighted_quantiles(
    points: NDArray[np.float64], weights: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    order = np.argsort(points, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    chosen = np.searchsorted(reached, at - 1e-12).clip(max=len(points) - 1)
    return np.asarray(points[order][chosen], dtype=np.float64)
