"""Finished studies for other tools: a folder that seismometer opens."""

from pathlib import Path

from attending.cli.given import AsJson, tell


def seismometer(run: Path, out: Path, *, model: str = "", outcomes: int = 5, json_: AsJson = False) -> None:
    """Write a study's held-out predictions as a folder that Epic's seismometer opens. It is patient data.

    Parameters
    ----------
    run
        The folder of a finished study.
    out
        The folder to write.
    model
        Whose predictions; without it, the best model on tuning data.
    outcomes
        Of several outcomes, how many of the most frequent get a score and a target.
    """
    from attending.stages.seismometer import seismometer as stage

    tell(stage(run, out, model=model, n_outcomes=outcomes), out, json_)
