from datetime import date, datetime

import polars as pl
import pytest

from attending.ledger.casts import cast
from attending.ledger.table import day, integer, moment, number, text

NOON = datetime(2150, 1, 2, 12)


def one(column, *values):
    frame = pl.DataFrame({column.name: list(values)}, schema={column.name: pl.String})
    done = cast(frame, [column])
    faults = {problem.reason: problem.mask.arg_true().to_list() for problem in done.problems}
    return done.frame[column.name].to_list(), faults


def test_integers_may_have_blanks_or_a_point_and_nothing_after():
    assert one(integer("x"), "1", " 2", "3.0", "-4", None) == ([1, 2, 3, -4, None], {})


@pytest.mark.parametrize("value", ["x", "1.5", "1e3", "99999999999999999999", "0x1"])
def test_what_is_not_an_integer_is_null_and_named(value):
    assert one(integer("x"), "1", value) == ([1, None], {"not an integer": [1]})


def test_numbers_are_finite():
    assert one(number("x"), "1.5", "1e3", " 2 ") == ([1.5, 1000.0, 2.0], {})
    assert one(number("x"), "nan", "inf", "<0.1") == ([None] * 3, {"not a number": [0, 1, 2]})


@pytest.mark.parametrize(
    "value", ["2150-01-02 12:00:00", "2150-01-02T12:00:00", " 2150-01-02 12:00", "2150-01-02 12:00:00.000"]
)
def test_a_moment_has_several_spellings(value):
    assert one(moment("x"), value) == ([NOON], {})


def test_a_date_alone_is_midnight_and_a_moment_has_a_date():
    assert one(moment("x"), "2150-01-02") == ([datetime(2150, 1, 2)], {})
    assert one(day("x"), "2150-01-02", "2150-01-02 12:00:00") == ([date(2150, 1, 2)] * 2, {})


def test_days_that_do_not_exist_are_named():
    assert one(moment("x"), "2150-02-30 00:00:00") == ([None], {"not a timestamp": [0]})
    assert one(day("x"), "2150-13-01") == ([None], {"not a date": [0]})


def test_only_a_required_column_voids_the_line():
    frame = pl.DataFrame({"a": ["1", "x", None], "b": ["1", "x", None]})
    problems = cast(frame, [integer("a", required=True), integer("b")]).problems
    assert [(problem.reason, problem.column, problem.whole_line) for problem in problems] == [
        ("not an integer", "a", True),
        ("missing required value", "a", True),
        ("not an integer", "b", False),
    ]


def test_text_is_left_as_it_is():
    assert one(text("x"), " a ", None) == ([" a ", None], {})
