"""Say which columns a file has, and tell no value: where a header is lost, a patient stands in its place."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_NAME = re.compile(r"[^\W\d][\w .-]{0,63}")


def in_words(names: list[str], wanted: str, known: Iterable[str]) -> str:
    """Say how many columns there are, which of them a table knows, and which may be `wanted` misspelt."""
    lower = {name.lower() for name in known}
    expected = [name for name in names if name.lower() in lower]
    near = get_close_matches(wanted, [name for name in names if _NAME.fullmatch(name)], n=1)
    said = f"{len(names)} columns, {', '.join(expected) if expected else 'none that are known'}"
    return said + (f" (did you mean '{near[0]}'?)" if near else "")
