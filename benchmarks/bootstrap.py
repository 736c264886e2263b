"""What 1,000 bootstrap samples of 20,000 subjects cost, for all metrics of 500 outcomes in all three scopes.

    python benchmarks/bootstrap.py [--subjects 20000] [--outcomes 500] [--replicates 1000] [--write]

Measured is `evaluate.scores.score` of one model and the choice of its threshold, in a process of its own. Labels are
as frequent as codes are: a few are common, most are rare; about 35 happen in a sample. `--write` adds the table to
`benchmarks/results/bootstrap.md`.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from measuring import machine, measure
from threadpoolctl import threadpool_limits

RESULTS = Path(__file__).parent / "results" / "bootstrap.md"


def scored(n_subjects: int, n_visits: int, n_outcomes: int, n_replicates: int) -> dict[str, float]:
    """Score random predictions and return what it took, without making them."""
    from attending.evaluate.bootstrap import Bootstrap
    from attending.evaluate.config import Config
    from attending.evaluate.samples import Samples
    from attending.evaluate.scores import score
    from attending.evaluate.sets import f1_threshold

    generator = np.random.default_rng(0)
    owner = np.repeat(np.arange(n_subjects), n_visits)
    prevalence = 0.3 * np.exp(-np.arange(n_outcomes) / 80) + 0.001
    log_odds = np.log(prevalence / (1 - prevalence)) + generator.normal(0, 1.2, (len(owner), n_outcomes))
    probability = (1 / (1 + np.exp(-log_odds))).astype(np.float32)
    labels, history = (generator.random(probability.shape) < probability for _ in range(2))
    samples, config = Samples(owner, labels, history), Config(n_replicates=n_replicates)
    wall, cpu = time.perf_counter(), time.process_time()
    bootstrap = Bootstrap(samples.n_subjects, n_replicates, seed=0)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as executor:
        found = score(samples, probability, bootstrap, config, executor, f1_threshold(samples, probability))
    intervals = [value.interval(0.95) for metrics in found.metrics.values() for value in metrics.values()]
    intervals += [
        value.interval(0.95) for scope in found.outcomes.values() for of in scope.values() for value in of
    ]
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "intervals": len(intervals),
        "labels": labels.sum() / len(labels),
    }


def main() -> None:
    """Measure once with one visit a subject and once with two, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--outcomes", type=int, default=500)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    command = f"python benchmarks/bootstrap.py --subjects {given.subjects} --outcomes {given.outcomes}"
    command += f" --replicates {given.replicates} --write"
    lines = [f"\n{machine()}; load of other work before: {os.getloadavg()[0]:.1f}\n", f"`{command}`\n"]
    lines += ["| subjects | visits each | outcomes | replicates | intervals | wall s | CPU s | peak MB |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for n_visits in (1, 2):
        cost = measure(scored, given.subjects, n_visits, given.outcomes, given.replicates)
        found = cost.value
        assert isinstance(found, dict)
        sizes = f"{given.subjects:,} | {n_visits} | {given.outcomes} | {given.replicates:,} | {found['intervals']:,}"
        lines.append(f"| {sizes} | {found['wall']:.1f} | {found['cpu']:.1f} | {cost.peak_mb:,.0f} |")
        print(lines[-1], flush=True)
    if given.write:
        title = "# Bootstrap of all metrics: every scope, and AUROC and AUPRC of each outcome\n"
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else title
        RESULTS.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
