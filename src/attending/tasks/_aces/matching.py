"""Which codes of a data set a task's predicates match, and what is near where they match none."""

import re
from difflib import get_close_matches

import polars as pl

from attending.errors import TaskError
from attending.schema import SEPARATOR
from attending.tasks._aces.language import Task
from attending.tasks._aces.measures import COUNT
from attending.tasks._aces.predicates import Derived, Plain

MOST = 5
"""Near codes that an error names."""


def check(task: Task, codes: list[str]) -> None:
    """Fail if a predicate matches none of `codes`.

    Raises:
        TaskError: one line a predicate: its name, where it stands, and codes that are near.
    """
    series = pl.Series("codes", codes, dtype=pl.String)
    problems = [_problem(one, codes) for one in task.plain if one.matching(series).is_empty()]
    if problems:
        raise TaskError("\n".join(problems))


def instances(task: Task, codes: list[str]) -> dict[str, str]:
    """Return the label that each code is an instance of: one that counts every row of it."""
    series = pl.Series("codes", codes, dtype=pl.String)
    outcomes: dict[str, str] = {}
    for label in task.labels:
        if label.measure.kind != COUNT or label.comparison is not None or label.is_number:
            continue
        for plain in _parts(label.measure.predicate, task):
            outcomes = dict.fromkeys(plain.matching(series).to_list(), label.name) | outcomes
    return outcomes


def _parts(name: str, task: Task) -> list[Plain]:
    """Return the plain predicates any row of which makes the predicate hold."""
    one = task.predicates.get(name)
    if isinstance(one, Derived):
        named = one.operator == "or" and all(isinstance(below, str) for below in one.inputs)
        return [part for below in one.names for part in _parts(below, task)] if named else []
    return [one] if isinstance(one, Plain) and one.whole else []


def _problem(plain: Plain, codes: list[str]) -> str:
    wanted = f"the pattern '{plain.regex}'" if plain.regex else _listed(list(plain.codes))
    near = _near(plain, codes)
    hint = f"; near it: {_listed(near)}" if near else f"; it has {len(codes):,} codes, and none is near"
    return f"the predicate '{plain.name}' ({plain.place}) matches no code of the data: {wanted}{hint}"


def _near(plain: Plain, codes: list[str]) -> list[str]:
    """Return codes that lie below, hold, or resemble what is asked for."""
    texts = (
        [re.sub(r"\\(.)|[\^$.*+?()\[\]{}|]", r"\1", plain.regex)] if plain.regex else list(plain.codes)[:MOST]
    )
    found: list[str] = []
    for text in texts:
        folded = text.casefold().strip("/ ")
        below = [code for code in codes if code.casefold().startswith(folded + SEPARATOR)]
        holding = [code for code in codes if folded and folded in code.casefold()]
        found += below[:MOST] or sorted(holding, key=len)[:MOST] or _resembling(folded, codes)
    return list(dict.fromkeys(found))[:MOST]


def _resembling(folded: str, codes: list[str]) -> list[str]:
    by_folded = {code.casefold(): code for code in codes}
    heads = {code.casefold().split(SEPARATOR)[0]: code for code in codes}
    close = get_close_matches(folded, list(by_folded), n=MOST, cutoff=0.7)
    close_heads = get_close_matches(folded.split(SEPARATOR)[0], list(heads), n=2, cutoff=0.7)
    return [by_folded[one] for one in close] or [heads[one] for one in close_heads]


def _listed(texts: list[str]) -> str:
    shown = ", ".join(f"'{one}'" for one in texts[:MOST])
    return shown + (f" and {len(texts) - MOST:,} more" if len(texts) > MOST else "")
