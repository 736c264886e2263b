"""One of PyHealth's models on given histories: samples a CPU-second in training and in inference, as one line of JSON.

    "$(python benchmarks/peers/environment.py pyhealth)" -I benchmarks/peers/pyhealth_models.py RETAIN HISTORIES.json 3

`HISTORIES.json` is a list of batches of histories of visits, each a list of codes for each key. Batches are collated
beforehand, by PyHealth's own loader; what is timed is the forward pass, and in training the backward pass, clipping and
the optimiser's step.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from pyhealth import models
from pyhealth.datasets import create_sample_dataset, get_dataloader

WIDTH = 128
KEYS = ("conditions", "procedures", "drugs")


def main() -> None:
    """Measure and print."""
    name, path, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    torch.set_num_threads(1)
    batches = json.loads(path.read_text(encoding="utf-8"))
    keys = KEYS[: len(batches[0][0][0])]
    samples = [
        {
            "patient_id": f"{number}-{row}",
            "visit_id": f"{number}-{row}",
            **{
                key: [[str(code) for code in visit[place]] for visit in history]
                for place, key in enumerate(keys)
            },
            "label": (number + row) % 2,
        }
        for number, batch in enumerate(batches)
        for row, history in enumerate(batch)
    ]
    dataset = create_sample_dataset(
        samples=samples,
        input_schema=dict.fromkeys(keys, "nested_sequence"),
        output_schema={"label": "binary"},
        dataset_name="made-up",
    )
    size = len(batches[0])
    collated = list(get_dataloader(dataset, batch_size=size, shuffle=False))
    model = getattr(models, name)(dataset=dataset, embedding_dim=WIDTH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    turn = itertools.cycle(collated)

    def train() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        model(**next(turn))["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    @torch.inference_mode()
    def predict() -> None:
        model.eval()
        model(**next(turn))

    print(
        json.dumps({"training": rate(train, seconds) * size, "inference": rate(predict, seconds) * size}),
        flush=True,
    )


def rate(step: Callable[[], object], seconds: float) -> float:
    """Return how often `step` runs in a CPU-second, after two runs to warm up."""
    step(), step()
    n, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds or n < 3:
        step()
        n += 1
    return n / spent


if __name__ == "__main__":
    main()
