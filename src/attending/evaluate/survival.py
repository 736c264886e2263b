"""Time to event: each outcome at its horizon on *all* held-out samples, those who left before it among them.

The comparison of models scores an outcome on the samples whose answer is known. Here those who left early are made up
for by others who stayed, and whoever died is counted as free of the event, which is what a risk for a patient means
(`death: censored` counts the dead among those who left). Follow-up must not depend on what would have happened.

Nothing is told of an outcome that happens 1 to 10 times; points of a curve, and groups of alike risk, stand for at
least 11 events each; counts are left out where one of them, or its difference to an earlier horizon, is 1 to 10.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from attending.evaluate.at_horizon import BRIER, Followed, incidence_at, metrics_at
from attending.evaluate.bootstrap import Bootstrap, Replicated
from attending.evaluate.comparison import interval, number, summarise
from attending.evaluate.config import CONFIDENCE
from attending.evaluate.evidence import Evidence
from attending.evaluate.question import horizon
from attending.evaluate.samples import ALL, SMALLEST_CELL, small
from attending.evaluate.scores import Metrics, Scores
from attending.metrics.ratio import Array, Floats
from attending.schema import (
    COMPETING_EVENT,
    DAYS,
    DESCRIPTION,
    DIFFERENCE,
    EVENT,
    EVENT_DAYS,
    HAPPENED_EVENT,
    HELD_OUT,
    INTERVAL,
    NO_EVENT,
    OUTCOME,
)

INTEGRATED = "integrated_brier"
N_POINTS = 20
N_GROUPS = 10
Json = dict[str, Any]


@dataclass(frozen=True)
class Horizon:
    """An outcome that happens within some days, and its column among the predictions."""

    outcome: str
    description: str
    days: float
    column: int


def describe(evidence: Evidence) -> Json | None:
    """Return every model's metrics at each horizon; None where the labels hold no time to event."""
    frame = evidence.held_out.frame
    if evidence.target == "value" or not {EVENT_DAYS, EVENT} <= set(frame.columns):
        return None
    horizons = horizons_of(evidence)
    if not horizons:
        return None
    followed = _followed(frame, evidence)
    counts = [_counts(followed, each.days) for each in horizons]
    shown = [each for each, count in zip(horizons, counts, strict=True) if _is_enough(count)]
    scores: dict[str, dict[str, Metrics]] = {each.outcome: {} for each in shown}
    groups: dict[str, dict[str, list[Json]]] = {each.outcome: {} for each in shown}
    for model, predictions in evidence.predictions[HELD_OUT].items() if shown else ():
        for each in shown:
            risk = predictions[:, each.column].astype(np.float64)
            scores[each.outcome][model] = metrics_at(followed, risk, each.days, evidence.bootstrap)
            groups[each.outcome][model] = calibration(followed, risk, each.days, evidence.bootstrap)
    return {
        "n_samples": len(followed.time),
        "n_subjects": evidence.bootstrap.n_subjects,
        "death": evidence.task.get("death"),
        "horizons": [
            _about(each, followed, evidence)
            | {"counts": count, "models": _summary(scores.get(each.outcome, {}), evidence)}
            | {"calibration": groups.get(each.outcome, {})}
            for each, count in zip(horizons, _shown_counts(counts), strict=True)
        ],
        "integrated": _summary(_integrated(shown, scores), evidence),
        "curves": {
            "event": curve(followed, horizons[-1].days, evidence.bootstrap),
            "competing": curve(followed, horizons[-1].days, evidence.bootstrap, competing=True),
        },
    }


def horizons_of(evidence: Evidence) -> list[Horizon]:
    """Return the outcomes that have a horizon, the nearest first."""
    named = evidence.outcomes.select(OUTCOME, DESCRIPTION).rows()
    found = [
        Horizon(outcome, description, days, column)
        for column, (outcome, description) in enumerate(named)
        if (days := horizon(evidence.task, outcome)) is not None
    ]
    return sorted(found, key=lambda each: each.days)


def calibration(followed: Followed, risk: Floats, days: float, bootstrap: Bootstrap) -> list[Json]:
    """Return, in groups of alike risk, the mean risk and the incidence of Aalen and Johansen with its interval."""
    found = []
    for rows in _groups(followed, risk, days):
        group = followed.of(rows)
        if not group.answers(days).defined:
            continue
        observed = incidence_at(group, np.array([days]), bootstrap)[0]
        found.append({"predicted": number(float(risk[rows].mean())), **interval(observed, CONFIDENCE)})
    return found


def curve(
    followed: Followed, last: float, bootstrap: Bootstrap, *, competing: bool = False
) -> dict[str, list[float | None]] | None:
    """Return the cumulative incidence up to the last horizon, at least 11 events between two of its points."""
    kind = COMPETING_EVENT if competing else HAPPENED_EVENT
    at = np.sort(followed.time[(followed.event == kind) & (followed.time <= last)])
    if len(at) < SMALLEST_CELL:
        return None
    points = _points(at, last, is_reached=bool(followed.time.max() >= last))
    values = [
        interval(value, CONFIDENCE)
        for value in incidence_at(followed, points, bootstrap, competing=competing)
    ]
    columns: dict[str, list[float | None]] = {DAYS: [0.0, *points.tolist()]}
    return columns | {key: [0.0, *(value[key] for value in values)] for key in INTERVAL}


