"""How often 95 % intervals hold the truth: many simulated cohorts, whose every true value is known.

    python benchmarks/coverage.py [--cohorts 1000] [--replicates 1000] [--write]

Subjects have one visit or several (a mean of 2.5), and an outcome's risk has a part of the subject and a part of the
visit, so that visits resemble each other. Two models predict it: one sees the risk through noise and is too modest,
one sees only the subject's part and is too high. The truth is the metric over 200,000 other subjects. `--write` keeps
the tables in `benchmarks/results/coverage.md`.
"""

import argparse
import os
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.config import CONFIDENCE, Config
from attending.evaluate.samples import Samples
from attending.evaluate.scores import score
from attending.evaluate.thresholds import thresholds

RESULTS = Path(__file__).parent / "results" / "coverage.md"
MODELS = ("modest", "high")
DIFFERENCE = "difference"
N_TRUTH = 200_000
F1_THRESHOLD = 0.25
TRUTH_SEED, TUNING_SEED = 10**6, 10**6 + 1
DISTANCES = ("ici", "e50", "e90", "emax", "smooth_ece")
LEVEL = (0.93, 0.97)
Key = tuple[str, str, str]
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Setting:
    """What is simulated: how many subjects, and the log-odds of each outcome at average risk."""

    n_subjects: int
    log_odds: tuple[float, ...]


SETTINGS = {
    "one outcome of 32 %, 100 subjects": Setting(100, (-1.0,)),
    "one outcome of 32 %, 400 subjects": Setting(400, (-1.0,)),
    "one outcome of 3 %, 400 subjects": Setting(400, (-4.0,)),
    "one outcome of 3 %, 2,000 subjects": Setting(2000, (-4.0,)),
    "ten outcomes of 12 to 40 %, 300 subjects": Setting(300, tuple(np.linspace(-2.5, -0.5, 10).tolist())),
}


def cohort(setting: Setting, n_subjects: int, seed: int) -> tuple[Samples, dict[str, np.ndarray]]:
    """Return samples and the probabilities of each model."""
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n_subjects), 1 + generator.poisson(1.5, n_subjects))
    base = np.array(setting.log_odds)
    of_subject = generator.normal(0, 1.0, (n_subjects, len(base)))[owner]
    of_visit, noise = generator.normal(0, 0.7, (2, len(owner), len(base)))
    log_odds = base + of_subject + of_visit
    labels = generator.random(log_odds.shape) < _sigmoid(log_odds)
    history = generator.random(log_odds.shape) < _sigmoid(of_subject - 0.5)
    modest = _sigmoid(base + 0.2 + 0.6 * (log_odds - base + noise))
    high = _sigmoid(base + 0.5 + 0.9 * of_subject)
    return Samples(owner, labels, history), {"modest": modest.astype("f4"), "high": high.astype("f4")}


def measured(setting: Setting, n_subjects: int, seed: int, n_replicates: int) -> dict[Key, Interval]:
    """Return estimate, low and high of each model's metrics and of their paired differences."""
    samples, probability = cohort(setting, n_subjects, seed)
    bootstrap = Bootstrap(samples.n_subjects, n_replicates, seed)
    config = Config(n_replicates=n_replicates, ks=(3,))
    found: dict[Key, Interval] = {}
    with threadpool_limits(1), ThreadPoolExecutor(1) as executor:
        scores = {
            model: score(samples, p, bootstrap, config, executor, F1_THRESHOLD).metrics
            for model, p in probability.items()
        }
        if samples.is_binary:
            tuning, of_tuning = cohort(setting, 2000, TUNING_SEED)
            for model, p in probability.items():
                table = thresholds((tuning, of_tuning[model]), (samples, p), bootstrap, CONFIDENCE)
                for rule, row in table.items():
                    found |= {
                        (model, "all", f"{name} ({rule})"): _ends(entry)
                        for name, entry in row.items()
                        if isinstance(entry, dict)
                    }
    for scope, metrics in scores[MODELS[0]].items():
        for name in metrics:
            values = {model: scores[model][scope][name] for model in MODELS}
            values[DIFFERENCE] = values[MODELS[0]].minus(values[MODELS[1]])
            found |= {
                (model, scope, name): (value.estimate, *value.interval(CONFIDENCE))
                for model, value in values.items()
            }
    return found


