"""Small cells are hidden, and stay hidden from someone who adds up."""

from hypothesis import given
from hypothesis import strategies as some

from attending.report.suppression import FLOOR, HIDDEN, LARGE, SMALL, is_small, mask_part, masks

counts_of_people = some.lists(
    some.one_of(some.integers(0, 30), some.integers(0, 5000)), min_size=1, max_size=4
)


def test_zero_and_eleven_are_shown_and_one_to_ten_are_not() -> None:
    assert [is_small(count) for count in (0, 1, 10, 11)] == [False, True, True, False]


def test_a_small_cell_takes_a_large_one_with_it() -> None:
    assert masks([3, 400, 50]) == [SMALL, None, LARGE]


def test_nothing_is_hidden_where_nothing_is_small() -> None:
    assert masks([0, 11, 400]) == [None, None, None]


def test_a_part_is_hidden_when_those_without_it_are_few() -> None:
    assert mask_part(495, 500) == LARGE
    assert mask_part(5, 500) == SMALL
    assert mask_part(100, 500) is None
    assert mask_part(3, 8) == HIDDEN


@given(counts_of_people)
def test_a_hidden_count_cannot_be_worked_out_from_the_total(counts: list[int]) -> None:
    shown = masks(counts)
    assert all(not is_small(count) or mask for count, mask in zip(counts, shown, strict=True))
    if HIDDEN in shown:
        assert set(shown) == {HIDDEN}
        return
    marks = [mask for mask in shown if mask is not None]
    hidden_sum = sum(count for count, mask in zip(counts, shown, strict=True) if mask is not None)
    for position, mark in enumerate(marks):
        if mark == SMALL:
            others = marks[:position] + marks[position + 1 :]
            assert sum(_can_be(hidden_sum - value, others) for value in range(1, FLOOR)) > 1


def _can_be(left: int, marks: list[str]) -> bool:
    low = sum(1 if mark == SMALL else FLOOR for mark in marks)
    high = float("inf") if LARGE in marks else (FLOOR - 1) * len(marks)
    return low <= left <= high
