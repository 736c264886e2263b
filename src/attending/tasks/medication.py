"""Predict which classes of drugs a visit will bring, from everything before it.

A sample is a visit that an earlier one precedes and in which a drug of a known class is recorded. Its prediction time
is a microsecond before the visit's start; or, where something of the visit was recorded earlier still, such as a drug
in the emergency department, before that. Its labels are the classes of all `MEDICATION//` events of the visit; what was
stopped in it, and what is only taken at home (`MEDICATION//STOP`, `MEDICATION//HOME`), is none. `history_codes` are the
classes known by then: a label among them is continued or recurs, any other is new.

Trap and guard: a visit's drugs among the inputs. No event of the visit is before its prediction time, so that none is
an input, and the diagnoses and laboratory results that drugs are given for are not, either. What the labels show is
what was given, which need not be what was right.

A code is an instance of one outcome: a drug of several ingredients, or of one with several classes, of all of these
together (`INGREDIENT/acetaminophen + INGREDIENT/oxycodone`). A drug without a term of the level is no label. Terms are
those of `ontology.terms`: FDA's established pharmacologic classes need the extra `drugs`; ATC, and drugs that events
name by code only (RxNorm), need what `attending ingest` found in the user's vocabularies and in the source's own
descriptions: say `parents: EVENTS/metadata/codes.parquet`.
"""

from pathlib import Path
from typing import Literal

import polars as pl
from polars import col

from attending.cohort import Flow, Labelled, Target, tidy
from attending.config import Settings
from attending.errors import TaskError
from attending.ontology import terms
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    HISTORY_CODES,
    LABEL_CODES,
    MEDICATION,
    PARENT_CODES,
    PREDICTION_TIME,
    SEPARATOR,
    SUBJECT_ID,
    TIME,
    VISIT_ID,
)
from attending.visits import START, is_code, stays, with_visit_ids

Level = Literal["code", "ingredient", "class", "atc1", "atc2", "atc3", "atc4", "atc5"]
NOT_GIVEN = (f"{MEDICATION}//STOP", f"{MEDICATION}//HOME")
_BEGINNING: dict[Level, str] = {"ingredient": "INGREDIENT/", "class": "EPC/"}
_ATC_LENGTH: dict[Level, int] = {"atc1": 1, "atc2": 3, "atc3": 4, "atc4": 5, "atc5": 7}
_AND = " + "


