"""A study: which stages it has, in what order, and where their artifacts lie.

    source files → events → labels
                          → tokens → models → predictions → metrics → report
                                            → attributions ↗

A stage whose artifact carries the fingerprint of its settings, parents and code is up to date and is not run again;
an interrupted one goes on where it was. `Study` is the Python face of what `attending run STUDY.yaml` does.
"""

import time
from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attending import config as settings
from attending import registry
from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_text, writing
from attending.config import Component
from attending.engine.choose import choose
from attending.errors import ConfigError, nearest
from attending.progress import in_words, say
from attending.stages.explain import Config as ExplainConfig
from attending.study import Explained, StudyConfig, check, training

if TYPE_CHECKING:
    import polars as pl


class Study:
    """Run a study, whole or by stage; every stage reads and writes artifacts below `folder`.

    >>> study = Study.from_yaml("studies/demo.yaml")          # doctest: +SKIP
    >>> study.fit()                                           # doctest: +SKIP
    >>> study.predict_proba("transformer")                    # doctest: +SKIP
    """

    def __init__(self, config: StudyConfig | None = None, **values: Any) -> None:  # noqa: ANN401 - settings
        self.config = config or settings.build(StudyConfig, values, where="Study(…)")
        check(self.config)
        self.engine = choose(
            self.config.workers,
            self.config.scheduler,
            self.folder,
            *([self.config.data] if self.config.data else []),
        )

    @classmethod
    def from_yaml(cls, path: Path | str, *overrides: str) -> Self:
        """Read a study from a YAML file, with overrides such as `"train.epochs=3"`."""
        return cls(settings.read(Path(path), StudyConfig, overrides))

    # Where things lie ---------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The folder of all artifacts of the study."""
        return self.config.output

    @property
    def report_file(self) -> Path:
        """The report, once it is written."""
        return self.folder / "report" / "index.html"

    @cached_property
    def components(self) -> dict[str, Component]:
        """Every model of the study by name, baselines first."""
        return {one.name: one for one in (*self.config.baselines, *self.config.models)}

    def model_folder(self, name: str) -> Path:
        """Return the artifact of a trained model.

        Raises:
            ConfigError: if the study has no such model.
        """
        if name not in self.components:
            raise ConfigError(f"this study has no model '{name}'{nearest(name, list(self.components))}")
        return self.folder / "models" / name

    @property
    def events(self) -> Path:
        """The events artifact: the study's own, or the one that it was given."""
        return self.config.events or self.folder / "events"

    @property
    def data(self) -> Path:
        """The folder of raw files."""
        return self.config.data or self.folder / "raw"

    @property
    def truth(self) -> Path | None:
        """The simulator's truth, where there is one."""
        return self.config.truth or (self.folder / "raw" / "truth" if self.config.simulate else None)

    # The stages ---------------------------------------------------------------------------------------------------

    def simulate(self) -> Manifest | None:
        """Make the raw files, if the study simulates its own."""
        if self.config.simulate is None:
            return None
        from attending.simulate.mimic4 import simulate_mimic4

        recipe = Recipe(kind="raw", config=self.config.simulate.to_dict(), seed=self.config.simulate.seed)
        if not is_current(self.data, recipe):
            with writing(self.data, recipe) as writer:
                writer.counts = simulate_mimic4(self.config.simulate, writer.path)
        return read_manifest(self.data, "raw")

    def ingest(self) -> Manifest:
        """Raw files → events."""
        from attending.stages.ingest import ingest

        if self.config.events is not None:
            return read_manifest(self.config.events, "events")
        self.simulate()
        return ingest(
            self.config.source,
            self.data,
            self.events,
            engine=self.engine,
            vocabularies=self.config.vocabularies,
        )

    def split(self) -> Manifest:
        """Events → who trains, tunes, and is held out."""
        from attending.stages.split import split

        return split(
            self.events,
            self.folder / "splits",
            by=self.config.split,
            engine=self.engine,
            seed=self.config.seed,
        )

    def label(self) -> Manifest:
        """Events → labels."""
        from attending.stages.label import label

        return label(
            self.events,
            self.folder / "labels",
            task=self.config.task,
            engine=self.engine,
            splits=self.folder / "splits",
        )

    def tokenize(self) -> Manifest:
        """Events → tokens."""
        from attending.stages.tokenize import tokenize

        return tokenize(
            self.events,
            self.folder / "tokens",
            config=self.config.tokens,
            engine=self.engine,
            splits=self.folder / "splits",
        )

    def train(self, name: str) -> Manifest:
        """Labels and tokens → a model, with the settings that a search found where the study searches."""
        from attending.stages.search import applied, read_best
        from attending.stages.train import train

        model, config = self.components[name], training(self.config, name)
        if self._searches(name):
            self.search(name)
            model, config = applied(read_best(self.folder / "search" / name), model, config)
        return train(
            self.folder / "tokens",
            self.folder / "labels",
            self.model_folder(name),
            model=model,
            config=config,
            batching=self.config.batches,
            seed=self.config.seed,
        )

    def search(self, name: str) -> Manifest:
        """Labels and tokens → the settings of a model that the tuning split likes best."""
        from attending.stages.search import Config, search

        return search(
            self.folder / "tokens",
            self.folder / "labels",
            self.folder / "search" / name,
            model=self.components[name],
            config=self.config.search or Config(),
            training=training(self.config, name),
            batching=self.config.batches,
            seed=self.config.seed,
        )

    def _searches(self, name: str) -> bool:
        return self.config.search is not None and not registry.load("models", name).Model.fits

    def predict(self, name: str) -> Manifest:
        """Model → predictions for the tuning and held-out samples."""
        from attending.stages.predict import predict

        model, out = self.model_folder(name), self.folder / "predictions" / name
        return predict(model, self.folder / "tokens", self.folder / "labels", out)

    def evaluate(self) -> Manifest:
        """All predictions → metrics."""
        from attending.stages.evaluate import evaluate

        return evaluate(
            self.folder / "labels",
            [self.folder / "predictions" / name for name in self.components],
            self.events,
            self.folder / "metrics",
            config=self.config.evaluate,
            splits=self.folder / "splits",
            truth=self.truth,
            seed=self.config.seed,
        )

    def explain(self, model: str, explainer: str | None = None, *, n_samples: int = 4) -> Path:
        """Explain some held-out predictions of a model; return the folder of the attributions.

        Without an explainer, the model's exact contributions are used where it has them, else integrated gradients.
        What is asked here stands beside the report's own explanations, which the study's settings name.
        """
        from attending.checkpoint import load_model
        from attending.nn.interface import Additive

        if explainer is None:
            exact = isinstance(load_model(self.model_folder(model))[1], Additive)
            explainer = "contributions" if exact else "integrated_gradients"
        one = Explained(model=model, explainer=Component(name=explainer), n_samples=n_samples)
        out = self.folder / "attributions" / "asked" / f"{model}-{explainer}"
        self._explain(one, out)
        return out

    def report(self) -> Path:
        """Predict, evaluate and explain with the trained models, write one HTML file, and return its path."""
        for name in self.components:
            _told(f"predict {name}", partial(self.predict, name))
        _told("evaluate", self.evaluate)
        for one in self.config.explain:
            work = partial(self._explain, one, self._attributions(one))
            _told(f"explain {one.model} by {one.explainer.name}", work)
        _told("audit", self.audit)
        _told("report", self._report)
        return self.report_file

    def audit(self, *, everything: bool = False, again: bool = False) -> Manifest:
        """Check the study's artifacts against leakage; with `everything`, train on shuffled labels too.

        `again` checks anew what is up to date.
        """
        from attending.stages.audit import audit

        cheapest = [name for name in ("logistic_counts", *self.components) if name in self.components][:1]
        first = [one.name for one in self.config.models[:1]]
        return audit(
            events=self.events,
            splits=self.folder / "splits",
            labels=self.folder / "labels",
            tokens=self.folder / "tokens",
            models={name: self.model_folder(name) for name in self.components},
            out=self.folder / "audit",
            config=self.config.audit,
            engine=self.engine,
            retrained=list(dict.fromkeys([*cheapest, *first])),
            everything=everything,
            again=again,
            seed=self.config.seed,
        )

    def _report(self) -> Manifest:
        from attending.stages.report import report

        return report(
            events=self.events,
            splits=self.folder / "splits",
            labels=self.folder / "labels",
            metrics=self.folder / "metrics",
            audit=self.folder / "audit",
            models=[self.model_folder(name) for name in self.components],
            attributions=[self._attributions(one) for one in self.config.explain],
            out=self.folder / "report",
            config=self.config.report,
            study=self.config.to_dict(),
        )

    # Several stages at once ---------------------------------------------------------------------------------------

    def run(self) -> Path:
        """Run every stage that is not up to date; return the path of the report."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "study.yaml", self.config.to_yaml())
        return self.fit().report()

    def fit(self) -> Self:
        """Run every stage up to the trained models."""
        if self.config.simulate is not None:
            _told("simulate", self.simulate)
        _told("ingest", self.ingest)
        _told("split", self.split)
        _told("label", self.label)
        _told("tokenize", self.tokenize)
        self.engine.close()
        for name in self.components:
            _told(f"train {name}", partial(self.train, name))
        return self

    def predict_proba(self, model: str, samples: "pl.DataFrame | None" = None) -> "pl.DataFrame":
        """Return subject_id, prediction_time and one probability for each outcome; no label is needed.

        `samples` holds subject_id and prediction_time; without it, every held-out sample is predicted.
        """
        from attending.stages.predict import predict_samples

        return predict_samples(
            self.model_folder(model), self.folder / "tokens", samples, labels=self.folder / "labels"
        )

    def _explain(self, one: Explained, out: Path) -> Manifest:
        from attending.stages.explain import explain

        return explain(
            self.model_folder(one.model),
            self.folder / "tokens",
            self.folder / "labels",
            out,
            explainer=one.explainer,
            config=ExplainConfig(n_samples=one.n_samples, min_visits=one.min_visits),
            seed=self.config.seed,
        )

    def _attributions(self, one: Explained) -> Path:
        return self.folder / "attributions" / f"{one.model}-{one.explainer.name}"


def _told(stage: str, work: Callable[[], Manifest | None]) -> None:
    """Run a stage and tell how long it took, or that there was nothing to do."""
    started, before = time.monotonic(), time.time()
    manifest = work()
    seconds = time.monotonic() - started
    made = manifest is not None and _made_at(manifest) >= before - 1
    counts = in_words(manifest.counts) if manifest else ""
    say(f"{stage:<40} {f'{seconds:6.1f} s' if made else 'up to date':>10}  {counts}")


def _made_at(manifest: Manifest) -> float:
    return datetime.fromisoformat(manifest.created_at).timestamp()
