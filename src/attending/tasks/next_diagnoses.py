"""Predict which diagnoses the next visit will bring, at the end of each visit (or of the last but one).

A sample is a visit that a later visit follows. Its prediction time is the visit's end (inclusive: the codes that
the discharge assigns are known). Its labels are the diagnoses of the first visit that *starts after* that end,
so an overlapping stay is never a target. `history_codes` are the diagnoses known by then: a label among them is
a recurrence, any other is a new onset.

A next visit without any recorded diagnosis is not a sample: nothing was recorded, which is not "nothing happened".

`visits: final` is the protocol of CGL and Chet (Lu et al., IJCAI 2021 and AAAI 2022): one sample a subject, its visits
in order of admission, the last is the target and all before are known. The prediction stands at the end of the visits
before; where one of them outlasts the last, just before the last one's end, so that its codes are never known. With
`admitted` only admissions to hospital count, and with `all_coded` a subject leaves if any of them has no diagnosis.

Diagnoses are grouped by public tables, by files of the user's own (`phecode`, `ccs_multi_level`: no table is shipped),
or into `groups` that are named here. Trap: with a group such as heart failure those who have it stay in, and their
history predicts itself; recurrent and new onset are told apart. A cohort free of the disease is the task `onset`.
"""

from pathlib import Path
from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from attending import coded_admissions as coded
from attending.cohort import Flow, Labelled, Target, tidy
from attending.errors import ConfigError
from attending.ontology import icd, user_groups
from attending.schema import (
    ADMISSION,
    AVAILABLE_TIME,
    CODE,
    HISTORY_CODES,
    LABEL_CODES,
    PREDICTION_TIME,
    SUBJECT_ID,
    VISIT_ID,
)
from attending.visits import END, START, is_code, stays, with_visit_ids

TARGET = "target_visit"
_KEYS = [SUBJECT_ID, VISIT_ID]


class Config(coded.Admissions):
    """Settings of the task.

    visits                `every` visit that a later one follows; only the `last` of them; or the `final` visit is the
                          target and all before it are known, as CGL and Chet have it
    admitted              only visits that an admission to hospital began
    all_coded             leave out subjects of whom any visit has no diagnosis
    vocabulary            what is predicted: `full` ICD codes, their `three_character` category, the `ccs` group (CCSR
                          for ICD-10-CM, CCS for ICD-9-CM), the `phecode`, or AHRQ's `ccs_multi_level`
    phecodes              for `phecode`: the published map, CSV of ICD codes and phecodes, or a folder of several
    ccs_levels            for `ccs_multi_level`: AHRQ's `ccs_multi_dx_tool_2015.csv`
    level                 for `ccs_multi_level`: from 1, 18 chapters, to 4
    groups                predict these instead, each named with beginnings of outcomes of the vocabulary:
                          `{heart_failure: [DIAGNOSIS//ICD//9//428]}`
    icd9                  ICD-10 counts as ICD-9: `cms`, or a mapping file with columns ICD10 and ICD9
    patients, after_year  MIMIC-IV: only visits after a real year, by the table of patients
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    visits: Literal["every", "last", "final"] = "every"
    admitted: bool = False
    all_coded: bool = False
    vocabulary: Literal["full", "three_character", "ccs", "phecode", "ccs_multi_level"] = "ccs"
    phecodes: Path | None = None
    ccs_levels: Path | None = None
    level: int = Field(default=2, ge=1, le=user_groups.N_LEVELS)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    min_train_subjects: int = 11

    @model_validator(mode="after")
    def _has_its_file(self) -> Self:
        for vocabulary, setting in (("phecode", "phecodes"), ("ccs_multi_level", "ccs_levels")):
            if self.vocabulary == vocabulary and getattr(self, setting) is None:
                raise ConfigError(
                    f"the vocabulary '{vocabulary}' needs a file of yours, task.{setting}: its table is not shipped"
                )
        return self


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    visits, diagnoses = _visits(events, config, flow)
    if config.visits == "final":
        pairs = flow.note("whose final visit follows another", _with_final(visits))
    else:
        pairs = flow.note("visits that a later visit follows", _with_next(visits))
    targets = pairs.join(diagnoses, left_on=[SUBJECT_ID, TARGET], right_on=_KEYS)
    labels = targets.group_by(*_KEYS, PREDICTION_TIME).agg(
        pl.col("outcome").drop_nulls().unique().sort().alias(LABEL_CODES)
    )
    flow.note("whose next visit has a diagnosis", labels)
    if config.visits == "last":
        latest = pl.col(PREDICTION_TIME) == pl.col(PREDICTION_TIME).max().over(SUBJECT_ID)
        labels = flow.note("the last of each subject", labels.filter(latest))
    return Labelled(frame=tidy(_with_history(labels, diagnoses)), flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: a set of outcomes, or whether the one group comes."""
    return "binary" if len(config.groups) == 1 else "multilabel"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return the outcome that each diagnosis code is an instance of; other codes are left out."""
    names = coded.counting_codes(codes, config)
    outcomes = _outcomes(set(names.values()), config)
    return {code: outcomes[name] for code, name in names.items() if name in outcomes}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words; those of a user's file need the settings that name it."""
    if config is not None:
        file = {"phecode": config.phecodes, "ccs_multi_level": config.ccs_levels}.get(config.vocabulary)
        name = user_groups.description(outcome, file) if file and outcome not in config.groups else None
        if name:
            return name
    known = icd.describe(outcome)
    if known is None and "//" not in outcome:
        known = outcome.replace("_", " ").capitalize()
    return known or outcome


