"""Damage Parquet files: their bytes, and what is well-formed but not what a table should be."""

import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from random import Random

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from damage.text import MARK, cut_off, cut_start, delete, flip, insert, noise, repeat

Change = Callable[[pa.Table, Random], pa.Table]
BYTES = (flip, flip, flip, flip, insert, delete, repeat, cut_off, cut_start, noise)
TYPES = (
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.int8(), pa.int32(), pa.int64(), pa.uint64(),
    pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.date32(), pa.date64(), pa.timestamp("s"),
    pa.timestamp("ms"), pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ms", "+02:00"),
    pa.time64("us"), pa.duration("us"), pa.decimal128(38, 3), pa.decimal256(60, 30), pa.null(),
    pa.dictionary(pa.int32(), pa.string()),
)  # fmt: skip


def damaged(table: pa.Table, random: Random) -> bytes:
    """Return a Parquet file of a damaged table, or a damaged file of a table."""
    by_bytes = random.random() < 0.35
    content = written(table, random)
    for _ in range(0 if by_bytes else random.choice((1, 1, 2, 5))):
        try:
            changed = random.choice(CHANGES)(table, random)
            content = written(changed, random)
        except (pa.ArrowException, IndexError, ValueError):
            continue  # this table cannot be changed so, or not be written
        table = changed
    for _ in range(random.choice((1, 1, 3)) if by_bytes else 0):
        content = random.choice(BYTES)(content, random)
    return content


def written(table: pa.Table, random: Random) -> bytes:
    """Return the file, in one of the forms that Parquet allows."""
    form = random.choice(
        (
            {"row_group_size": random.choice((1, 7, 1000))},
            {"compression": random.choice(("none", "snappy", "gzip", "zstd"))},
            {"use_dictionary": False},
            {"data_page_version": random.choice(("1.0", "2.0"))},
            {"version": "1.0"},
            {"coerce_timestamps": "ms", "allow_truncated_timestamps": True},
        )
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **form)
    return buffer.getvalue()


def _place(table: pa.Table, random: Random) -> int:
    return random.randrange(table.num_columns)


def _put(table: pa.Table, place: int, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(place, table.schema.names[place], column)


def other_type(table: pa.Table, random: Random) -> pa.Table:
    place = _place(table, random)
    column, kind = table.column(place), random.choice(TYPES)
    try:
        return _put(table, place, column.cast(kind, safe=False))
    except pa.ArrowException:
        return _put(table, place, pa.nulls(table.num_rows, kind))


def odd_values(table: pa.Table, random: Random) -> pa.Table:
    """Put a value at the edge of a type into a column of that type."""
    edges = (
        (pa.int64(), -(2**63)), (pa.int64(), 2**63 - 1), (pa.int64(), 2**62), (pa.uint64(), 2**64 - 1),
        (pa.float64(), float("nan")), (pa.float64(), float("inf")), (pa.float64(), 1e308), (pa.float32(), -0.0),
        (pa.timestamp("us"), -(2**63)), (pa.timestamp("us"), 2**63 - 1), (pa.timestamp("s"), 2**62),
        (pa.timestamp("s", "UTC"), -(2**62)), (pa.timestamp("ns"), -(2**63)), (pa.date32(), 2**31 - 1),
        (pa.date32(), -(2**31)), (pa.date64(), 2**62), (pa.duration("s"), timedelta(days=1)), (pa.string(), MARK),
        (pa.string(), ""), (pa.string(), "\0"), (pa.string(), MARK * 5000), (pa.decimal128(38, 0), Decimal(10) ** 37),
        (pa.binary(), b"\xff\xfe"), (pa.bool_(), True),
    )  # fmt: skip
    kind, value = random.choice(edges)
    share = random.choice((0.1, 1))
    values = [value if random.random() < share else None for _ in range(table.num_rows)]
    return _put(table, _place(table, random), pa.array(values, kind))


def not_utf8(table: pa.Table, random: Random) -> pa.Table:
    bad = pa.array([b"\xff\xfe"] * table.num_rows, pa.binary())
    return _put(table, _place(table, random), pa.Array.from_buffers(pa.string(), len(bad), bad.buffers()))


def nested(table: pa.Table, random: Random) -> pa.Table:
    place = _place(table, random)
    column = table.column(place).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0)
    n = len(column)
    form = random.choice(("list", "struct", "map", "struct of nothing"))
    if form == "list":
        made = pa.ListArray.from_arrays(pa.array(range(n + 1), pa.int32()), column)
    elif form == "struct":
        made = pa.StructArray.from_arrays([column], ["value"])
    elif form == "map":
        made = pa.MapArray.from_arrays(pa.array(range(n + 1), pa.int32()), pa.array([MARK] * n), column)
    else:
        made = pa.array([{}] * n, pa.struct([("a", pa.null())]))
    return _put(table, place, made)


def nulls(table: pa.Table, random: Random) -> pa.Table:
    place = _place(table, random)
    column = table.column(place)
    mask = pa.array([random.random() < random.choice((0.1, 0.9)) for _ in range(table.num_rows)])
    return _put(table, place, pc.if_else(mask, pa.scalar(None, column.type), column))


def drop(table: pa.Table, random: Random) -> pa.Table:
    return table.remove_column(_place(table, random))


def rename(table: pa.Table, random: Random) -> pa.Table:
    names, place = list(table.schema.names), _place(table, random)
    names[place] = random.choice(
        (names[place].upper(), "renamed", "", " ", "_", "_line", "a.b", names[0], "ä\n")
    )
    return table.rename_columns(names)


def same_twice(table: pa.Table, random: Random) -> pa.Table:
    place = _place(table, random)
    name = table.schema.names[place]
    return table.append_column(random.choice((name, name.upper(), "_", "_n_lines")), table.column(place))


def reorder(table: pa.Table, random: Random) -> pa.Table:
    places = list(range(table.num_columns))
    random.shuffle(places)
    return table.select(places)


def no_rows(table: pa.Table, random: Random) -> pa.Table:
    return table.slice(0, 0)


def no_columns(table: pa.Table, random: Random) -> pa.Table:
    return table.select([])


def rows_twice(table: pa.Table, random: Random) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, random.randint(0, table.num_rows))])


def about(table: pa.Table, random: Random) -> pa.Table:
    return table.replace_schema_metadata(
        {random.choice(("pandas", "ARROW:schema", "a")): random.choice((b"", b"\xff", b"{}", MARK.encode()))}
    )


CHANGES: tuple[Change, ...] = (
    other_type, other_type, other_type, other_type, odd_values, odd_values, odd_values, odd_values, not_utf8,
    nested, nested, nulls, nulls, drop, rename, rename, same_twice, reorder, no_rows, no_columns, rows_twice, about,
)  # fmt: skip
