"""What the rows of a table may look up: the shard's reference rows, and the dictionaries."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import polars as pl

from attending.engine import shuffle


class Context(dict[str, pl.DataFrame]):
    """By table name, the accepted rows of a shard's reference tables, and all rows of a dictionary.

    A dictionary is read, and what a table of no rows looks like is made, when it is asked for. `lookup` reads only
    some rows of a dictionary, for vocabularies that are larger than memory should hold.
    """

    def __init__(
        self,
        frames: Mapping[str, pl.DataFrame] | None = None,
        *,
        dictionaries: Mapping[str, Sequence[Path]] | None = None,
        empty: Mapping[str, Callable[[], pl.DataFrame]] | None = None,
    ) -> None:
        super().__init__(frames or {})
        self._files = {name: tuple(files) for name, files in (dictionaries or {}).items()}
        self._empty = dict(empty or {})

    def __missing__(self, name: str) -> pl.DataFrame:
        files = self._files.get(name)
        if files is None and name not in self._empty:
            raise KeyError(name)
        return _whole(files) if files else self._empty[name]()

    def lookup(self, name: str, column: str, values: pl.Series) -> pl.DataFrame:
        """Return the rows of the dictionary `name` whose `column` is among `values`."""
        files = self._files.get(name)
        if not files:
            frame = self[name]
            return frame.filter(pl.col(column).is_in(values.unique().implode()))
        wanted = pl.DataFrame({column: values.unique()})
        return pl.concat(
            [
                shuffle.read(file, 0).join(wanted, on=column, how="semi", maintain_order="left")
                for file in files
            ]
        )


@lru_cache(maxsize=16)
def _whole(files: tuple[Path, ...]) -> pl.DataFrame:
    return pl.concat([shuffle.read(file, 0) for file in files])
