"""What codes mean, as a mapping says it: rows of dictionaries, or the rows that become events, name codes."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from attending.ledger.context import Context
from attending.mapping.values import Value
from attending.ontology import naming
from attending.schema import CODE, DESCRIPTION, SEPARATOR

Labels = dict[str, dict[str, str]]
"""The last part of a code and its name, by the parts before it."""


@dataclass(frozen=True, kw_only=True)
class Naming:
    """A code, or its first parts, and the words of a row for it."""

    code: tuple[Value, ...]
    name: Value

    def add(self, labels: Labels, frame: pl.DataFrame) -> None:
        """Add what the rows say to `labels`; what was said first stays."""
        parts = [part.text(frame.schema) for part in self.code]
        code = pl.concat_str(parts, separator=SEPARATOR).alias(CODE)
        named = frame.with_columns(code, self.name.text(frame.schema).alias(DESCRIPTION))
        named = named.select(CODE, DESCRIPTION).drop_nulls().unique(CODE, keep="first", maintain_order=True)
        for one, name in named.iter_rows():
            *before, last = one.split(SEPARATOR)
            labels.setdefault(SEPARATOR.join(before), {}).setdefault(last, name)


@dataclass(frozen=True, kw_only=True)
class Described:
    """What the rows of a table say of their codes, and the columns that say it."""

    namings: tuple[Naming, ...]
    columns: tuple[str, ...]

    def add(self, labels: Labels, frame: pl.DataFrame) -> None:
        """Add what the rows say."""
        for one in self.namings:
            one.add(labels, frame)


def labels_of(namings: Mapping[str, tuple[Naming, ...]], dictionaries: Context) -> Labels:
    """Return what the dictionaries say."""
    labels: Labels = {}
    for dictionary, some in namings.items():
        for one in some:
            one.add(labels, dictionaries[dictionary])
    return labels


def name_codes(codes: pl.Series, labels: Labels) -> pl.DataFrame:
    """Return description and parent codes of each of the unique `codes`; a single part is a name of its own."""
    whole = labels.pop("", {})
    named = naming.describe(codes, labels)
    own = pl.col(CODE).replace_strict(whole, default=None, return_dtype=pl.String) if whole else pl.lit(None)
    return named.with_columns(pl.coalesce(own, pl.col(DESCRIPTION)).alias(DESCRIPTION))
