"""Predict how long a stay lasts, from what is known some hours after admission.

A sample is a stay that still runs `hours` after its admission, its subject alive, and whose end is recorded; that
moment is the prediction time. What is predicted is counted in days of 24 hours from the admission (`total`) or from
the prediction (`remaining`) to the end:

    days    the number of days: a regression
    over    whether the stay lasts longer than each of some numbers of days: an outcome each
    bins    in which bin of days it ends: exactly one outcome happens. The bins as they stand are those of the public
            benchmark on MIMIC-III (Harutyunyan 2019, doi:10.1038/s41597-019-0103-9): days one by one for a week, then
            up to two weeks, then beyond

Trap and guard: codes that the discharge assigns, and the discharge itself, tell the length; the leak rule keeps them
out. So does `hours`: stays that are over by then are no samples, for nothing is left to predict.

Trap: the dead leave early, so a short stay is good news or the worst. They are samples like others unless `deaths`
is `exclude`, which asks of a cohort that nobody can know at the prediction.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

import polars as pl
from polars import col
from pydantic import BeforeValidator, Field, model_validator

from attending.cohort import Flow, Labelled, Target, measured, tidy
from attending.config import Settings
from attending.errors import ConfigError
from attending.schema import DEATH, HISTORY_CODES, LABEL_CODES, PREDICTION_TIME
from attending.tasks._stays.places import (
    DIED,
    ENDED,
    NAMES,
    Place,
    check_place,
    hours_after,
    stays_in,
    still_there,
)
from attending.tasks._stays.windows import NONE, as_several
from attending.visits import END, START, with_visit_ids

OUTCOME = "length_of_stay"
_OVER, _BIN = "stay_over_", "stay_of_"
_DAY = 86_400_000_000  # microseconds
_Days = Annotated[tuple[float, ...], BeforeValidator(as_several)]


class Config(Settings):
    """Settings of the task.

    kind                  what is predicted: the number of `days`, whether `over` some, or the one of `bins`
    over                  numbers of days that the stay may be longer than
    bins                  where a bin of days ends and the next one begins, ascending
    counted               days from admission, `total`, or from the prediction, `remaining`
    stay                  in `hospital`, or in intensive care: `icu`
    hours                 from admission to the prediction
    deaths                whether stays that end in death are samples: `include` or `exclude`
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    kind: Literal["days", "over", "bins"] = "days"
    over: _Days = (3.0, 7.0)
    bins: _Days = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 14.0)
    counted: Literal["total", "remaining"] = "total"
    stay: Place = "hospital"
    hours: float = Field(default=24.0, ge=0)
    deaths: Literal["include", "exclude"] = "include"
    min_train_subjects: int = 1

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        known = self.hours / 24 if self.counted == "total" else 0
        if self.kind == "over" and (not self.over or min(self.over) <= known):
            raise ConfigError(
                f"expected numbers of days above {known:g} as task.over: at {self.hours:g} h every stay is that long; "
                f"got {list(self.over)}"
            )
        if self.kind == "bins" and (
            not self.bins or list(self.bins) != sorted({b for b in self.bins if b > 0})
        ):
            raise ConfigError(
                f"expected ascending numbers of days above 0 as task.bins; got {list(self.bins)}"
            )
        return self


def check(config: Config, codes: list[str]) -> None:
    """Fail where the data set has no such stays.

    Raises:
        TaskError: saying which setting helps.
    """
    check_place(config.stay, codes)


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow, place = Flow(), NAMES[config.stay]
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    found = flow.note(f"with at least one stay in {place}", stays_in(config.stay, events))
    found = found.with_columns(hours_after(START, config.hours).alias(PREDICTION_TIME))
    there = found.filter(still_there(PREDICTION_TIME))
    there = flow.note(f"alive and in {place} {config.hours:g} h after admission", there)
    samples = flow.note("whose end is recorded", there.filter(col(ENDED) | col(DIED)))
    if config.deaths == "exclude":
        samples = flow.note("that do not end in death", samples.filter(~col(DIED)))
    since = col(START if config.counted == "total" else PREDICTION_TIME)
    # A death before the recorded discharge ends the stay.
    end = pl.when(DIED).then(pl.min_horizontal(END, DEATH)).otherwise(END)
    length = (end - since).dt.total_microseconds() / _DAY
    return Labelled(frame=_labelled(samples, length, config), flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: a number, an outcome, or several."""
    if config.kind == "days":
        return "value"
    return "binary" if config.kind == "over" and len(config.over) == 1 else "multilabel"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: no event of the input is an instance of this outcome."""
    return {}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    if outcome == OUTCOME:
        return "Length of stay in days"
    words = outcome.removeprefix(_BIN).removeprefix("stay_").replace("_", " ")
    return f"A stay of {words}" if outcome.startswith(_BIN) else f"A stay {words}"


def unit(config: Config) -> str:
    """Say what the number is counted in."""
    return "days"


def _labelled(samples: pl.DataFrame, length: pl.Expr, config: Config) -> pl.DataFrame:
    if config.kind == "days":
        return measured(samples, outcome=OUTCOME, value=length)
    if config.kind == "over":
        longer = [
            pl.when(length > days).then(pl.lit(f"{_OVER}{days:g}_days")) for days in sorted(config.over)
        ]
        labels = pl.concat_list(longer).list.drop_nulls()
    else:
        labels = pl.concat_list(_bin_of(length, config.bins))
    return tidy(samples.with_columns(labels.alias(LABEL_CODES), NONE.alias(HISTORY_CODES)))


def _bin_of(length: pl.Expr, bins: tuple[float, ...]) -> pl.Expr:
    """Return the name of the bin that a length lies in: from its first day on, up to before its last."""
    ends_in: pl.Expr = pl.lit(f"{_BIN}{bins[-1]:g}_days_or_more")
    for first, last in reversed(list(pairwise(bins))):
        ends_in = pl.when(length < last).then(pl.lit(f"{_BIN}{first:g}_to_{last:g}_days")).otherwise(ends_in)
    shortest = f"{_BIN}under_{bins[0]:g}_{'day' if bins[0] == 1 else 'days'}"
    return pl.when(length < bins[0]).then(pl.lit(shortest)).otherwise(ends_in)
