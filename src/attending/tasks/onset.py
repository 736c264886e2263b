"""Predict the onset of a disease within some days, in those who are still free of it.

A sample is a subject and an index: the end of each visit, of the first eligible visit, or of each calendar year. In
the cohort are those alive, without any code of the disease by then, and on record for `washout_days`. There is an
outcome for each of `horizon_days`: the first code of the disease comes after the index and not later than so many days.
With `n_codes: 2` a single code is no onset: one on a later day must confirm it, and the first of the two is the onset;
a single code before the index rules a subject out nevertheless.

Trap and guard: prior cases predict themselves. Whoever has any code of the disease at the index, or one that says it
was there before (an old infarction), is no sample. So is one whose code happened before the index and became known
later, and one with a code of the index visit itself, whatever its time: the visit found the disease, the future did
not. Codes without a date count as prior.

Trap and guard: those who leave are not healthy. Whoever is followed for less than the horizon without the disease is
*censored*: the outcome is neither yes nor no. Follow-up ends with the last event of the record, or with `until` where
records are complete until then. Who dies first cannot fall ill: with `death: competing` the disease did not happen,
which is what a risk for a patient means; with `death: censored` it is not known, which is the risk if nobody died.

The same frame holds the time to event: `event_days` and `event` (1 the disease, 2 death, 0 end of follow-up).

Trap: the first code in a record is the first *recorded*; a record that begins late makes old disease look new. Ask for
a washout of a year or more where the data allow it.

Diseases by name, with the source of each list of codes: `_onset/definitions.py`, or docs/disease-onset.md.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

import polars as pl
from polars import col
from pydantic import BeforeValidator, Field, model_validator

from attending.coded_admissions import Files
from attending.cohort import LAST_SEEN, Flow, Labelled, Target, deaths, tidy
from attending.errors import ConfigError, TaskError, nearest
from attending.schema import CODE, DEATH, PREDICTION_TIME, SUBJECT_ID, VISIT_ID
from attending.tasks._onset.definitions import DEFINITIONS
from attending.tasks._onset.matching import PRIOR, as_cases, by_codes, by_definition, by_node
from attending.tasks._onset.moments import (
    FIRST_SEEN,
    FIRST_SIGN,
    ONSET,
    Index,
    first_signs,
    moments,
    onsets,
    signs,
    with_first_seen,
)
from attending.tasks._stays.windows import (
    FollowUp,
    as_several,
    check_windows,
    days_after,
    followed,
    windows,
    with_follow_up,
    with_time_to_event,
)
from attending.visits import with_visit_ids

_WITHIN = " within "
_FOREVER = 100_000.0  # days


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Several = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Config(Files):
    """Settings of the task.

    disease               a ready definition: heart_failure, type_2_diabetes, chronic_kidney_disease, stroke,
                          atrial_fibrillation, copd, depression, dementia, myocardial_infarction, pancreatic_cancer
    codes                 in its place: event codes or their beginnings, such as `DIAGNOSIS//ICD//10//I50`
    node                  in its place, or beside `codes`: terms above the codes, such as `CCS/108` or `ICD10CM/I50`
    called                what a disease given by codes or nodes is called
    prior                 further codes, or beginnings, that rule a subject out but are no onset
    vocabularies          vocabulary files of one's own that know what is below a node
    n_codes               2: a code counts only if one on a later day confirms it
    confirm_within_days   with two codes: how many days later at most
    horizon_days          one or several, an outcome each
    washout_days          how long a subject must be on record, free of the disease, before the index
    index                 the end of `every_visit`, of the `first` eligible one, or `yearly`, the end of each year
    death                 before the horizon: `competing`, the disease did not happen; `censored`, it is not known
    follow_up             ends at the `last_event` of a subject, or never (`complete`)
    until                 with `complete`: the last day that the data cover, of real dates
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    disease: str = "heart_failure"
    codes: Several = ()
    node: Several = ()
    called: str = ""
    prior: Several = ()
    vocabularies: Path | None = None
    n_codes: int = Field(default=1, ge=1, le=2)
    confirm_within_days: float | None = Field(default=None, gt=0)
    horizon_days: Annotated[tuple[float, ...], BeforeValidator(as_several)] = (365.0,)
    washout_days: float = Field(default=0.0, ge=0)
    index: Index = "every_visit"
    death: Literal["competing", "censored"] = "competing"
    follow_up: FollowUp = "last_event"
    until: date | None = None
    min_train_subjects: int = 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.codes and not self.node and self.disease not in DEFINITIONS:
            raise ConfigError(
                f"no disease named '{self.disease}'{nearest(self.disease, list(DEFINITIONS))}: known are "
                f"{', '.join(DEFINITIONS)}; any other is given by task.codes or task.node"
            )
        if self.confirm_within_days is not None and self.n_codes == 1:
            raise ConfigError("task.confirm_within_days has no meaning with task.n_codes=1")
        check_windows(self.horizon_days, self.follow_up, self.until)
        return self


