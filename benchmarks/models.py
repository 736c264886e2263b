"""What each model costs: training and inference, patients and tokens a CPU-second, memory, beside PyHealth's.

    python benchmarks/models.py [NAME …] [--seconds 3] [--no-peer] [--write]

Two tables. The first: every model of the zoo at size `small` on packed batches of histories of lognormal length, mean
180 tokens, one thread. The second: models that PyHealth has by the same name, at width 128 on the same batches of 64
histories of five visits, measured in turns in one run; PyHealth runs in an environment of its own, made by
`peers/environment.py` where it can be. Batches are made beforehand on both sides: what is timed is the forward pass,
and in training the loss, the backward pass and the step of the optimiser.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain, cycle
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from measuring import machine, measure
from torch.utils.flop_counter import FlopCounterMode

from attending import registry
from attending.batch import KINDS, Batch, Facts, Ontology, Together
from attending.checkpoint import build_model
from attending.nn.interface import Model
from attending.nn.losses import loss

RESULTS = Path("benchmarks/results/model-speed.md")
PEERS = Path(__file__).parent / "peers"
PEER_NAMES = {
    "retain": "RETAIN",
    "gru": "RNN",
    "transformer": "Transformer",
    "sand": "Transformer",
    "stagenet": "StageNet",
    "adacare": "AdaCare",
    "mamba": "EHRMamba",
}
N_TOKENS, N_OUTCOMES, N_BATCHES, BATCH = 2_000, 50, 4, 64
LIKE_THE_PEER = {
    "adacare": {"width_channels": 64},
    "mamba": {"n_layers": 2},
    "sand": {"n_layers": 1},
    "transformer": {"n_layers": 1},
}
OF_SERIES = ("stagenet", "adacare")
SERIES_STEPS = (100, 400)
TURNS = 3
Histories = list[list[list[list[int]]]]
"""Of each history its visits, of each visit its kinds of codes, of each kind its codes."""
SIZES_OF_KINDS = ((2.2, 0.6), (0.3, 0.7), (3.0, 0.8))
"""Mean and spread of the logarithm of how many diagnoses, procedures and drugs a stay has: about 11, 2 and 28."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="which models; all that the training loop trains without a name"
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="CPU-seconds of each measurement, at least"
    )
    parser.add_argument("--no-peer", action="store_true", help="leave PyHealth out")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    given = parser.parse_args()
    names = given.names or [
        name for name in registry.names("models") if not registry.load("models", name).Model.fits
    ]
    parts = [head(), zoo(names, given.seconds)]
    if not given.no_peer:
        parts.append(beside_pyhealth([name for name in names if name in PEER_NAMES], given.seconds))
    text = "\n\n".join(parts) + "\n"
    print(text)
    if given.write:
        RESULTS.write_text(text, encoding="utf-8")


def head() -> str:
    """Return what the page says first, with the rate of plain matrix products."""
    return (
        "# What each model costs\n\n"
        f"{machine()}\n\n"
        "`python benchmarks/models.py --write`: one thread; CPU-seconds of forward, backward and optimiser, on batches "
        "made beforehand. The machine is shared: compare figures of one table."
    )


