"""Identifiers of any form as integers, which is what MEDS asks of a subject.

A whole number in canonical form whose size is below 2⁶² stands for itself. Any other text is hashed (BLAKE2b) to
62 bits, and bit 62 is set, so the two kinds cannot meet. Two texts with one hash would be two patients in one:
among a million identifiers that has a chance of one in ten million, and `metadata.write_subject_ids` looks.
"""

from hashlib import blake2b

import polars as pl

_BIT = 1 << 62


def key(text: str) -> int:
    """Return the integer that stands for an identifier."""
    try:
        number = int(text)
    except ValueError:
        return _hashed(text)
    return number if str(number) == text and abs(number) < _BIT else _hashed(text)


def keys(texts: pl.Series) -> pl.Series:
    """Return the integers that stand for identifiers; null and empty text are null."""
    if texts.dtype != pl.String:
        texts = texts.cast(pl.String)
    texts = texts.set(texts == "", None)
    numbers = texts.cast(pl.Int64, strict=False)
    plain = (numbers.cast(pl.String) == texts) & (numbers > -_BIT) & (numbers < _BIT)
    plain = plain.fill_null(False)
    others = texts.filter(~plain).drop_nulls().unique()
    if others.is_empty():
        return numbers
    hashed = pl.Series([key(text) for text in others.to_list()], dtype=pl.Int64)
    replaced = texts.replace_strict(others, hashed, default=None, return_dtype=pl.Int64)
    return pl.select(pl.when(plain).then(numbers).otherwise(replaced)).to_series().alias(texts.name)


def is_hashed(ids: pl.Series) -> pl.Series:
    """Say which integers stand for text."""
    return ids >= _BIT


def _hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 2 | _BIT
