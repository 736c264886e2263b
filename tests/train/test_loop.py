"""The loop ends in the same bits however often it is stopped, whatever it is asked to do on the way."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attending.checkpoint import digest, load_tensors
from attending.errors import Diverged, ModelError
from attending.train.learner import Learner
from attending.train.loop import Run
from attending.train.optimizer import schedule
from attending.train.phases import learn
from attending.train.state import Position
from small_runs import STILL, run_in

TESTS = Path(__file__).parent.parent
EVERYTHING = {"model": "own", "accumulate": 2, "ema": 0.9, "pretrain_epochs": 3}


def logged(folder: Path, key: str) -> list[float]:
    lines = (folder / "train.jsonl").read_text().splitlines()
    return [one[key] for one in map(json.loads, lines) if key in one]


def test_training_lowers_the_loss_and_leaves_the_best_weights(tmp_path) -> None:
    at = run_in(tmp_path, epochs=30, patience=30, checkpoint_seconds=60.0).go("training")
    losses = logged(tmp_path, "loss")
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert at.best_loss == min(logged(tmp_path, "tuning_loss"))
    assert at.finished


def test_training_stops_when_the_tuning_loss_no_longer_falls(tmp_path) -> None:
    at = run_in(tmp_path, epochs=200, patience=2, learning_rate=0.05).go("training")
    assert at.epoch < 200
    assert at.bad_epochs == 2


def test_two_runs_of_one_seed_end_in_the_same_bits(tmp_path) -> None:
    first, second = run_in(tmp_path / "a", epochs=2), run_in(tmp_path / "b", epochs=2)
    first.go("training")
    second.go("training")
    assert digest(first.model.state_dict()) == digest(second.model.state_dict())


def test_the_library_leaves_the_global_random_state_alone(tmp_path) -> None:
    torch.manual_seed(42)
    expected = torch.rand(3)
    torch.manual_seed(42)
    learn(run_in(tmp_path, epochs=1, model="own", pretrain_epochs=1), "own")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("stop_after", [1, 4, 9])
def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path, stop_after: int) -> None:
    whole = run_in(tmp_path / "whole")
    whole.go("training")
    interrupt_after(stop_after, run_in(tmp_path / "cut"))
    resumed = run_in(tmp_path / "cut")
    resumed.go("training")
    assert digest(resumed.model.state_dict()) == digest(whole.model.state_dict())
    assert logged(tmp_path / "cut", "loss") == logged(tmp_path / "whole", "loss")
    assert logged(tmp_path / "cut", "tuning_loss") == logged(tmp_path / "whole", "tuning_loss")


@pytest.mark.parametrize("phase", ["pretrain", "."])
@pytest.mark.parametrize("stop_after", [1, 4])
def test_with_every_setting_an_interrupted_run_resumes_to_the_same_bits(
    tmp_path, phase: str, stop_after: int
) -> None:
    whole = run_in(tmp_path / "whole", **EVERYTHING)
    told = learn(whole, "own")
    interrupt_after(stop_after, run_in(tmp_path / "cut", **EVERYTHING), tmp_path / "cut" / phase)
    resumed = run_in(tmp_path / "cut", **EVERYTHING)
    assert learn(resumed, "own") | {"seconds": 0} == told | {"seconds": 0}
    assert digest(resumed.model.state_dict()) == digest(whole.model.state_dict())
    for of in ("pretrain", "."):
        assert logged(tmp_path / "cut" / of, "loss") == logged(tmp_path / "whole" / of, "loss")


def interrupt_after(n_steps: int, run: Run, folder: Path | None = None) -> None:
    """Stop a run before its step of a number, in the phase whose states are in `folder`."""
    step = Run._step

    def stop(self: Run, learner, made, at: Position, log, *, progress: float) -> None:
        if at.step >= n_steps and self.folder.samefile(folder or run.folder):
            raise KeyboardInterrupt
        step(self, learner, made, at, log, progress=progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            learn(run, "model")


def test_an_epoch_is_told_once_though_the_run_is_killed_before_it_is_saved(tmp_path) -> None:
    whole = run_in(tmp_path / "whole", epochs=2)
    whole.go("training")
    save = Run._save

    def stop(self: Run, learner, at: Position, best, log) -> None:
        if at.epoch and not at.batch:
            raise KeyboardInterrupt
        save(self, learner, at, best, log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_save", stop)
        with pytest.raises(KeyboardInterrupt):
            run_in(tmp_path / "cut", epochs=2).go("training")
    run_in(tmp_path / "cut", epochs=2).go("training")
    assert (tmp_path / "cut" / "train.jsonl").read_text() == (tmp_path / "whole" / "train.jsonl").read_text()


def test_a_damaged_state_falls_back_to_the_one_before(tmp_path) -> None:
    whole = run_in(tmp_path / "whole")
    whole.go("training")
    interrupt_after(6, run_in(tmp_path / "cut"))
    newest = sorted((tmp_path / "cut").glob("state-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-7])
    resumed = run_in(tmp_path / "cut")
    resumed.go("training")
    assert digest(resumed.model.state_dict()) == digest(whole.model.state_dict())


def test_batches_that_are_accumulated_are_one_big_batch(tmp_path) -> None:
    """The gradients of 8 batches of 5 are that of one batch of 40, also where labels are missing."""
    settings: dict[str, Any] = {"epochs": 4, "dropout": 0.0, **STILL}
    big = run_in(tmp_path / "big", batch_samples=40, **settings)
    small = run_in(tmp_path / "small", batch_samples=5, accumulate=8, **settings)
    for run in (big, small):
        forget_labels(run)
        run.go("training")
    assert len(logged(small.folder, "loss")) == len(logged(big.folder, "loss")) == 4
    np.testing.assert_allclose(logged(small.folder, "loss"), logged(big.folder, "loss"), atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(logged(small.folder, "norm"), logged(big.folder, "norm"), atol=1e-6, rtol=1e-5)


def test_the_tuning_loss_is_one_mean_over_known_answers_whatever_the_batches(tmp_path) -> None:
    runs = [run_in(tmp_path / str(size), batch_samples=size, model="gru", dropout=0.0) for size in (1, 3, 40)]
    for run in runs:
        forget_labels(run)
    found = [run.tuning_loss(run.objective()) for run in runs]
    assert found == pytest.approx([found[0]] * 3, abs=1e-6)


def forget_labels(run: Run) -> None:
    """Let the answers of the first samples not be known: one more of each sample than of the one before."""
    samples = run.loader.samples
    counts = np.zeros(len(samples), dtype=np.int64)
    counts[:25] = np.arange(25) % samples.n_outcomes
    vars(samples)["unknown_offset"] = np.concatenate([[0], np.cumsum(counts)])
    vars(samples)["unknown"] = np.concatenate([np.arange(count) for count in counts])


def test_the_average_is_what_is_measured_and_kept(tmp_path) -> None:
    """After one epoch the weights kept are the moving average, computed here from the states of every step."""
    run = run_in(tmp_path, epochs=1, ema=0.9, model="gru")
    start = run.model.output.weight.detach().clone()
    seen = []
    save = Run._save

    def note(self: Run, learner, at: Position, best, log) -> None:
        seen.append(learner.state()["model.output.weight"].clone())
        save(self, learner, at, best, log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_save", note)
        run.go("training")
    average = start
    for step, weight in enumerate(seen[:-1]):  # the last is written again when the epoch closes
        kept = min(0.9, (1 + step) / (10 + step))
        average = kept * average + (1 - kept) * weight
    torch.testing.assert_close(run.model.output.weight, average)


def test_the_average_averages_statistics_as_it_does_weights(tmp_path) -> None:
    run = run_in(tmp_path, epochs=1, ema=0.9, model="normed")
    average, seen = run.model.norm.running_mean.clone(), []
    follow = Learner.follow

    def note(self: Learner, step: int) -> None:
        seen.append(self.plain.model.norm.running_mean.clone())
        follow(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "follow", note)
        run.go("training")
    for step, one in enumerate(seen):
        kept = min(0.9, (1 + step) / (10 + step))
        average = kept * average + (1 - kept) * one
    torch.testing.assert_close(run.model.norm.running_mean, average)
    assert int(run.model.norm.num_batches_tracked) == len(seen), "what is counted is taken over"


def test_the_penalty_is_trained_on_and_not_measured(tmp_path) -> None:
    """A penalty of large logits keeps them small; the tuning loss of an untrained model does not hold it."""
    settings: dict[str, Any] = {"epochs": 6, "learning_rate": 0.03, "dropout": 0.0}
    plain = run_in(tmp_path / "plain", model="gru", **settings)
    punished = run_in(tmp_path / "punished", model="punished", **settings)
    assert plain.tuning_loss(plain.objective()) == punished.tuning_loss(punished.objective())
    plain.go("training")
    punished.go("training")
    batch = plain.loader.batch(plain.train)
    assert punished.model(batch).logits.abs().mean() < 0.3 * plain.model(batch).logits.abs().mean()


def test_pretraining_lowers_its_own_loss_and_training_starts_from_there(tmp_path) -> None:
    run = run_in(tmp_path, model="own", epochs=1, pretrain_epochs=15, patience=15, learning_rate=0.03)
    told = learn(run, "own")
    losses = logged(tmp_path / "pretrain", "tuning_loss")
    assert len(losses) == 15
    assert losses[-1] < 0.95 * losses[0]
    assert told["pretrain_tuning_loss"] == min(losses)
    assert told["pretrain_steps"] == len(logged(tmp_path / "pretrain", "loss"))
    fresh = run_in(tmp_path / "fresh", model="own", epochs=1, learning_rate=0.03)
    assert "pretrain_steps" not in learn(fresh, "own")
    assert logged(fresh.folder, "loss")[0] != logged(tmp_path, "loss")[0]


def test_a_model_without_its_own_objective_is_trained_on_labels_alone(tmp_path, capsys) -> None:
    told = learn(run_in(tmp_path, epochs=1, pretrain_epochs=2), "retain")
    assert "pretrain_steps" not in told
    assert "retain has no objective of its own" in capsys.readouterr().err


def test_bfloat16_trains(tmp_path) -> None:
    at = run_in(tmp_path, precision="bf16", epochs=2).go("training")
    assert np.isfinite(at.best_loss)


KILLED = """
    import sys
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    sys.path[:0] = [{tests!r}]
    from attending.checkpoint import digest
    from attending.train.phases import learn
    from small_runs import run_in
    run = run_in(Path({folder!r}), **{settings!r})
    print("started", flush=True)
    learn(run, "model")
    print(digest(run.model.state_dict()), flush=True)
