"""What checks look at: the artifacts of a study, opened when a check asks for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl

from attending import registry
from attending.artifact import Manifest
from attending.audit.config import Config
from attending.audit.scan import Scan
from attending.config import Settings
from attending.data.batches import Config as BatchConfig
from attending.data.samples import Samples, find_samples
from attending.schema import LABEL_CODES, OUTCOME, PREDICTION_TIME, SPLIT, SUBJECT_ID, TRAIN, Target
from attending.tokens.store import TokenStore
from attending.tokens.vocabulary import Config as TokenConfig
from attending.tokens.vocabulary import Vocabulary

MOST_SHARDS = 3  # that subjects are drawn from: the others need not be read for them


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Some subjects, all of their events, and one sample of each."""

    events: pl.DataFrame
    samples: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The artifacts of a study.

    manifests   of events, labels, tokens and every model
    models      the folder of each model
    scan        what one pass over the events found
    retrain     trains a model on other labels and returns what it predicts; None where nothing is to be trained
    retrained   the models that are trained again on request
    """

    events: Path
    splits: Path
    labels: Path
    tokens: Path
    models: Mapping[str, Path]
    manifests: Mapping[str, Manifest]
    task: str
    settings: Settings
    target: Target
    token_config: TokenConfig
    batches: BatchConfig
    config: Config
    scan: Scan
    seed: int = 0
    retrain: Callable[[pl.DataFrame, str], pl.DataFrame] | None = None
    retrained: tuple[str, ...] = ()

    @property
    def module(self) -> ModuleType:
        """The task."""
        return registry.load("tasks", self.task)

    @cached_property
    def split_of(self) -> pl.DataFrame:
        """Which split each subject is in."""
        return pl.read_parquet(self.splits)

    @cached_property
    def one_split_of(self) -> pl.DataFrame:
        """The first split of each subject, where a faulty file names several."""
        return self.split_of.unique(SUBJECT_ID, keep="first", maintain_order=True)

    @cached_property
    def train_subjects(self) -> pl.DataFrame:
        """The subjects that the split file says are trained on."""
        return self.split_of.filter(pl.col(SPLIT) == TRAIN).select(SUBJECT_ID)

    @cached_property
    def samples(self) -> pl.DataFrame:
        """Every sample of the labels."""
        return pl.read_parquet(self.labels / "data" / "*.parquet").sort(SUBJECT_ID, PREDICTION_TIME)

    @cached_property
    def outcomes(self) -> pl.DataFrame:
        """What is predicted."""
        return pl.read_parquet(self.labels / "outcomes.parquet")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the token store."""
        return Vocabulary(pl.read_parquet(self.tokens / "vocabulary.parquet"))

    @cached_property
    def store(self) -> TokenStore:
        """The token store."""
        return TokenStore.open(self.tokens)

    @cached_property
    def prefixes(self) -> Samples:
        """What each sample sees of the token store."""
        return find_samples(self.store, self.samples, self.outcomes[OUTCOME].to_list())

    @cached_property
    def chosen(self) -> Chosen:
        """Subjects and samples that are drawn at random, from a few shards, more of them with an outcome."""
        generator = np.random.default_rng(self.seed)
        shards = sorted((self.labels / "data").glob("*.parquet"))
        picked = [shards[at] for at in sorted(generator.permutation(len(shards))[:MOST_SHARDS])]
        samples = pl.concat([pl.read_parquet(shard) for shard in picked])
        # Those to whom something happens come first more often: what leaks, leaks there.
        happens = (samples[LABEL_CODES].list.len() > 0).to_numpy()
        draw = pl.Series("draw", generator.random(samples.height) - 0.5 * happens)
        one_each = samples.with_columns(draw).sort(SUBJECT_ID, "draw").unique(SUBJECT_ID, keep="first")
        chosen = one_each.sort("draw", SUBJECT_ID).head(self.config.n_subjects).sort(SUBJECT_ID)
        some = chosen[SUBJECT_ID]
        events = [
            pl.scan_parquet(self.events / "data" / shard.name)
            .filter(pl.col(SUBJECT_ID).is_in(some.to_list()))
            .collect()
            for shard in picked
        ]
        return Chosen(events=pl.concat(events), samples=chosen.drop("draw"))
