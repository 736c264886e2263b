"""Every model and baseline on four data sets: the same small search on tuning subjects, five seeds, intervals, costs.

    python benchmarks/zoo.py [--studies diabetes130 …] [--models retain …] [--minutes 60] [--workers 2] [--write]

The studies are `studies/zoo/NAME.yaml`. What is found of a model on a data set is one file,
`benchmarks/results/zoo/STUDY/MODEL.json`; one that is there is not run again, so the command can be interrupted and
goes on. `--minutes` starts no new one after so long. `--write` makes `benchmarks/results/models.md` of all there are.

A model that the training loop trains is searched (`search:` of the study: so many trials, one pass over the training
subjects each), then trained with what was found by each of five seeds. Those in `COSTLY`, which attend among single
events or run a recurrence for each feature, cost many times the others: they are searched among the sizes `tiny` and
`small`, the others also at `medium`; at `tiny` alone on `LARGE` data sets, and the `SLOWEST` on all. A model that fits
itself chooses its settings on tuning subjects as it fits, and one seed is enough. Intervals are of a bootstrap of
held-out subjects, of the mean over seeds; all models are weighed by the same replicates, which pairs their differences.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from measuring import machine

from attending import registry
from attending.artifact import code_version, read_manifest, write_json
from attending.checkpoint import load_model
from attending.config import Component
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import BASELINES
from attending.evaluate.reading import Predictions, read_cohort
from attending.evaluate.work import Work, work_of
from attending.pipeline import Study
from attending.schema import HELD_OUT, OUTCOME, TUNING
from attending.stages.label import read_labels, read_outcomes
from attending.stages.predict import open_samples, predict
from attending.stages.search import Range, applied, default_space, read_best, search
from attending.stages.split import read_splits
from attending.stages.train import train
from attending.study import training

STUDIES = Path("studies/zoo")
CELLS = Path("benchmarks/results/zoo")
PAGE = Path("benchmarks/results/models.md")
SEEDS = range(5)
N_TIMED = 50
SIZE = "model.size"
COSTLY = {
    "behrt",
    "cehr_bert",
    "concare",
    "core_behrt",
    "decoder",
    "g_bert",
    "hi_behrt",
    "mamba",
    "med_bert",
    "transform_ehr",
    "transformer",
}
SLOWEST = {"cehr_bert", "mamba"}
LARGE = {"physionet2012", "simulated-20k", "synpuf-yearly"}
FIRST = ("diabetes130", "synpuf-yearly", "physionet2012", "simulated-20k")
COLUMNS = {
    "macro_auroc": "macro AUROC",
    "auroc": "AUROC",
    "micro_auroc": "micro AUROC",
    "auprc": "AUPRC",
    "recall_at_10": "R@10",
    "brier": "Brier",
}
OF_ONSET = {"recall_at_10": "R@10, new onset"}
LEAST_OF_RECALL = 20  # outcomes, below which ten at most of them say little


def main() -> None:
    """Run what is not there yet, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", nargs="*", default=list(FIRST))
    parser.add_argument("--models", nargs="*", default=every())
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="start no new model after so long"
    )
    parser.add_argument("--workers", type=int, default=2, help="models at once, one thread each")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    given = parser.parse_args()
    started = time.monotonic()
    for name in given.studies:
        waiting = [model for model in given.models if not cell(name, model).exists()]
        if waiting and time.monotonic() - started < 60 * given.minutes:
            prepare(name)
            run(name, waiting, given.workers, until=started + 60 * given.minutes)
    text = page()
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


def every() -> list[str]:
    """Return every model: the standing baselines, then the others, the costly last."""
    others = [name for name in registry.names("models") if name not in BASELINES]
    return [*BASELINES, *sorted(others, key=lambda name: name in COSTLY)]


def cell(study: str, model: str) -> Path:
    """Return where what is found of a model on a data set is kept."""
    return CELLS / study / f"{model}.json"


