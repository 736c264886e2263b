"""Take Arrow data from a file, which may be damaged or of types that no table has, as a frame."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

DAMAGE: tuple[type[BaseException], ...] = (
    pa.ArrowException,
    OSError,
    UnicodeDecodeError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""What reading a damaged Parquet file raises."""


def frame_of(rows: pa.RecordBatch | pa.Table) -> pl.DataFrame:
    """Return Arrow rows as a frame, with plain text in place of categories and of decimals beyond 38 digits.

    Raises:
        DAMAGE: if the rows are not what their types say.
    """
    rows.validate(full=True)  # damaged text would stop the process, and not with an error
    arrays = [one.cast(pa.string()) if pa.types.is_decimal256(one.type) else one for one in rows.columns]
    frame = pl.from_arrow(pa.table(arrays, names=rows.schema.names))
    assert isinstance(frame, pl.DataFrame)
    packed = [name for name, dtype in frame.schema.items() if dtype in (pl.Categorical, pl.Enum)]
    return frame.with_columns(pl.col(packed).cast(pl.String)) if packed else frame


def expect_rows(file: pq.ParquetFile, n_rows: int) -> None:
    """See that a file held as many rows as it says.

    Raises:
        ArrowInvalid: if it did not.
    """
    if n_rows != file.metadata.num_rows:
        raise pa.ArrowInvalid("the file holds other numbers of rows than it says")
