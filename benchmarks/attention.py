"""How much of a processor's matrix rate a transformer's training step reaches.

    python benchmarks/attention.py [--rounds 3] [--profile fp32] [--write]

One process and one thread, figures side by side: first the rate of a plain 2048³ product, in float32 and bfloat16, then
training steps of the layers that the models share (`nn.layers`), about 2.4 M parameters, on made-up histories whose
lengths are lognormal with a mean of 180. Work is counted as useful products only, forwards and twice backwards:

    FLOP = 6 · parameters of the layers' matrices · tokens  +  12 · n_layers · width · Σ length²

The first term is 2 FLOP for each weight and token, thrice; the second the two products of attention, each
2 · length² · width, thrice, whoever is seen. Norms, rotations, gates, embeddings, the optimiser, padding and what
attention computes again backwards count as time, not as work. CPU-seconds of the process; the machine may be shared.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measuring import machine
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from attending.nn.attention import Sees, layout
from attending.nn.layers import Encoder, Layer, normalise
from attending.nn.time import rotary_frequencies, rotate, turns

RESULTS = Path(__file__).parent / "results" / "attention.md"
WIDTH, N_LAYERS, N_HEADS, N_TOKENS = 256, 3, 4, 1000
MEAN_LENGTH, SPREAD = 180, 0.8
TOKENS_A_STEP = 8192
CUBE = 2048
POOL = 16  # steps' worth of histories that are sorted together


def histories(n: int, seed: int) -> np.ndarray:
    """Return lognormal lengths with the mean wanted."""
    generator = np.random.default_rng(seed)
    lengths = generator.lognormal(np.log(MEAN_LENGTH) - SPREAD**2 / 2, SPREAD, n)
    return np.maximum(lengths.astype(np.int64), 1)


def steps(lengths: np.ndarray) -> list[np.ndarray]:
    """Cut histories into steps of about the wanted tokens, in the order given."""
    cuts = np.flatnonzero(np.diff(np.cumsum(lengths) // TOKENS_A_STEP)) + 1
    return np.split(lengths, cuts)[:-1]


class Stack(nn.Module):
    """Codes in, the logits of the next code's class out: embedding, shared layers, one read-out."""

    def __init__(self, sees: Sees) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, WIDTH)
        self.encoder = Encoder(
            width=WIDTH,
            n_layers=N_LAYERS,
            n_heads=N_HEADS,
            dropout=0.0,
            frequencies=rotary_frequencies(WIDTH // N_HEADS),
            sees=sees,
            normalised=True,
        )

    def forward(self, tokens: Tensor, days: Tensor, offsets: Tensor) -> Tensor:
        """Return a scalar of the packed histories."""
        return self.encoder(self.embedding(tokens), days, layout(offsets)).square().mean()


class Padded(Stack):
    """The same layers over a padded rectangle."""

    def forward(self, tokens: Tensor, days: Tensor, offsets: Tensor) -> Tensor:
        """Return a scalar of the padded histories."""
        lengths = offsets.diff()
        real = torch.arange(int(lengths.max())) < lengths[:, None]
        places = torch.zeros(real.shape, dtype=torch.int64).masked_scatter_(real, tokens)
        times = torch.zeros(real.shape).masked_scatter_(real, days)
        x, angles = self.embedding(places).flatten(0, 1), turns(times.flatten(), self.encoder.frequencies)
        for layer in self.encoder.layers:
            x = padded_layer(layer, x, angles, real)
        return normalise(x)[real.flatten()].square().mean()


def padded_layer(layer: Layer, x: Tensor, angles: Tensor, real: Tensor) -> Tensor:
    """Run one shared layer over padded rows."""
    heads = layer.inputs(normalise(x)).view(len(x), 3 * N_HEADS, WIDTH // N_HEADS)
    both = rotate(normalise(heads[:, : 2 * N_HEADS]), angles)
    q, k, v = (
        one.unflatten(0, real.shape).transpose(1, 2)
        for one in (both[:, :N_HEADS] * layer.temperature, both[:, N_HEADS:], heads[:, 2 * N_HEADS :].float())
    )
    with torch.autocast("cpu", enabled=False):
        mixed = scaled_dot_product_attention(q, k, v, real[:, None, None])
    x = x + layer.output(mixed.transpose(1, 2).flatten(2).flatten(0, 1))
    inner = normalise(x)
    return x + layer.down(silu(layer.gate(inner)) * layer.up(inner))


def cpu_seconds(work: Callable[[], object], repeats: int, *, warm: bool = False) -> float:
    """Return the least CPU-seconds of a piece of work, after one to warm up unless it is warm."""
    if not warm:
        work()
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def product_rate(dtype: torch.dtype) -> float:
    """Return FLOP a CPU-second of a plain product."""
    one, other = torch.randn(2, CUBE, CUBE).to(dtype)
    return 2 * CUBE**3 / cpu_seconds(lambda: one @ other, 5)


def flop(model: Stack, lengths: np.ndarray) -> float:
    """Return the useful work of a training step."""
    matrices = sum(one.numel() for one in model.encoder.parameters() if one.ndim == 2 and min(one.shape) > 1)
    return 6.0 * matrices * lengths.sum() + 12.0 * N_LAYERS * WIDTH * (lengths.astype(float) ** 2).sum()


def training(model: Stack, batches: list[np.ndarray], seed: int, *, bf16: bool) -> Callable[[], object]:
    """Return a function that takes one training step on each batch."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    made = []
    for lengths in batches:
        n = int(lengths.sum())
        offsets = torch.from_numpy(np.concatenate([[0], lengths.cumsum()]))
        tokens = torch.randint(N_TOKENS, (n,), generator=generator)
        made.append((tokens, -torch.rand(n, generator=generator) * 1000, offsets))

    def work() -> None:
        for batch in made:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                value = model(*batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    return work


def measured(rounds: int, n_steps: int) -> tuple[dict[bool, float], list[str]]:
    """Measure every case in turns; return the rates of a plain product and the rows of the table."""
    lengths = histories(POOL * TOKENS_A_STEP // MEAN_LENGTH, seed=0)
    random, ordered = steps(lengths)[:n_steps], steps(np.sort(lengths))
    spread = [ordered[int(len(ordered) * (i + 0.5) / n_steps)] for i in range(n_steps)]
    cases: list[tuple[str, type[Stack], Sees, list[np.ndarray], bool]] = [
        ("packed, everything seen", Stack, "all", random, False),
        ("packed, half of the heads each way", Stack, "both", random, False),
        ("packed, causal", Stack, "before", random, False),
        ("padded, sorted by length", Padded, "all", spread, False),
        ("padded, random batches", Padded, "all", random, False),
    ]
    cases += [(name, kind, sees, batches, True) for name, kind, sees, batches, _ in cases]
    works = []
    for name, kind, sees, batches, bf16 in cases:
        torch.manual_seed(0)
        model = kind(sees)
        tokens, work = sum(int(one.sum()) for one in batches), sum(flop(model, one) for one in batches)
        works.append((name, bf16, tokens, work, training(model, batches, 0, bf16=bf16)))
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    peaks = []
    for _ in range(rounds):
        for i, (_, bf16, _, work, step) in enumerate(works):
            peak = product_rate(torch.bfloat16 if bf16 else torch.float32)
            seconds = cpu_seconds(step, 1, warm=True)
            taken[i].append((seconds, work / seconds / peak))
            peaks.append((bf16, peak))
    rates = {bf16: float(np.median([peak for kind, peak in peaks if kind == bf16])) for bf16 in (False, True)}
    rows = []
    for (name, bf16, tokens, work, _), found in zip(works, taken, strict=True):
        seconds, share = (float(np.median(one)) for one in zip(*found, strict=True))
        kind = "bf16" if bf16 else "fp32"
        rows.append(
            f"| {name} | {kind} | {tokens / seconds:,.0f} | {work / seconds / 1e9:.0f} | {share:.0%} |"
        )
    return rates, rows


def profile(n_steps: int, *, bf16: bool) -> str:
    """Return where a packed training step spends its time."""
    batches = steps(histories(n_steps * TOKENS_A_STEP * 2 // MEAN_LENGTH, seed=0))[:n_steps]
    work = training(Stack("all"), batches, 0, bf16=bf16)
    work()
    with torch.profiler.profile() as found:
        work()
    return found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=50)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the median counts; the first warms up")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--profile", choices=["fp32", "bf16"])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.profile:
        print(profile(options.steps, bf16=options.profile == "bf16"))
        return
    rates, rows = measured(options.rounds, options.steps)
    text = page(rates, rows)
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


def page(rates: dict[bool, float], rows: list[str]) -> str:
    """Return the page of results."""
    return f"""# A transformer's training step

{machine()}; one thread; other work on the machine.
Made by `python benchmarks/attention.py --write`.

A plain {CUBE}³ product runs at {rates[False] / 1e9:.0f} GFLOP a CPU-second in float32 and {rates[True] / 1e9:.0f} in
bfloat16. A training step (forwards, backwards, fused AdamW) of the shared layers, width {WIDTH}, {N_LAYERS} layers,
{N_HEADS} heads, about 2.4 M parameters, on histories of lognormal length (mean {MEAN_LENGTH}, σ {SPREAD}),
{TOKENS_A_STEP:,} tokens a step. Work is useful products alone,
`6 · weights of the matrices · tokens + 12 · layers · width · Σ length²`; the last column is its rate over that of the
plain product measured just before. Medians of rounds in turns. Batches sorted by length are cut from {POOL} steps'
worth of histories, and taken from the middle of each part of these.

| layout | precision | useful tokens a CPU-second | GFLOP a CPU-second | share of the plain product |
|---|---|---|---|---|
{chr(10).join(rows)}

Causal and one-way attention count every pair as work, whether it is seen or not.
"""


if __name__ == "__main__":
    main()
