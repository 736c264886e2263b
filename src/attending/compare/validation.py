"""A run on other data: each model's figures there beside those on its own held-out subjects.

A mean over outcomes is over those that both data sets can score in its scope, so that it is over the same ones:
otherwise a larger data set, which scores rarer outcomes too, would seem easier or harder. The change is other minus
own; the two sets of subjects are independent, and so are their replicates.
"""

from collections.abc import Mapping
from typing import Any

from attending.compare.common import Common
from attending.compare.runs import Run
from attending.compare.scoring import Judge, Predictions, entries_of
from attending.compare.table import Line, Table, Value
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import BASELINES, choose, interval, summarise
from attending.evaluate.config import CONFIDENCE, Config
from attending.evaluate.definitions import definition
from attending.evaluate.discrimination import mean_over_outcomes
from attending.evaluate.samples import ALL, Samples
from attending.evaluate.scores import Scores
from attending.report.comparison import MARK, SCOPE_NAMES, Interval, metric_name, scope_name
from attending.schema import HELD_OUT, TUNING

INTERNAL, EXTERNAL, CHANGE = SIDES = ("internal", "external", "change")
SIDE_NAMES = {INTERNAL: "This run", EXTERNAL: "Other data", CHANGE: "Change"}
MACRO = ("macro_auroc", "macro_auprc")
CALIBRATION = ("calibration_slope", "expected_over_observed")


def validate(
    run: Run, own: Common, other_run: Run, other: Common, *, config: Config, seed: int = 0
) -> dict[str, Any]:
    """Return every model's figures on its own held-out samples, on all of the other data, and their change.

    Raises:
        ArtifactError: if predictions do not fit.
    """
    entries = entries_of([run], own)
    tuning = Predictions(entries, own, TUNING)
    judges = [Judge(common, run.task, config) for common in (own, other)]
    limits = judges[0].thresholds(tuning)
    sides: dict[str, dict[str, Scores]] = {}
    for side, of, judge in zip(SIDES, (run, other_run), judges, strict=False):
        held_out = Predictions(entries_of([of], judge.common), judge.common, HELD_OUT)
        n_subjects = judge.common.samples[HELD_OUT].n_subjects
        bootstrap = Bootstrap(n_subjects, config.n_replicates, seed + len(sides))
        sides[side] = judge.score_all(held_out, limits, bootstrap)
    sizes = {
        side: judge.common.samples[HELD_OUT].n_subjects for side, judge in zip(SIDES, judges, strict=False)
    }
    n_scored = _level(sides, sizes, config.n_replicates)
    baseline = choose([name for name in BASELINES if name in tuning], tuning, judges[0].quality)[0]
    best = choose([name for name in tuning if name not in BASELINES], tuning, judges[0].quality)[0]
    found = _side_by_side(sides, baseline, best)
    metrics = {
        name for sides in found.values() for scopes in sides.values() for of in scopes.values() for name in of
    }
    return {
        "run": run.name,
        "task": run.task,
        "headline": "auroc"
        if own.samples[HELD_OUT].is_binary
        else MACRO[0]
        if n_scored[ALL]
        else "micro_auroc",
        "confidence": CONFIDENCE,
        "n_replicates": config.n_replicates,
        "internal": _sizes(own.samples[HELD_OUT]),
        "external": _sizes(other.samples[HELD_OUT]),
        "n_outcomes": len(run.outcomes),
        "n_scored_outcomes": n_scored,
        "best_baseline": baseline,
        "best_model": best,
        "definitions": {name: vars(definition(name)) for name in sorted(metrics)},
        "models": found,
    }


def as_tables(result: dict[str, Any]) -> list[Table]:
    """Lay out the headline on either side and its change, then calibration; best on the other data first."""
    headline = result["headline"]
    scopes = list(dict.fromkeys(scope for sides in result["models"].values() for scope in sides[INTERNAL]))
    of_headline = [(scope_name(result, scope), scope, headline) for scope in scopes]
    calibration = [
        (definition(name).label, ALL, name) for name in CALIBRATION if name in result["definitions"]
    ]
    tables = [_table(result, of_headline, SIDES, _notes(result))]
    return [*tables, _table(result, calibration, SIDES, ["1 is right."])] if calibration else tables