def check(config: Config, codes: list[str]) -> None:
    """Fail if no code of the data set is a case of the disease.

    Raises:
        TaskError: with near codes.
    """
    kinds = _kinds(codes, config)
    if any(kind != PRIOR for kind in kinds.values()):
        return
    given = next(iter((*config.codes, *config.node)), "")
    what = f"{config.codes or config.node}" if given else f"of '{config.disease}'"
    raise TaskError(
        f"no code of the data set is a case {what}{nearest(given, sorted(codes)) if given else ''}: "
        "say which codes stand for the disease by task.codes"
    )


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    found = signs(events, _kinds(events[CODE].unique().to_list(), config))
    samples = moments(events, config.index)
    yearly = config.index == "yearly"
    flow.note("years on record, asked at their end" if yearly else "visits, asked at their end", samples)
    samples = samples.join(deaths(events), on=SUBJECT_ID, how="left", maintain_order="left")
    alive = col(DEATH).is_null() | (col(DEATH) > col(PREDICTION_TIME))
    samples = flow.note("alive", samples.filter(alive))
    samples = flow.note(f"free of {_name(config)} until then", _free(samples, found))
    if config.washout_days:
        since = with_first_seen(samples, events)
        long = days_after(FIRST_SEEN, config.washout_days) <= col(PREDICTION_TIME)
        samples = flow.note(f"on record for {config.washout_days:g} days", since.filter(long))
    if config.index == "first":
        earliest = samples.sort(SUBJECT_ID, PREDICTION_TIME, VISIT_ID)
        samples = flow.note("the first of each subject", earliest.unique(SUBJECT_ID, keep="first"))
    samples = with_follow_up(samples, events, config.follow_up, config.until)
    again = col(PREDICTION_TIME) + pl.duration(
        seconds=1
    )  # an index in the last second of complete data has no future
    later = col(LAST_SEEN).is_null() | (col(LAST_SEEN) >= again)
    samples = flow.note("and seen again", samples.filter(later))
    samples = samples.join(
        onsets(found, config.n_codes, config.confirm_within_days), on=SUBJECT_ID, how="left"
    )
    frame = tidy(_labelled(samples.with_columns(_onset_before_death()), config))
    flow.note("at distinct times", frame)
    return Labelled(frame=frame, flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: one outcome, or one for each horizon."""
    return "multilabel" if len(config.horizon_days) > 1 else "binary"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: who has a code of the disease is no sample."""
    return {}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    name, _, days = outcome.rpartition(_WITHIN)
    title = DEFINITIONS[name].title if name in DEFINITIONS else name.replace("_", " ")
    return f"{title}{_WITHIN}{days.removesuffix(' d')} days"


def horizon(outcome: str, config: Config) -> float | None:
    """Return the days within which an outcome happens."""
    return {f"{_name(config)}{_WITHIN}{days:g} d": days for days in config.horizon_days}.get(outcome)


def _name(config: Config) -> str:
    given = (*config.codes, *config.node)
    if not given:
        return config.disease
    return config.called or " or ".join(one.replace("//", "/").rpartition("/")[2] for one in given)


def _kinds(codes: list[str], config: Config) -> dict[str, str]:
    """Return which codes are a case of the disease, and which only rule it out."""
    prior = dict.fromkeys(by_codes(codes, config.prior), PRIOR)
    if not config.codes and not config.node:
        return prior | by_definition(codes, DEFINITIONS[config.disease])
    below = by_node(codes, config.node, config.vocabularies) if config.node else []
    return prior | as_cases([*by_codes(codes, config.codes), *below])


def _free(samples: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Return the samples before any sign of the disease, whose own visit has none either."""
    in_visit = found.filter(col(VISIT_ID).is_not_null()).select(SUBJECT_ID, VISIT_ID).unique()
    samples = samples.join(first_signs(found), on=SUBJECT_ID, how="left", maintain_order="left")
    free = samples.filter(col(FIRST_SIGN).is_null() | (col(FIRST_SIGN) > col(PREDICTION_TIME)))
    return free.join(in_visit, on=[SUBJECT_ID, VISIT_ID], how="anti", maintain_order="left")


def _onset_before_death() -> pl.Expr:
    """Return the onset. Deaths are often known by their day: a code of that day came before, a later one is none."""
    same_day = col(ONSET) <= days_after(DEATH, 1)
    moved = pl.when(same_day).then(pl.min_horizontal(ONSET, DEATH))
    return pl.when(col(DEATH).is_null()).then(ONSET).otherwise(moved).alias(ONSET)


def _labelled(samples: pl.DataFrame, config: Config) -> pl.DataFrame:
    happens, known = {}, {}
    for days in config.horizon_days:
        outcome = f"{_name(config)}{_WITHIN}{days:g} d"
        within = days_after(PREDICTION_TIME, days)
        died = (col(DEATH) <= within).fill_null(value=False)
        happens[outcome] = col(ONSET) <= within
        known[outcome] = followed(PREDICTION_TIME, days)
        known[outcome] = known[outcome] | died if config.death == "competing" else known[outcome] & ~died
    samples = windows(samples, happens, known)
    longest = _FOREVER if config.follow_up == "last_event" or config.until else max(config.horizon_days)
    return with_time_to_event(samples, PREDICTION_TIME, longest, happens=ONSET, competes=DEATH)
