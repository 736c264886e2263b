"""Two processes on the CPU do what one does, also when they are killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attending.train.objective import OfLabels
from attending.train.parallel import Team
from attending.train.phases import learn
from attending.train.steps import Steps
from small_runs import run_in

WORKER = Path(__file__).parent / "worker.py"
STEADY = {"model": "own", "dropout": 0.0, "hide_events": 0.2, "hide_histories": 0.1, "checkpoint_seconds": 60}
"""Codes are hidden in the same places on any number of processes; what dropout draws differs, so there is none."""
SETTINGS = STEADY | {"epochs": 12, "patience": 12, "pretrain_epochs": 4, "accumulate": 2, "ema": 0.5}


def start(folder: Path, settings: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "0", str(WORKER), str(folder), json.dumps(settings)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def kill_one_when(path: str, process: subprocess.Popen[str], folder: Path) -> None:
    """Kill the second process once a file that matches `path` is there; its companions must end too."""
    until = time.monotonic() + 120
    while not list(folder.glob(path)) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(int((folder / "process-1").read_text()), signal.SIGKILL)
    process.communicate(timeout=200)
    assert process.returncode != 0


def logged(folder: Path, key: str) -> list[float]:
    lines = (folder / "train.jsonl").read_text().splitlines()
    return [one[key] for one in map(json.loads, lines) if key in one]


@pytest.mark.slow
@pytest.mark.parametrize(("way", "killed_at"), [("ddp", "pretrain/state-*"), ("fsdp", "state-*")])
def test_two_processes_train_as_one_does_though_one_is_killed(tmp_path, way: str, killed_at: str) -> None:
    told = learn(run_in(tmp_path / "one", **SETTINGS), "own")
    kill_one_when(killed_at, start(tmp_path / "two", SETTINGS | {"parallel": way}), tmp_path / "two")
    out, err = start(tmp_path / "two", SETTINGS | {"parallel": way}).communicate(timeout=200)
    together = json.loads(out)
    assert "Traceback" not in err
    assert (together["steps"], together["pretrain_steps"]) == (told["steps"], told["pretrain_steps"])
    for phase in ("pretrain", "."):
        for key in ("loss", "tuning_loss", "norm", "tokens"):
            found, expected = (logged(tmp_path / one / phase, key) for one in ("two", "one"))
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5, err_msg=f"{phase} {key}")


@pytest.mark.parametrize("size", [2, 3, 50])
def test_shares_of_a_step_add_up_to_it(tmp_path, size: int) -> None:
    """Every sample is one process's; their losses add up, also where some processes have no sample."""
    run = run_in(tmp_path, model="punished", dropout=0.0, hide_events=0.3, accumulate=2)
    objective = OfLabels(run.model, "multilabel")
    losses, samples = {}, {}
    for n in (1, size):
        teams = [Team(rank=rank, size=n) for rank in range(n)]
        steps = [_step(run, team) for team in teams]
        losses[n] = sum(objective(part.batch, part.weights).detach() for step in steps for part in step.parts)
        samples[n] = sum(float(part.weights[1]) for step in steps for part in step.parts)
        assert len({step.tokens for step in steps}) == 1
    assert float(losses[size]) == pytest.approx(float(losses[1]), abs=1e-5)
    assert samples[size] == pytest.approx(1.0)


def _step(run, team: Team):
    steps = Steps(loader=run.loader, config=run.config, team=team, seed=1, hiding=True)
    return steps.make(steps.of_epoch(run.plan(0), batch=0, step=0)[1])


def test_shares_hold_about_as_many_tokens_each() -> None:
    lengths = np.random.default_rng(0).lognormal(4, 1, 200).astype(np.int64)
    shares = [Team(rank=rank, size=4).share(lengths) for rank in range(4)]
    assert np.array_equal(np.sort(np.concatenate(shares)), np.arange(200))
    tokens = [lengths[share].sum() for share in shares]
    assert max(tokens) < 1.1 * min(tokens)
