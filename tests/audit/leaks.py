"""Ten leaks, as they are made in practice, each planted into a small study: name, what went wrong, how."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from polars import col

from attending import registry
from attending.schema import SUBJECT_SPLITS
from attending.stages.tokenize import tokenize
from attending.tokens.vocabulary import Config as TokenConfig
from attending.visits import START, stays
from audit.studies import ENGINE, Study, add_model, altered_events, copied, make

OVER = {"name": "length_of_stay", "kind": "over", "over": [3.0]}
MORTALITY = {"name": "mortality"}
LONG = 3.0


@dataclass(frozen=True)
class Leak:
    """A leak: the check that must catch it, what went wrong, and how it is planted; `retrained` where models are."""

    check: str
    what: str
    plant: Callable[[Study, Path], Study]
    retrained: tuple[str, ...] = ()


def register(name: str, kind: str, module: str) -> None:
    """Make a component of the tests known."""
    registry._modules(kind)[name] = module


def subjects_in_two_splits(base: Study, root: Path) -> Study:
    study = copied(base, root)
    file = study.splits / "subject_splits.parquet"
    splits = pl.read_parquet(file)
    held_out = splits.filter(col("split") == "held_out").with_columns(pl.lit("train").alias("split"))
    SUBJECT_SPLITS.check(pl.concat([splits, held_out]), "splits").write_parquet(file)
    return study


def results_known_when_drawn(base: Study, root: Path) -> Study:
    study = copied(base, root)
    lab = col("code").str.starts_with("LAB")
    change = pl.when(lab).then("time").otherwise("available_time").alias("available_time")
    events = altered_events(base.events, root / "events", lambda frame: frame.with_columns(change))
    _tokens_of(events, study)
    return study


def diagnoses_known_soon_after_admission(base: Study, root: Path) -> Study:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        starts = stays(frame).select("subject_id", "visit_id", START)
        soon = (col(START) + pl.duration(hours=2)).cast(pl.Datetime("us"))
        coded = col("code").str.starts_with("DIAGNOSIS") & col(START).is_not_null()
        frame = frame.join(starts, on=["subject_id", "visit_id"], how="left", maintain_order="left")
        return frame.with_columns(
            pl.when(coded).then(soon).otherwise(name).alias(name) for name in ("time", "available_time")
        ).drop(START)

    return make(altered_events(base.events, root / "events", change), root / "study", MORTALITY)


def window_anchored_at_the_outcome(base: Study, root: Path) -> Study:
    register("leaky_anchor", "tasks", "audit.leaky_anchor")
    return make(base.events, root, {"name": "leaky_anchor"})


def vocabulary_of_everyone(base: Study, root: Path) -> Study:
    study = copied(base, root)
    everyone = root / "everyone"
    shutil.copytree(study.splits, everyone)
    splits = pl.read_parquet(study.splits / "subject_splits.parquet")
    splits.with_columns(pl.lit("train").alias("split")).write_parquet(everyone / "subject_splits.parquet")
    split = np.load(study.tokens / "split.npy")
    _tokens_of(base.events, study, splits=everyone)
    np.save(study.tokens / "split.npy", split)
    return study


def values_scaled_by_the_whole_record(base: Study, root: Path) -> Study:
    study = copied(base, root)
    value, offset = np.load(study.tokens / "value.npy"), np.load(study.tokens / "offset.npy")
    for first, last in pairwise(offset):
        own = value[first:last]
        value[first:last] = (own - own.mean()) / max(float(own.std()), 1e-3)
    np.save(study.tokens / "value.npy", value.astype(np.float32))
    shutil.rmtree(study.root / "models")
    add_model(study, "logistic_counts")
    return study


def a_code_that_is_the_outcome(base: Study, root: Path) -> Study:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        length = col("visit_end") - col(START)
        long = stays(frame).filter(length > pl.duration(days=LONG))
        at = (col(START) + pl.duration(hours=6)).cast(pl.Datetime("us"))
        planted = long.select(
            "subject_id", "visit_id", pl.lit("CONSULT//REHABILITATION").alias("code"), time=at
        )
        return pl.concat([frame, planted.with_columns(available_time=col("time"))], how="diagonal")

    return make(altered_events(base.events, root / "events", change), root / "study", OVER)


def a_model_that_reads_the_labels(base: Study, root: Path) -> Study:
    register("leaky_peek", "models", "audit.leaky_peek")
    study = copied(base, root)
    add_model(study, "leaky_peek")
    return study


def people_under_two_numbers(base: Study, root: Path) -> Study:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        some = frame["subject_id"].unique().sort().head(60)
        copies = frame.filter(col("subject_id").is_in(some.to_list())).sample(fraction=0.95, seed=0)
        later = pl.duration(days=11)
        copies = copies.with_columns(
            col("subject_id") + 10**9,
            col("visit_id") + 10**9,
            col("time") + later,
            col("available_time") + later,
        )
        return pl.concat([frame, copies])

    events = altered_events(base.events, root / "events", change)
    return make(events, root / "study", MORTALITY, published=False)


def admissions_ordered_by_number(base: Study, root: Path) -> Study:
    register("leaky_order", "tasks", "audit.leaky_order")
    return make(base.events, root, {"name": "leaky_order"})


LEAKS = (
    Leak("subjects_disjoint", "held-out subjects are trained on as well", subjects_in_two_splits),
    Leak("time_gate", "laboratory results are shown when they are drawn", results_known_when_drawn),
    Leak(
        "same_admission",
        "a stay's diagnoses are known 2 h after admission",
        diagnoses_known_soon_after_admission,
    ),
    Leak("label_blind", "those who die are asked 12 h before they do", window_anchored_at_the_outcome),
    Leak("train_only", "the vocabulary is fitted on everyone", vocabulary_of_everyone),
    Leak(
        "future_shuffle",
        "values are scaled by each subject's whole record",
        values_scaled_by_the_whole_record,
    ),
    Leak("one_code", "a code is recorded because the stay turned out long", a_code_that_is_the_outcome),
    Leak(
        "label_permutation",
        "a model reads the labels of its batch",
        a_model_that_reads_the_labels,
        ("leaky_peek",),
    ),
    Leak("duplicates", "people are recorded under two numbers", people_under_two_numbers),
    Leak("visit_order", "the next admission is the one with the next number", admissions_ordered_by_number),
)


def _tokens_of(events: Path, study: Study, *, splits: Path | None = None) -> None:
    """Make the tokens of a study from other events or splits, and pass them for its own."""
    manifest = (study.tokens / "manifest.json").read_text()
    shutil.rmtree(study.tokens)
    tokenize(events, study.tokens, config=TokenConfig(), engine=ENGINE, splits=splits or study.splits)
    (study.tokens / "manifest.json").write_text(manifest)
    for model in study.models.values():
        shutil.copy(study.tokens / "vocabulary.parquet", model / "vocabulary.parquet")
