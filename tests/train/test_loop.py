import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from attending.checkpoint import build_model, digest, load_tensors
from attending.data.batches import Config as BatchConfig
from attending.data.batches import Loader
from attending.errors import ModelError
from attending.models.retain import EXAMPLE
from attending.train.loop import Config, Run
from attending.train.optimizer import schedule
from attending.train.state import Position
from stores import random_store

ROOT = Path(__file__).parent.parent


def run_in(folder: Path, **settings: object) -> Run:
    """Return a small training run; dropout is on, so that its random numbers are tested too."""
    store, samples = random_store(n_subjects=60, seed=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model("retain", EXAMPLE.model_copy(update={"dropout": 0.3}))
    folder.mkdir(parents=True, exist_ok=True)
    return Run(
        model=model,
        loader=Loader(store=store, samples=samples, config=BatchConfig(batch_samples=8)),
        train=samples.of_split("train"),
        tuning=samples.of_split("tuning"),
        config=Config(
            **({"epochs": 6, "patience": 6, "learning_rate": 0.01, "checkpoint_seconds": 0.0} | settings)
        ),
        folder=folder,
        seed=1,
    )


def test_training_lowers_the_loss_and_leaves_the_best_weights(tmp_path) -> None:
    run = run_in(tmp_path, epochs=30, patience=30)
    at = run.go("training")
    log = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    losses = [one["loss"] for one in log if "loss" in one]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    tuning = [one["tuning_loss"] for one in log if "tuning_loss" in one]
    assert at.best_loss == min(tuning)
    assert at.finished


def test_training_stops_when_the_tuning_loss_no_longer_falls(tmp_path) -> None:
    at = run_in(tmp_path, epochs=200, patience=2, learning_rate=0.05).go("training")
    assert at.epoch < 200
    assert at.bad_epochs == 2


def test_two_runs_of_one_seed_end_in_the_same_bits(tmp_path) -> None:
    first, second = run_in(tmp_path / "a"), run_in(tmp_path / "b")
    first.go("training")
    second.go("training")
    assert digest(first.model.state_dict()) == digest(second.model.state_dict())


def test_the_library_leaves_the_global_random_state_alone(tmp_path) -> None:
    torch.manual_seed(42)
    expected = torch.rand(3)
    torch.manual_seed(42)
    run_in(tmp_path, epochs=1).go("training")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("stop_after", [1, 4, 9])
def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path, stop_after: int) -> None:
    whole = run_in(tmp_path / "whole")
    whole.go("training")
    interrupt_after(stop_after, run_in(tmp_path / "cut"))
    resumed = run_in(tmp_path / "cut")
    resumed.go("training")
    assert digest(resumed.model.state_dict()) == digest(whole.model.state_dict())
    assert steps_logged(tmp_path / "cut") == steps_logged(tmp_path / "whole")


def interrupt_after(n_steps: int, run: Run) -> None:
    step = Run._step

    def stop(self: Run, learner, made, at: Position, log, *, progress: float) -> None:
        if at.step >= n_steps:
            raise KeyboardInterrupt
        step(self, learner, made, at, log, progress=progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            run.go("training")


def steps_logged(folder: Path) -> list[int]:
    log = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    return [one["step"] for one in log if "loss" in one]


def test_a_damaged_state_falls_back_to_the_one_before(tmp_path) -> None:
    whole = run_in(tmp_path / "whole")
    whole.go("training")
    interrupt_after(6, run_in(tmp_path / "cut"))
    newest = sorted((tmp_path / "cut").glob("state-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-7])
    resumed = run_in(tmp_path / "cut")
    resumed.go("training")
    assert digest(resumed.model.state_dict()) == digest(whole.model.state_dict())


KILLED = """
    import sys
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    sys.path[:0] = [{tests!r}, {here!r}]
    from test_loop import run_in
    from attending.checkpoint import digest
    run = run_in(Path({folder!r}), epochs=40, patience=40)
    print("started", flush=True)
    run.go("training")
    print(digest(run.model.state_dict()), flush=True)
"""


@pytest.mark.slow
def test_kill_nine_at_random_moments_resumes_to_the_same_bits(tmp_path) -> None:
    """Killed without warning, also while a state is being written, the run ends as if nothing had happened."""
    expected = finish(tmp_path / "whole")
    generator = np.random.default_rng(0)
    for _ in range(3):
        process = start(tmp_path / "cut")
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(float(generator.uniform(0.1, 0.6)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert finish(tmp_path / "cut") == expected


def start(folder: Path) -> subprocess.Popen[str]:
    code = textwrap.dedent(
        KILLED.format(tests=str(ROOT), here=str(Path(__file__).parent), folder=str(folder))
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def finish(folder: Path) -> str:
    process = start(folder)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.splitlines()[-1]


def test_states_hold_two_and_are_hashed(tmp_path) -> None:
    run = run_in(tmp_path)
    run.go("training")
    states = sorted(tmp_path.glob("state-*"))
    assert len(states) == 2
    tensors, facts = load_tensors(states[-1])
    assert facts["finished"] is True
    assert {name.partition(".")[0] for name in tensors} == {"model", "best", "optimizer"}


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path) -> None:
    run = run_in(tmp_path)
    with torch.no_grad():
        run.model.get_parameter("output.bias").fill_(float("nan"))
    with pytest.raises(ModelError, match=r"not finite at step 0: lower train\.learning_rate"):
        run.go("training")


def test_the_rate_rises_then_falls() -> None:
    rates = [schedule(progress, 0.1) for progress in np.linspace(0, 1, 101)]
    assert int(np.argmax(rates)) in (9, 10, 11)
    assert max(rates) <= 1.0
    assert rates[-1] == pytest.approx(0.02, abs=1e-6)