"""
LONG = {"epochs": 12, "patience": 12}


@pytest.mark.slow
@pytest.mark.parametrize("settings", [LONG, LONG | EVERYTHING | {"pretrain_epochs": 12}])
def test_kill_nine_at_random_moments_resumes_to_the_same_bits(tmp_path, settings: dict[str, Any]) -> None:
    """Killed without warning, also while a state is being written, the run ends as if nothing had happened."""
    expected = finish(tmp_path / "whole", settings)
    generator = np.random.default_rng(0)
    for _ in range(2):
        process = start(tmp_path / "cut", settings)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(float(generator.uniform(0.1, 0.6)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert finish(tmp_path / "cut", settings) == expected


def start(folder: Path, settings: dict[str, Any], script: str = KILLED) -> subprocess.Popen[str]:
    code = textwrap.dedent(script.format(tests=str(TESTS), folder=str(folder), settings=settings))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def finish(folder: Path, settings: dict[str, Any]) -> str:
    process = start(folder, settings)
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


def test_a_gradient_that_is_not_finite_is_told_before_a_state_holds_it(tmp_path) -> None:
    run = run_in(tmp_path, epochs=1)
    run.model.output.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(Diverged, match="gradient is not finite at step 0"):
        run.go("training")
    assert not list(tmp_path.glob("state-*"))


def test_a_tuning_loss_that_is_not_finite_is_no_model(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "tuning_loss", lambda *_: float("nan"))
    with pytest.raises(Diverged, match="tuning loss is not finite"):
        run_in(tmp_path, epochs=1).go("training")


def test_the_rate_rises_then_falls() -> None:
    rates = [schedule(progress, 0.1) for progress in np.linspace(0, 1, 101)]
    assert int(np.argmax(rates)) in (9, 10, 11)
    assert max(rates) <= 1.0
    assert rates[-1] == pytest.approx(0.02, abs=1e-6)


COMPILED = """
    import sys
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    sys.path[:0] = [{tests!r}]
    capture = torch.nn.Module.compile
    torch.nn.Module.compile = lambda self, **said: capture(self, backend="eager", **said)
    from small_runs import run_in
    print(run_in(Path({folder!r}), compile=True, **{settings!r}).go("training").best_loss)
"""


@pytest.mark.slow
def test_a_compiled_model_trains_to_the_same_loss(tmp_path) -> None:
    """Graphs are captured, and run without a code generator, which takes minutes."""
    settings: dict[str, Any] = {"model": "own", "dropout": 0.0, "epochs": 1, "batch_samples": 20}
    plain = run_in(tmp_path / "plain", **settings).go("training")
    process = start(tmp_path / "compiled", settings, COMPILED)
    out, _ = process.communicate(timeout=200)
    assert float(out) == pytest.approx(plain.best_loss, abs=1e-6)
