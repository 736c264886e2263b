"""Visits are in the order of time: the number of an admission is a name, and other names change nothing.

Subjects of whom two visits begin or end at the same moment are left out: only names could order these.
"""

import numpy as np
import polars as pl
from polars import col

from attending.audit import futures
from attending.audit.blocks import n_backwards
from attending.audit.evidence import Chosen, Evidence
from attending.audit.finding import Finding, failed, not_applicable, number, passed
from attending.schema import HISTORY_CODES, LABEL_CODES, PREDICTION_TIME, SUBJECT_ID, VISIT_ID
from attending.tokens.store import encode_shard
from attending.visits import END, START, stays

ADVICE = "order visits by when they begin, never by their numbers"


def check(evidence: Evidence) -> Finding:
    """Fail if stored visits run backwards, or labels or tokens change when visits are numbered otherwise."""
    store = evidence.store
    backwards = n_backwards(store.visit, store.offset)
    if backwards:
        return failed(
            f"the visits of {number(backwards, 'subject')} are not stored in the order of time", ADVICE
        )
    chosen = evidence.chosen
    if VISIT_ID not in chosen.events.columns or chosen.events[VISIT_ID].null_count() == chosen.events.height:
        return not_applicable(
            "the events name no visits: they are rebuilt from admissions, in the order of time"
        )
    chosen = _without_ties(chosen)
    if chosen.events.is_empty():
        return not_applicable("the visits of every subject begin or end at the same moment")
    events, names = futures.renumbered(chosen, evidence.seed)
    changed = _relabelled(evidence, chosen, events)
    if changed:
        return failed(
            f"{number(changed, 'subject')} labelled otherwise when visits are numbered otherwise", ADVICE
        )
    changed = _retokenized(evidence, events)
    if changed:
        return failed(
            f"{number(changed, 'subject')} tokenized otherwise when visits are numbered otherwise", ADVICE
        )
    n_subjects = chosen.events[SUBJECT_ID].n_unique()
    return passed(
        f"{number(n_subjects, 'subject')} with {number(names.height, 'visit')} numbered otherwise: same labels, "
        "same tokens"
    )


def _without_ties(chosen: Chosen) -> Chosen:
    visits = stays(chosen.events)
    tied = visits.filter(
        pl.struct(SUBJECT_ID, START).is_duplicated() | pl.struct(SUBJECT_ID, END).is_duplicated()
    )
    events, samples = (
        each.join(tied.select(SUBJECT_ID), on=SUBJECT_ID, how="anti", maintain_order="left")
        for each in (chosen.events, chosen.samples)
    )
    return Chosen(events=events, samples=samples)


def _relabelled(evidence: Evidence, chosen: Chosen, events: pl.DataFrame) -> int:
    """Count the subjects of whom a sample's time, labels or history differ."""
    columns = [SUBJECT_ID, PREDICTION_TIME, LABEL_CODES, HISTORY_CODES]
    before, after = (
        evidence.module.label(each, evidence.settings)
        .frame.select(columns)
        .with_columns(one=pl.struct(columns))
        for each in (chosen.events, events)
    )
    if before.equals(after):
        return 0
    listed = [each.group_by(SUBJECT_ID).agg(col("one").sort_by(PREDICTION_TIME)) for each in (before, after)]
    joined = listed[0].join(listed[1], on=SUBJECT_ID, how="full", coalesce=True)
    n_changed: int = joined.filter(col("one").ne_missing(col("one_right"))).height
    return max(1, n_changed)


def _retokenized(evidence: Evidence, events: pl.DataFrame) -> int:
    """Count the subjects whose stored tokens, times and visits are not those of the renumbered record."""
    arrays, subjects = encode_shard(events, evidence.one_split_of, evidence.vocabulary, evidence.token_config)
    store = evidence.store
    row = np.searchsorted(store.subject, subjects["subject"])
    ends = np.concatenate([[0], np.cumsum(subjects["length"])])
    changed = 0
    for at, place in enumerate(row.tolist()):
        ours, theirs = slice(ends[at], ends[at + 1]), slice(store.offset[place], store.offset[place + 1])
        changed += not all(
            np.array_equal(arrays[name][ours], getattr(store, name)[theirs])
            for name in ("token", "second", "visit")
        )
    return changed