class Config(Settings):
    """Settings of the task.

    level                 what is predicted: the `ingredient`, FDA's pharmacologic `class`, a level of ATC (`atc1`, the
                          anatomical group, to `atc5`, the substance), or the `code` as it stands
    parents               the `metadata/codes.parquet` of the events, for ATC and for drugs that are named by code only
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    level: Level = "ingredient"
    parents: Path | None = None
    min_train_subjects: int = 11


def check(config: Config, codes: list[str]) -> None:
    """Fail if no drug of the data set has a term of the level.

    Raises:
        TaskError: saying which setting helps.
    """
    if not outcome_of_code(codes, config):
        more = "; set task.parents to the events' metadata/codes.parquet" if config.parents is None else ""
        raise TaskError(
            f"no code of the data set is a {MEDICATION} with a term of task.level={config.level}{more}"
        )


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    visits = flow.note("with at least one visit", stays(events))
    later = flow.note("visits that an earlier visit precedes", visits.filter(_is_later()))
    later = later.join(_begun(events), on=[SUBJECT_ID, VISIT_ID], how="left", maintain_order="left")
    earliest = pl.min_horizontal(START, "begun") - pl.duration(microseconds=1)
    later = later.with_columns(earliest.alias(PREDICTION_TIME))
    drugs = events.filter(_is_given()).select(SUBJECT_ID, VISIT_ID, TIME, CODE, AVAILABLE_TIME)
    dated = drugs.filter(col(TIME).is_not_null())
    keys = [SUBJECT_ID, VISIT_ID]
    given = later.join(dated, on=keys, how="semi", maintain_order="left")
    flow.note("with a drug", given)
    classed = dated.join(_outcomes(dated, config), on=CODE).with_columns(col("outcome").alias(CODE))
    labels = classed.group_by(keys).agg(col(CODE).unique().sort().alias(LABEL_CODES))
    samples = given.join(labels, on=keys, maintain_order="left")
    frame = flow.note("of a known class", tidy(_with_history(samples, classed)))
    return Labelled(frame=frame, flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: the set of drugs."""
    return "multilabel"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return the drug or class that each medication code is an instance of; other codes are left out."""
    given = [code for code in codes if _is_named(code, MEDICATION) and not _is_named(code, *NOT_GIVEN)]
    if config.level == "code" or not given:
        return dict(zip(given, given, strict=True))
    if config.parents is not None:
        known = _read_parents(config.parents)
    else:
        known = dict(terms.describe(pl.Series(CODE, given)).select(CODE, PARENT_CODES).iter_rows())
    found = {code: _at_level(known.get(code) or [], config.level) for code in given}
    return {code: _AND.join(some) for code, some in found.items() if some}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    if outcome.startswith(MEDICATION + SEPARATOR):
        return outcome.removeprefix(MEDICATION + SEPARATOR).replace(SEPARATOR, " ")
    words = [part.replace("ATC/", "ATC ").split("/", 1)[-1] for part in outcome.split(_AND)]
    return " and ".join(words)


def _is_later() -> pl.Expr:
    """Say of visits sorted by start that one of the subject began before; visits that begin at once are all first."""
    return col(START) > col(START).min().over(SUBJECT_ID)


def _begun(events: pl.DataFrame) -> pl.DataFrame:
    """Return when the first event of each visit happened."""
    own = events.filter(col(VISIT_ID).is_not_null() & col(TIME).is_not_null())
    first = pl.min_horizontal(col(TIME).min(), col(AVAILABLE_TIME).min()).alias("begun")
    return own.group_by(SUBJECT_ID, VISIT_ID).agg(first)


def _is_given() -> pl.Expr:
    return is_code(MEDICATION) & ~pl.any_horizontal(is_code(code) for code in NOT_GIVEN)


def _is_named(code: str, *beginnings: str) -> bool:
    return any(code == one or code.startswith(one + SEPARATOR) for one in beginnings)


def _outcomes(drugs: pl.DataFrame, config: Config) -> pl.DataFrame:
    outcomes = outcome_of_code(drugs[CODE].unique().to_list(), config)
    return pl.DataFrame(
        {CODE: list(outcomes), "outcome": list(outcomes.values())},
        schema={CODE: pl.String, "outcome": pl.String},
    )


def _at_level(parents: list[str], level: Level) -> list[str]:
    if level in _BEGINNING:
        return sorted({one for one in parents if one.startswith(_BEGINNING[level])})
    length = len("ATC/") + _ATC_LENGTH[level]
    return sorted({one for one in parents if one.startswith("ATC/") and len(one) == length})


def _read_parents(path: Path) -> dict[str, list[str]]:
    """Read the parents of all drugs.

    Raises:
        TaskError: if the file is no table of codes.
    """
    try:
        codes = pl.read_parquet(path, columns=[CODE, PARENT_CODES])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TaskError(
            f"expected a codes.parquet with '{CODE}' and '{PARENT_CODES}' at {path}, of task.parents; "
            f"reading it gave {type(error).__name__}"
        ) from None
    return dict(codes.filter(is_code(MEDICATION)).iter_rows())


def _with_history(samples: pl.DataFrame, drugs: pl.DataFrame) -> pl.DataFrame:
    """Add the classes that were known by each prediction."""
    keys = [SUBJECT_ID, PREDICTION_TIME]
    first_known = drugs.group_by(SUBJECT_ID, CODE).agg(col(AVAILABLE_TIME).min())
    history = (
        samples.select(keys)
        .unique()
        .join(first_known, on=SUBJECT_ID)
        .filter(col(AVAILABLE_TIME) <= col(PREDICTION_TIME))
        .group_by(keys)
        .agg(col(CODE).sort().alias(HISTORY_CODES))
    )
    found = samples.join(history, on=keys, how="left", maintain_order="left")
    return found.with_columns(col(HISTORY_CODES).fill_null([]))