def study_of(name: str) -> Study:
    """Open a study without any model: events, splits, labels and tokens."""
    return Study.from_yaml(STUDIES / f"{name}.yaml", "models=[]", "baselines=[]")


def prepare(name: str) -> None:
    """Make the events, splits, labels and tokens that all models of a data set share."""
    study_of(name).fit()


def run(name: str, models: list[str], workers: int, until: float) -> None:
    """Run the models of one data set, some at once, and write each as it is done."""
    waiting, running = list(models), {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while waiting or running:
            while waiting and len(running) < workers and time.monotonic() < until:
                model = waiting.pop(0)
                running[pool.submit(one, name, model)] = model
            if not running:
                return
            done = next(as_completed(running))
            model = running.pop(done)
            if done.exception() is not None:
                print(f"{name}: {model} failed: {done.exception()!r}", flush=True)
                continue
            cell(name, model).parent.mkdir(parents=True, exist_ok=True)
            write_json(cell(name, model), done.result())
            print(f"{name}: {model} is done", flush=True)


def one(name: str, model: str) -> dict[str, Any]:
    """Search, train by each seed, predict, and score one model on one data set."""
    torch.set_num_threads(1)
    study = study_of(name)
    tokens, labels = study.folder / "tokens", study.folder / "labels"
    component, config = Component(name=model), training(study.config, model)
    fits = registry.load("models", model).Model.fits
    found: dict[str, Any] = {"model": model, "code_version": code_version()}
    if not fits:
        out = study.folder / "search" / model
        assert study.config.search is not None
        search(
            tokens,
            labels,
            out,
            model=component,
            config=study.config.search.model_copy(update={"space": space_of(name, component)}),
            training=config.model_copy(update={"epochs": 1}),
            batching=study.config.batches,
        )
        best = read_best(out)
        component, config = applied(best, component, config.model_copy(update={"epochs": 1}))
        config = config.model_copy(update={"epochs": training(study.config, model).epochs})
        found |= {"settings": {"model": best.model, "train": best.train}}
    costs, predictions = [], {}
    for seed in SEEDS if not fits else (0,):
        folder = study.folder / "models" / f"{model}-{seed}"
        before = time.process_time()
        train(
            tokens, labels, folder, model=component, config=config, batching=study.config.batches, seed=seed
        )
        costs.append(time.process_time() - before)
        predictions[f"seed {seed}"] = study.folder / "predictions" / f"{model}-{seed}"
        predict(folder, tokens, labels, predictions[f"seed {seed}"])
    counts = read_manifest(study.folder / "models" / f"{model}-0", "model").counts
    found |= {
        "training_cpu_seconds": float(np.mean(costs)),
        "n_parameters": counts["n_parameters"],
        "latency_ms": latency(study, f"{model}-0"),
    }
    return found | scored(study, predictions)


def space_of(study: str, component: Component) -> dict[str, Range | list[Any]]:
    """Return what is searched: what `attending search` searches unless told, without sizes that cost too much."""
    space = default_space(component)
    if component.name in COSTLY and SIZE in space:
        space[SIZE] = ["tiny"] if study in LARGE or component.name in SLOWEST else ["tiny", "small"]
    return space


def latency(study: Study, folder: str) -> float:
    """Return the median milliseconds of predicting one patient, batch of one, one thread."""
    place = study.folder / "models" / folder
    _, network = load_model(place)
    samples, loader = open_samples(place, study.folder / "tokens", read_labels(study.folder / "labels"))
    spent = []
    with torch.inference_mode():
        for position in samples.of_split(HELD_OUT)[:N_TIMED]:
            batch = loader.batch(np.array([position])).without_labels()
            before = time.process_time()
            network(batch)
            spent.append(time.process_time() - before)
    return 1000 * float(np.median(spent))


def scored(study: Study, predictions: dict[str, Path]) -> dict[str, Any]:
    """Score the predictions of all seeds on held-out subjects; intervals are of the mean over seeds."""
    work, facts = scores_of(study, predictions)
    scopes = next(iter(work.scores.values())).metrics
    metrics = {
        scope: {
            name: over_seeds([one.metrics[scope][name] for one in work.scores.values()]) for name in names
        }
        for scope, names in scopes.items()
    }
    headline = [one.metrics["all"][work.headline] for one in work.scores.values()]
    replicates = np.mean([one.values for one in headline], axis=0).round(6).tolist()
    return facts | {"headline": work.headline, "metrics": metrics, "replicates": replicates}


def scores_of(study: Study, predictions: dict[str, Path]) -> tuple[Work, dict[str, Any]]:
    """Return the scores of each predictions artifact by its name, and what was asked of whom."""
    labels, splits = study.folder / "labels", study.folder / "splits"
    asked = read_manifest(labels, "labels").config
    outcomes, of_subjects = read_outcomes(labels), read_splits(splits)
    cohorts = {split: read_cohort(labels, of_subjects, split, outcomes) for split in (TUNING, HELD_OUT)}
    config = study.config.evaluate
    bootstrap = Bootstrap(cohorts[HELD_OUT].samples.n_subjects, config.n_replicates, 0)
    work = work_of(asked["target"], asked["task"], cohorts, outcomes, bootstrap, config)
    of = {split: Predictions(predictions, cohort, split, outcomes) for split, cohort in cohorts.items()}
    with ThreadPoolExecutor(1) as executor:
        for name in predictions:
            work.add(name, of[HELD_OUT][name], executor, of[TUNING][name])
    return work, {
        "n_samples": cohorts[HELD_OUT].samples.n,
        "n_subjects": cohorts[HELD_OUT].samples.n_subjects,
        "n_outcomes": len(outcomes[OUTCOME]),
        "quality_on_tuning": float(np.mean([work.quality(of[TUNING][name]) for name in predictions])),
    }


def over_seeds(replicated: list[Any]) -> dict[str, float | None]:
    """Return the mean over seeds of a metric, its interval over subjects, and its spread over seeds."""
    estimates = np.array([one.estimate for one in replicated])
    values = np.mean([one.values for one in replicated], axis=0)
    if not np.isfinite(estimates).all():
        return {"estimate": None, "low": None, "high": None, "sd": None}
    low, high = np.nanpercentile(values, [2.5, 97.5])
    sd = float(estimates.std(ddof=1)) if len(estimates) > 1 else None
    return {"estimate": float(estimates.mean()), "low": float(low), "high": float(high), "sd": sd}


def page() -> str:
    """Return the page of all that has been found."""
    parts = [
        "# Every model on four data sets\n\n"
        f"{machine()}\n\n"
        "`python benchmarks/zoo.py --write`. Every number is of held-out subjects: the mean of five seeds (one where a "
        "model fits itself), its 95 % interval over a bootstrap of subjects, `sd` its standard deviation over seeds. "
        "Settings were searched on tuning subjects alone, the same four trials of one pass for every model that the "
        "training loop trains, among the sizes tiny, small and medium; without medium where a model costs many times "
        f"the others ({', '.join(sorted(COSTLY))}), and these at tiny alone on {', '.join(sorted(LARGE))}; "
        f"{' and '.join(sorted(SLOWEST))} at tiny everywhere. `−` is the paired difference to the best baseline, which "
        "tuning subjects chose (in italics). CPU-seconds are of one training, milliseconds of one patient predicted "
        "alone, on one thread of a shared machine."
    ]
    parts += [section(name) for name in FIRST if any((CELLS / name).glob("*.json"))]
    return "\n\n".join(parts) + "\n"


def section(name: str) -> str:
    """Return the table of one data set, and which models are not in it."""
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((CELLS / name).glob("*.json"))]
    headline = cells[0]["headline"]
    cells.sort(key=lambda one: -(one["metrics"]["all"][headline]["estimate"] or 0))
    baselines = [one for one in cells if one["model"] in BASELINES]
    best = max(baselines, key=lambda one: one["quality_on_tuning"], default=None)
    shown = {key: label for key, label in COLUMNS.items() if key in cells[0]["metrics"]["all"]}
    onset = OF_ONSET if "new_onset" in cells[0]["metrics"] else {}
    if cells[0]["n_outcomes"] < LEAST_OF_RECALL:
        shown.pop("recall_at_10", None)
        onset = {}
    config = study_of(name).config
    lines = [
        f"## {config.name}",
        "",
        f"`studies/zoo/{name}.yaml`: {cells[0]['n_samples']:,} samples of {cells[0]['n_subjects']:,} held-out "
        f"subjects, {several(cells[0]['n_outcomes'], 'outcome', 'outcomes')}; at most "
        f"{several(config.train.epochs, 'pass', 'passes')} over the training samples. "
        f"{in_words(cells, best, headline, shown)}",
        "",
        f"| model | {' | '.join([*shown.values(), *onset.values()])} | sd | − best baseline | weights | CPU-s | ms |",
        "|" + "---|" * (len(shown) + len(onset) + 6),
    ]
    for one in cells:
        values = [words(one["metrics"]["all"][key]) for key in shown]
        values += [words(one["metrics"]["new_onset"].get(key)) for key in onset]
        sd = one["metrics"]["all"][headline]["sd"]
        label = f"*{one['model']}*" if one is best else one["model"]
        lines.append(
            f"| {label} | {' | '.join(values)} | {'' if sd is None else f'{sd:.3f}'} | {difference(one, best)} "
            f"| {one['n_parameters']:,} | {one['training_cpu_seconds']:,.0f} | {one['latency_ms']:.1f} |"
        )
    missing = [model for model in every() if not cell(name, model).exists()]
    if missing:
        lines += ["", f"Not run yet: {', '.join(missing)}."]
    return "\n".join(lines)