def _table(
    result: dict[str, Any], asked: list[tuple[str, str, str]], sides: tuple[str, ...], notes: list[str]
) -> Table:
    headline = result["headline"]
    ranked = sorted(
        result["models"], key=lambda name: -(_at(result, name, EXTERNAL, ALL, headline).estimate or 0)
    )
    return Table(
        groups=[(heading, len(sides)) for heading, _, _ in asked],
        columns=[SIDE_NAMES[side] for _ in asked for side in sides],
        lines=[
            _line(result, name, [(scope, metric) for _, scope, metric in asked], sides) for name in ranked
        ],
        notes=notes,
    )


def _level(
    sides: dict[str, dict[str, Scores]], sizes: Mapping[str, int], n_replicates: int
) -> dict[str, int]:
    """Take means over those outcomes only that both sides can score; return how many these are, by scope."""
    every = [of_model.outcomes for of_side in sides.values() for of_model in of_side.values()]
    shared = {scope: sorted(set.intersection(*(set(of[scope]) for of in every))) for scope in every[0]}
    for side, of_side in sides.items():
        for of_model in of_side.values():
            for scope, kept in shared.items():
                for at, name in enumerate(MACRO):
                    if name in of_model.metrics[scope]:
                        areas = [of_model.outcomes[scope][outcome][at] for outcome in kept]
                        of_model.metrics[scope][name] = mean_over_outcomes(areas, n_replicates, sizes[side])
    return {scope: len(kept) for scope, kept in shared.items()}


def _side_by_side(
    sides: Mapping[str, Mapping[str, Scores]], baseline: str | None, best: str | None
) -> dict[str, dict[str, Any]]:
    summaries = {side: summarise(scores, baseline, CONFIDENCE, best) for side, scores in sides.items()}
    return {
        model: {
            **{side: summaries[side][model] for side in sides},
            CHANGE: {
                scope: {
                    name: interval(value.minus(sides[INTERNAL][model].metrics[scope][name]), CONFIDENCE)
                    for name, value in metrics.items()
                    if name in sides[INTERNAL][model].metrics.get(scope, {})
                }
                for scope, metrics in sides[EXTERNAL][model].metrics.items()
            },
        }
        for model in sides[EXTERNAL]
    }


def _sizes(samples: Samples) -> dict[str, int]:
    return {"n_samples": samples.n, "n_subjects": samples.n_subjects}


def _line(result: dict[str, Any], name: str, asked: list[tuple[str, str]], sides: tuple[str, ...]) -> Line:
    cells = [
        _value(_at(result, name, side, scope, metric), side == CHANGE)
        for scope, metric in asked
        for side in sides
    ]
    tag = "best model on tuning" if name == result["best_model"] else ""
    tag = "best baseline" if name == result["best_baseline"] else "baseline" if name in BASELINES else tag
    return Line(name=name, tag=tag, cells=cells)


def _value(found: Interval, is_change: bool) -> Value:
    apart = (
        is_change and found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    )
    return Value(text=found.text(is_change), interval=found.range(is_change), mark=MARK if apart else "")


def _at(result: dict[str, Any], name: str, side: str, scope: str, metric: str) -> Interval:
    return Interval.of(result["models"][name][side].get(scope, {}).get(metric))


def _notes(result: dict[str, Any]) -> list[str]:
    own, other = result["internal"], result["external"]
    each = ", ".join(
        f"{n:,} {SCOPE_NAMES[scope].lower()}" for scope, n in result["n_scored_outcomes"].items()
    )
    of = f" Means over outcomes are over those that both can score: {each}, of {result['n_outcomes']:,}."
    return [
        f"{metric_name(result['headline'])}. This run: {own['n_samples']:,} held-out samples of "
        f"{own['n_subjects']:,} subjects. Other data: all "
        f"{other['n_samples']:,} samples of {other['n_subjects']:,} subjects; nothing was fitted on them."
        + ("" if result["n_outcomes"] == 1 else of),
        f"Intervals are 95 %, from {result['n_replicates']:,} bootstrap samples of subjects. {MARK} the interval of "
        "the change excludes zero.",
    ]