def zoo(names: list[str], seconds: float) -> str:
    """Return the table of all models."""
    peak = measure(gemm_rate, seconds).value
    lines = [
        "## The zoo",
        "",
        f"Size `small`, {BATCH} histories a batch of lognormal length (mean 180 tokens, visits of about six), "
        f"{N_TOKENS:,} tokens, {N_OUTCOMES} outcomes. Plain products of 2048² matrices reach {peak / 1e9:.0f} GFLOP/s "
        "in fp32; the share of it counts the products that torch can count (not those inside its recurrences).",
        "",
        "| model | parameters | patients/CPU-s, training | inference | tokens/CPU-s, training | of peak | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        cost = measure(one_of_the_zoo, name, seconds)
        found: dict[str, float] = cost.value  # type: ignore[assignment]
        tokens = found["training"] * found["tokens"] / BATCH
        lines.append(
            f"| {name} | {found['parameters']:,.0f} | {found['training']:,.0f} | {found['inference']:,.0f} "
            f"| {tokens:,.0f} | {found['flops'] / peak:.0%} | {cost.peak_mb:,.0f} |"
        )
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


def gemm_rate(seconds: float) -> float:
    """Return how many floating-point operations a CPU-second plain matrix products reach."""
    torch.set_num_threads(1)
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2 * 2048**3 * rate(lambda: a @ b, seconds)


def one_of_the_zoo(name: str, seconds: float) -> dict[str, float]:
    """Measure one model on long histories, in a process of its own."""
    torch.set_num_threads(1)
    batches = [to_batch(long_histories(seed), seed) for seed in range(N_BATCHES)]
    model = build(name, {"size": "small"}, N_OUTCOMES)
    step = training_step(model, batches)
    with FlopCounterMode(display=False) as counted:
        step()
    training = rate(step, seconds)
    return {
        "parameters": sum(one.numel() for one in model.parameters()),
        "tokens": sum(len(one.tokens) for one in batches) / N_BATCHES,
        "training": training * BATCH,
        "inference": rate(inference_step(model, batches), seconds) * BATCH,
        "flops": counted.get_total_flops() * training,
    }


def beside_pyhealth(names: list[str], seconds: float) -> str:
    """Return the tables beside PyHealth, measured in turns."""
    lines = ["## Beside PyHealth 2.1.0", ""]
    try:
        from peers.environment import python_of

        python = python_of("pyhealth")
    except RuntimeError as error:
        return "\n".join([*lines, f"Not measured: {str(error).splitlines()[0]}"])
    lines += [
        "The same histories on both sides, width 128, one layer (of Mamba two), one outcome; samples a CPU-second, the "
        f"median of {TURNS} turns, and its ratio.",
        "",
        f"**Stays**: {BATCH} histories of five visits, to PyHealth as three keys (diagnoses, procedures, drugs), as "
        "its own tasks give them. Its transformer and its Mamba run over sums of visits, as our `sand` does; our "
        "`transformer` and `mamba` over events, here some forty times as many. **Series**: 16 histories of steps of "
        "six codes, one key. Its ConCare is left out: it sums the codes of a visit to one number and runs one "
        "recurrence over it, which is another model.",
    ]
    stays = [short_histories(seed) for seed in range(N_BATCHES)]
    lines += ["", *_turns("Stays", names, stays, python, seconds)]
    of_series = [one for one in names if one in OF_SERIES]
    for n_steps in SERIES_STEPS:
        series = [series_histories(seed, n_steps) for seed in range(2)]
        lines += ["", *_turns(f"Series of {n_steps} steps", of_series, series, python, seconds)]
    return "\n".join(lines)


def _turns(
    title: str, names: list[str], histories: list[Histories], python: Path, seconds: float
) -> list[str]:
    """Return a table of the models on these batches, ours and theirs by turns."""
    lines = [
        f"| {title} | training, ours | PyHealth | ratio | inference, ours | PyHealth | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(histories, file)
        file.flush()
        for name in names:
            try:
                rates = [_turn(name, histories, file.name, python, seconds) for _ in range(TURNS)]
            except subprocess.CalledProcessError as error:
                lines.append(
                    f"| {name} | PyHealth's fails: `{error.stderr.strip().splitlines()[-1][:120]}` | | | | | |"
                )
                continue
            a, b, c, d = np.median(rates, axis=0)
            lines.append(
                f"| {name} | {a:,.0f} | {b:,.0f} | {a / b:.1f}× | {c:,.0f} | {d:,.0f} | {c / d:.1f}× |"
            )
            print(lines[-1], file=sys.stderr)
    return lines


def _turn(name: str, histories: list[Histories], file: str, python: Path, seconds: float) -> list[float]:
    """Measure ours, then theirs: training ours and theirs, inference ours and theirs."""
    ours: dict[str, float] = measure(ours_on, name, histories, seconds).value  # type: ignore[assignment]
    theirs = pyhealth(python, PEER_NAMES[name], file, seconds)
    return [ours["training"], theirs["training"], ours["inference"], theirs["inference"]]


def ours_on(name: str, histories: list[Histories], seconds: float) -> dict[str, float]:
    """Measure one model of ours, in a process of its own."""
    torch.set_num_threads(1)
    batches = [
        to_batch(
            [[list(chain.from_iterable(visit)) for visit in history] for history in one], seed, n_outcomes=1
        )
        for seed, one in enumerate(histories)
    ]
    model = build(name, {"size": "medium", **LIKE_THE_PEER.get(name, {})}, 1)
    return {
        "training": rate(training_step(model, batches), seconds) * len(histories[0]),
        "inference": rate(inference_step(model, batches), seconds) * len(histories[0]),
    }


def pyhealth(python: Path, name: str, histories: str, seconds: float) -> dict[str, float]:
    """Measure PyHealth's model of this name in its own environment."""
    done = subprocess.run(
        [str(python), "-I", str(PEERS / "pyhealth_models.py"), name, histories, str(seconds)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def rate(step: Callable[[], object], seconds: float) -> float:
    """Return how often `step` runs in a CPU-second, after two runs to warm up."""
    step(), step()
    n, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds or n < 3:
        step()
        n += 1
    return n / spent


def training_step(model: Model, batches: list[Batch]) -> Callable[[], object]:
    """Return a function that takes one step of training on the next batch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    turn = cycle(batches)

    def step() -> None:
        model.train()
        batch = next(turn)
        assert batch.labels is not None
        output = model(batch.without_labels())
        total = loss(output.logits, batch.labels, "multilabel")
        total = total if output.penalty is None else total + output.penalty
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def inference_step(model: Model, batches: list[Batch]) -> Callable[[], object]:
    """Return a function that predicts the next batch."""
    turn = cycle(batches)

    @torch.inference_mode()
    def step() -> None:
        model.eval()
        model(next(turn).without_labels())

    return step


def build(name: str, settings: dict[str, object], n_outcomes: int) -> Model:
    """Build a model for the made-up vocabulary, with a made-up ontology above it."""
    config_class = registry.load("models", name).Config
    known = facts(n_outcomes)
    assert known.ontology is not None
    sizes = {"n_tokens": N_TOKENS, "n_outcomes": n_outcomes, "n_concepts": known.ontology.n_concepts}
    config = config_class(
        **settings, **{key: one for key, one in sizes.items() if key in config_class.model_fields}
    )
    torch.manual_seed(0)
    model = build_model(name, config)
    model.use(known)
    return model


def facts(n_outcomes: int) -> Facts:
    """Return facts of a vocabulary with a tree of tens and hundreds, where neighbours share visits."""
    token = torch.arange(N_TOKENS)
    tens, hundreds = N_TOKENS + token // 10, N_TOKENS + N_TOKENS // 10 + token // 100
    root = N_TOKENS + N_TOKENS // 10 + N_TOKENS // 100
    above = torch.stack([token, tens, hundreds, torch.full_like(token, root)], 1)
    inner = torch.arange(N_TOKENS, root)
    up = torch.where(
        inner < N_TOKENS + N_TOKENS // 10, N_TOKENS + N_TOKENS // 10 + (inner - N_TOKENS) // 10, root
    )
    near = torch.stack([(token + step) % N_TOKENS for step in range(-10, 11)], 1)
    pairs = torch.stack([token.repeat_interleave(21), near.sort(1).values.flatten()])
    return Facts(
        outcome_of_token=torch.full((N_TOKENS,), -1),
        prevalence=torch.full((n_outcomes,), 0.1),
        code_of_token=token,
        sex_of_token=torch.full((N_TOKENS,), -1),
        kind_of_token=token % len(KINDS),
        count_of_token=N_TOKENS - token,
        ontology=Ontology(
            n_concepts=root + 1,
            above=torch.stack([token.repeat_interleave(4), above.flatten()]),
            parents=torch.cat([torch.stack([token, tens]), torch.stack([inner, up])], 1),
        ),
        together=Together(pairs=pairs, count=torch.where(pairs[0] == pairs[1], 20.0, 5.0)),
    )


def series_histories(seed: int, n_steps: int) -> Histories:
    """Return 16 histories of so many steps, each of six codes of one kind."""
    random = np.random.default_rng(seed)
    return [[[codes(random, 6)] for _ in range(n_steps)] for _ in range(16)]


def short_histories(seed: int) -> Histories:
    """Return histories of five visits, each of some diagnoses, procedures and drugs, as hospital stays have them."""
    random = np.random.default_rng(seed)
    sizes = np.stack([random.lognormal(*kind, (BATCH, 5)) for kind in SIZES_OF_KINDS], axis=2)
    of_kind = N_TOKENS // len(SIZES_OF_KINDS)
    return [
        [
            [
                [kind * of_kind + code for code in codes(random, size, of_kind)]
                for kind, size in enumerate(visit)
            ]
            for visit in history
        ]
        for history in np.clip(sizes, 1, 200).astype(int)
    ]


def long_histories(seed: int) -> list[list[list[int]]]:
    """Return histories of a lognormal number of tokens, mean about 180, in visits of about six."""
    random = np.random.default_rng(1_000 + seed)
    lengths = np.clip(random.lognormal(4.7, 1.0, BATCH), 8, 2_000).astype(int)
    return [
        [codes(random, size) for size in 1 + random.poisson(5, max(1, length // 6))] for length in lengths
    ]


def codes(random: np.random.Generator, size: int, n_codes: int = N_TOKENS) -> list[int]:
    """Return so many codes, few of them frequent."""
    found: list[int] = np.minimum(random.zipf(1.3, size), n_codes - 1).tolist()
    return found


def to_batch(histories: list[list[list[int]]], seed: int, *, n_outcomes: int = N_OUTCOMES) -> Batch:
    """Pack histories whose visits are some weeks apart."""
    random = np.random.default_rng(2_000 + seed)
    visits = [visit for history in histories for visit in history]
    sizes = np.array([len(visit) for visit in visits])
    days = np.concatenate([-np.cumsum(random.exponential(40.0, len(history)))[::-1] for history in histories])
    per_token = np.repeat(days, sizes).astype(np.float32)
    return Batch(
        tokens=torch.tensor([code for visit in visits for code in visit]),
        days=torch.from_numpy(per_token),
        ages=torch.from_numpy(60 + per_token / 365.25).float(),
        values=torch.zeros(len(per_token)),
        visit_offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)])),
        subject_offsets=torch.from_numpy(np.cumsum([0, *(len(history) for history in histories)])),
        labels=torch.from_numpy(random.integers(0, 2, (len(histories), n_outcomes)).astype(np.float32)),
    )


if __name__ == "__main__":
    main()
