"""How many samples a second one process trains, and how many two do together.

    python benchmarks/parallel.py [--model transformer] [--width 128] [--subjects 4000] [--processes 1 2] [--write]

Random histories of 30 to 60 events; one epoch warms up and the next is timed, tuning left out. Each process has one
thread, so on a machine with fewer free cores than processes there is nothing to win; samples a CPU-second say what
working together costs, also on a busy machine. `--write` adds the table to
`benchmarks/results/parallel.md`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import machine

RESULTS = Path(__file__).parent / "results" / "parallel.md"
TESTS = Path(__file__).parent.parent / "tests"


def work(way: str, model: str, width: int, n_subjects: int) -> None:
    """Train as one of the processes; the first prints samples a second."""
    sys.path.insert(0, str(TESTS))
    import torch

    from attending import registry
    from attending.checkpoint import build_model
    from attending.data.batches import Config as BatchConfig
    from attending.data.batches import Loader, ahead
    from attending.train.config import Config
    from attending.train.learner import Learner
    from attending.train.loop import Run
    from attending.train.parallel import team
    from attending.train.steps import Steps
    from stores import random_store

    torch.set_num_threads(1)
    store, samples = random_store(n_subjects=n_subjects, seed=0, n_tokens=2000)
    fields = registry.load("models", model).Config.model_fields
    widths = {name: width for name in fields if name.startswith("width")}
    config = registry.load("models", model).Config(n_tokens=2000, n_outcomes=samples.n_outcomes, **widths)
    torch.manual_seed(0)
    network = build_model(model, config)
    loader = Loader(store=store, samples=samples, config=BatchConfig(batch_samples=256))
    train = samples.of_split("train")
    with team("auto", way) as together, tempfile.TemporaryDirectory() as folder:
        run = Run(
            model=network,
            loader=loader,
            train=train,
            tuning=train[:1],
            config=Config(),
            folder=Path(folder),
            seed=0,
            team=together,
        )
        learner = Learner(run.objective(), run.config, together, {})
        steps = Steps(loader=loader, config=run.config, team=together, seed=0, hiding=True)
        for epoch in range(2):
            together.wait()
            started, before = time.perf_counter(), time.process_time()
            for number, step in enumerate(
                ahead(steps.make, steps.of_epoch(run.plan(epoch), batch=0, step=0))
            ):
                learner.step(step.parts, rate=1e-3, seed=number)
            together.wait()
        cpu = float(together.total(torch.tensor(time.process_time() - before)))
        if together.leads:
            wall = time.perf_counter() - started
            print(json.dumps({"rate": len(train) / wall, "of_cpu": len(train) / cpu}), flush=True)


def measured(n_processes: int, way: str, given: argparse.Namespace) -> dict[str, float]:
    """Start the processes and return how many samples they trained a second, and a CPU-second of all of them."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_processes)]
    command = [sys.executable, *(torchrun if n_processes > 1 else []), __file__, "--work", way]
    command += ["--model", given.model, "--width", str(given.width), "--subjects", str(given.subjects)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    rates: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return rates


def main() -> None:
    """Measure each number of processes, print the table, and keep it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="transformer")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--subjects", type=int, default=4000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--work", default="")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.work:
        work(given.work, given.model, given.width, given.subjects)
        return
    lines = [f"\n{machine()}; load of other work before: {os.getloadavg()[0]:.1f}\n"]
    lines += [f"`{given.model}`, width {given.width}, {given.subjects:,} subjects\n"]
    lines += ["| processes | way | samples a second | times one | samples a CPU-second | times one |"]
    lines += ["|---|---|---|---|---|---|"]
    alone: dict[str, float] = {}
    for n_processes in given.processes:
        for way in ("ddp", "fsdp") if n_processes > 1 else ("none",):
            rates = measured(n_processes, way, given)
            alone = alone or rates
            cells = [f"{rates[key]:,.0f} | {rates[key] / alone[key]:.2f}" for key in ("rate", "of_cpu")]
            lines.append(f"| {n_processes} | {way} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    if given.write:
        title = "# Several processes training one model\n"
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else title
        RESULTS.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
