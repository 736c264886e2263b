"""The protocol of CGL and Chet: who is in, what is known and asked, and who is in which split."""

import polars as pl
import pytest

from attending.errors import ConfigError
from attending.splits import cgl
from attending.tasks import next_diagnoses
from records import day, event, stay, table

PROTOCOL = next_diagnoses.Config(
    visits="final", admitted=True, all_coded=True, vocabulary="full", min_train_subjects=1
)


def code(name, version=10):
    return f"DIAGNOSIS//ICD//{version}//{name}"


def cohort(n, n_codes=12):
    """Return `n` subjects of two admissions and one of five, who share a few common codes and have some rare ones."""
    found = []
    for subject in range(1, n + 1):
        visits = 5 if subject == n // 2 else 2
        for visit in range(visits):
            rare = f"B{subject:02d}" if subject % 10 == 0 else f"I{subject % n_codes:02d}"
            found.append(stay(subject, 10 * subject + visit, 30 * visit, 30 * visit + 2, "I10", rare))
    return table(*found)


def divided(events, **settings):
    config = cgl.Config(**settings)
    traits = cgl.traits(events, config).sort("subject_id")
    return traits.with_columns(cgl.assign(traits, config, config.seed).alias("split"))


def test_the_last_admission_is_the_target_and_everything_before_is_known():
    events = table(stay(1, 11, 0, 3, "I10"), stay(1, 12, 50, 52, "E119"), stay(1, 13, 90, 91, "N179", "I10"))
    labels = next_diagnoses.label(events, PROTOCOL).frame
    assert labels["prediction_time"].to_list() == [day(52)]
    assert labels["label_codes"].to_list() == [[code("I10"), code("N179")]]
    assert labels["history_codes"].to_list() == [[code("E119"), code("I10")]]


def test_admissions_are_ordered_by_their_time_not_by_their_number():
    events = table(stay(1, 99, 0, 3, "I10"), stay(1, 5, 50, 52, "E119"))
    assert next_diagnoses.label(events, PROTOCOL).frame["label_codes"].to_list() == [[code("E119")]]


def test_a_subject_leaves_if_any_admission_has_no_diagnosis_or_there_is_but_one():
    events = table(
        stay(1, 11, 0, 3, "I10"),
        stay(1, 12, 50, 52),
        stay(1, 13, 90, 92, "I10"),
        stay(2, 21, 0, 3, "I10"),
        stay(3, 31, 0, 3, "I10"),
        stay(3, 32, 9, 12, "I10"),
    )
    labelled = next_diagnoses.label(events, PROTOCOL)
    assert labelled.frame["subject_id"].to_list() == [3]
    assert [step["n_subjects"] for step in labelled.flow] == [3, 3, 3, 2, 1, 1, 1]


def test_a_visit_that_no_admission_began_does_not_count():
    clinic = event(1, 40, code("Z00"), visit_id=15)
    events = table(stay(1, 11, 0, 3, "I10"), stay(1, 12, 20, 22, "E119"), clinic)
    assert next_diagnoses.label(events, PROTOCOL).frame["label_codes"].to_list() == [[code("E119")]]


def test_the_codes_of_the_last_admission_are_never_known_even_if_an_earlier_one_outlasts_it():
    events = table(stay(1, 11, 0, 80, "I10"), stay(1, 12, 50, 52, "E119"))
    labels = next_diagnoses.label(events, PROTOCOL).frame
    assert labels["prediction_time"].item() < day(52)
    assert labels["label_codes"].to_list() == [[code("E119")]]
    assert labels["history_codes"].to_list() == [[]]


def test_heart_failure_is_any_code_of_the_group_in_the_last_admission():
    config = PROTOCOL.model_copy(update={"groups": {"heart_failure": (code("I50"),)}})
    events = table(
        stay(1, 11, 0, 3, "I509"),
        stay(1, 12, 50, 52, "I501", "E119"),
        stay(2, 21, 0, 3, "I10"),
        stay(2, 22, 50, 52, "I10"),
    )
    labels = next_diagnoses.label(events, config).frame
    assert labels["label_codes"].to_list() == [["heart_failure"], []]
    assert labels["history_codes"].to_list() == [["heart_failure"], []]
    assert next_diagnoses.target(config) == "binary"
    assert next_diagnoses.outcome_of_code([code("I509"), code("I10")], config) == {
        code("I509"): "heart_failure"
    }


