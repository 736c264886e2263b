"""Damage text as the world does, and worse: each function takes content and a `Random`, and returns content.

Text that is planted holds `MARK`, so that a test can see whether a message or a ledger tells a patient's value.
"""

import gzip
from collections.abc import Callable
from random import Random

MARK = "zq-41-marked"
Damage = Callable[[bytes, Random], bytes]

ODD_VALUES = (
    MARK, f"{MARK},{MARK}", f'"{MARK}"', f'{MARK}"{MARK}', "", " ", '""', '"', "NULL", "nan", "inf", "-inf", "1e400",
    "9" * 25, "-9223372036854775808", "9223372036854775807", "9223372036854775808", "4611686018427387904", "0x1F",
    "1_000", "1,5", "1.0", "-0", "１２", "1e3", "true", "<0.1", ">=1e400", "0000-00-00", "2150-13-45 99:99:99",
    "0001-01-01", "9999-12-31 23:59:59", "2150-02-29", "-4713-01-01", "10000-01-01", "1700-01-01T00:00:00+23:59",
    "2150-01-01 24:00:00", "262143-12-31", "2150-01-01T00:00:00.123456789Z", "31.12.2150", "\u202e\u0000\ufeff", "\x1a",
    "💊" * 9, "=1+1", "//", "a//b", "\\N", "\\", "'", "\t", MARK * 3000,
)  # fmt: skip
ODD_BYTES = (b'"', b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe",
             b'""', b"\n\n", b'"\n', b',"', b";", b"\t", b"\x85", b"\xe2\x80\xa8", MARK.encode())  # fmt: skip


def table(content: bytes, random: Random) -> bytes:
    """Damage a CSV file once to four times."""
    return some((*BYTES, *LINES, *FIELDS, *FIELDS, *HEADER), content, random)


def packed(content: bytes, random: Random) -> bytes:
    """Compress content, and damage one in twenty."""
    whole = gzip.compress(content, 1, mtime=0)
    return random.choice((cut_off, flip, insert))(whole, random) if random.random() < 0.05 else whole


