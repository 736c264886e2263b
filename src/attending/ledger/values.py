"""Measurements as people write them: a number where there is one, and the words where they say more.

    rule                written                     number      words
    number              `7.2`, ` 7.2 `              7.2         —
    thousands           `1,234`, `1,234.5`          1234        —
    decimal comma       `7,2`                       7.2         —
    below a limit       `<0.1`, `<= 5`, `≤5`        0.1         as written
    above a limit       `>500`, `≥ 500`             500         as written
    about               `~5`, `≈5`                  5           as written
    percent             `12 %`                      12          as written
    negative finding    `NEG`, `negative`           —           as written
    positive finding    `POS`, `Positive`           —           as written
    words               anything else               —           as written

A limit is not the value: the words say which side of the number it lies on. How often each rule was used is
counted, by column, in the ledger. `nan` and `inf` are words.
"""

import polars as pl

NUMBER = "number"
_DIGITS = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_RULES = (
    ("thousands", r"^([+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?)$"),
    ("decimal comma", r"^([+-]?\d+,\d{1,2})$"),
    ("below a limit", rf"^(?:<=?|≤)\s*{_DIGITS}\s*%?$"),
    ("above a limit", rf"^(?:>=?|≥)\s*{_DIGITS}\s*%?$"),
    ("about", rf"^[~≈]\s*{_DIGITS}\s*%?$"),
    ("percent", rf"^{_DIGITS}\s*%$"),
    ("negative finding", r"(?i)^(?:neg|neg\.|negative)$"),
    ("positive finding", r"(?i)^(?:pos|pos\.|positive)$"),
)
RULES = (NUMBER, *(rule for rule, _ in _RULES), "words")
_SAYS_ALL = (NUMBER, "thousands", "decimal comma")


def parse(texts: pl.Series) -> tuple[pl.Series, pl.Series, dict[str, int]]:
    """Return the numbers, the words, and how often each rule was used."""
    if texts.dtype != pl.String:
        numbers = texts.cast(pl.Float64, strict=False)
        numbers = numbers.set(~numbers.is_finite(), None)
        return numbers, pl.Series(texts.name, [None] * len(texts), pl.String), _plain(numbers)
    numbers = _numbers(texts)
    rest = (numbers.is_null() & texts.is_not_null()).arg_true()
    words = pl.Series(texts.name, [None], pl.String).extend_constant(None, len(texts))[1:]
    counts = _plain(numbers)
    if not len(rest):
        return numbers, words, counts
    written = texts.gather(rest).alias("written").to_frame()
    rules = _by_rule(written["written"].unique())  # people write the same few words again and again
    parsed = written.join(rules, on="written", how="left", maintain_order="left")
    numbers = numbers.scatter(rest, parsed["number"])
    words = words.scatter(rest, parsed["words"])
    for rule, n in parsed.group_by("rule").len().sort("rule").iter_rows():
        if rule is not None:
            counts[rule] = counts.get(rule, 0) + n
    return numbers, words, counts


def _numbers(texts: pl.Series) -> pl.Series:
    numbers = texts.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


def _plain(numbers: pl.Series) -> dict[str, int]:
    n = len(numbers) - numbers.null_count()
    return {NUMBER: n} if n else {}


def _by_rule(texts: pl.Series) -> pl.DataFrame:
    """Return number, words and rule of texts that are not plain numbers; a blank has none of them."""
    stripped = pl.DataFrame({"written": texts, "text": texts.str.strip_chars()})
    text = pl.col("text")
    plain = text.cast(pl.Float64, strict=False)
    rule = pl.when(text == "").then(None).when(plain.is_finite()).then(pl.lit(NUMBER))
    for name, pattern in _RULES:
        rule = rule.when(text.str.contains(pattern)).then(pl.lit(name))
    frame = stripped.with_columns(rule.otherwise(pl.lit("words")).alias("rule"))
    digits = pl.coalesce(
        pl.when(pl.col("rule") == name).then(text.str.extract(pattern, 1)) for name, pattern in _RULES[:6]
    )
    number = (
        pl.when(pl.col("rule") == NUMBER)
        .then(text)
        .when(pl.col("rule") == "thousands")
        .then(digits.str.replace_all(",", "", literal=True))
        .when(pl.col("rule") == "decimal comma")
        .then(digits.str.replace(",", ".", literal=True))
        .otherwise(digits)
        .cast(pl.Float64, strict=False)
    )
    says_all = pl.col("rule").is_in(_SAYS_ALL)
    return frame.select(
        "written",
        pl.when(number.is_finite()).then(number).alias("number"),
        pl.when(~says_all).then(text).alias("words"),
        pl.col("rule"),
    )
