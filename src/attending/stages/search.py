"""Labels + tokens → settings that the tuning split likes best: a search over a model's and its training's settings.

Every trial is an ordinary model artifact, and what it tries depends on the trials before it and on the seed alone. So a
search that was killed asks the same again, finds the trials that are done, and goes on inside the one that it was in.
The measure is the best tuning loss; held-out subjects take no part.
"""

import math
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
from pydantic import Field

from attending import registry
from attending.artifact import (
    Manifest,
    Recipe,
    Writer,
    is_current,
    read_manifest,
    write_atomic,
    write_text,
    writing,
)
from attending.checkpoint import build_model
from attending.config import Component, Settings, build
from attending.data import batches
from attending.errors import ConfigError, Diverged, ModelError, nearest
from attending.progress import say, track
from attending.stages.train import train
from attending.train import loop

INSTALL = "pip install 'attending[search]'"
KIND = "search"
TRIALS_FILE = "trials.parquet"
BEST_FILE = "best.yaml"
TRIALS, MODEL = "trials", "model"
SECTIONS = ("model", "train")


class Range(Settings):
    """Numbers from `low` to `high`, by their logarithm where `log` says so."""

    low: float
    high: float
    log: bool = False


class Config(Settings):
    """Settings of a search.

    trials   how many settings are tried
    space    what may differ: `{train.learning_rate: {low: 3e-4, high: 1e-2, log: true}, model.size: [tiny, small]}`;
             without it, the learning rate, the weight decay, and the size and dropout of models that have them
    """

    trials: int = Field(default=8, ge=1)
    space: dict[str, Range | list[Any]] = Field(default_factory=dict)


class Best(Settings):
    """What a search found: settings of the model and of training, to be laid over those it started from."""

    model: dict[str, Any]
    train: dict[str, Any]
    tuning_loss: float


def search(
    tokens: Path,
    labels: Path,
    out: Path,
    *,
    model: Component,
    config: Config,
    training: loop.Config,
    batching: batches.Config,
    seed: int = 0,
) -> Manifest:
    """Try settings of one model, or go on with a search that was interrupted.

    Raises:
        ConfigError: if the space names a setting that the model or training does not have, or the model fits itself.
        ModelError: if Optuna is not installed.
    """
    space = config.space or default_space(model)
    check(space, model, training)
    recipe = Recipe(
        kind=KIND,
        config={
            "model": {"name": model.name} | model.config("models").to_dict(),
            "search": config.model_copy(update={"space": space}).to_dict(),
            "train": training.of_result(),
            "batches": batching.to_dict(),
        },
        parents={"tokens": read_manifest(tokens).fingerprint, "labels": read_manifest(labels).fingerprint},
        seed=seed,
    )
    if is_current(out, recipe):
        shutil.rmtree(out / TRIALS, ignore_errors=True)
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        trials = _Trials(space, integers(model), seed)
        for number in track(range(config.trials), f"searching settings of {model.name}"):
            values = trials.ask(number)
            trial = partial(
                train,
                tokens,
                labels,
                _folder(writer.path, number),
                model=laid_over(model, values),
                config=_trained_by(training, values),
                batching=batching,
                seed=seed,
            )
            trials.tell(_tuning_loss(trial))
        _close(writer, trials)
    shutil.rmtree(out / TRIALS, ignore_errors=True)
    return read_manifest(out, KIND)


def read_best(folder: Path) -> Best:
    """Read what a search found."""
    return Best.from_yaml((folder / BEST_FILE).read_text(encoding="utf-8"), str(folder / BEST_FILE))


def applied(best: Best, model: Component, training: loop.Config) -> tuple[Component, loop.Config]:
    """Return a model and its training with the settings that a search found."""
    values = {f"model.{key}": one for key, one in best.model.items()}
    values |= {f"train.{key}": one for key, one in best.train.items()}
    return laid_over(model, values), _trained_by(training, values)


def default_space(model: Component) -> dict[str, Range | list[Any]]:
    """Return what is searched unless told: the same few settings of every model that has them.

    Raises:
        ConfigError: if the model fits itself: it chooses its settings on the tuning split anyway.
    """
    module = registry.load("models", model.name)
    if module.Model.fits:
        raise ConfigError(f"'{model.name}' chooses its own settings as it fits: there is nothing to search")
    space: dict[str, Range | list[Any]] = {
        "train.learning_rate": Range(low=5e-4, high=1e-2, log=True),
        "train.weight_decay": Range(low=1e-3, high=0.3, log=True),
    }
    fields = module.Config.model_fields
    sizes = [size for size in ("tiny", "small", "medium") if _fits(model, {"model.size": size})]
    if "width" in fields and len(sizes) > 1:
        space["model.size"] = sizes
    if "dropout" in fields:
        space["model.dropout"] = [0.0, 0.1, 0.3]
    return space


def check(space: Mapping[str, Range | list[Any]], model: Component, training: loop.Config) -> None:
    """Fail on a setting that does not exist, or a value that it cannot have, before any work is done.

    Raises:
        ConfigError: naming what the space says.
    """
    known = {
        "model": list(type(model.config("models")).model_fields),
        "train": list(type(training).model_fields),
    }
    for key, values in space.items():
        section, _, name = key.partition(".")
        if section not in SECTIONS or name not in known[section]:
            names = [f"{one}.{field}" for one in SECTIONS for field in known[one]]
            raise ConfigError(f"the search names '{key}', which is no setting{nearest(key, names)}")
        for one in _extremes(key, values, whole=key in integers(model)):
            _trained_by(training, {key: one})
            _built(laid_over(model, {key: one}))


