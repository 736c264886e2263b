import polars as pl
import pytest

from attending.errors import ConfigError, TaskError
from attending.tasks import onset
from attending.tasks._onset.definitions import DEFINITIONS
from attending.tasks.onset import Config, label
from records import day, event, stay, table

HF, YEAR = "I509", 365
OUTCOME = "heart_failure within 365 d"


def code(name, version=10):
    return f"DIAGNOSIS//ICD//{version}//{name}"


def seen(subject, at):
    return event(subject, at, "LAB//50912//mg/dL", numeric_value=1.0)


def rows(*records, **settings):
    """Return prediction day, labels, censored of each sample."""
    frame = label(table(*records), Config(**settings)).frame
    days = [(moment - day(0)).days for moment in frame["prediction_time"]]
    return list(zip(days, frame["label_codes"].to_list(), frame["censored_codes"].to_list(), strict=True))


def test_the_disease_within_the_horizon_happens_and_later_does_not():
    first, ill = stay(1, 11, 0, 2, "I10"), stay(1, 12, 300, 302, HF)
    assert rows(first, ill) == [(2, [OUTCOME], [])]
    assert rows(first, ill, horizon_days=100) == [(2, [], [])]


def test_each_horizon_is_an_outcome_of_its_own():
    found = rows(stay(1, 11, 0, 2, "I10"), stay(1, 12, 300, 302, HF), horizon_days=[90, 365, 700])
    assert found == [(2, ["heart_failure within 365 d", "heart_failure within 700 d"], [])]


def test_prior_cases_are_no_samples():
    """The trap of the task: who has the disease predicts itself."""
    assert (
        rows(stay(1, 11, 0, 2, HF), stay(1, 12, 50, 52, HF), stay(1, 13, 90, 91, "I10"), seen(1, 900)) == []
    )


def test_a_diagnosis_of_the_index_visit_is_no_onset_whenever_it_is_recorded():
    billed = event(1, 30, code(HF), visit_id=11)
    assert rows(stay(1, 11, 0, 2, "I10"), billed, seen(1, 900)) == []
    assert rows(stay(1, 11, 0, 2, HF), seen(1, 900)) == []


def test_a_disease_that_happened_before_and_becomes_known_later_is_prior():
    late = event(1, 1, code(HF), known=40, visit_id=9)
    samples = label(table(stay(1, 11, 0, 2, "I10"), late, seen(1, 900)), Config()).frame
    assert samples.filter(pl.col("visit_id") == 11).is_empty()


def test_a_code_without_a_date_is_prior():
    assert rows(stay(1, 11, 0, 2, "I10"), event(1, None, code(HF)), seen(1, 900)) == []


def test_who_leaves_before_the_horizon_is_censored_not_healthy():
    assert rows(stay(1, 11, 0, 2, "I10"), seen(1, 200)) == [(2, [], [OUTCOME])]
    assert rows(stay(1, 11, 0, 2, "I10"), seen(1, 2 + YEAR)) == [(2, [], [])]


def test_who_dies_first_cannot_fall_ill_or_is_not_known():
    records = (stay(1, 11, 0, 2, "I10"), event(1, 100, "MEDS_DEATH"))
    assert rows(*records) == [(2, [], [])]
    assert rows(*records, death="censored") == [(2, [], [OUTCOME])]


def test_who_was_never_seen_again_is_no_sample_and_the_dead_are_not_asked():
    assert rows(stay(1, 11, 0, 2, "I10")) == []
    assert rows(stay(1, 11, 0, 2, "I10"), event(1, 1, "MEDS_DEATH"), seen(1, 900)) == []


def test_the_time_to_event_says_which_of_disease_death_and_end_of_follow_up_came_first():
    frame = label(
        table(
            *(stay(subject, 10 * subject, 0, 2, "I10") for subject in (1, 2, 3, 4)),
            stay(1, 15, 50, 52, HF),
            event(2, 72, "MEDS_DEATH"),
            seen(3, 1002),
            stay(4, 45, 40, 42.5, HF),
            event(4, 42, "MEDS_DEATH"),
        ),
        Config(horizon_days=30),
    ).frame
    assert frame["event_days"].to_list() == [50, 70, 1000, 40]
    assert frame["event"].to_list() == [1, 2, 0, 1]


