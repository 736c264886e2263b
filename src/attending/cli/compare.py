"""Beyond one run: runs side by side, one study over many splits and seeds, a run on other data."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attending.cli.given import Workers, component_of, engine_of, given_by

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


def multiverse(
    study: Path,
    /,
    *overrides: str,
    splits: int = 3,
    seeds: int = 2,
    models: str = "",
    json_: PrintJson = False,
) -> None:
    """Run a study over several splits and seeds, and say how far each model's result moves.

    Parameters
    ----------
    study
        The study's YAML file.
    overrides
        Settings to change, such as `train.epochs=3`.
    splits
        How many ways to divide the subjects.
    seeds
        How many seeds of training within each split.
    models
        Some of the study's models, with commas between; all by default.
    """
    from rich.console import Console

    from attending.compare.multiverse import FILE, FOLDER, as_table
    from attending.compare.terminal import print_table
    from attending.config import read
    from attending.multiverse import multiverse as run_variants
    from attending.progress import say
    from attending.study import StudyConfig

    config = read(study, StudyConfig, overrides)
    chosen = tuple(name.strip() for name in models.split(",") if name.strip())
    found = run_variants(config, n_splits=splits, n_seeds=seeds, models=chosen)
    print_table(as_table(found), Console(stderr=True))
    say(f"written to {config.output / FOLDER / FILE}")
    if json_:
        print(json.dumps(found))


def validate(
    run: Path,
    /,
    *overrides: str,
    data: Path | None = None,
    source: str | None = None,
    events: Path | None = None,
    out: Path | None = None,
    vocabularies: Path | None = None,
    seed: int = 0,
    workers: Workers = None,
    json_: PrintJson = False,
) -> None:
    """Validate the models of a run on another data set, which nothing is fitted on.

    Parameters
    ----------
    run
        The output folder of a study.
    overrides
        Settings of the source, `source.…`.
    data
        A folder of raw files of the other data set.
    source
        What those files are: see `attending list sources`.
    events
        In place of both, an events artifact of the other data set.
    out
        The folder to write; `validation/` and the name of the data within the run by default.
    vocabularies
        A folder of terminology files that name codes, as the run had.
    seed
        The seed of the bootstrap and of the folds of the domain classifier.
    """
    from rich.console import Console

    from attending.compare.terminal import print_table
    from attending.compare.validation import as_tables
    from attending.errors import ConfigError
    from attending.progress import say
    from attending.report.comparison import Interval
    from attending.stages.ingest import ingest
    from attending.stages.validate import validate as stage

    if (data is None) == (events is None) or (data is None) != (source is None):
        raise ConfigError("expected the other data as --data FOLDER --source NAME, or as --events EVENTS")
    given = given_by(overrides, "source")
    place = out or run / "validation" / (data or events or run).name
    engine = engine_of(workers, "", place, *([data] if data else []))
    if data is not None:
        events = place / "events"
        ingest(
            component_of(source or "", given["source"]),
            data,
            events,
            engine=engine,
            vocabularies=vocabularies,
        )
    assert events is not None
    stage(run, events, place, engine=engine, seed=seed)
    engine.close()
    text = (place / "validation" / "validation.json").read_text(encoding="utf-8")
    result = json.loads(text)
    for table in as_tables(result):
        print_table(table, Console(stderr=True))
    area, codes = Interval.of(result["domain"]["auroc"]), result["codes"]
    say(f"\nTelling the two data sets apart: AUROC {area.full()}; {result['domain']['words']}.")
    say(
        f"Codes unknown to the run: {codes['n_unknown']:,} of {codes['n_codes']:,}, "
        f"{100 * codes['share_of_events_unknown']:.1f} % of events."
    )
    say(f"written to {place / 'validation'}: validation.html, .csv, .json")
    if json_:
        print(text)
