"""Damage what is nested: ndjson, JSON documents and YAML, as text and by changing an element."""

import json
from random import Random
from typing import Any

import yaml

from damage.text import BYTES, LINES, MARK, line_of, some


def records(content: bytes, random: Random) -> bytes:
    """Damage ndjson or a JSON document."""
    return some((*BYTES, *LINES, *JSON * 6), content, random)


def mapping(content: bytes, random: Random) -> bytes:
    """Damage a YAML file."""
    return some((*BYTES, *LINES, *YAML * 4), content, random)


ODD_THINGS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, -(10**400), 1e308, MARK, "", " ", [], {}, [[]], [None], [MARK], {MARK: MARK},
    {"": None}, "2150-13-45", "9999-12-31T23:59:59+14:00", "0000", "2024-02", "2024-01-01T00:00:00.123456789123Z",
    "Patient/", "Patient/ä", "#", f"urn:uuid:{MARK}", f"http://{MARK}/Patient/p1", "💊", "x" * 5000, [1, "a", None, {}],
    {"value": 1}, {"reference": 5}, {"coding": "x"}, "Patient", "Encounter", "Bundle",
)  # fmt: skip


def odd_element(thing: Any, random: Random) -> Any:
    """Change one element somewhere in a value of lists and mappings, and return it."""
    inside = [thing]
    while random.random() < 0.8:
        here = inside[-1]
        parts = list(here.values()) if isinstance(here, dict) else here if isinstance(here, list) else []
        if not parts:
            break
        inside.append(random.choice(parts))
    holder = next((one for one in reversed(inside) if isinstance(one, dict | list) and one), None)
    if holder is None:
        return random.choice(ODD_THINGS)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key = random.choice(keys)
    match random.randrange(6):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [holder[key]] * random.choice((1, 2, 50))
        case 2:
            holder[key] = {"value": holder[key]}
        case 3 if isinstance(holder, dict):
            holder[str(key) + random.choice("sx ")] = holder.pop(key)
        case _:
            holder[key] = random.choice(ODD_THINGS)
    return thing


def odd_json(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    place = line_of(lines, random)
    try:
        thing = json.loads(lines[place])
    except (ValueError, RecursionError):
        try:
            return json.dumps(odd_element(json.loads(content), random)).encode()
        except (ValueError, RecursionError):
            return content
    lines[place] = json.dumps(odd_element(thing, random)).encode()
    return b"\n".join(lines)


def key_twice(content: bytes, random: Random) -> bytes:
    again = random.choice(('"id": "%s"', '"resourceType": "Patient"', '"subject": "%s"', '"status": ["%s"]'))
    places = [place for place, byte in enumerate(content) if byte == ord("{")]
    if not places:
        return content
    place = random.choice(places) + 1
    return content[:place] + again.replace("%s", MARK).encode() + b", " + content[place:]


def deep(content: bytes, random: Random) -> bytes:
    n = random.choice((30, 1000, 20_000))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"- ", b"")))
    nested = opening * n + random.choice((b"1", b"", MARK.encode())) + closing * random.choice((n, n - 1, 0))
    places = [place for place, byte in enumerate(content) if byte == ord(":")] or [0]
    place = random.choice(places) + 1
    return content[:place] + b" " + nested + content[place:]


JSON = (odd_json, odd_json, odd_json, odd_json, key_twice, deep)


def odd_yaml(content: bytes, random: Random) -> bytes:
    try:
        return yaml.safe_dump(odd_element(yaml.safe_load(content), random), sort_keys=False).encode()
    except Exception:  # a tag on what it does not fit raises whatever comes
        return content


YAML_BITS = (
    "&a ", "*a", "<<: *a", "!!python/object:os.system ", "!!binary ", "? ", "- ", ": ", "|\n", "{", "[", "]", "}", "\t",
    "%YAML 9\n", "---\n", "...\n", "  ", "#", "~", "0o777", "1e999", "9" * 5000, "2024-01-01", "$", "$each", "@", "`",
    "'", '"', "&a [*a, *a]", "!!float nope", "!!timestamp x", "2024-99-99", "=", "<<: 5",
)  # fmt: skip


def odd_syntax(content: bytes, random: Random) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + random.choice(YAML_BITS).encode() + content[place:]


def misspell(content: bytes, random: Random) -> bytes:
    words = content.split(b" ")
    place = random.randrange(len(words))
    letters = bytearray(words[place])
    random.shuffle(letters)
    words[place] = random.choice((bytes(letters), words[place][:-1], words[place] * 2, random.choice(words)))
    return b" ".join(words)


def laugh(content: bytes, random: Random) -> bytes:
    """Refer to lists of lists of lists: a billion values in a few lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return content + b"\n" + "\n".join(lines).encode() + b"\n"


YAML = (odd_yaml, odd_yaml, odd_yaml, odd_yaml, odd_syntax, odd_syntax, misspell, misspell, deep, laugh)
