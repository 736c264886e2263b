import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attending.errors import SourceError
from attending.ledger import lines, sieve

HEADER = b"a,b,c\n"


def cut(data: bytes, block_bytes: int = 1 << 20, part: int = 0, n_parts: int = 1):
    """Return the header, the chunks and the physical count of lines of a CSV file given as bytes."""
    physical = lines.LineCount()
    blocks = (data[start : start + block_bytes] for start in range(0, len(data), block_bytes))
    stream = physical.watch(blocks)
    header, chunks = lines.open_chunks(stream, part, n_parts)
    found = list(chunks)
    return header, found, physical.n_lines


def records(chunks) -> list[tuple[int, int, list[str]]]:
    """Return (line, span, fields) of every record."""
    result = []
    for chunk in chunks:
        rows = list(csv.reader(io.StringIO(chunk.data.decode(), newline="")))
        assert len(rows) == len(chunk.lines) == len(chunk.spans)
        result += zip(chunk.lines.tolist(), chunk.spans.tolist(), rows, strict=True)
    return result


def rejected(chunks) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for chunk in chunks for one in chunk.rejected]


def test_every_record_knows_its_line():
    _, chunks, n_lines = cut(HEADER + b"1,2,3\n4,,6\n")
    assert records(chunks) == [(2, 1, ["1", "2", "3"]), (3, 1, ["4", "", "6"])]
    assert n_lines == 3


def test_a_quoted_record_may_take_several_lines():
    _, chunks, n_lines = cut(HEADER + b'1,"x\ny, ""z""\n",3\n4,5,6\n')
    assert records(chunks) == [(2, 3, ["1", 'x\ny, "z"\n', "3"]), (5, 1, ["4", "5", "6"])]
    assert n_lines == 5 == 1 + sum(chunk.n_lines for chunk in chunks)
    assert rejected(chunks) == []


def test_a_regular_chunk_is_not_copied_through_the_sieve(monkeypatch):
    monkeypatch.setattr(lines, "sieve", None)
    for regular in (b"1,2,3\r\n4,5,6\r\n", b'1,"",""\n"4","5","6"\n', b'"1\n",",","x""y"\n', b"1,2,3"):
        _, chunks, _ = cut(HEADER + regular)
        assert rejected(chunks) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2", sieve.N_FIELDS),
        (b"1,2,3,4", sieve.N_FIELDS),
        (b'1,"2",3,4', sieve.N_FIELDS),
        (b'1,"2,3', sieve.UNCLOSED),
        (b'1,"2"x,3', sieve.MISPLACED),
        (b"1,\xff,3", sieve.NOT_UTF8),
        (b'1,"\xff",3', sieve.NOT_UTF8),
    ],
)
def test_a_bad_line_costs_itself_alone(line, reason):
    good = [b"7,8,9", b'"a",b,"c,d"']
    _, chunks, n_lines = cut(HEADER + b"\n".join([*good, line, *good]) + b"\n")
    assert [fields for _, _, fields in records(chunks)] == [["7", "8", "9"], ["a", "b", "c,d"]] * 2
    assert rejected(chunks) == [(4, reason)]
    assert n_lines == 6 == 1 + sum(chunk.n_lines for chunk in chunks)


def test_a_short_row_beside_a_long_one_is_seen():
    _, chunks, _ = cut(HEADER + b"1,2,3\n4,5\n6,7,8,9\n1,2,3\n")
    assert rejected(chunks) == [(3, sieve.N_FIELDS), (4, sieve.N_FIELDS)]
    assert len(records(chunks)) == 2


def test_a_quote_in_the_middle_of_a_plain_field_is_text():
    _, chunks, _ = cut(HEADER + b'1,5" tube,3\n4,5,6\n')
    assert [fields for _, _, fields in records(chunks)] == [["1", '5" tube', "3"], ["4", "5", "6"]]


def test_a_quote_that_never_closes_does_not_swallow_the_file():
    body = b'0,"x,2\n' + b"1,2,3\n" * 5000
    _, chunks, _ = cut(HEADER + body, block_bytes=1000)
    assert rejected(chunks) == [(2, sieve.UNCLOSED)]
    assert len(records(chunks)) == 5000


def test_blank_lines_are_counted_as_blank():
    _, chunks, n_lines = cut(b"\n\r\n" + HEADER + b"1,2,3\n\n  \n4,5,6\n\n")
    assert [line for line, _, _ in records(chunks)] == [4, 7]
    assert sum(chunk.n_blank for chunk in chunks) == 3
    assert n_lines == 8


def test_a_byte_order_mark_is_no_part_of_the_header():
    header, _, _ = cut(b"\xef\xbb\xbf" + HEADER)
    assert header.names == ["a", "b", "c"]


def test_an_empty_file_has_no_header():
    assert cut(b"")[0] is None
    assert cut(b"\n\n")[0] is None


def test_the_last_line_needs_no_newline():
    _, chunks, n_lines = cut(HEADER + b"1,2,3\n4,5,6")
    assert len(records(chunks)) == 2
    assert n_lines == 3


def test_a_damaged_file_is_named_without_its_content(tmp_path):
    path = tmp_path / "labevents.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03garbage")
    with pytest.raises(SourceError, match=r"cannot read .*labevents\.csv\.gz.*copy it again"):
        list(lines.blocks(path, 1024))


FIELD = st.text(alphabet='ab,"\n é', max_size=6)


def _encode(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@settings(deadline=None, max_examples=100)
@given(rows=st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=12), block=st.integers(1, 40))
def test_where_blocks_are_cut_changes_nothing(rows, block):
    rows = [[f"k{row[0]}", *row[1:]] for row in rows]
    data = HEADER + _encode(rows)
    _, chunks, n_lines = cut(data, block_bytes=block)
    assert [fields for _, _, fields in records(chunks)] == rows
    assert rejected(chunks) == []
    assert n_lines == 1 + sum(chunk.n_lines for chunk in chunks)
    assert [line for line, _, _ in records(chunks)] == [line for line, _, _ in records(cut(data)[1])]


@settings(deadline=None, max_examples=100)
@given(
    data=st.binary(max_size=200).map(lambda raw: raw.translate(bytes([44, 34, 10, 97] * 64))),
    block=st.integers(1, 30),
)
def test_any_bytes_are_accounted_for(data, block):
    header, chunks, n_lines = cut(b"a,b\n" + data, block_bytes=block)
    kept = sum(int(chunk.spans.sum()) for chunk in chunks)
    void = sum(one.n_lines for chunk in chunks for one in chunk.rejected)
    blank = sum(chunk.n_blank for chunk in chunks)
    assert header.n_lines + kept + void + blank == n_lines
    for chunk in chunks:
        assert lines.scan(chunk.data, 2) is not None or not chunk.data


def test_parts_share_the_chunks_of_a_file():
    data = HEADER + b"".join(b'%d,"x\n%d",3\n' % (number, number) for number in range(200))
    whole = cut(data, block_bytes=300)[1]
    shares = [cut(data, block_bytes=300, part=part, n_parts=3)[1] for part in range(3)]
    together = sorted((chunk for share in shares for chunk in share), key=lambda chunk: chunk.index)
    assert [chunk.data for chunk in together] == [chunk.data for chunk in whole]
    assert all(np.array_equal(one.lines, other.lines) for one, other in zip(together, whole, strict=True))
    assert {chunk.index % 3 for chunk in shares[1]} == {1}
