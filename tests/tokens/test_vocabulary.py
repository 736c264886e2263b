import numpy as np
import polars as pl

from attending.tokens.values import bins, merge, standardise, summarise
from attending.tokens.vocabulary import UNKNOWN_TOKEN, Config, Vocabulary, ancestors, build, count
from records import event, table


def held_by(code: str, n: int, *, first: int = 0, **more: object) -> list[dict[str, object]]:
    return [event(first + subject, 1, code, **more) for subject in range(n)]


def vocabulary_of(*records: list[dict[str, object]], **settings: int) -> Vocabulary:
    config = Config(**settings)
    return build([count(table(*records), config)], config, {})


def test_a_code_needs_eleven_training_subjects_and_a_rarer_one_falls_back_to_its_category() -> None:
    vocabulary = vocabulary_of(
        held_by("DIAGNOSIS//ICD//10//I509", 11), held_by("DIAGNOSIS//ICD//10//I501", 10, first=50)
    )
    assert vocabulary.lookup("DIAGNOSIS//ICD//10//I509") == vocabulary.base["DIAGNOSIS//ICD//10//I509"]
    assert vocabulary.lookup("DIAGNOSIS//ICD//10//I501") == vocabulary.base["DIAGNOSIS//ICD//10//I50"]
    assert vocabulary.lookup("DIAGNOSIS//ICD//10//Z99") == vocabulary.base["DIAGNOSIS//ICD//10"]
    assert vocabulary.lookup("MEDICATION//never seen") == UNKNOWN_TOKEN


def test_ancestors_go_from_the_category_to_the_first_part() -> None:
    assert ancestors("DIAGNOSIS//ICD//10//I509") == [
        "DIAGNOSIS//ICD//10//I50",
        "DIAGNOSIS//ICD//10",
        "DIAGNOSIS//ICD",
        "DIAGNOSIS",
    ]
    assert ancestors("MEDICATION//aspirin") == ["MEDICATION"]


def test_many_events_of_one_subject_are_one_subject() -> None:
    vocabulary = vocabulary_of([event(7, day, "MEDICATION//x") for day in range(100)])
    assert len(vocabulary) == 1, "only the unknown token"


def test_shards_add_up_to_the_vocabulary_of_the_whole() -> None:
    config = Config()
    first, second = held_by("A", 8), held_by("A", 8, first=100)
    whole = build([count(table(first, second), config)], config, {})
    parts = build([count(table(one), config) for one in (second, first)], config, {})
    assert whole.table.equals(parts.table)


def test_values_fall_into_bins_of_equal_training_weight() -> None:
    labs = [event(s, 1, "LAB//1//mg", numeric_value=float(s)) for s in range(100)]
    vocabulary = vocabulary_of(labs, n_bins=4)
    token, standard = vocabulary.encode(table(labs))
    counts = np.bincount(token - vocabulary.base["LAB//1//mg"])[1:]
    assert counts.tolist() == [25, 25, 25, 25] or np.abs(counts - 25).max() <= 1
    assert abs(float(np.median(standard))) < 0.05


def test_a_number_that_is_missing_or_not_finite_gets_the_token_without_a_value() -> None:
    labs = [event(s, 1, "LAB//1//mg", numeric_value=float(s)) for s in range(100)]
    vocabulary = vocabulary_of(labs)
    odd = table(
        [event(1, 1, "LAB//1//mg", numeric_value=value) for value in (None, float("nan"), float("inf"))]
    )
    token, standard = vocabulary.encode(odd)
    assert token.tolist() == [vocabulary.base["LAB//1//mg"]] * 3
    assert standard.tolist() == [0.0] * 3


def test_an_ancestors_bins_never_apply_to_a_rarer_code() -> None:
    common = [event(s, 1, "LAB//1", numeric_value=float(s)) for s in range(100)]
    vocabulary = vocabulary_of(common)
    token, standard = vocabulary.encode(table([event(1, 1, "LAB//1//odd unit", numeric_value=1e9)]))
    assert token.tolist() == [vocabulary.base["LAB//1"]]
    assert standard.tolist() == [0.0]


def test_bins_agree_with_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    edges = [np.sort(generator.normal(size=size)) for size in (3, 0, 5, 1)]
    owner = generator.integers(0, 4, 500)
    value = np.concatenate([generator.normal(size=490), *edges, [0.0]])[:500]
    expected = [int((edges[o] <= v).sum()) for o, v in zip(owner, value, strict=True)]
    assert bins(owner, value, edges).tolist() == expected


def test_merged_quantiles_are_near_those_of_all_values() -> None:
    values = np.random.default_rng(0).lognormal(size=4000)
    frames = [table([event(1, 1, "L", numeric_value=float(v)) for v in part]) for part in np.split(values, 4)]
    merged = merge(pl.concat([summarise(frame) for frame in frames]), n_bins=5, min_values=50)
    np.testing.assert_allclose(
        merged["edges"][0].to_numpy(), np.quantile(values, [0.2, 0.4, 0.6, 0.8]), rtol=0.03
    )


def test_standard_values_stay_within_five() -> None:
    standard = standardise(np.array([1e30, -1e30, 0.0, np.nan]), np.zeros(4), np.ones(4))
    assert standard.tolist() == [5.0, -5.0, 0.0, 0.0]