def test_icd10_counts_as_icd9_and_a_code_without_equivalent_does_not_count(tmp_path):
    file = tmp_path / "map.csv"
    file.write_text("ICD10,ICD9\nI509,4280\nZ000,NoDx\n")
    config = next_diagnoses.Config(**PROTOCOL.to_dict() | {"icd9": str(file)})
    events = table(
        stay(1, 11, 0, 3, "I509"),
        stay(1, 12, 50, 52, "I509", "Z000"),
        stay(2, 21, 0, 3, "I509"),
        stay(2, 22, 50, 52, "Z000"),
    )
    labels = next_diagnoses.label(events, config).frame
    assert labels["subject_id"].to_list() == [1]
    assert labels["label_codes"].to_list() == [[code("4280", 9)]]


def test_only_admissions_after_a_real_year_count(tmp_path):
    file = tmp_path / "patients.csv"
    file.write_text("subject_id,anchor_year,anchor_year_group\n1,2150,2011 - 2013\n2,2150,2014 - 2016\n")
    config = next_diagnoses.Config(**PROTOCOL.to_dict() | {"patients": str(file), "after_year": 2012})
    visits = [
        stay(subject, 10 * subject + at, 400 * at, 400 * at + 2, "I10")
        for subject in (1, 2)
        for at in range(3)
    ]
    assert next_diagnoses.label(table(*visits), config).frame["subject_id"].to_list() == [2]


def test_a_year_without_the_table_of_patients_is_refused():
    with pytest.raises(ConfigError, match="go together"):
        next_diagnoses.Config(after_year=2012)


def test_every_code_and_the_longest_record_are_in_training():
    found = divided(cohort(100))
    train = found.filter(pl.col("split") == "train")
    assert set(train["codes"].explode()) == set(found["codes"].explode())
    assert found.filter(pl.col("subject_id") == 50)["split"].item() == "train"


def test_the_numbers_are_those_of_the_protocol_and_shrink_in_proportion():
    counts = dict(divided(cohort(100))["split"].value_counts().iter_rows())
    assert counts == {"train": 80, "tuning": 7, "held_out": 13}
    exact = dict(divided(cohort(60), train=40, tuning=5, held_out=10)["split"].value_counts().iter_rows())
    assert exact == {"train": 40, "tuning": 10, "held_out": 10}


def test_the_same_seed_divides_the_same_way_and_another_does_not():
    events = cohort(80)
    assert divided(events)["split"].equals(divided(events)["split"])
    assert not divided(events)["split"].equals(divided(events, seed=1)["split"])


def test_so_many_are_drawn_and_the_others_are_left_out():
    found = divided(cohort(80), sample=40)
    assert found["split"].null_count() == 40


def test_who_has_one_admission_or_an_uncoded_one_is_left_out():
    events = pl.concat(
        [cohort(40), table(stay(900, 9001, 0, 1, "I10"), stay(901, 1, 0, 1, "I10"), stay(901, 2, 5, 6))]
    )
    found = divided(events)
    assert found.filter(pl.col("split").is_null())["subject_id"].to_list() == [900, 901]


def test_the_first_with_a_code_is_first_in_the_table_that_orders_subjects(tmp_path):
    file = tmp_path / "ADMISSIONS.csv"
    file.write_text("ROW_ID,SUBJECT_ID\n" + "".join(f"{row},{41 - row}\n" for row in range(1, 41)))
    events = cohort(40, n_codes=3)
    by_id, by_row = divided(events), divided(events, order=file)
    assert not by_id["split"].equals(by_row["split"])
    first = by_row.filter(pl.col("subject_id").is_in([39, 38, 37]))
    assert first["split"].to_list() == ["train"] * 3


def test_more_covering_subjects_than_training_holds_leave_someone_to_tune_and_hold_out():
    events = table(
        *(
            stay(subject, 10 * subject + visit, 9 * visit, 9 * visit + 1, f"B{subject:02d}")
            for subject in range(1, 7)
            for visit in range(2)
        )
    )
    assert dict(divided(events)["split"].value_counts().iter_rows()) == {
        "train": 4,
        "tuning": 1,
        "held_out": 1,
    }


def test_fewer_than_three_subjects_cannot_be_divided():
    with pytest.raises(ValueError, match="expected 3 subjects or more"):
        divided(cohort(2))


def test_the_shuffle_is_that_of_the_authors_code():
    """Restated from the paper's code with NumPy's global seed, so that the same subjects end in the same split."""
    import numpy as np

    found = divided(cohort(100, n_codes=5))
    ids = found["subject_id"].to_list()
    seen, covering = set(), set()
    for subject, codes in zip(ids, found["codes"], strict=True):
        if set(codes) - seen:
            covering.add(subject)
        seen |= set(codes)
    covering.add(50)
    state = np.random.get_state()
    np.random.seed(6669)
    rest = np.array(list(set(ids).difference(covering)))
    np.random.shuffle(rest)
    np.random.set_state(state)
    held_out = rest[80 - len(covering) + 7 :]
    assert set(found.filter(pl.col("split") == "held_out")["subject_id"]) == set(held_out.tolist())