def several(n: int, one: str, many: str) -> str:
    """Return a number of things."""
    return f"{n} {one if n == 1 else many}"


def in_words(
    cells: list[dict[str, Any]], best: dict[str, Any] | None, headline: str, shown: dict[str, str]
) -> str:
    """Say who is first, and how many models a baseline beats."""
    first: dict[str, list[str]] = {}
    for key in (headline, "recall_at_10", "auprc"):
        if key in shown:
            model = max(cells, key=lambda one: one["metrics"]["all"][key]["estimate"] or 0)["model"]
            first.setdefault(model, []).append(f"by {COLUMNS[key]}")
    said = "; ".join(f"`{model}` is first {' and '.join(by)}" for model, by in first.items())
    if best is None:
        return f"{said}."
    networks = [one for one in cells if one["model"] not in BASELINES]
    bounds = [bounds_of(one, best) for one in networks]
    above, below = sum(low > 0 for low, _ in bounds), sum(high < 0 for _, high in bounds)
    return (
        f"{said}. By {COLUMNS[headline]}, {above} of {len(networks)} networks are above the best baseline and "
        f"{below} below it, by intervals that leave out 0."
    )


def words(result: dict[str, float | None] | None) -> str:
    """Return an estimate and its interval."""
    if result is None or result["estimate"] is None:
        return "–"
    return f"{result['estimate']:.3f} ({result['low']:.3f}–{result['high']:.3f})"


def difference(one: dict[str, Any], best: dict[str, Any] | None) -> str:
    """Return the paired difference of the headline to the best baseline."""
    if best is None or one is best:
        return ""
    low, high = bounds_of(one, best)
    estimates = [each["metrics"]["all"][each["headline"]]["estimate"] for each in (one, best)]
    return f"{estimates[0] - estimates[1]:+.3f} ({low:+.3f} to {high:+.3f})"


def bounds_of(one: dict[str, Any], best: dict[str, Any]) -> tuple[float, float]:
    """Return the interval of the paired difference of the headline to the best baseline."""
    low, high = np.nanpercentile(np.array(one["replicates"]) - np.array(best["replicates"]), [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
