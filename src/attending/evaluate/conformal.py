"""Sets of outcomes that miss, on average over subjects, at most a share α of what happens: cuts, and what they miss.

Cuts are chosen on tuning subjects (`metrics.conformal`), one subject being one exchangeable unit however many samples
it has: a cut for all, and for each group one of its own where it has enough tuning subjects (a group-conditional, or
Mondrian, cut: the promise then holds within the group). A subject in several groups, as it ages, counts in each with
the samples that are there. Only subjects in whom an outcome happens can be missed, and only they are counted.

With one outcome a share missed is a count of events, and a mean size of sets a count of alerts: small ones are hidden,
and in groups the others have two places, too few to tell a fraction by.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attending.evaluate.attributes import Attribute, attributes
from attending.evaluate.bootstrap import Bootstrap, Replicated, widening
from attending.evaluate.config import CONFIDENCE
from attending.evaluate.evidence import Evidence
from attending.evaluate.rounded import rounded
from attending.evaluate.samples import ALL, SMALLEST_CELL, Samples, small
from attending.evaluate.small_cells import hide
from attending.metrics.conformal import Misses, choose_cut
from attending.metrics.ratio import Array, ratio
from attending.schema import HELD_OUT, SUPPRESSED, TUNING

ALPHAS = (0.05, 0.1, 0.2)
GROUP_ALPHA = 0.1  # at which groups are looked at
FEWEST_SUBJECTS = 50  # tuning subjects with an event, for a group to have a cut of its own
CUT, MISSED, SIZE = "cut", "missed", "set_size"
GUARANTEE = (
    "The cut is the highest at which tuning subjects, counted once each, miss a share of at most alpha of what happens "
    "to them, with one imagined subject more who misses everything. If a new subject is exchangeable with them, its "
    "expected share of missed outcomes is at most alpha. That is an average over subjects and over draws of tuning "
    "subjects: it is no promise for one subject, for a group without a cut of its own, nor elsewhere or later."
)


@dataclass(frozen=True)
class _Side:
    """One split of one model: what happened, the probabilities, and what each event would add to a loss."""

    samples: Samples
    probability: Array

    def misses(self, rows: Array | None = None) -> Misses:
        """Return the misses of all samples, or of `rows`."""
        at = np.arange(self.samples.n) if rows is None else rows
        happened = (self.samples.labels & self.samples.pairs(ALL))[at]
        return Misses.of(self.probability[at], happened, self.samples.owner[at])


def conformal(evidence: Evidence) -> dict[str, Any] | None:
    """Return cuts, what they miss, and how large sets are, by model, level and group; None where nothing can be cut."""
    tuning, held_out = evidence.tuning.samples, evidence.held_out.samples
    if (
        evidence.target == "value"
        or held_out.has_small_class
        or not (tuning.labels & tuning.pairs(ALL)).any()
    ):
        return None
    divisions = attributes(evidence.events, [evidence.tuning.frame, evidence.held_out.frame])
    models = {}
    for model, probability in evidence.predictions[HELD_OUT].items():
        sides = (
            _Side(tuning, evidence.predictions[TUNING][model]),
            _Side(held_out, probability),
        )
        models[model] = _of_model(*sides, divisions, evidence.bootstrap)
    return {
        "guarantee": GUARANTEE,
        "alphas": list(ALPHAS),
        "group_alpha": GROUP_ALPHA,
        "n_tuning_subjects": _shown(len(_Side(tuning, tuning.labels).misses().subjects)),
        "n_outcomes": held_out.n_outcomes,
        "confidence": CONFIDENCE,
        "models": models,
    }


def _of_model(
    tuning: _Side, held_out: _Side, divisions: list[Attribute], bootstrap: Bootstrap
) -> dict[str, Any]:
    calibration = tuning.misses()
    cuts = {alpha: choose_cut(calibration, alpha) for alpha in ALPHAS}
    everything = [_Cell(held_out, np.arange(held_out.samples.n), cut) for cut in cuts.values()]
    return {
        "levels": [
            {"alpha": alpha} | _achieved(cell, bootstrap, *(bool(few.any()) for few in _few([cell])))
            for alpha, cell in zip(cuts, everything, strict=True)
        ],
        "groups": {
            division.name: _of_division(tuning, held_out, division, cuts[GROUP_ALPHA], bootstrap)
            for division in divisions
        },
    }


def _of_division(
    tuning: _Side, held_out: _Side, division: Attribute, cut: float, bootstrap: Bootstrap
) -> dict[str, Any]:
    """Return for each group what the common cut does in it, and a cut of its own where it has enough subjects."""
    before, after = division.members
    common, own = [], []
    for at in range(len(division.groups)):
        rows = np.flatnonzero(after == at)
        misses = tuning.misses(np.flatnonzero(before == at))
        enough = len(misses.subjects) >= FEWEST_SUBJECTS
        common.append(_Cell(held_out, rows, cut))
        own.append(_Cell(held_out, rows, choose_cut(misses, GROUP_ALPHA)) if enough else None)
    hidden = [hide(cells) for cells in _counts(common)]
    found = {}
    for at, name in enumerate(division.groups):
        flags = [bool(of_kind[at]) for of_kind in hidden]
        of_own, cell = None, own[at]
        if cell is not None:
            also = [flag or bool(few.any()) for flag, few in zip(flags, _few([cell]), strict=True)]
            of_own = _achieved(cell, bootstrap, *also)
        found[name] = {"common": _achieved(common[at], bootstrap, *flags), "own": of_own}
    return found


@dataclass(frozen=True)
class _Cell:
    """Some samples of one split under one cut."""

    side: _Side
    rows: Array
    cut: float


def _counts(cells: list[_Cell]) -> tuple[Array, Array]:
    """Return (g, 3) subjects with an event, events missed and found; (g, 2) alerts and samples without."""
    missed, alerts = [], []
    for cell in cells:
        misses = cell.side.misses(cell.rows)
        of_events, of_samples = [len(misses.subjects), 0, 0], [0, 0]
        if cell.side.samples.is_binary:
            n_missed = int((misses.probability < cell.cut).sum())
            of_events[1:] = n_missed, len(misses.probability) - n_missed
            known = cell.side.samples.pairs(ALL)[cell.rows, 0]
            n_alerts = int((cell.side.probability[cell.rows, 0] >= cell.cut)[known].sum())
            of_samples = [n_alerts, int(known.sum()) - n_alerts]
        missed.append(of_events)
        alerts.append(of_samples)
    return np.array(missed), np.array(alerts)


def _few(cells: list[_Cell]) -> list[Array]:
    return [np.asarray(small(counts).any(axis=1)) for counts in _counts(cells)]


def _achieved(cell: _Cell, bootstrap: Bootstrap, hide_missed: bool, hide_size: bool) -> dict[str, Any]:
    """Return the share that held-out subjects miss, with its interval, and the mean size of sets."""
    samples, n, rows, cut = cell.side.samples, bootstrap.n_subjects, cell.rows, cell.cut
    misses = cell.side.misses(rows)
    counted = np.zeros(n)
    counted[misses.subjects] = 1
    known = samples.pairs(ALL)[rows]
    size = ((cell.side.probability[rows] >= cut) & known).sum(axis=1).astype(np.float64)
    owner, asked = samples.owner[rows], known.any(axis=1)
    of_sets = [np.bincount(owner, value, minlength=n) for value in (size, asked.astype(np.float64))]
    terms = np.stack([misses.losses(cut, n), counted, *of_sets])
    totals, whole = bootstrap.totals(terms), terms.sum(axis=1)
    missed, sizes = (
        Replicated.centred(
            float(ratio(whole[at], whole[at + 1])),
            ratio(totals[at], totals[at + 1]),
            widening(int(np.count_nonzero(terms[at + 1]))),
        )
        for at in (0, 2)
    )
    places = 2 if samples.is_binary and len(rows) < samples.n else 4
    return {
        CUT: rounded(cut, 6),
        MISSED: None if hide_missed else _interval(missed, places),
        SIZE: None if hide_size else _interval(sizes, places),
        SUPPRESSED: hide_missed or hide_size,
    }


def _interval(value: Replicated, places: int) -> dict[str, float | None]:
    low, high = value.interval(CONFIDENCE)
    ends = (("estimate", value.estimate), ("low", max(low, 0.0)), ("high", high))
    return {key: rounded(end, places) for key, end in ends}


def _shown(count: int) -> int | None:
    return None if 0 < count < SMALLEST_CELL else count
