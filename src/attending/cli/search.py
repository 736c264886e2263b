"""Search the settings of a model on the tuning split."""

from pathlib import Path

from attending.cli.given import AsJson, Seed, given_by, tell, training_of


def search(
    model: str,
    tokens: Path,
    labels: Path,
    out: Path,
    *overrides: str,
    trials: int = 8,
    seed: Seed = 0,
    json_: AsJson = False,
) -> None:
    """Search the settings of a model on the tuning split; killed and run again, it goes on where it was.

    Parameters
    ----------
    model
        Which model: see `attending list models`.
    tokens
        The tokens artifact.
    labels
        The labels artifact.
    out
        The search artifact to write: `best.yaml`, `trials.parquet` and the best model.
    overrides
        Settings: `model.…`, `train.…`, `batches.…`, and `search.space={…}` for what may differ.
    trials
        How many settings are tried.
    """
    from attending.config import build
    from attending.stages.search import Config
    from attending.stages.search import search as stage

    given = given_by(overrides, "model", "train", "batches", "search")
    component, training, batching = training_of(model, given)
    manifest = stage(
        tokens,
        labels,
        out,
        model=component,
        config=build(Config, {"trials": trials} | given["search"], where="the command line"),
        training=training,
        batching=batching,
        seed=seed,
    )
    tell(manifest, out, json_)
