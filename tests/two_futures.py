"""Two records of the same subjects that agree up to each one's prediction time; after it, one of them is noise."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from attending.data.samples import Samples, find_samples
from attending.schema import EVENTS
from attending.tokens.store import TokenStore, encode_shard
from attending.tokens.vocabulary import Config, Vocabulary, build, count
from records import day

N_SUBJECTS, N_CODES, N_OUTCOMES = 12, 28, 5
CONFIG = Config(min_subjects=1, min_values=10)


@dataclass(frozen=True)
class Record:
    """A token store and a sample a subject."""

    store: TokenStore
    samples: Samples


def two_futures(seed: int = 0) -> tuple[Record, Record]:
    """Return the record as it was, and the one whose future is noise: codes, values, times, visits and labels."""
    generator = np.random.default_rng(seed)
    past, future, noise = [], [], []
    for subject in range(1, N_SUBJECTS + 1):
        asked = float(generator.integers(200, 400))
        past += [_static(subject), *(_event(generator, subject, 0, asked) for _ in range(30))]
        future += [_event(generator, subject, asked, 600) for _ in range(20)]
        noise += [_event(generator, subject, asked, 9000) for _ in range(generator.integers(0, 60))]
        # A result that was drawn before the prediction and known after it is part of the future.
        future += [_event(generator, subject, 0, asked) | {"available_time": day(asked + 5)}]
        past += [_event(generator, subject, 0, asked) | {"available_time": day(asked)}]
    asked_at = {row["subject_id"]: row["available_time"] for row in past if row["code"] != "SEX"}
    vocabulary = build([count(_table(past + future), CONFIG)], CONFIG, {})
    return (
        _record(_table(past + future), vocabulary, asked_at, ["o1"]),
        _record(_table(past + noise), vocabulary, asked_at, ["o0", "o2", "o3"]),
    )


def _static(subject: int) -> dict[str, object]:
    return dict.fromkeys(EVENTS.columns) | {"subject_id": subject, "code": "SEX"}


def _event(generator: np.random.Generator, subject: int, after: float, before: float) -> dict[str, object]:
    """Return an event that happens and becomes known in the time `(after, before]`."""
    number = int(generator.integers(0, N_CODES))
    known = before - (before - after) * float(generator.random()) * 0.999
    happened = known - min(0.9 * (known - after), float(generator.random()))
    return dict.fromkeys(EVENTS.columns) | {
        "subject_id": subject,
        "code": f"C{number:02d}",
        "numeric_value": float(generator.normal()) if number == 0 else None,
        "time": day(happened),
        "available_time": day(known),
        "visit_id": int(1000 * subject + happened // 30) if number % 3 else None,
    }


def _table(rows: list[dict[str, object]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=EVENTS.columns)
    return frame.sort("subject_id", "time", nulls_last=False, maintain_order=True)


def _record(
    events: pl.DataFrame, vocabulary: Vocabulary, asked_at: dict[int, object], happens: list[str]
) -> Record:
    splits = pl.DataFrame({"subject_id": list(asked_at), "split": "train"})
    arrays, subjects = encode_shard(events, splits, vocabulary, CONFIG)
    offset = np.concatenate([[0], np.cumsum(subjects.pop("length"))]).astype(np.int64)
    store = TokenStore(**arrays, **subjects, offset=offset)
    samples = pl.DataFrame(
        {"subject_id": list(asked_at), "prediction_time": list(asked_at.values())},
        schema_overrides={"prediction_time": pl.Datetime("us")},
    ).with_columns(pl.lit(happens).alias("label_codes"))
    outcomes = [f"o{number}" for number in range(N_OUTCOMES)]
    return Record(store=store, samples=find_samples(store, samples, outcomes))
