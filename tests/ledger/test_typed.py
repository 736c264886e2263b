"""Columns that have a type already: what goes is taken, what does not is set aside, and nothing stops the process."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from attending.ledger import table
from attending.ledger.casts import cast
from attending.ledger.events import event

INT64 = [2**63 - 1, -(2**63), 0, None]
DAY_MAX = pl.Series("x", [2**31 - 1, -(2**31), 0, None], pl.Int32).cast(pl.Date)
TYPED = {
    "date": DAY_MAX,
    **{
        str(dtype): pl.Series("x", INT64, pl.Int64).cast(dtype)
        for dtype in (
            pl.Datetime("us"),
            pl.Datetime("ms"),
            pl.Datetime("ns"),
            pl.Datetime("ms", "UTC"),
            pl.Datetime("us", "Europe/Berlin"),
            pl.Duration("us"),
        )
    },
    "time": pl.Series("x", [0, None], pl.Int64).cast(pl.Time),
    "bool": pl.Series("x", [True, False, None]),
    "decimal": pl.Series("x", [Decimal("1.5"), Decimal("2.0"), None]),
    "bytes": pl.Series("x", [b"\xff", b"7", None]),
    "list": pl.Series("x", [[1], [], None]),
    "struct": pl.Series("x", [{"a": 1}, None]),
    "array": pl.Series("x", [[1, 2], None], pl.Array(pl.Int64, 2)),
    "null": pl.Series("x", [None, None]),
    "unsigned": pl.Series("x", [2**64 - 1, 0, None], pl.UInt64),
    "wide": pl.Series("x", [2**100, 1, None], pl.Int128),
    "float": pl.Series("x", [float("nan"), float("inf"), 1.5, 2.0, None]),
    "integer": pl.Series("x", INT64, pl.Int64),
    "category": pl.Series("x", ["7", None], pl.Categorical),
    "text": pl.Series("x", ["a", "7", None]),
}
KINDS = ("integer", "number", "moment", "day", "text", "key", "value")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TYPED)
def test_a_value_of_any_type_is_read_or_counted_as_unreadable(name, kind):
    column = getattr(table, kind)("x")
    done = cast(TYPED[name].to_frame(), [column])
    assert dict(done.frame.schema) == column.typed
    lost = done.frame["x"].is_null() & TYPED[name].is_not_null()
    if kind == "value" and name in ("text", "float"):  # words are told apart; NaN is no value
        return
    assert sum(int(problem.mask.sum()) for problem in done.problems) == lost.sum()


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("decimal", "integer", [None, 2, None]),
        ("float", "integer", [None, None, None, 2, None]),
        ("bool", "integer", [1, 0, None]),
        ("integer", "moment", [None] * 4),
        ("date", "integer", [None] * 4),
        ("bytes", "integer", [None, 7, None]),
        ("category", "integer", [7, None]),
        ("date", "text", [None, None, "1970-01-01", None]),
        ("category", "key", [7, None]),
    ],
)
def test_no_number_is_cut_and_no_time_is_a_number(name, kind, values):
    done = cast(TYPED[name].to_frame(), [getattr(table, kind)("x")])
    assert done.frame["x"].to_list() == values


def test_times_lie_in_the_years_that_dates_have():
    texts = ["0001-01-01 00:00:00", "9999-12-31 23:59:59", "0000-12-31 00:00:00", "+12000-01-01 00:00:00"]
    done = cast(pl.DataFrame({"x": texts}), [table.moment("x")])
    assert done.frame["x"].is_null().to_list() == [False, False, True, True]
    (problem,) = done.problems
    assert problem.mask.to_list() == [False, False, True, True]


def test_a_required_key_without_text_is_missing():
    done = cast(pl.DataFrame({"x": ["", "7"]}), [table.key("x", required=True)])
    assert [(one.reason, one.mask.to_list()) for one in done.problems] == [
        ("missing required value", [True, False])
    ]


def test_a_computed_time_beyond_the_years_is_no_time():
    rows = pl.DataFrame({"subject_id": [1, 2, 3], "time": [date(1, 1, 1), date(2024, 1, 1), None]})
    time = pl.col("time").cast(pl.Datetime("us")) - pl.duration(hours=1)
    assert event(rows, pl.lit("A"), time=time)["subject_id"].to_list() == [2]
    assert event(rows, pl.lit("A"), time=None)["subject_id"].to_list() == [1, 2, 3]
