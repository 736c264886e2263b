"""Beyond one run: runs side by side, one study over many splits and seeds, a run on other data."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

PrintJson = Annotated[bool, Parameter(name="--json", negative="", help="Print what was found as JSON.")]


def compare(
    runs: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    out: Path | None = None,
    common: Annotated[bool, Parameter(negative="")] = False,
    replicates: int | None = None,
    seed: int = 0,
    json_: PrintJson = False,
) -> None:
    """Compare the models of runs on the same held-out subjects: one table, best first.

    Parameters
    ----------
    runs
        The output folders of studies, one or more.
    out
        A folder for the table as CSV, LaTeX, JSON and HTML.
    common
        Where runs hold out other samples or predict other outcomes, compare on what all have in common.
    replicates
        Bootstrap samples of subjects; those of the first run's evaluation by default.
    seed
        The seed of the bootstrap.
    """
    from rich.console import Console

    from attending.compare.terminal import show
    from attending.compare.writers import write
    from attending.progress import say
    from attending.stages.compare import compare as compare_runs
    from attending.stages.compare import settings_of

    config = settings_of(runs[0])
    if replicates is not None:
        config = type(config)(**config.to_dict() | {"n_replicates": replicates})
    result = compare_runs(runs, config=config, intersect=common, seed=seed)
    show(result, Console(stderr=True))
    if out is not None:
        write(result, out)
        say(f"written to {out}: comparison.html, .csv, .tex, .json, and metrics.csv")
    if json_:
        print(json.dumps(result, default=str))