def missed(setting: Setting, truth: Mapping[Key, float], n_replicates: int, seed: int) -> dict[Key, int]:
    """Return for each metric of one cohort: 0 the interval holds the truth, −1 lies below it, 1 above."""
    found = measured(setting, setting.n_subjects, seed, n_replicates)
    return {
        key: int(low > truth[key] + 1e-9) - int(high < truth[key] - 1e-9)
        for key, (estimate, low, high) in found.items()
        if np.isfinite(estimate)
    }


def coverage(setting: Setting, n_cohorts: int, n_replicates: int, workers: int = 1) -> dict[Key, list[int]]:
    """Return, for each metric, where the interval of each cohort lies."""
    truth = {key: value[0] for key, value in measured(setting, N_TRUTH, TRUTH_SEED, 1).items()}
    one = partial(missed, setting, truth, n_replicates)
    if workers == 1:
        found = [one(seed) for seed in range(n_cohorts)]
    else:
        with ProcessPoolExecutor(workers) as executor:
            found = list(executor.map(one, range(n_cohorts), chunksize=10))
    return {key: [of_cohort[key] for of_cohort in found if key in of_cohort] for key in truth}


def table(places: Mapping[Key, list[int]]) -> list[str]:
    """Return a Markdown table: coverage of each metric for both models and their difference, by scope."""
    scopes = list(dict.fromkeys(scope for _, scope, _ in places))
    columns = [(model, scope) for scope in scopes for model in (*MODELS, DIFFERENCE)]
    names = list(dict.fromkeys(name for _, _, name in places))
    titles = [model if len(scopes) == 1 else f"{model}, {scope}" for model, scope in columns]
    lines = [f"| metric | {' | '.join(titles)} |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = [_cell(places.get((model, scope, name), [])) for model, scope in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def verdict(places: Mapping[Key, list[int]]) -> str:
    """Return how many of the intervals that promise coverage keep it."""
    shares = [
        np.mean(np.array(found) == 0)
        for (model, _, name), found in places.items()
        if found and name not in DISTANCES and (model, name) != (DIFFERENCE, "prevalence")
    ]
    n_cohorts = len(next(iter(places.values())))
    within = sum(LEVEL[0] <= share <= LEVEL[1] for share in shares)
    return (
        f"{within} of {len(shares)} intervals, distances aside, hold the truth in 93–97 % of {n_cohorts} cohorts; "
        f"the least does in {100 * min(shares):.1f} %, the most in {100 * max(shares):.1f} %."
    )


def main() -> None:
    """Simulate every setting and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    from measuring import machine

    lines = ["# How often 95 % intervals hold the truth", "", machine(), ""]
    command = (
        f"python benchmarks/coverage.py --cohorts {options.cohorts} --replicates {options.replicates} --write"
    )
    lines += [f"`{command}`", "", *NOTES]
    for name, setting in SETTINGS.items():
        started = time.perf_counter()
        places = coverage(setting, options.cohorts, options.replicates, workers=os.cpu_count() or 1)
        lines += ["", f"## {name}", "", verdict(places), "", *table(places)]
        print(f"{name}: {verdict(places)} ({time.perf_counter() - started:.0f} s)", flush=True)
        if options.write:
            RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


NOTES = (
    "Share of simulated cohorts, in percent, whose interval holds the true value; in brackets how many lie wholly",
    "below and wholly above it. What is simulated stands in the script. Cells outside 93–97 are bold. A column",
    "`difference` is the paired difference of the two models.",
    "",
    "The distances `ici`, `e50`, `e90`, `emax` and `smooth_ece` cannot be negative and are biased upward: even a",
    "perfectly calibrated model has some distance in a finite sample. Their intervals say how far another sample of",
    "this size would move them, and promise no coverage of the value in an infinite one.",
)


def _cell(places: list[int]) -> str:
    if not places:
        return ""
    found = np.array(places)
    held, below, above = (100 * np.mean(found == place) for place in (0, -1, 1))
    shown = f"{held:.1f} ({below:.1f}, {above:.1f})"
    return shown if LEVEL[0] * 100 <= held <= LEVEL[1] * 100 else f"**{shown}**"


def _ends(entry: Mapping[str, float | None]) -> Interval:
    values = (entry[key] for key in ("estimate", "low", "high"))
    estimate, low, high = (np.nan if value is None else value for value in values)
    return estimate, low, high


def _sigmoid(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


if __name__ == "__main__":
    main()
