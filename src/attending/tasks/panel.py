"""Predict which codes the next round of a panel brings, at the end of each round: yearly flags, yearly questionnaires.

A round is a time at which events below `observed` became known, such as the end of a year; every subject has one
record a round. A sample is a round that a later one follows. Its prediction time is when the round became known
(inclusive), its labels are the codes below `codes` that become known with the next round: none of them is a sample
without a label, since the panel did ask. `history_codes` are those known by then: the others are new onsets.

Trap: a round's flags sum up a whole year, so nothing of the next year may be known: rounds go by `available_time`,
never by when something happened. Death between rounds ends a subject's panel: it is no sample, so those who die young
are missing from the answers.
"""

import polars as pl

from attending.cohort import Flow, Labelled, Target, tidy
from attending.config import Settings
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DIAGNOSIS,
    HISTORY_CODES,
    LABEL_CODES,
    PREDICTION_TIME,
    SEPARATOR,
    SUBJECT_ID,
)
from attending.visits import is_code

NEXT = "next_round"


class Config(Settings):
    """Settings of the task.

    codes                 what is predicted: the codes below this one, each an outcome
    observed              events that make a round; those of `codes` where none are named
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    codes: str = DIAGNOSIS
    observed: str = ""
    min_train_subjects: int = 11


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    flow.note("subjects in the data", events, samples=False)
    known = events.filter(pl.col(AVAILABLE_TIME).is_not_null())
    rounds = (
        known.filter(is_code(config.observed or config.codes)).select(SUBJECT_ID, AVAILABLE_TIME).unique()
    )
    flow.note("rounds of the panel", rounds)
    following = pl.col(AVAILABLE_TIME).shift(-1).over(SUBJECT_ID, order_by=AVAILABLE_TIME).alias(NEXT)
    samples = rounds.with_columns(following).filter(pl.col(NEXT).is_not_null())
    samples = flow.note("rounds that a later one follows", samples.rename({AVAILABLE_TIME: PREDICTION_TIME}))
    flags = known.filter(is_code(config.codes)).select(SUBJECT_ID, AVAILABLE_TIME, CODE).unique()
    keys = [SUBJECT_ID, PREDICTION_TIME]
    brought = samples.join(flags, left_on=[SUBJECT_ID, NEXT], right_on=[SUBJECT_ID, AVAILABLE_TIME])
    first = flags.group_by(SUBJECT_ID, CODE).agg(pl.col(AVAILABLE_TIME).min())
    before = samples.join(first, on=SUBJECT_ID).filter(pl.col(AVAILABLE_TIME) <= pl.col(PREDICTION_TIME))
    for frame, column in ((brought, LABEL_CODES), (before, HISTORY_CODES)):
        listed = frame.group_by(keys).agg(pl.col(CODE).sort().alias(column))
        samples = samples.join(listed, on=keys, how="left").with_columns(pl.col(column).fill_null([]))
    return Labelled(frame=tidy(samples), flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: a set of outcomes."""
    return "multilabel"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return each code of the panel as the outcome that it is."""
    below = config.codes + SEPARATOR
    return {code: code for code in codes if code == config.codes or code.startswith(below)}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    return outcome.rsplit(SEPARATOR, 1)[-1].replace("_", " ").capitalize()
