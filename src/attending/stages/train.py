"""Labels + tokens → a model: its weights, settings, vocabulary and outcomes in one folder that stands alone."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from attending import registry
from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_json, writing
from attending.batch import KINDS, Batch, Facts, Ontology
from attending.checkpoint import build_model, save_model
from attending.config import Component, Settings, build
from attending.data import batches
from attending.data.batches import Loader, ahead
from attending.data.samples import find_samples
from attending.data.together import count_tokens, together
from attending.errors import ModelError
from attending.nn.interface import Model, OntologyConfig
from attending.schema import (
    CODE,
    DIAGNOSIS,
    EDGES,
    LAB,
    MEDICATION,
    OUTCOME,
    PROCEDURE,
    SEPARATOR,
    SEX,
    TRAIN,
    TUNING,
)
from attending.stages.label import read_labels, read_outcomes
from attending.stages.tokenize import VOCABULARY_FILE, read_vocabulary
from attending.tokens import concepts
from attending.tokens.store import TokenStore
from attending.train import loop, parallel, phases, rate

KIND = "model"
OUTCOMES_FILE = "outcomes.parquet"
ORIGIN_FILE = "origin.json"
KINDS_OF_CODES = {
    DIAGNOSIS: "diagnosis",
    "CONDITION": "diagnosis",
    "CHRONIC_CONDITION": "diagnosis",
    PROCEDURE: "procedure",
    "CPT": "procedure",
    "HCPCS": "procedure",
    MEDICATION: "medication",
    "INFUSION_START": "medication",
    "IMMUNIZATION": "medication",
    LAB: "measurement",
}


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a model trains on."""

    tokens: Path
    loader: Loader
    facts: Facts
    train: batches.Positions
    tuning: batches.Positions

    @cached_property
    def ontology(self) -> Ontology:
        """The concepts above the vocabulary."""
        n_tokens, table = len(self.facts.code_of_token), concepts.read(self.tokens)
        above, parents = (torch.from_numpy(pairs) for pairs in concepts.links(table, n_tokens))
        return Ontology(n_concepts=n_tokens + table.height, above=above, parents=parents)


def train(
    tokens: Path,
    labels: Path,
    out: Path,
    *,
    model: Component,
    config: loop.Config,
    batching: batches.Config,
    seed: int = 0,
) -> Manifest:
    """Train one model, or take it up where it was interrupted.

    Raises:
        ModelError: if the training or the tuning split has no sample.
    """
    token_manifest, label_manifest = read_manifest(tokens, "tokens"), read_manifest(labels, "labels")
    recipe = Recipe(
        kind=KIND,
        config={
            "model": {"name": model.name} | model.config("models").to_dict(),
            "train": config.of_result(),
            "batches": batching.to_dict(),
            "task": label_manifest.config["task"],
            "target": label_manifest.config["target"],
        },
        parents={"tokens": token_manifest.fingerprint, "labels": label_manifest.fingerprint},
        seed=seed,
    )
    with parallel.team(config.device, config.parallel) as team:
        if team.agree(is_current(out, recipe)):
            return read_manifest(out, KIND)
        data = read_data(tokens, labels, batching, label_manifest.config)
        settings = _sized(model, data)
        learn = partial(_learn, model.name, settings, data, config, seed, team)
        if team.leads:
            with writing(out, recipe) as writer:
                network, facts = learn(Path(team.told(str(writer.path))))
                save_model(writer.path, model.name, settings, network)
                shutil.copy(tokens / VOCABULARY_FILE, writer.path / VOCABULARY_FILE)
                shutil.copy(labels / OUTCOMES_FILE, writer.path / OUTCOMES_FILE)
                origin = _origin(data, batching, token_manifest, label_manifest)
                write_json(writer.path / ORIGIN_FILE, origin)
                n_parameters = sum(p.numel() for p in network.parameters())
                writer.counts = {"train_samples": len(data.train), "n_parameters": n_parameters} | facts
                phases.forget(writer.path)
        else:
            learn(Path(team.told("")))
        team.wait()
    return read_manifest(out, KIND)


def find_rate(
    tokens: Path,
    labels: Path,
    *,
    model: Component,
    config: loop.Config,
    batching: batches.Config,
    seed: int = 0,
) -> rate.Found:
    """Try learning rates on a copy of the model that training would start from; nothing is written.

    Raises:
        ModelError: if the model fits itself, without a learning rate, or a split has no sample.
    """
    if registry.load("models", model.name).Model.fits:
        raise ModelError(f"'{model.name}' fits itself and has no learning rate")
    data = read_data(tokens, labels, batching, read_manifest(labels, "labels").config)
    settings = _sized(model, data)
    network = _fresh(model.name, settings, data, seed)
    with parallel.team(config.device, "none") as team:
        return rate.find(_run(network, settings, data, config, labels, seed, team))


