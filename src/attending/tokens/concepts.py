"""Concepts above the vocabulary: what the ontology says of its codes, as sets of tokens.

A concept is the set of tokens below it: of a code with value bins all its bins, of an ICD category the codes in it, of
a drug class its drugs. Concepts of one token say nothing and are left out; of those with the same tokens the first
named stays; the last is the root, which holds all. So any vocabularies, whatever their own trees look like, make one
directed acyclic graph, whose edges are inclusion.
"""

from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attending.errors import ArtifactError
from attending.schema import CODE, CONCEPT, CONCEPTS, PARENT_CODES, SEPARATOR, TOKEN, TOKENS

ROOT = "ROOT"
FILE = "concepts.parquet"

Pairs = NDArray[np.int64]


def concepts(vocabulary: pl.DataFrame, parents: pl.DataFrame) -> pl.DataFrame:
    """Return the concepts of a vocabulary, the smallest first (`schema.CONCEPTS`).

    `parents` has the columns code and parent_codes, a list of everything above the code.
    """
    above = parents.select(CODE, pl.col(PARENT_CODES).alias(CONCEPT))
    tokens = vocabulary.select(TOKEN, CODE)
    own = tokens.with_columns(
        pl.col(CODE).map_elements(_prefixes, return_dtype=pl.List(pl.String)).alias(CONCEPT)
    )
    named = pl.concat([own, tokens.join(above, on=CODE, maintain_order="left").select(TOKEN, CODE, CONCEPT)])
    sets = (
        named.select(TOKEN, pl.col(CONCEPT))
        .explode(CONCEPT, empty_as_null=False)
        .drop_nulls()
        .group_by(CONCEPT, maintain_order=True)
        .agg(pl.col(TOKEN).unique().sort().alias(TOKENS))
        .filter(pl.col(TOKENS).list.len().is_between(2, vocabulary.height - 1))
        .unique(TOKENS, keep="first", maintain_order=True)
        .sort(pl.col(TOKENS).list.len(), maintain_order=True)
    )
    root = pl.DataFrame({CONCEPT: [ROOT], TOKENS: [vocabulary[TOKEN].to_list()]}, schema=sets.schema)
    return CONCEPTS.check(pl.concat([sets, root]), "the concepts")


def read(tokens: Path) -> pl.DataFrame:
    """Read the concepts of a tokens artifact.

    Raises:
        ArtifactError: if it holds none: it was made before tokens had concepts.
    """
    if not (tokens / FILE).exists():
        raise ArtifactError(f"expected {FILE} in {tokens}; there is none: tokenize again")
    return pl.read_parquet(tokens / FILE)


def links(table: pl.DataFrame, n_tokens: int) -> tuple[Pairs, Pairs]:
    """Return (token, concept) of everything above each token, itself first, and (child, parent) of every edge.

    Concept `i` of the table has the number `n_tokens + i`; a token is its own concept.
    """
    sizes = table[TOKENS].list.len().to_numpy()
    member = np.fromiter(chain.from_iterable(table[TOKENS].to_list()), dtype=np.int64, count=int(sizes.sum()))
    row = np.concatenate([np.arange(n_tokens), np.repeat(n_tokens + np.arange(table.height), sizes)])
    column = np.concatenate([np.arange(n_tokens), member])
    order = np.lexsort((row, column))
    above = np.stack([column[order], row[order]])
    return above, _edges(row, column, n_tokens + table.height, n_tokens)


def _edges(concept: Pairs, token: Pairs, n_concepts: int, n_tokens: int) -> Pairs:
    """Return the edges of inclusion that no other path implies, by child."""
    holds = csr_array((np.ones(len(concept)), (concept, token)), shape=(n_concepts, n_tokens))
    shared = (holds @ holds.T).tocoo()
    size: NDArray[np.float64] = np.asarray(holds.sum(axis=1)).ravel()
    inside = (shared.data == size[shared.row]) & (size[shared.row] < size[shared.col])
    within = csr_array(
        (np.ones(int(inside.sum())), (shared.row[inside], shared.col[inside])), shape=(n_concepts, n_concepts)
    )
    by_way = ((within @ within) > 0).astype(float)
    direct = (within - within.multiply(by_way)).tocoo()
    kept = direct.data > 0
    child, parent = direct.row[kept].astype(np.int64), direct.col[kept].astype(np.int64)
    order = np.lexsort((parent, child))
    return np.stack([child[order], parent[order]])


def _prefixes(code: str) -> list[str]:
    """Return the code itself, which gathers its value bins, and its parts before each separator."""
    parts = code.split(SEPARATOR)
    return [SEPARATOR.join(parts[:length]) for length in range(len(parts), 0, -1)]