def _outcomes(codes: set[str], config: Config) -> dict[str, str]:
    """Return the outcome that each code counts as."""
    if config.vocabulary == "phecode" and config.phecodes:
        found = user_groups.phecodes(codes, config.phecodes)
    elif config.vocabulary == "ccs_multi_level" and config.ccs_levels:
        found = user_groups.multi_level(codes, config.ccs_levels, config.level)
    else:
        found = icd.group(codes, config.vocabulary)  # type: ignore[arg-type]
    if not config.groups:
        return found
    named = {code: _named(outcome, config.groups) for code, outcome in found.items()}
    return {code: name for code, name in named.items() if name}


def _named(outcome: str, groups: dict[str, tuple[str, ...]]) -> str | None:
    return next((name for name, starts in groups.items() if outcome.startswith(starts)), None)


def _visits(events: pl.DataFrame, config: Config, flow: Flow) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the visits that count, and their diagnoses: `outcome` is null where one is of no group."""
    visits = flow.note("with at least one visit", stays(events))
    if config.admitted:
        begun = events.filter(is_code(ADMISSION)).select(_KEYS).unique()
        admitted = visits.join(begun, on=_KEYS, how="semi", maintain_order="left")
        visits = flow.note("admissions to hospital", admitted)
    if config.after_year is not None:
        visits = flow.note(f"after {config.after_year}", coded.counted(visits, config))
    counted = coded.diagnoses(events, config)
    if config.all_coded:
        several = visits.filter(pl.len().over(SUBJECT_ID) > 1)
        flow.note("of subjects with at least two", several)
        bare = several.join(counted, on=_KEYS, how="anti").select(SUBJECT_ID)
        visits = several.join(bare, on=SUBJECT_ID, how="anti", maintain_order="left")
        flow.note("of subjects whose every visit has a diagnosis", visits)
    outcomes = _outcomes(set(counted[CODE].unique().to_list()), config)
    grouping = pl.DataFrame(
        {CODE: list(outcomes), "outcome": list(outcomes.values())},
        schema={CODE: pl.String, "outcome": pl.Enum(sorted(set(outcomes.values())))},
    )
    # A diagnosis that no group holds still says that its visit was coded; an unmapped one of a vocabulary does not.
    how: Literal["left", "inner"] = "left" if config.groups else "inner"
    return visits, counted.select(*_KEYS, CODE, AVAILABLE_TIME).join(grouping, on=CODE, how=how).drop(CODE)


def _with_next(visits: pl.DataFrame) -> pl.DataFrame:
    following = visits.select(SUBJECT_ID, pl.col(START).alias("next_start"), pl.col(VISIT_ID).alias(TARGET))
    return (
        visits.sort(SUBJECT_ID, END)
        .join_asof(
            following.sort(SUBJECT_ID, "next_start", TARGET),
            left_on=END,
            right_on="next_start",
            by=SUBJECT_ID,
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col(TARGET).is_not_null())
        .rename({END: PREDICTION_TIME})
    )


def _with_final(visits: pl.DataFrame) -> pl.DataFrame:
    """Return one row a subject: the visit before its last, and the end of all before, short of the last one's end."""
    ordered = visits.sort(SUBJECT_ID, START, END, VISIT_ID)
    before = pl.col(END).slice(0, pl.len() - 1).max()
    final_end = pl.col(END).last() - pl.duration(microseconds=1)
    subjects = ordered.group_by(SUBJECT_ID, maintain_order=True).agg(
        pl.col(VISIT_ID).get(-2, null_on_oob=True),
        pl.col(VISIT_ID).last().alias(TARGET),
        pl.min_horizontal(before, final_end).alias(PREDICTION_TIME),
    )
    return subjects.drop_nulls()


def _with_history(labels: pl.DataFrame, diagnoses: pl.DataFrame) -> pl.DataFrame:
    known = diagnoses.filter(pl.col("outcome").is_not_null())
    first_known = known.group_by(SUBJECT_ID, "outcome").agg(pl.col(AVAILABLE_TIME).min())
    keys = [SUBJECT_ID, PREDICTION_TIME]
    history = (
        labels.lazy()
        .select(keys)
        .unique()
        .join(first_known.lazy(), on=SUBJECT_ID)
        .filter(pl.col(AVAILABLE_TIME) <= pl.col(PREDICTION_TIME))
        .group_by(keys)
        .agg(pl.col("outcome").sort().alias(HISTORY_CODES))
        .collect()
    )
    return labels.join(history, on=keys, how="left").with_columns(pl.col(HISTORY_CODES).fill_null([]))