def test_two_codes_confirm_and_the_first_is_the_onset():
    first, once = stay(1, 11, 0, 2, "I10"), stay(1, 12, 100, 102, HF)
    again, end = stay(1, 13, 500, 502, HF), seen(1, 900)
    assert rows(first, once, end, n_codes=2)[0] == (2, [], [])
    assert rows(first, once, again, end, n_codes=2)[0] == (2, [OUTCOME], [])
    assert rows(first, once, again, end, n_codes=2, confirm_within_days=90)[0] == (2, [], [])
    assert rows(first, stay(1, 12, 100, 102, HF, "I501"), end, n_codes=2)[0] == (2, [], [])


def test_a_single_code_before_the_index_rules_out_even_where_two_are_asked():
    assert rows(stay(1, 11, 0, 2, HF), stay(1, 12, 90, 91, "I10"), seen(1, 900), n_codes=2) == []


def test_a_washout_asks_for_a_record_that_is_long_enough():
    visits = [stay(1, 10 + at, 100 * at, 100 * at + 2, "I10") for at in range(4)]
    born = event(1, -20000, "MEDS_BIRTH")
    found = rows(born, *visits, seen(1, 900), washout_days=180)
    assert [at for at, _, _ in found] == [202, 302]


def test_the_first_index_is_the_first_that_is_eligible():
    visits = [stay(1, 10 + at, 100 * at, 100 * at + 2, "I10") for at in range(4)]
    assert [at for at, _, _ in rows(*visits, seen(1, 900), washout_days=180, index="first")] == [202]


def test_yearly_asks_at_the_end_of_each_year_on_record():
    frame = label(
        table(stay(1, 11, 10, 12, "I10"), stay(1, 12, 800, 802, HF), seen(1, 1200)), Config(index="yearly")
    ).frame
    assert [moment.isoformat() for moment in frame["prediction_time"]] == [
        "2150-12-31T23:59:59",
        "2151-12-31T23:59:59",
    ]
    assert frame["label_codes"].to_list() == [[], [OUTCOME]]


def test_complete_records_know_that_nothing_happened_until_they_end():
    records = (stay(1, 11, 10, 12, "I10"),)
    complete = {"follow_up": "complete", "until": "2151-12-31"}
    assert rows(*records, **complete) == [(12, [], [])]
    assert rows(*records, **complete, horizon_days=1000) == [(12, [], ["heart_failure within 1000 d"])]
    assert rows(*records, index="yearly", follow_up="complete", until="2150-12-31") == []


def test_an_old_infarction_rules_out_and_is_no_onset():
    new = (stay(1, 11, 0, 2, "I10"), stay(1, 12, 50, 52, "I252"), seen(1, 900))
    assert rows(*new, disease="myocardial_infarction") == [
        (2, [], []),
    ]
    assert rows(stay(1, 11, 0, 2, "I252"), seen(1, 900), disease="myocardial_infarction") == []


def test_any_disease_is_given_by_codes_with_or_without_dots():
    records = (stay(1, 11, 0, 2, "I10"), stay(1, 12, 50, 52, "C250"), seen(1, 900))
    outcome = "cancer within 365 d"
    for given in ("DIAGNOSIS//ICD//10//C25", "DIAGNOSIS//ICD//10//C25.0"):
        assert rows(*records, codes=[given], called="cancer")[0] == (2, [outcome], [])


def test_a_code_that_is_no_icd_code_matches_whole_parts_only():
    flags = [event(1, 400, "CHRONIC_CONDITION//CANCEROUS"), seen(1, 900)]
    assert rows(stay(1, 11, 0, 2, "I10"), *flags, codes=["CHRONIC_CONDITION//CANCER"])[0][1] == []
    assert rows(stay(1, 11, 0, 2, "I10"), *flags, codes=["CHRONIC_CONDITION"], horizon_days=500)[0][1] != []


