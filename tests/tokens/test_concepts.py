"""Concepts above a vocabulary: sets of tokens, and the edges between them."""

import polars as pl

from attending.schema import CODE, PARENT_CODES, TOKEN
from attending.tokens.concepts import ROOT, concepts, links

CODES = ["unknown", "DX//A1", "DX//A2", "DX//B1", "LAB//1", "LAB//1", "LAB//1"]
PARENTS = {"DX//A1": ["T/A", "T/Z"], "DX//A2": ["T/A", "T/same", "T/Z"], "DX//B1": ["T/Z", "T/alone"]}


def made() -> pl.DataFrame:
    vocabulary = pl.DataFrame(
        {TOKEN: range(len(CODES)), CODE: CODES}, schema={TOKEN: pl.Int32, CODE: pl.String}
    )
    parents = pl.DataFrame({CODE: list(PARENTS), PARENT_CODES: list(PARENTS.values())})
    return concepts(vocabulary, parents)


def test_concepts_are_the_sets_that_say_something():
    found = dict(made().rows())
    assert found == {"T/A": [1, 2], "DX": [1, 2, 3], "LAB//1": [4, 5, 6], ROOT: list(range(7))}
    assert made()["concept"].to_list()[-1] == ROOT


def test_every_token_is_above_itself_and_under_the_root():
    above, _ = links(made(), len(CODES))
    of_token = {token: above[1][above[0] == token].tolist() for token in range(7)}
    assert of_token[0] == [0, 10]
    assert of_token[1] == [1, 7, 8, 10]
    assert of_token[5] == [5, 9, 10]


def test_edges_skip_what_another_path_implies():
    _, parents = links(made(), len(CODES))
    edges = set(zip(*parents.tolist(), strict=True))
    assert edges == {
        (0, 10), (1, 7), (2, 7), (3, 8), (4, 9), (5, 9), (6, 9), (7, 8), (8, 10), (9, 10),
    }  # fmt: skip


def test_a_vocabulary_without_parents_has_its_root_alone_above_it():
    vocabulary = pl.DataFrame(
        {TOKEN: [0, 1], CODE: ["unknown", "X"]}, schema={TOKEN: pl.Int32, CODE: pl.String}
    )
    nothing = pl.DataFrame(schema={CODE: pl.String, PARENT_CODES: pl.List(pl.String)})
    table = concepts(vocabulary, nothing)
    assert table["concept"].to_list() == [ROOT]
    assert links(table, 2)[1].tolist() == [[0, 1], [2, 2]]