def read_data(tokens: Path, labels: Path, batching: batches.Config, asked: dict[str, Any]) -> Data:
    """Open the token store and a task's samples, and gather the facts that models may use.

    `asked` is what the labels answer: the settings of the task, and its target.
    """
    store = TokenStore.open(tokens)
    outcomes = read_outcomes(labels)[OUTCOME].to_list()
    samples = find_samples(store, read_labels(labels), outcomes)
    training = samples.of_split(TRAIN)
    tuning = samples.of_split(TUNING)
    if not len(training) or not len(tuning):
        raise ModelError(
            f"expected samples in the splits '{TRAIN}' and '{TUNING}'; got {len(training)} and {len(tuning)}: "
            "use more subjects, or another split"
        )
    samples = samples.standardised(training)
    vocabulary = read_vocabulary(tokens).table
    facts = Facts(
        outcome_of_token=_outcome_of_token(vocabulary, outcomes, asked["task"]),
        prevalence=torch.from_numpy(samples.prevalence(training)).float(),
        code_of_token=torch.from_numpy(vocabulary[CODE].rank("dense").to_numpy().astype(np.int64) - 1),
        sex_of_token=_sex_of_token(vocabulary),
        kind_of_token=_kind_of_token(vocabulary),
        count_of_token=torch.from_numpy(count_tokens(store, vocabulary.height)),
        target=asked["target"],
    )
    loader = Loader(store=store, samples=samples, config=batching)
    return Data(tokens=tokens, loader=loader, facts=facts, train=training, tuning=tuning)


def _origin(data: Data, batching: batches.Config, tokens: Manifest, labels: Manifest) -> dict[str, Any]:
    """Return what a trained model must know of how it was made to read other data in the same way."""
    return {
        "tokens": tokens.config,
        "task": labels.config["task"],
        "target": labels.config["target"],
        "center": data.loader.samples.center,
        "scale": data.loader.samples.scale,
        "batches": batching.to_dict(),
    }


def facts_for(model: Model, data: Data) -> Facts:
    """Return the facts that the model may use, the costly ones only where it needs them."""
    facts = data.facts
    if "ontology" in model.needs:
        facts = replace(facts, ontology=data.ontology)
    if "together" in model.needs:
        facts = replace(facts, together=together(data.loader.store, len(facts.code_of_token)))
    return facts


def _outcome_of_token(vocabulary: pl.DataFrame, outcomes: list[str], task: dict[str, Any]) -> torch.Tensor:
    module = registry.load("tasks", task["name"])
    settings = {key: value for key, value in task.items() if key != "name"}
    config = build(module.Config, settings, where="the task")
    found: dict[str, str] = module.outcome_of_code(vocabulary[CODE].to_list(), config)
    index = {outcome: position for position, outcome in enumerate(outcomes)}
    return torch.tensor([index.get(found.get(code, ""), -1) for code in vocabulary[CODE].to_list()])


def _sex_of_token(vocabulary: pl.DataFrame) -> torch.Tensor:
    codes = vocabulary[CODE]
    stated = sorted(code for code in codes.unique() if code.startswith(SEX + SEPARATOR))
    return torch.tensor([stated.index(code) if code in stated else -1 for code in codes])


def _kind_of_token(vocabulary: pl.DataFrame) -> torch.Tensor:
    first = vocabulary[CODE].str.split(SEPARATOR).list.first()
    kinds = [
        KINDS_OF_CODES.get(one, "measurement" if edges is not None else "other")
        for one, edges in zip(first.to_list(), vocabulary[EDGES].to_list(), strict=True)
    ]
    return torch.tensor([KINDS.index(kind) for kind in kinds])


def _sized(model: Component, data: Data) -> Settings:
    settings = model.config("models")
    sizes = {"n_tokens": len(data.facts.outcome_of_token), "n_outcomes": len(data.facts.prevalence)}
    if isinstance(settings, OntologyConfig):
        sizes["n_concepts"] = data.ontology.n_concepts
    return settings.model_copy(update=sizes)


def _learn(
    name: str,
    settings: Settings,
    data: Data,
    config: loop.Config,
    seed: int,
    team: parallel.Team,
    folder: Path,
) -> tuple[Model, dict[str, Any]]:
    network = _fresh(name, settings, data, seed)
    if not network.fits:
        facts = phases.learn(_run(network, settings, data, config, folder, seed, team), name)
    elif team.leads:
        started = time.monotonic()
        order = np.random.default_rng(seed).permutation(data.train)
        facts = network.fit(Rereadable(data.loader, order), Rereadable(data.loader, data.tuning), seed=seed)
        facts = {"seconds": round(time.monotonic() - started, 1)} | facts
    else:
        facts = {}
    return network.eval(), facts


def _fresh(name: str, settings: Settings, data: Data, seed: int) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_model(name, settings)
    network.use(facts_for(network, data))
    return network


def _run(
    network: Model,
    settings: Settings,
    data: Data,
    config: loop.Config,
    folder: Path,
    seed: int,
    team: parallel.Team,
) -> loop.Run:
    return loop.Run(
        model=network,
        loader=data.loader,
        train=data.train,
        tuning=data.tuning,
        config=config,
        folder=folder,
        seed=seed,
        target=data.facts.target,
        factors=phases.factors(network, settings, config.rate_width, data.loader.samples.n_outcomes),
        team=team,
    )


class Rereadable:
    """Batches of a split that can be read more than once, in an order that does not depend on their lengths."""

    def __init__(self, loader: Loader, positions: batches.Positions) -> None:
        self.loader = loader
        size = loader.config.batch_samples
        self.plan = [positions[first : first + size] for first in range(0, len(positions), size)]

    def __iter__(self) -> Iterator[Batch]:
        return ahead(self.loader.batch, self.plan)
