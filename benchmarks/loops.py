"""Recurrent models beside the same models written as loops: `python benchmarks/loops.py [--write] [--steps 48 …]`.

Published implementations loop over steps with a module call for every layer, keep windows of history by concatenation,
and run one `nn.GRU` for each channel. The loops below say the same equations in that style, on dense tensors that are
handed to them ready made; where a case compares the same model, both have the same weights and give the same logits.
A training step is forward, loss and backward; times are CPU seconds of this process with one thread, the median of
interleaved repeats. `--write` writes `results/loops.md`.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from measuring import machine
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from attending.batch import KINDS, Batch, Facts
from attending.models import concare, stagenet

RESULTS = Path(__file__).parent / "results" / "loops.md"
HISTORIES, STEPS, CODES_A_STEP, N_TOKENS, N_OUTCOMES = 16, (48, 100, 400), 6, 200, 1
LARGEST_DIFFERENCE = 1e-4


class LoopStageNet(nn.Module):
    """StageNet, one step at a time: state, stage, window and theme of every step, the last of which is read."""

    def __init__(self, ours: stagenet.Model) -> None:
        super().__init__()
        config = ours.config
        self.levels, self.window = config.levels, config.window
        size = ours.recurrent.in_features
        self.size = size
        self.embedding = nn.Embedding(N_TOKENS + 1, config.width, padding_idx=N_TOKENS)
        self.kernel = nn.Linear(config.width + 1, ours.inputs.out_features)
        self.recurrent = nn.Linear(size + 1, ours.inputs.out_features)
        self.scale, self.rescale = nn.Linear(size, size // 6), nn.Linear(size // 6, size)
        self.conv = nn.Conv1d(size, size, config.window)
        self.output = nn.Linear(size, N_OUTCOMES)
        self._take(ours)

    @torch.no_grad()
    def _take(self, ours: stagenet.Model) -> None:
        """Copy the weights; ours stores the input gates' levels from right to left, and has one weight of the gap."""
        order = torch.arange(ours.inputs.out_features)
        order[self.levels : 2 * self.levels] = order[self.levels : 2 * self.levels].flip(0)
        self.embedding.weight[:N_TOKENS] = ours.embed.code
        self.kernel.weight.copy_(ours.inputs.weight[order])
        self.kernel.bias.copy_(ours.inputs.bias[order])
        self.recurrent.weight.copy_(nn.functional.pad(ours.recurrent.weight[order], (0, 1)))
        self.recurrent.bias.zero_()
        self.conv.weight.copy_(
            ours.convolution.weight.view(self.size, self.window, self.size).transpose(1, 2)
        )
        self.conv.bias.copy_(ours.convolution.bias)
        for name in ("scale", "rescale", "output"):
            getattr(self, name).load_state_dict(getattr(ours, name).state_dict())

    def forward(self, codes: Tensor, gaps: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits of (history, step, code) and the gaps before each step."""
        x = self.embedding(codes).sum(2)
        n = len(x)
        h, c = x.new_zeros(n, self.size), x.new_zeros(n, self.size)
        recent, stages = x.new_zeros(n, self.size, self.window), x.new_zeros(n, self.window)
        outputs = []
        for t in range(x.shape[1]):
            gap = gaps[:, t, None]
            h, c, distance = self._step(x[:, t], gap, h, c)
            recent = torch.cat([recent[:, :, 1:], h[:, :, None]], 2)
            stages = torch.cat([stages[:, 1:], distance[:, None]], 1)
            weights = torch.softmax(torch.cumsum(stages, 1), 1)
            local = recent * weights[:, None]
            theme = torch.sigmoid(self.rescale(torch.relu(self.scale(local.mean(2)))))
            outputs.append(theme * self.conv(local).squeeze(2) + h)
        return self.output(torch.stack(outputs, 1)[:, -1]), None

    def _step(self, x: Tensor, gap: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.kernel(torch.cat([x, gap], 1)) + self.recurrent(torch.cat([h, gap], 1))
        levels = self.levels
        forget = torch.cumsum(torch.softmax(z[:, :levels], 1), 1)[:, :, None]
        keep = torch.flip(torch.softmax(torch.flip(z[:, levels : 2 * levels], [1]), 1).cumsum(1), [1])[
            :, :, None
        ]
        parts = z[:, 2 * levels :].reshape(len(x), 4 * levels, -1)
        f = torch.sigmoid(parts[:, :levels])
        i = torch.sigmoid(parts[:, levels : 2 * levels])
        o = torch.sigmoid(parts[:, 2 * levels : 3 * levels])
        candidate = torch.tanh(parts[:, 3 * levels :])
        old, overlap = c.reshape(len(x), levels, -1), forget * keep
        new = overlap * (f * old + i * candidate) + (forget - overlap) * old + (keep - overlap) * candidate
        h = o * torch.tanh(new)
        return h.reshape(len(x), -1), new.reshape(len(x), -1), 1 - forget[..., 0].mean(1)


class LoopConCare(nn.Module):
    """ConCare, one channel at a time: a GRU and an attention over time for each, then attention between them."""

    def __init__(self, n_channels: int, width: int, attention: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.grus = nn.ModuleList(nn.GRU(1, width, batch_first=True) for _ in range(n_channels))
        self.hidden = nn.ModuleList(
            nn.Linear(2 * width + 1, attention, bias=False) for _ in range(n_channels)
        )
        self.score = nn.ModuleList(nn.Linear(attention, 1, bias=False) for _ in range(n_channels))
        self.demographics = nn.Linear(1, width)
        self.projections = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.mix, self.up, self.down = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(2 * width, width),
        )
        self.query, self.key, self.answer = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, N_OUTCOMES)

    @torch.no_grad()
    def take(self, ours: concare.Model) -> "LoopConCare":
        """Copy the weights; the GRU of each channel out of those that stand side by side."""
        gates = 2 * self.width
        for channel, gru in enumerate(self.grus):
            gru.weight_ih_l0.copy_(ours.recurrence.input[channel].T)
            gru.weight_hh_l0.copy_(ours.recurrence.state[channel].T)
            gru.bias_ih_l0.copy_(ours.recurrence.bias[channel, 0])
            gru.bias_hh_l0.zero_()
            gru.bias_hh_l0[gates:] = ours.recurrence.reset_bias[channel, 0]
            scores = ours.attention
            parts = [scores.query[channel], scores.key[channel], scores.time[channel]]
            self.hidden[channel].weight.copy_(torch.cat(parts).T)
            self.score[channel].weight.copy_(scores.score[channel].T)
        for one, weight, bias in zip(
            self.projections,
            ours.channels.inputs.weight.chunk(3),
            ours.channels.inputs.bias.chunk(3),
            strict=True,
        ):
            one.weight.copy_(weight)
            one.bias.copy_(bias)
        for name in ("mix", "up", "down"):
            getattr(self, name).load_state_dict(getattr(ours.channels, name).state_dict())
        for name in ("query", "key", "answer", "output"):
            getattr(self, name).load_state_dict(getattr(ours, name).state_dict())
        self.demographics.load_state_dict(ours.age.state_dict())
        return self

    def forward(self, x: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of (history, step, channel) and the penalty."""
        n, steps, n_channels = x.shape
        ago = torch.arange(steps - 1.0, -1, -1)[None, :, None].repeat(n, 1, 1)
        features = []
        for channel in range(n_channels):
            states, _ = self.grus[channel](x[:, :, channel : channel + 1])
            joined = torch.cat([states[:, -1:].repeat(1, steps, 1), states, ago], 2)
            scores = self.score[channel](torch.tanh(self.hidden[channel](joined))).squeeze(2)
            weights = torch.softmax(scores, 1)
            features.append(torch.matmul(weights[:, None], states).squeeze(1)[:, None])
        z = torch.cat([*features, torch.tanh(self.demographics(age))[:, None]], 1)
        q, k, v = (
            one(z).view(n, -1, self.heads, self.width // self.heads).transpose(1, 2)
            for one in self.projections
        )
        attention = torch.softmax(q @ k.transpose(2, 3) / (self.width // self.heads) ** 0.5, -1)
        heads = (attention @ v).transpose(1, 2).contiguous().view(n, -1, self.width)
        z = z + self.mix(heads)
        z = z + self.down(torch.relu(self.up(z)))
        scores = torch.matmul(self.key(z), self.query(z[:, -1])[:, :, None]).squeeze(2)
        pooled = (torch.softmax(scores, 1)[:, :, None] * self.answer(z)).sum(1)
        return self.output(pooled), self._penalty(heads)

    def _penalty(self, heads: Tensor) -> Tensor:
        total = heads.new_zeros(())
        for feature in range(heads.shape[1]):
            centred = heads[:, feature] - heads[:, feature].mean(0)
            covariance = centred.T @ centred / len(heads)
            total = total + 0.5 * (covariance.norm() ** 2 - covariance.diagonal().norm() ** 2)
        return 0.01 * total / heads.shape[1]


Run = Callable[[], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Case:
    """Our model and a loop on the same histories; `same` if the two are one model with one set of weights."""

    name: str
    sizes: str
    ours: nn.Module
    loop: nn.Module
    run_ours: Run
    run_loop: Run
    same: bool


def histories(steps: int) -> Batch:
    """Return random histories of hourly steps, each with some distinct codes."""
    generator = torch.Generator().manual_seed(steps)
    n = HISTORIES * steps
    tokens = torch.rand(n, N_TOKENS, generator=generator).argsort(1)[:, :CODES_A_STEP].flatten()
    days = (torch.arange(steps) - steps + 1.0).div(24).repeat(HISTORIES).repeat_interleave(CODES_A_STEP)
    return Batch(
        tokens=tokens,
        days=days,
        ages=50 + days / 365.25,
        values=torch.zeros(len(tokens)),
        visit_offsets=torch.arange(n + 1) * CODES_A_STEP,
        subject_offsets=torch.arange(HISTORIES + 1) * steps,
        labels=torch.randint(0, 2, (HISTORIES, N_OUTCOMES), generator=generator).float(),
    )


def stagenet_case(batch: Batch, steps: int) -> Case:
    """Return StageNet at its authors' sizes: 3 levels of 128, a window of 10."""
    torch.manual_seed(0)
    config = stagenet.Config(
        n_tokens=N_TOKENS,
        n_outcomes=N_OUTCOMES,
        width=128,
        width_level=128,
        levels=3,
        window=10,
        dropout=0.0,
        strict="authors",
    )
    ours = stagenet.Model(config)
    loop = LoopStageNet(ours)
    codes = batch.tokens.view(HISTORIES, steps, CODES_A_STEP)
    gaps = torch.full((HISTORIES, steps), 1 / 24).log1p()
    gaps[:, 0] = 0
    sizes = "steps of 128, states of 3 × 128, a window of 10"
    return Case(
        "stagenet", sizes, ours, loop, lambda: both(ours, batch), lambda: loop(codes, gaps), same=True
    )


def concare_case(batch: Batch, steps: int, width: int) -> Case:
    """Return ConCare with 32 channels, all told, in the authors' form."""
    torch.manual_seed(0)
    ours = told(
        concare.Config(
            n_tokens=N_TOKENS,
            n_outcomes=N_OUTCOMES,
            width=width,
            n_channels=32 - len(KINDS),
            channel_width=1,
            most_steps=steps,
            dropout=0.0,
            strict="authors",
        )
    )
    loop = LoopConCare(32, width, 8, 4).take(ours)
    x = dense(ours, batch, steps)
    age = batch.ages.view(HISTORIES, -1)[:, -1:] / 100
    return Case(
        "concare",
        f"32 channels, states of {width}",
        ours,
        loop,
        lambda: both(ours, batch),
        lambda: loop(x, age),
        same=True,
    )


def concare_by_default(batch: Batch, steps: int) -> Case:
    """Return our default ConCare beside one recurrence for each of 128 dimensions of an embedding, states of 128."""
    torch.manual_seed(0)
    ours = told(concare.Config(n_tokens=N_TOKENS, n_outcomes=N_OUTCOMES, dropout=0.0))
    loop = LoopConCare(128, 128, 8, 4)
    table = nn.Embedding(N_TOKENS, 128)
    x = table(batch.tokens.view(HISTORIES, steps, CODES_A_STEP)).sum(2).detach()
    age = batch.ages.view(HISTORIES, -1)[:, -1:] / 100
    sizes = "each as it comes: ours 37 channels, states of 32; the loop 128 channels, states of 128"
    return Case("concare", sizes, ours, loop, lambda: both(ours, batch), lambda: loop(x, age), same=False)


CASES: tuple[Callable[[Batch, int], Case], ...] = (
    stagenet_case,
    lambda batch, steps: concare_case(batch, steps, 64),
    lambda batch, steps: concare_case(batch, steps, 32),
    concare_by_default,
)


def told(config: concare.Config) -> concare.Model:
    """Return a ConCare that knows how frequent its codes are."""
    model = concare.Model(config)
    model.use(
        Facts(
            outcome_of_token=torch.full((N_TOKENS,), -1),
            prevalence=torch.full((N_OUTCOMES,), 0.3),
            code_of_token=torch.arange(N_TOKENS),
            sex_of_token=torch.full((N_TOKENS,), -1),
            kind_of_token=torch.arange(N_TOKENS) % len(KINDS),
            count_of_token=torch.arange(N_TOKENS),
        )
    )
    return model


@torch.no_grad()
def dense(model: concare.Model, batch: Batch, steps: int) -> Tensor:
    """Return what each channel reads at each step, as a loader would hand it over."""
    visits = torch.arange(batch.n_visits)
    return model._cells(batch, visits)[..., 0].T.reshape(HISTORIES, steps, -1).contiguous()


def both(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Return the logits and the penalty."""
    output = model(batch)
    return output.logits, output.penalty


def seconds(run: Run, labels: Tensor, *, training: bool) -> float:
    """Return the CPU seconds of one step."""
    started = time.process_time()
    if training:
        logits, penalty = run()
        loss = binary_cross_entropy_with_logits(logits, labels)
        (loss if penalty is None else loss + penalty).backward()
    else:
        with torch.no_grad():
            run()
    return time.process_time() - started


def measure(case: Case, labels: Tensor, repeats: int) -> dict[str, tuple[float, float]]:
    """Return the median CPU seconds of ours and of the loop, in training and in inference, repeats interleaved."""
    if case.same:
        with torch.no_grad():
            difference = float((case.run_ours()[0] - case.run_loop()[0]).abs().max())
        assert difference < LARGEST_DIFFERENCE, f"{case.name}: the two differ by {difference}"
    taken: dict[tuple[str, str], list[float]] = {}
    for repeat in range(repeats + 1):
        for mode in ("training", "inference"):
            for who, model, run in (("ours", case.ours, case.run_ours), ("loop", case.loop, case.run_loop)):
                model.train(mode == "training").zero_grad()
                spent = seconds(run, labels, training=mode == "training")
                if repeat:  # the first warms up
                    taken.setdefault((mode, who), []).append(spent)
    return {
        mode: (statistics.median(taken[mode, "ours"]), statistics.median(taken[mode, "loop"]))
        for mode in ("training", "inference")
    }


def main() -> None:
    """Measure every case at every length, print the table, and write it if told to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"also write {RESULTS.name}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="lengths of the histories")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "| model | sizes | steps | training: ours | loop | times | inference: ours | loop | times |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print(*lines, sep="\n")
    for make in CASES:
        for steps in given.steps:
            batch = histories(steps)
            case = make(batch, steps)
            found = measure(case, batch.labels, given.repeats)
            cells = [f"{o:.3f} | {loop:.3f} | {loop / o:.1f}" for o, loop in found.values()]
            lines.append(f"| {case.name} | {case.sizes} | {steps} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    if given.write:
        about = (
            f"CPU seconds of one step of {HISTORIES} histories with {CODES_A_STEP} codes a step, one thread, the "
            f"median of {given.repeats} interleaved repeats; the machine was shared, so ratios count. Ours and the "
            "loop have the same weights and give the same logits, but in the rows that say each as it comes: there "
            "the loop is a larger model, with some fifty times the products, because it has a channel for each "
            "dimension of an embedding."
        )
        page = ["# Recurrent models beside loops", "", machine(), "", about, "", *lines]
        RESULTS.write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