def some(kinds: tuple[Damage, ...], content: bytes, random: Random) -> bytes:
    """Damage content by some of `kinds`, one after another."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = random.choice(kinds)(content, random)
    return content


# Bytes -------------------------------------------------------------------------------------------


def flip(content: bytes, random: Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(random.choice((1, 1, 3, 20)) if damaged else 0):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def insert(content: bytes, random: Random) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + random.choice(ODD_BYTES) * random.choice((1, 1, 1, 2, 500)) + content[place:]


def delete(content: bytes, random: Random) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + content[place + random.choice((1, 1, 2, 10, 300)) :]


def repeat(content: bytes, random: Random) -> bytes:
    place = random.randint(0, len(content))
    block = content[place : place + random.choice((1, 10, 200, 5000))]
    return content[:place] + block * random.choice((2, 2, 3, 10)) + content[place + len(block) :]


def cut_off(content: bytes, random: Random) -> bytes:
    return content[: random.randint(0, len(content))]


def cut_start(content: bytes, random: Random) -> bytes:
    return content[random.randint(0, min(len(content), 400)) :]


def noise(content: bytes, random: Random) -> bytes:
    return random.randbytes(random.choice((0, 1, 50, 5000)))


def other_encoding(content: bytes, random: Random) -> bytes:
    return content.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-8-sig", "utf-16-be")))


BYTES = (
    flip,
    insert,
    delete,
    repeat,
    flip,
    insert,
    delete,
    repeat,
    cut_off,
    cut_start,
    noise,
    other_encoding,
)

# Lines -------------------------------------------------------------------------------------------


def with_lines(change: Callable[[list[bytes], Random], object]) -> Damage:
    def damage(content: bytes, random: Random) -> bytes:
        lines = content.split(b"\n")
        change(lines, random)
        return b"\n".join(lines)

    damage.__name__ = change.__name__
    return damage


def line_of(lines: list[bytes], random: Random) -> int:
    return random.randrange(len(lines))


def glue(lines: list[bytes], random: Random) -> None:
    place = line_of(lines, random)
    lines[place : place + 2] = [b"".join(lines[place : place + 2])]


def tear(lines: list[bytes], random: Random) -> None:
    place = line_of(lines, random)
    at = random.randint(0, len(lines[place]))
    lines[place : place + 1] = [lines[place][:at], lines[place][at:]]


def lose(lines: list[bytes], random: Random) -> None:
    place = line_of(lines, random)
    del lines[place : place + random.choice((1, 1, 5))]


def twice(lines: list[bytes], random: Random) -> None:
    lines.insert(line_of(lines, random), lines[line_of(lines, random)])


def mix(lines: list[bytes], random: Random) -> None:
    random.shuffle(lines)


def blank(lines: list[bytes], random: Random) -> None:
    lines.insert(line_of(lines, random), random.choice((b"", b" ", b"\r", b",,,,", b"\t", b'""')))


def carriage_returns(lines: list[bytes], random: Random) -> None:
    share = random.choice((1, 1, 0.1))
    lines[:] = [line + b"\r" if random.random() < share else line for line in lines]


def old_macintosh(lines: list[bytes], random: Random) -> None:
    lines[:] = [b"\r".join(lines)]


LINES = tuple(
    with_lines(one) for one in (glue, tear, lose, twice, mix, blank, carriage_returns, old_macintosh)
)

# Fields ------------------------------------------------------------------------------------------


def _with_fields(change: Callable[[list[bytes], Random], object], *, header: bool = False) -> Damage:
    def damage(content: bytes, random: Random) -> bytes:
        lines = content.split(b"\n")
        comma = max((b",", b";", b"\t", b"|"), key=lines[0].count)
        for _ in range(1 if header else random.choice((1, 1, 1, 5, 40))):
            place = 0 if header else line_of(lines, random)
            fields = lines[place].split(comma)
            change(fields, random)
            lines[place] = comma.join(fields)
        return b"\n".join(lines)

    damage.__name__ = change.__name__
    return damage


def odd_value(fields: list[bytes], random: Random) -> None:
    fields[random.randrange(len(fields))] = random.choice(ODD_VALUES).encode()


def swap(fields: list[bytes], random: Random) -> None:
    one, other = random.randrange(len(fields)), random.randrange(len(fields))
    fields[one], fields[other] = fields[other], fields[one]


def one_more(fields: list[bytes], random: Random) -> None:
    fields.insert(random.randint(0, len(fields)), random.choice(ODD_VALUES).encode())


def one_less(fields: list[bytes], random: Random) -> None:
    del fields[random.randrange(len(fields))]


def quote(fields: list[bytes], random: Random) -> None:
    place = random.randrange(len(fields))
    form = random.choice(
        (b'"%s', b'%s"', b'"%s"', b'""%s""', b'"%s" ', b' "%s"', b'"%s"x', b'"%s\n%s"', b"'%s'")
    )
    fields[place] = form.replace(b"%s", fields[place])


def rename(fields: list[bytes], random: Random) -> None:
    place = random.randrange(len(fields))
    one = fields[place]
    fields[place] = random.choice(
        (one.upper(), one + b"s", b"renamed", b"", b'"%s"' % one, b" " + one, one + b"\r")
    )


def same_twice(fields: list[bytes], random: Random) -> None:
    fields[random.randrange(len(fields))] = random.choice(fields)


def reorder(fields: list[bytes], random: Random) -> None:
    random.shuffle(fields)


def no_header(content: bytes, random: Random) -> bytes:
    """Lose the header: a patient's values stand in its place."""
    return MARK.encode() + b"," + content.partition(b"\n")[2]


def two_headers(content: bytes, random: Random) -> bytes:
    return content.partition(b"\n")[0] + b"\n" + content


FIELDS = tuple(
    _with_fields(one) for one in (odd_value, odd_value, odd_value, swap, one_more, one_less, quote, quote)
)
HEADER = (
    *(
        _with_fields(one, header=True)
        for one in (rename, same_twice, reorder, odd_value, one_more, one_less, quote)
    ),
    no_header,
    two_headers,
)