@pytest.mark.parametrize(
    "node",
    [
        "CCS 108",
        "CCS//108",
        "CCS/108",
        "CCSR/CIR019",
        "ICD10CM/I50",
        "ICD10CM/I30-I5A",
        "CHARLSON/congestive_heart_failure",
    ],
)
def test_any_disease_is_given_by_a_node_above_its_codes(node):
    found = rows(stay(1, 11, 0, 2, "I10"), stay(1, 12, 50, 52, HF), node=node, called="failing heart")
    assert found == [(2, ["failing heart within 365 d"], [])]


def test_a_node_may_be_of_the_users_own_vocabulary(tmp_path):
    (tmp_path / "own.csv").write_text("code,description,parent\nPROBLEM//77,Weak heart,OWN/heart\n")
    found = rows(
        stay(1, 11, 0, 2, "I10"), event(1, 60, "PROBLEM//77"), node="OWN/heart", vocabularies=str(tmp_path)
    )
    assert found == [(2, ["heart within 365 d"], [])]


def test_a_suspicion_on_arrival_rules_out_and_is_no_onset():
    suspected = event(1, 50, "ADMITTING_DIAGNOSIS//ICD//9//4280")
    assert rows(stay(1, 11, 0, 2, "I10"), suspected, seen(1, 900)) == [(2, [], [])]
    assert (
        rows(event(1, 0, "ADMITTING_DIAGNOSIS//ICD//9//4280"), stay(1, 11, 1, 2, "I10"), seen(1, 900)) == []
    )


CASES = {
    "heart_failure": ("I5023", "42823", "I420"),
    "type_2_diabetes": ("E1165", "25002", "E109"),
    "chronic_kidney_disease": ("N184", "5859", "N179"),
    "stroke": ("I639", "43491", "G459"),
    "atrial_fibrillation": ("I4891", "42731", "I4892"),
    "copd": ("J449", "49121", "J45909"),
    "depression": ("F329", "311", "F319"),
    "dementia": ("G309", "3310", "G20"),
    "myocardial_infarction": ("I214", "41071", "I209"),
    "pancreatic_cancer": ("C259", "1579", "K860"),
}


@pytest.mark.parametrize("disease", sorted(DEFINITIONS))
def test_a_ready_definition_knows_its_cases_and_not_their_neighbours(disease):
    ten, nine, neighbour = CASES[disease]
    found = onset._kinds([code(ten), code(nine, 9), code(neighbour)], Config(disease=disease))
    assert set(found) == {code(ten), code(nine, 9)}


@pytest.mark.parametrize(
    ("nine", "is_case"), [("25000", True), ("25001", False), ("25012", False), ("25052", True)]
)
def test_the_last_digit_of_icd9_tells_the_type_of_diabetes(nine, is_case):
    assert (code(nine, 9) in onset._kinds([code(nine, 9)], Config(disease="type_2_diabetes"))) == is_case


def test_a_disease_that_nothing_knows_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="heart_failure"):
        Config(disease="hart_failure")


def test_a_data_set_without_any_case_is_refused_before_it_is_labelled():
    onset.check(Config(), [code("I509")])
    with pytest.raises(TaskError, match="no code of the data set is a case"):
        onset.check(Config(codes=["DIAGNOSIS//ICD//10//C25"]), [code("I509")])


def test_the_flow_says_in_words_what_each_criterion_left():
    labelled = label(
        table(stay(1, 11, 0, 2, "I10"), stay(1, 12, 50, 52, HF), stay(2, 21, 0, 2, HF)), Config()
    )
    assert [(step["step"], step["n_samples"]) for step in labelled.flow] == [
        ("subjects in the data", 0),
        ("visits, asked at their end", 3),
        ("alive", 3),
        ("free of heart_failure until then", 1),
        ("and seen again", 1),
        ("at distinct times", 1),
    ]


def test_an_outcome_is_described_in_words():
    assert onset.describe(OUTCOME, onset.Config()) == "Heart failure within 365 days"


def test_no_setting_hides_the_name_of_the_task():
    assert "name" not in Config().to_dict()