def _points(at: Floats, last: float, *, is_reached: bool) -> Floats:
    """Return whole days with at least 11 of the ascending times `at` from one to the next, and the last day."""
    step = max(SMALLEST_CELL, -(-len(at) // N_POINTS))
    days = np.unique(np.minimum(np.ceil(at), last))
    passed = np.searchsorted(at, days, side="right")
    points, before = [], 0
    for day, n in zip(days.tolist(), passed.tolist(), strict=True):
        if n - before >= step:
            points.append(day)
            before = n
    if before < len(at):  # the few after the last point stand with those before it
        points[-1:] = [float(days[-1])]
    return np.unique([*points, *([last] if is_reached else [])])


def _followed(frame: pl.DataFrame, evidence: Evidence) -> Followed:
    event = frame[EVENT].to_numpy()
    if evidence.task.get("death") == "censored":
        event = np.where(event == COMPETING_EVENT, NO_EVENT, event)
    return Followed(frame[EVENT_DAYS].to_numpy(), event, evidence.held_out.samples.owner)


def _counts(followed: Followed, days: float) -> dict[str, int]:
    by_then = followed.time <= days
    happened, competed = (by_then & (followed.event == kind) for kind in (HAPPENED_EVENT, COMPETING_EVENT))
    left = (followed.event == NO_EVENT) & (followed.time < days)
    numbers = [int(part.sum()) for part in (happened, competed, left)]
    there = len(followed.time) - sum(numbers)
    return dict(zip(("happened", "competed", "left", "there"), [*numbers, there], strict=True))


def _is_enough(counts: dict[str, int]) -> bool:
    """Say whether enough have the event, and are known to be without it."""
    return min(counts["happened"], counts["competed"] + counts["there"]) >= SMALLEST_CELL


def _shown_counts(counts: list[dict[str, int]]) -> list[dict[str, int] | None]:
    """Return the counts of each horizon, None where one is small or an earlier horizon tells it."""
    before = dict.fromkeys(counts[0], 0)
    shown: list[dict[str, int] | None] = []
    for of_horizon in counts:
        cells = [of_horizon[key] - before[key] for key in before]
        is_shown = not small(np.abs(np.array([*cells, *of_horizon.values()]))).any()
        shown.append(of_horizon if is_shown else None)
        before = of_horizon if is_shown else before
    return shown


def _about(each: Horizon, followed: Followed, evidence: Evidence) -> Json:
    about: Json = {OUTCOME: each.outcome, DESCRIPTION: each.description, DAYS: each.days}
    counts, known = _counts(followed, each.days), followed.answers(each.days)
    found: dict[str, Json | None] = {}
    for name, key, competing in (("incidence", "happened", False), ("competing_incidence", "competed", True)):
        is_shown = known.defined and not small(np.array([counts[key]])).any()
        at = np.array([each.days])
        value = incidence_at(followed, at, evidence.bootstrap, competing=competing)[0] if is_shown else None
        found[name] = interval(value, CONFIDENCE) if value else None
    return about | {"is_reached": known.defined, "is_enough": _is_enough(counts)} | found


def _summary(scores: dict[str, Metrics], evidence: Evidence) -> Json:
    """Return {model: {metric: {estimate, low, high, difference}}}; the difference is to the best baseline."""
    wrapped = {model: Scores({ALL: metrics}, {}) for model, metrics in scores.items()}
    found = summarise(wrapped, evidence.best_baseline, CONFIDENCE)
    kept = (*INTERVAL, DIFFERENCE)
    return {
        model: {name: {key: entry[key] for key in kept} for name, entry in scopes[ALL].items()}
        for model, scopes in found.items()
    }


def _integrated(shown: list[Horizon], scores: dict[str, dict[str, Metrics]]) -> dict[str, Metrics]:
    """Return the integrated Brier score of each model, over the horizons that follow-up reaches."""
    models = list(scores[shown[0].outcome]) if shown else []
    found: dict[str, Metrics] = {}
    for model in models:
        briers = [(each.days, scores[each.outcome][model][BRIER]) for each in shown]
        reached = [(days, brier) for days, brier in briers if np.isfinite(brier.estimate)]
        if len(reached) > 1:
            found[model] = {INTEGRATED: _mean_over_time(reached)}
    return found


def _mean_over_time(reached: list[tuple[float, Replicated]]) -> Replicated:
    spans = np.diff([days for days, _ in reached])
    briers = [brier for _, brier in reached]
    shares = (np.append(spans, 0) + np.insert(spans, 0, 0)) / (2 * spans.sum())
    estimate = sum(share * brier.estimate for share, brier in zip(shares, briers, strict=True))
    values = sum(share * brier.values for share, brier in zip(shares, briers, strict=True))
    return Replicated(float(estimate), np.asarray(values), max(brier.widening for brier in briers))


def _groups(followed: Followed, risk: Floats, days: float) -> list[Array]:
    """Return the rows of up to ten groups of alike risk, neighbours joined until each has 11 of either answer."""
    known = followed.answers(days)
    edges = np.unique(np.quantile(risk, np.linspace(0, 1, N_GROUPS + 1)[1:-1]))
    member = np.searchsorted(edges, risk, side="right")
    found: list[Array] = []
    rows = np.zeros(0, np.intp)
    for group in range(len(edges) + 1):
        rows = np.concatenate([rows, np.flatnonzero(member == group)])
        happened = int(known.happened[rows].sum())
        if min(happened, int((known.weight[rows] > 0).sum()) - happened) >= SMALLEST_CELL:
            found.append(rows)
            rows = rows[:0]
    if len(rows) and found:
        found[-1] = np.concatenate([found[-1], rows])
    return found
