"""Sets of outcomes that miss, on average over subjects, at most a share α of what happens; counted on held-out subjects.

Cuts are chosen on tuning subjects (`metrics.conformal`), one subject being one exchangeable unit, however many samples
it has: a cut for all, and for each group one of its own where the group has enough tuning subjects (a group-conditional,
or Mondrian, cut: the promise then holds within the group). A subject in several groups, as it ages, counts in each with
the samples that are there. Only subjects in whom an outcome happens can be missed, and only they are counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attending.evaluate.attributes import Attribute, attributes
from attending.evaluate.bootstrap import Bootstrap, Replicated, widening
from attending.evaluate.config import CONFIDENCE
from attending.evaluate.evidence import Evidence
from attending.evaluate.rounded import rounded
from attending.evaluate.samples import ALL, SMALLEST_CELL, Samples
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
    "subjects: it is no promise for one subject, for a group without a cut of its own, nor for another hospital or year."
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
    everything = np.arange(held_out.samples.n)
    cuts = {alpha: choose_cut(calibration, alpha) for alpha in ALPHAS}
    hidden = {alpha: _hidden(held_out, [everything], [cut])[0] for alpha, cut in cuts.items()}
    return {
        "levels": [
            {"alpha": alpha} | _achieved(held_out, everything, cut, bootstrap, bool(hidden[alpha]))
            for alpha, cut in cuts.items()
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
    rows = [np.flatnonzero(after == at) for at in range(len(division.groups))]
    own = []
    for at in range(len(division.groups)):
        misses = tuning.misses(np.flatnonzero(before == at))
        own.append(choose_cut(misses, GROUP_ALPHA) if len(misses.subjects) >= FEWEST_SUBJECTS else np.nan)
    hidden = _hidden(held_out, rows, [cut] * len(rows)) | _hidden(held_out, rows, own)
    return {
        name: {
            "common": _achieved(held_out, rows[at], cut, bootstrap, bool(hidden[at])),
            "own": None
            if np.isnan(own[at])
            else _achieved(held_out, rows[at], own[at], bootstrap, bool(hidden[at])),
        }
        for at, name in enumerate(division.groups)
    }


def _hidden(side: _Side, rows: list[Array], cuts: list[float]) -> Array:
    """Return which groups have too few subjects with an event or, with one outcome, too few missed or found."""
    cells, absent = [], []
    for of_group, cut in zip(rows, cuts, strict=True):
        misses = side.misses(of_group)
        subjects = len(misses.subjects)
        counts = [subjects]
        if side.samples.is_binary:  # then shares are counts of events, and sums of sets are counts of alerts
            chosen = side.probability[of_group, 0] >= cut if np.isfinite(cut) else misses.probability < -1
            alerts, missed = int(chosen.sum()), int((misses.probability < cut).sum())
            n_events = len(misses.probability)
            counts += [missed, n_events - missed, alerts, len(of_group) - alerts]
        cells.append(counts)
        absent.append(subjects < SMALLEST_CELL)
    return hide(np.array(cells), also=np.array(absent))


def _achieved(side: _Side, rows: Array, cut: float, bootstrap: Bootstrap, hidden: bool) -> dict[str, Any]:
    """Return the share that held-out subjects miss, with its interval, and the mean size of sets."""
    if hidden:
        return {CUT: None, MISSED: None, SIZE: None, "empty": None, SUPPRESSED: True}
    samples, n = side.samples, bootstrap.n_subjects
    misses = side.misses(rows)
    counted = np.zeros(n)
    counted[misses.subjects] = 1
    size = ((side.probability[rows] >= cut) & samples.pairs(ALL)[rows]).sum(axis=1).astype(np.float64)
    owner = samples.owner[rows]
    terms = np.stack(
        [
            misses.losses(cut, n),
            counted,
            np.bincount(owner, size, minlength=n),
            np.bincount(owner, minlength=n),
        ]
    )
    totals, whole = bootstrap.totals(terms), terms.sum(axis=1)
    missed, sizes = (
        Replicated.centred(
            float(ratio(whole[at], whole[at + 1])),
            ratio(totals[at], totals[at + 1]),
            widening(int(np.count_nonzero(terms[at + 1]))),
        )
        for at in (0, 2)
    )
    return {
        CUT: rounded(cut, 6),
        MISSED: _interval(missed),
        SIZE: _interval(sizes),
        "empty": rounded(float((size == 0).mean()), 3) if samples.n_outcomes > 1 else None,
        SUPPRESSED: False,
    }


def _interval(value: Replicated) -> dict[str, float | None]:
    low, high = value.interval(CONFIDENCE)
    ends = (("estimate", value.estimate), ("low", max(low, 0.0)), ("high", high))
    return {key: rounded(end) for key, end in ends}


def _shown(count: int) -> int | None:
    return None if 0 < count < SMALLEST_CELL else count
