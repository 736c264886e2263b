"""Identifiers as integers, and measurements as people write them."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attending.ledger.keys import is_hashed, key, keys
from attending.ledger.values import RULES, parse


@pytest.mark.parametrize("number", [0, 1, 10_000_032, -775_517_641_933_593_374, 2**62 - 1, -(2**62) + 1])
def test_a_whole_number_stands_for_itself(number):
    assert key(str(number)) == number
    assert keys(pl.Series([str(number)])).to_list() == [number]


@pytest.mark.parametrize(
    "text", ["007", "1.0", " 1", "+1", "-0", "002-33870", "é", str(2**62), str(-(2**63)), "1_0"]
)
def test_any_other_text_is_hashed_and_cannot_meet_a_number(text):
    (hashed,) = keys(pl.Series([text])).to_list()
    assert hashed == key(text)
    assert 2**62 <= hashed < 2**63
    assert is_hashed(pl.Series([hashed])).all()


@given(st.lists(st.one_of(st.text(), st.integers().map(str), st.none())))
def test_one_text_and_many_texts_give_the_same_keys(texts):
    expected = [None if text is None or text == "" else key(text) for text in texts]
    assert keys(pl.Series("id", texts, pl.String)).to_list() == expected


def test_a_key_is_what_it_was_when_the_library_was_first_released():
    assert key("002-33870") == 5288748543892663364


@pytest.mark.parametrize(
    ("text", "number", "words", "rule"),
    [
        ("7.2", 7.2, None, "number"),
        (" 7.2 ", 7.2, None, "number"),
        ("1e3", 1000.0, None, "number"),
        ("1,234", 1234.0, None, "thousands"),
        ("1,234,567.5", 1234567.5, None, "thousands"),
        ("7,2", 7.2, None, "decimal comma"),
        ("<0.1", 0.1, "<0.1", "below a limit"),
        ("< = 5", None, "< = 5", "words"),
        ("<=5", 5.0, "<=5", "below a limit"),
        ("≤ 5", 5.0, "≤ 5", "below a limit"),
        (">500", 500.0, ">500", "above a limit"),
        ("~5", 5.0, "~5", "about"),
        ("12 %", 12.0, "12 %", "percent"),
        ("NEG", None, "NEG", "negative finding"),
        ("Positive", None, "Positive", "positive finding"),
        ("120/80", None, "120/80", "words"),
        ("1+", None, "1+", "words"),
        ("3-5", None, "3-5", "words"),
        ("nan", None, "nan", "words"),
        ("inf", None, "inf", "words"),
        ("<1e999", None, "<1e999", "below a limit"),
    ],
)
def test_each_way_of_writing_a_value_has_its_rule(text, number, words, rule):
    numbers, said, counts = parse(pl.Series("value", [text, None]))
    assert (numbers.to_list(), said.to_list()) == ([number, None], [words, None])
    assert counts == {rule: 1}


@given(st.lists(st.one_of(st.text(), st.floats().map(str), st.none())))
def test_nothing_that_is_written_is_lost(texts):
    numbers, words, counts = parse(pl.Series("value", texts, pl.String))
    for text, number, said in zip(texts, numbers, words, strict=True):
        blank = text is None or not pl.Series([text]).str.strip_chars()[0]
        assert blank == (number is None and said is None)
    n_filled = sum(text is not None and bool(pl.Series([text]).str.strip_chars()[0]) for text in texts)
    assert sum(counts.values()) == n_filled
    assert set(counts) <= set(RULES)