def _extremes(key: str, values: Range | list[Any], *, whole: bool) -> list[Any]:
    """Return the values that must fit for all to fit: the ends of a range, all of a list."""
    if isinstance(values, list):
        if not values:
            raise ConfigError(
                f"expected something to choose from for '{key}' of the search; got an empty list"
            )
        return values
    if values.low >= values.high or (values.log and values.low <= 0):
        raise ConfigError(f"expected low < high, both above 0 on a log scale, for '{key}' of the search")
    return [int(one) if whole else one for one in (values.low, values.high)]


def integers(model: Component) -> frozenset[str]:
    """Return the settings of the model and of training that are whole numbers."""
    classes: dict[str, type[Settings]] = {"model": type(model.config("models")), "train": loop.Config}
    return frozenset(
        f"{section}.{name}"
        for section, of in classes.items()
        for name, field in of.model_fields.items()
        if field.annotation is int
    )


def _built(model: Component) -> None:
    """Build the model for a vocabulary of a few tokens: what does not fit together says so."""
    settings = model.config("models")
    sizes = {"n_tokens": 2, "n_outcomes": 1, "n_concepts": 3}
    known = type(settings).model_fields
    settings = settings.model_copy(update={key: size for key, size in sizes.items() if key in known})
    try:
        build_model(model.name, settings)
    except (RuntimeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"the search would try settings that '{model.name}' cannot have: {error}") from None


def _fits(model: Component, values: dict[str, Any]) -> bool:
    try:
        _built(laid_over(model, values))
    except ConfigError:
        return False
    return True


def laid_over(model: Component, values: dict[str, Any]) -> Component:
    """Return the model with `model.…` settings replaced; a size replaces the widths that are set beside it."""
    own = {key.removeprefix("model."): one for key, one in values.items() if key.startswith("model.")}
    kept = model.settings
    if "size" in own:
        kept = {key: one for key, one in kept.items() if not key.startswith(("width", "n_layers", "n_heads"))}
    return Component(name=model.name, **(kept | own))


def _trained_by(training: loop.Config, values: dict[str, Any]) -> loop.Config:
    own = {key.removeprefix("train."): one for key, one in values.items() if key.startswith("train.")}
    return build(loop.Config, training.to_dict() | own, where="the search")


def _tuning_loss(trial: Callable[[], Manifest]) -> float:
    """Return the tuning loss of a trial; without bound where it came apart, or its settings do not go together."""
    try:
        return float(trial().counts["tuning_loss"])
    except (Diverged, ConfigError) as error:
        say(f"a trial came to nothing: {error}")
        return math.inf


class _Trials:
    """What was tried, and what is to be tried next: a function of the trials before it and of the seed alone.

    Nothing of it is written down: a search that goes on asks the same again, and finds the trials that are done.
    """

    def __init__(self, space: Mapping[str, Range | list[Any]], whole: frozenset[str], seed: int) -> None:
        made = _optuna().distributions
        self.study = _optuna().create_study(direction="minimize")
        self.seed = seed
        self.distributions = {
            key: made.CategoricalDistribution(one)
            if isinstance(one, list)
            else made.IntDistribution(int(one.low), int(one.high), log=one.log)
            if key in whole
            else made.FloatDistribution(one.low, one.high, log=one.log)
            for key, one in space.items()
        }

    def ask(self, number: int) -> dict[str, Any]:
        """Return what the trial of this number tries."""
        seed = (self.seed * 1_000_003 + number) % 2**32
        self.study.sampler = _optuna().samplers.TPESampler(seed=seed, n_startup_trials=4)
        self.trial = self.study.ask(self.distributions)
        return dict(self.trial.params)

    def tell(self, loss: float) -> None:
        """Note the tuning loss of the trial that was asked for last."""
        self.study.tell(self.trial, loss)

    def table(self) -> pl.DataFrame:
        """Return a row a trial: its number, its tuning loss, and what it tried."""
        return pl.DataFrame(
            [{"trial": one.number, "tuning_loss": one.value} | one.params for one in self.study.trials]
        )


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError:
        raise ModelError(f"a search needs Optuna; it is not installed: {INSTALL}") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _close(writer: Writer, trials: _Trials) -> None:
    """Write the table of trials and the best settings, and keep the best model alone."""
    table = trials.table().sort("tuning_loss", "trial")
    write_atomic(writer.path / TRIALS_FILE, table.write_parquet)
    first = table.row(0, named=True)
    if not math.isfinite(first["tuning_loss"]):
        raise ModelError("no trial of the search came to an end: search lower learning rates")
    best = Best(
        model={key.removeprefix("model."): one for key, one in first.items() if key.startswith("model.")},
        train={key.removeprefix("train."): one for key, one in first.items() if key.startswith("train.")},
        tuning_loss=first["tuning_loss"],
    )
    write_text(writer.path / BEST_FILE, best.to_yaml())
    shutil.rmtree(writer.path / MODEL, ignore_errors=True)
    shutil.copytree(_folder(writer.path, first["trial"]), writer.path / MODEL, copy_function=os.link)
    writer.counts = {
        "trials": table.height,
        "best_trial": first["trial"],
        "tuning_loss": first["tuning_loss"],
    }


def _folder(search: Path, number: int) -> Path:
    return search / TRIALS / f"{number:03d}"
