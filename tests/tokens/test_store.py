import numpy as np
import polars as pl

from attending.data.samples import find_samples
from attending.tokens.store import TokenStore, encode_shard, join_shards
from attending.tokens.vocabulary import Config, build, count
from records import EPOCH, day, event, stay, table

CONFIG = Config(min_subjects=1)
RECORD = table(
    event(1, None, "GENDER//F"),
    event(1, -9000, "MEDS_BIRTH"),
    stay(1, 11, 0, 3, "I10"),
    event(1, 1, "LAB//late", visit_id=11, known=40),
    event(1, 20, "OUTPATIENT//WEIGHT"),
    stay(1, 12, 50, 52, "E119"),
    event(1, 60, "MEDS_DEATH"),
    event(2, None, "GENDER//M"),
)


def store_of(events: pl.DataFrame, folder) -> tuple[TokenStore, list[str]]:
    vocabulary = build([count(events, CONFIG)], CONFIG, {})
    splits = events.select("subject_id").unique().with_columns(pl.lit("train").alias("split"))
    part = folder / "part"
    part.mkdir()
    per_event, per_subject = encode_shard(events, splits, vocabulary, CONFIG)
    np.savez(part / "events.npz", **per_event)
    np.savez(part / "subjects.npz", **per_subject)
    join_shards([part], folder)
    return TokenStore.open(folder), vocabulary.table["code"].to_list()


def test_a_history_opens_with_static_facts_and_follows_what_became_known(tmp_path) -> None:
    store, codes = store_of(RECORD, tmp_path)
    history = [codes[token] for token in store.token[: store.offset[1]]]
    assert history == [
        "GENDER//F",
        "HOSPITAL_ADMISSION//URGENT",
        "DIAGNOSIS//ICD//10//I10",
        "HOSPITAL_DISCHARGE//HOME",
        "OUTPATIENT//WEIGHT",
        "LAB//late",
        "HOSPITAL_ADMISSION//URGENT",
        "DIAGNOSIS//ICD//10//E119",
        "HOSPITAL_DISCHARGE//HOME",
    ]
    assert np.all(np.diff(store.second[: store.offset[1]]) >= 0)


def test_visits_count_from_one_and_a_late_result_joins_the_visit_in_which_it_arrives(tmp_path) -> None:
    store, _ = store_of(RECORD, tmp_path)
    assert store.visit[: store.offset[1]].tolist() == [0, 1, 1, 1, 2, 2, 3, 3, 3]


def test_birth_is_an_age_and_death_an_outcome_so_neither_is_a_token(tmp_path) -> None:
    store, codes = store_of(RECORD, tmp_path)
    assert not {"MEDS_BIRTH", "MEDS_DEATH"} & {codes[token] for token in store.token}
    assert store.birth[0] == int((day(-9000) - EPOCH).total_seconds()) + _seconds(EPOCH)


def test_a_subject_with_static_facts_only_is_kept(tmp_path) -> None:
    store, codes = store_of(RECORD, tmp_path)
    assert store.subject.tolist() == [1, 2]
    assert [codes[token] for token in store.token[store.offset[1] :]] == ["GENDER//M"]


def test_a_prefix_ends_at_the_prediction_time_inclusive(tmp_path) -> None:
    store, codes = store_of(RECORD, tmp_path)
    labels = pl.DataFrame(
        {
            "subject_id": [1, 1, 1],
            "prediction_time": [day(3), day(39), day(40)],
            "label_codes": [["a"], [], ["b", "x"]],
        },
        schema_overrides={"prediction_time": pl.Datetime("us")},
    )
    samples = find_samples(store, labels, ["a", "b"])
    last = [codes[store.token[cut - 1]] for cut in samples.cut]
    assert last == ["HOSPITAL_DISCHARGE//HOME", "OUTPATIENT//WEIGHT", "LAB//late"]
    assert samples.positive.tolist() == [0, 1], "a label that training never saw is left out, not a crash"


def test_a_microsecond_before_the_discharge_its_codes_are_unknown(tmp_path) -> None:
    store, codes = store_of(RECORD, tmp_path)
    moment = pl.DataFrame({"subject_id": [1], "prediction_time": [day(3)]}).select(
        "subject_id",
        pl.col("prediction_time") - pl.duration(microseconds=1),
        pl.lit([], pl.List(pl.String)).alias("label_codes"),
    )
    samples = find_samples(store, moment, ["a"])
    assert codes[store.token[samples.cut[0] - 1]] == "HOSPITAL_ADMISSION//URGENT"


def _seconds(time) -> int:
    return int(pl.Series([time]).dt.epoch("s")[0])
