"""Which learning rate to try first."""

import json
import math
from pathlib import Path

from attending.cli.given import AsJson, Seed, given_by, training_of


def find_rate(
    model: str, tokens: Path, labels: Path, *overrides: str, seed: Seed = 0, json_: AsJson = False
) -> None:
    """Find a learning rate to try first: a short run whose rate rises until the loss comes apart.

    Parameters
    ----------
    model
        Which model: see `attending list models`.
    tokens
        The tokens artifact.
    labels
        The labels artifact.
    overrides
        Settings, as for `attending train`: `model.…`, `train.…`, `batches.…`.
    json_
        Print the rates, how far the loss fell at each, and what is read off them as JSON.
    """
    from attending.progress import say
    from attending.stages.train import find_rate as stage

    component, config, batching = training_of(model, given_by(overrides, "model", "train", "batches"))
    found = stage(tokens, labels, model=component, config=config, batching=batching, seed=seed)
    apart = math.isfinite(found.diverged)
    say(f"  the loss fell fastest at {found.steepest:.1e}")
    say(f"  it came apart at {found.diverged:.1e}" if apart else "  it never came apart")
    say(f"  to try first: train.learning_rate={found.suggested:.1e}")
    if json_:
        read = {
            "suggested": found.suggested,
            "steepest": found.steepest,
            "diverged": found.diverged if apart else None,
        }
        print(json.dumps(read | {"rates": found.rates, "won": found.won}))
