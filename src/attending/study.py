"""A whole study as its YAML file states it, checked before any work is done."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from attending import config as settings
from attending import registry
from attending.audit.config import Config as AuditConfig
from attending.config import Component, Settings
from attending.data.batches import Config as BatchConfig
from attending.errors import ConfigError, nearest
from attending.evaluate.config import Config as EvaluateConfig
from attending.report.settings import ReportConfig
from attending.simulate.config import Config as SimulateConfig
from attending.stages import search as searched
from attending.stages.explain import Config as ExplainConfig
from attending.stages.search import Config as SearchConfig
from attending.tokens.vocabulary import Config as TokenConfig
from attending.train.loop import Config as TrainConfig

BASELINES = ("popularity", "copy_history", "age_sex", "logistic_counts", "gbm_counts")


class Explained(ExplainConfig):
    """Which model to explain, by which explainer."""

    model: str
    explainer: Component


class StudyConfig(Settings):
    """A whole study, as its YAML file states it.

    data            the folder of raw files; left out where the study simulates its own
    simulate        make a cohort in the layout of MIMIC-IV first, and study that
    events          in place of both, an events artifact that was ingested before
    vocabularies    a folder of terminology files of one's own: more names and parents of codes
    split           who trains, tunes and is held out: by `subject` (a hash), `time`, `site`, `folds`, `nested`
    truth           a simulator's truth, for the ceiling that no model can pass
    scheduler       a dask scheduler's address or file: table work runs on its workers
    train           how models are trained; `train_each: {transformer: {epochs: 5}}` differs for one of them
    search          try settings of each model that the loop trains on the tuning split first: `search: {trials: 8}`
    models          what is trained, beside the baselines, which are always on unless `baselines: []` says otherwise
    """

    name: str
    output: Path
    seed: int = 0
    workers: int | None = None
    scheduler: str = ""
    data: Path | None = None
    simulate: SimulateConfig | None = None
    events: Path | None = None
    truth: Path | None = None
    source: Component = Component(name="mimic4")
    vocabularies: Path | None = None
    split: Component = Component(name="subject")
    task: Component = Component(name="next_diagnoses")
    tokens: TokenConfig = TokenConfig()
    batches: BatchConfig = BatchConfig()
    models: tuple[Component, ...] = (
        Component(name="retain"),
        Component(name="transformer"),
        Component(name="gru"),
    )
    baselines: tuple[Component, ...] = tuple(Component(name=name) for name in BASELINES)
    train: TrainConfig = TrainConfig()
    train_each: dict[str, dict[str, Any]] = Field(default_factory=dict)
    search: SearchConfig | None = None
    evaluate: EvaluateConfig = EvaluateConfig()
    explain: tuple[Explained, ...] = ()
    audit: AuditConfig = AuditConfig()
    report: ReportConfig = ReportConfig()

    @field_validator("source", "task", mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("split", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, dict):
            return {"name": "subject"} | value
        return {"name": value} if isinstance(value, str) else value

    @field_validator("models", "baselines", mode="before")
    @classmethod
    def _many(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return value
        return [{"name": one} if isinstance(one, str) else one for one in value]

    @field_validator("explain", mode="before")
    @classmethod
    def _explained(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return value
        return [
            one | {"explainer": {"name": one["explainer"]}}
            if isinstance(one, dict) and isinstance(one.get("explainer"), str)
            else one
            for one in value
        ]


def training(config: StudyConfig, name: str) -> TrainConfig:
    """Return how one model of the study is trained."""
    values = config.train.to_dict() | config.train_each.get(name, {})
    return settings.build(TrainConfig, values, where=f"the study '{config.name}', train_each.{name}")


def check(config: StudyConfig) -> None:
    """Fail on a misspelt component, setting or contradiction before any work is done.

    Raises:
        ConfigError: naming the study and what does not fit.
        UnknownComponent: with the nearest known name.
    """
    n_given = sum(one is not None for one in (config.data, config.simulate, config.events))
    if n_given != 1:
        raise ConfigError(
            "expected one of 'data' (a folder of raw files), 'simulate' and 'events' (an artifact); "
            f"got {'several' if n_given else 'none'}"
        )
    where = f"the study '{config.name}'"
    config.source.config("sources", where)
    config.split.config("splits", where)
    config.task.config("tasks", where)
    names = [one.name for one in (*config.baselines, *config.models)]
    for one in (*config.baselines, *config.models):
        one.config("models", where)
    if len(set(names)) < len(names):
        raise ConfigError(f"a model stands twice in {where}: {', '.join(names)}")
    for name in config.train_each:
        if name not in names:
            raise ConfigError(f"{where} has no model '{name}' to train{nearest(name, names)}")
        training(config, name)
    if config.search is not None:
        for one in (*config.baselines, *config.models):
            if not registry.load("models", one.name).Model.fits:
                searched.check(config.search.space, one, training(config, one.name))
    for explained in config.explain:
        explained.explainer.config("explain", where)
        if explained.model not in names:
            raise ConfigError(
                f"{where} explains '{explained.model}', which is not among its models: {', '.join(names)}"
            )
