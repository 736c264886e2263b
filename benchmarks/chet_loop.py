"""Chet without a loop beside Chet as its authors wrote it: `python benchmarks/chet_loop.py [--write] [--visits 10 …]`.

The same weights, the same histories, the same logits (checked to 1e-5), forwards and backwards, one thread. The loop
is a restatement from the equations in the manner of the released code: patient by patient and visit by visit, every
visit over the whole vocabulary with a dense matrix of the graph. Codes follow a power law and come back: a visit keeps
half of the codes of the visit before. CPU-seconds of the process, the best of some repeats; the machine may be shared.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import machine
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, leaky_relu

from attending.batch import Batch, Facts, Together, owners
from attending.models.chet import Config, Model

RESULTS = Path(__file__).parent / "results" / "chet_loop.md"
N_TOKENS, N_OUTCOMES, CODES_A_VISIT = 1000, 100, 12
HISTORIES = {10: 16, 100: 16, 400: 4}  # by how many visits each has
TRAINING_VISITS = 20_000


def histories(n: int, n_visits: int, seed: int) -> list[list[list[int]]]:
    """Return the codes of every visit of `n` histories."""
    generator = np.random.default_rng(seed)
    often = 1 / np.arange(1, N_TOKENS + 1) ** 0.9
    often /= often.sum()
    made = []
    for _ in range(n):
        visits: list[list[int]] = []
        for _ in range(n_visits):
            kept = [code for code in (visits[-1] if visits else []) if generator.random() < 0.5]
            new = generator.choice(N_TOKENS, CODES_A_VISIT - len(kept), replace=False, p=often)
            visits.append(sorted({*kept, *new.tolist()}))
        made.append(visits)
    return made


def batch_of(made: list[list[list[int]]]) -> Batch:
    """Pack histories, a day between visits."""
    visits = [visit for history in made for visit in history]
    ago = [float(len(history) - 1 - place) for history in made for place in range(len(history))]
    sizes = np.array([len(visit) for visit in visits])
    n_tokens = int(sizes.sum())
    return Batch(
        tokens=torch.tensor([code for visit in visits for code in visit]),
        days=-torch.from_numpy(np.repeat(ago, sizes)).float(),
        ages=torch.full((n_tokens,), 50.0),
        values=torch.zeros(n_tokens),
        visit_offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)])),
        subject_offsets=torch.from_numpy(
            np.concatenate([[0], np.cumsum([len(history) for history in made])])
        ),
    )


def facts() -> Facts:
    """Count which codes share visits in histories made apart."""
    holds = torch.zeros(TRAINING_VISITS, N_TOKENS)
    for place, visit in enumerate(
        visit for history in histories(TRAINING_VISITS // 10, 10, seed=1) for visit in history
    ):
        holds[place, visit] = 1
    count = holds.T @ holds
    pairs = count.nonzero().T
    nothing = torch.full((N_TOKENS,), -1)
    return Facts(
        outcome_of_token=nothing,
        prevalence=torch.full((N_OUTCOMES,), 0.1),
        code_of_token=torch.arange(N_TOKENS),
        sex_of_token=nothing,
        kind_of_token=torch.ones(N_TOKENS, dtype=torch.int64),
        count_of_token=holds.sum(0).long(),
        together=Together(pairs=pairs.contiguous(), count=count[pairs[0], pairs[1]]),
    )


def at_once(model: Model, batch: Batch) -> Tensor:
    """Return the model's own logits."""
    return model(batch).logits


def loop(model: Model, made: list[list[list[int]]]) -> Tensor:
    """Return the logits patient by patient, visit by visit, every visit over the whole vocabulary."""
    adjacency = torch.zeros(N_TOKENS, N_TOKENS)
    graph = model.company()
    adjacency[owners(graph.starts), graph.to] = graph.strength
    contexts = []
    for history in made:
        before, vectors = None, []
        for codes in history:
            here = torch.zeros(N_TOKENS, dtype=torch.bool)
            here[codes] = True
            near = (adjacency[here] > 0).any(0) & ~here
            recorded, nearby = here[:, None] * model.recorded, near[:, None] * model.near
            around = adjacency @ recorded + adjacency @ nearby
            code = leaky_relu(model.graph_layer(recorded + here[:, None] * around))
            neighbour = leaky_relu(model.graph_layer(nearby + near[:, None] * around))
            now = torch.zeros(N_TOKENS, model.config.width_state)
            if before is None:
                now = put(now, here, step(model, code[here], now[here]))
            else:
                states, recorded_before, near_before, near_state = before
                persistent, emerging, other = (
                    here & recorded_before,
                    here & near_before,
                    here & ~recorded_before & ~near_before,
                )
                if persistent.any():
                    now = put(now, persistent, step(model, code[persistent], states[persistent]))
                if (emerging | other).any():
                    role = torch.cat([near_state[emerging], model.unrelated[other]])
                    scores = model.query(role) @ model.key(role).T / model.config.width_attention**0.5
                    value = model.value(torch.cat([code[emerging], code[other]]))
                    mixed = torch.tanh(scores.softmax(1) @ value)
                    now = put(now, emerging, mixed[: int(emerging.sum())])
                    now = put(now, other, mixed[int(emerging.sum()) :])
            vectors.append(now[here].max(0).values)
            before = (now, here, near, neighbour)
        visits = torch.stack(vectors)
        attention = (model.attention(visits) @ model.context).softmax(0)
        contexts.append(attention @ visits)
    return model.output(torch.stack(contexts))


def put(states: Tensor, chosen: Tensor, rows: Tensor) -> Tensor:
    """Return the states with the chosen rows set."""
    return states.index_copy(0, chosen.nonzero()[:, 0], rows)


def step(model: Model, inputs: Tensor, states: Tensor) -> Tensor:
    """Return one step of the recurrence for each row."""
    return model.recurrence(inputs[None], states[None])[0][0]


def seconds(logits: Callable[[], Tensor], labels: Tensor, model: Model, repeats: int) -> float:
    """Return the CPU-seconds of the fastest forward and backward pass."""
    taken = []
    for _ in range(repeats):
        model.zero_grad()
        started = time.process_time()
        binary_cross_entropy_with_logits(logits(), labels).backward()
        taken.append(time.process_time() - started)
    return min(taken)


def main() -> None:
    """Measure, check that both give the same, print, and write if told to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"also write {RESULTS.name}")
    parser.add_argument("--visits", type=int, nargs="+", default=sorted(HISTORIES), help="of each history")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Model(Config(n_tokens=N_TOKENS, n_outcomes=N_OUTCOMES, dropout=0.0))
    model.use(facts())
    lines = ["| histories | visits of each | loop, s | no loop, s | times |", "|---|---|---|---|---|"]
    for n_visits in given.visits:
        n = HISTORIES.get(n_visits, 2)
        made = histories(n, n_visits, seed=2)
        batch, labels = batch_of(made), torch.randint(0, 2, (n, N_OUTCOMES)).float()
        with torch.no_grad():
            torch.testing.assert_close(loop(model, made), at_once(model, batch), atol=1e-5, rtol=1e-5)
        slow = seconds(partial(loop, model, made), labels, model, repeats=2)
        fast = seconds(partial(at_once, model, batch), labels, model, repeats=5)
        lines.append(f"| {n} | {n_visits} | {slow:.2f} | {fast:.3f} | {slow / fast:.0f} |")
        print(lines[-1], flush=True)
    page = "\n".join(["# Chet without a loop", "", machine(), "", *lines, ""])
    print(page)
    if given.write:
        RESULTS.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
