"""Labels + tokens → settings that the tuning split likes best: a search over a model's and its training's settings.

Every trial is an ordinary model artifact, so a search that is killed goes on where it was, inside the trial that it was
in. What a trial tries depends on the trials before it and on the seed, and on nothing else. The measure is the best
tuning loss; held-out subjects take no part.
"""

import shutil
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import Field

from attending import registry
from attending.artifact import Manifest, Recipe, Writer, is_current, read_manifest, write_atomic, writing
from attending.config import Component, Settings, build
from attending.data import batches
from attending.errors import ConfigError, ModelError, nearest
from attending.progress import track
from attending.stages.train import train
from attending.train import loop

if TYPE_CHECKING:
    import optuna

INSTALL = "pip install 'attending[search]'"
KIND = "search"
JOURNAL = "journal.jsonl"
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
            "train": training.to_dict(),
            "batches": batching.to_dict(),
        },
        parents={"tokens": read_manifest(tokens).fingerprint, "labels": read_manifest(labels).fingerprint},
        seed=seed,
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        trials = _Trials(writer.path, space, seed)
        for number in track(range(config.trials), f"searching settings of {model.name}"):
            if number in trials.losses():
                continue
            values = trials.ask(number)
            manifest = train(
                tokens,
                labels,
                writer.path / TRIALS / f"{number:03d}",
                model=laid_over(model, values),
                config=_trained_by(training, values),
                batching=batching,
                seed=seed,
            )
            trials.tell(number, manifest.counts["tuning_loss"])
        _close(writer, trials)
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
    if "width" in fields:
        space["model.size"] = ["tiny", "small", "medium"]
    if "dropout" in fields:
        space["model.dropout"] = [0.0, 0.1, 0.3]
    return space


def check(space: dict[str, Range | list[Any]], model: Component, training: loop.Config) -> None:
    """Fail on a setting that does not exist before any work is done."""
    known = {
        "model": list(type(model.config("models")).model_fields),
        "train": list(type(training).model_fields),
    }
    for key, values in space.items():
        section, _, name = key.partition(".")
        if section not in SECTIONS or name not in known[section]:
            names = [f"{one}.{field}" for one in SECTIONS for field in known[one]]
            raise ConfigError(f"the search names '{key}', which is no setting{nearest(key, names)}")
        if isinstance(values, Range) and not (
            0 < values.low < values.high or (values.low < values.high and not values.log)
        ):
            raise ConfigError(f"expected low < high, both above 0 on a log scale, for '{key}' of the search")
        if not values:
            raise ConfigError(
                f"expected something to choose from for '{key}' of the search; got an empty list"
            )


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


class _Trials:
    """The trials so far, in Optuna's journal: one line for each thing that happens, read again after a kill."""

    def __init__(self, folder: Path, space: dict[str, Range | list[Any]], seed: int) -> None:
        optuna = _optuna()
        backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
        self.study = optuna.create_study(
            study_name=KIND,
            storage=optuna.storages.JournalStorage(backend),
            direction="minimize",
            load_if_exists=True,
        )
        self.space, self.seed = space, seed

    def losses(self) -> dict[int, float]:
        """Return the tuning loss of each trial that is done."""
        return {one.number: float(one.value) for one in self.study.trials if one.value is not None}

    def ask(self, number: int) -> dict[str, Any]:
        """Return what a trial tries; one that was interrupted tries the same again."""
        started = [one for one in self.study.trials if one.number == number]
        if started:
            return dict(started[0].params)
        # A sampler of its own for each trial: what it draws depends on the trials before and the seed alone.
        self.study.sampler = _optuna().samplers.TPESampler(
            seed=self.seed * 1_000_003 + number, n_startup_trials=4
        )
        return dict(self.study.ask(self._distributions()).params)

    def tell(self, number: int, loss: float) -> None:
        """Note the tuning loss of a trial."""
        self.study.tell(number, loss)

    def table(self) -> pl.DataFrame:
        """Return a row a trial: its number, its tuning loss, and what it tried."""
        return pl.DataFrame(
            [{"trial": one.number, "tuning_loss": one.value} | one.params for one in self.study.trials]
        )

    def _distributions(self) -> dict[str, "optuna.distributions.BaseDistribution"]:
        made = _optuna().distributions
        return {
            key: made.FloatDistribution(one.low, one.high, log=one.log)
            if isinstance(one, Range)
            else made.CategoricalDistribution(one)
            for key, one in self.space.items()
        }


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
    best = Best(
        model={key.removeprefix("model."): one for key, one in first.items() if key.startswith("model.")},
        train={key.removeprefix("train."): one for key, one in first.items() if key.startswith("train.")},
        tuning_loss=first["tuning_loss"],
    )
    text = best.to_yaml()
    write_atomic(writer.path / BEST_FILE, partial(_write_text, text=text))
    if not (writer.path / MODEL).exists():
        (writer.path / TRIALS / f"{first['trial']:03d}").rename(writer.path / MODEL)
    shutil.rmtree(writer.path / TRIALS, ignore_errors=True)
    writer.counts = {
        "trials": table.height,
        "best_trial": first["trial"],
        "tuning_loss": first["tuning_loss"],
    }


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
