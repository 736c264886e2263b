"""A table by code that also answers for codes it does not hold, by their longest known prefix."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice, takewhile


class Prefixes:
    """A mapping of codes, ordered once so that the codes below a prefix are found by one search."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self._ordered = sorted(values)

    def below(self, prefix: str) -> Iterator[str]:
        """Yield the codes that start with `prefix`, in order."""
        start = bisect_left(self._ordered, prefix)
        return takewhile(lambda code: code.startswith(prefix), islice(self._ordered, start, None))

    def counts(self, code: str, shortest: int) -> Counter[str]:
        """Count the values below the longest prefix of `code`, down to `shortest` characters, that has any."""
        for length in range(len(code), shortest - 1, -1):
            found = Counter(self.values[one] for one in self.below(code[:length]))
            if found:
                return found
        return Counter()
