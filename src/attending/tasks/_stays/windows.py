"""What happens within some days of a moment, and whether the subject was followed for so long.

Of a window that ends before follow-up does, it is known whether the event fell in it. Of a longer one it is known only
if the event, or a death that rules it out, was seen: otherwise the outcome is *censored*, neither yes nor no.

When follow-up ends cannot be read from events alone:

    last_event   at the subject's last event. Right where whoever is still there keeps being recorded; where people
                 are recorded only when they are ill, those known to be well are few, and odd
    complete     never: what is not recorded did not happen. Right of admissions to the hospital whose record it is, and
                 of deaths from a registry. With `until`, the last day that the data cover, at the end of that day
"""

from datetime import date, datetime, time
from typing import Literal

import polars as pl
from polars import col

from attending.cohort import LAST_SEEN, follow_up
from attending.errors import ConfigError
from attending.schema import (
    CENSORED_CODES,
    COMPETING_EVENT,
    EVENT,
    EVENT_DAYS,
    HAPPENED_EVENT,
    HISTORY_CODES,
    LABEL_CODES,
    MICROSECONDS,
    NO_EVENT,
    SUBJECT_ID,
)

FollowUp = Literal["last_event", "complete"]
NONE = pl.lit([], dtype=pl.List(pl.String))
_DAY = 86_400_000_000  # microseconds


def as_several(value: object) -> object:
    """Let a setting of several numbers be given as one."""
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


def check_windows(days: tuple[float, ...], follow_up: FollowUp, until: date | None) -> None:
    """Fail on windows that are none, and on `until` where follow-up ends otherwise.

    Raises:
        ConfigError: naming the setting.
    """
    if not days or min(days) <= 0 or len(set(days)) < len(days):
        raise ConfigError(f"expected distinct numbers of days above 0 as task.days; got {list(days)}")
    if until is not None and follow_up != "complete":
        raise ConfigError(
            "task.until, the end of complete data, has no meaning with task.follow_up=last_event"
        )


def days_after(start: str, days: float) -> pl.Expr:
    """Return the moment some days after the column `start`."""
    return col(start) + pl.duration(seconds=round(days * 86_400))


def with_follow_up(
    samples: pl.DataFrame, events: pl.DataFrame, how: FollowUp, until: date | None
) -> pl.DataFrame:
    """Add `last_seen`: when follow-up ends, null where it never does."""
    if how == "last_event":
        return samples.join(follow_up(events), on=SUBJECT_ID, how="left", maintain_order="left")
    end = None if until is None else datetime.combine(until, time.max)
    return samples.with_columns(pl.lit(end, MICROSECONDS).alias(LAST_SEEN))


def followed(start: str, days: float) -> pl.Expr:
    """Say whether follow-up goes on for some days after the column `start`."""
    return col(LAST_SEEN).is_null() | (col(LAST_SEEN) >= days_after(start, days))


def windows(samples: pl.DataFrame, outcomes: dict[str, pl.Expr], known: dict[str, pl.Expr]) -> pl.DataFrame:
    """Add labels: the `outcomes` that happen; censored are those neither seen to happen nor known not to."""
    happen = {name: happens.fill_null(value=False) for name, happens in outcomes.items()}
    unknown = {name: ~(happen[name] | known[name].fill_null(value=False)) for name in outcomes}
    return samples.with_columns(
        _names_of(happen).alias(LABEL_CODES),
        NONE.alias(HISTORY_CODES),
        _names_of(unknown).alias(CENSORED_CODES),
    )


def with_time_to_event(
    samples: pl.DataFrame, start: str, longest: float, *, happens: str, competes: str | None = None
) -> pl.DataFrame:
    """Add `event_days` and `event`: what comes first after `start`, of columns of moments.

    `happens` is the event, `competes` what rules it out; whoever has neither by the end of follow-up, or of the longest
    window in days, has none by then.
    """
    none = pl.min_horizontal(LAST_SEEN, days_after(start, longest))
    moments = [col(happens), *([col(competes)] if competes else []), none]
    first = pl.min_horizontal(moments)
    which = (
        pl.when(col(happens) == first)
        .then(HAPPENED_EVENT)
        .when(col(competes) == first if competes else pl.lit(value=False))
        .then(COMPETING_EVENT)
        .otherwise(NO_EVENT)
    )
    days = (first - col(start)).dt.total_microseconds().clip(0) / _DAY
    return samples.with_columns(days.alias(EVENT_DAYS), which.cast(pl.Int8).alias(EVENT))


def _names_of(conditions: dict[str, pl.Expr]) -> pl.Expr:
    """Return the names whose condition holds, as a list."""
    return pl.concat_list(
        pl.when(holds).then(pl.lit(name)) for name, holds in conditions.items()
    ).list.drop_nulls()
