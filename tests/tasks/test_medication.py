from pathlib import Path

import polars as pl
import pytest

from attending.errors import TaskError
from attending.tasks import medication
from records import day, event, stay, table

LASIX, ASPIRIN, HEPARIN = (
    "MEDICATION//Furosemide 20mg Tab",
    "MEDICATION//Aspirin 81 MG",
    "MEDICATION//START//Heparin",
)


def _drug(at: float, code: str, visit: int) -> dict[str, object]:
    return event(1, at, code, visit_id=visit)


EVENTS = table(
    stay(1, 11, 0, 5, "I10"),
    _drug(1, LASIX, 11),
    stay(1, 12, 60, 64, "I10"),
    _drug(61, LASIX, 12),
    _drug(62, HEPARIN, 12),
    stay(1, 13, 90, 91),
    stay(2, 21, 0, 5),
)


def test_a_visits_drugs_are_asked_before_it_of_those_with_an_earlier_visit() -> None:
    labelled = medication.label(EVENTS, medication.Config())
    labels = labelled.frame
    assert labels["visit_id"].to_list() == [12]
    assert labels["label_codes"].to_list() == [["INGREDIENT/furosemide", "INGREDIENT/heparin"]]
    assert labels["history_codes"].to_list() == [["INGREDIENT/furosemide"]]
    assert day(59.99) < labels["prediction_time"][0] < day(60)
    assert [step["n_samples"] for step in labelled.flow] == [0, 4, 2, 1, 1]


def test_no_event_of_the_visit_is_among_the_inputs_not_even_one_before_its_admission() -> None:
    emergency = _drug(59.8, ASPIRIN, 12)
    labels = medication.label(pl.concat([EVENTS, table(emergency)]), medication.Config()).frame
    assert labels["prediction_time"][0] < day(59.8)
    assert "INGREDIENT/aspirin" in labels["label_codes"][0].to_list()
    assert labels["history_codes"].to_list() == [["INGREDIENT/furosemide"]]


def test_a_drug_known_only_after_the_prediction_is_no_history() -> None:
    late = event(1, 2, ASPIRIN, visit_id=11, known=70)
    labels = medication.label(pl.concat([EVENTS, table(late)]), medication.Config()).frame
    assert labels["history_codes"].to_list() == [["INGREDIENT/furosemide"]]


def test_what_is_stopped_or_taken_at_home_is_no_drug_of_the_visit() -> None:
    codes = ["MEDICATION//STOP//Aspirin", "MEDICATION//HOME//Aspirin", LASIX, "MEDICATION_DOSE//Aspirin"]
    assert medication.outcome_of_code(codes, medication.Config()) == {LASIX: "INGREDIENT/furosemide"}


def test_a_drug_of_two_ingredients_is_an_outcome_of_its_own() -> None:
    code = "MEDICATION//Acetaminophen 325 MG / oxyCODONE 5 MG Oral Tablet"
    found = medication.outcome_of_code([code], medication.Config())
    assert found == {code: "INGREDIENT/acetaminophen + INGREDIENT/oxycodone"}
    assert medication.describe(found[code], medication.Config()) == "acetaminophen and oxycodone"


def test_levels_of_atc_and_drugs_named_by_code_come_from_the_codes_of_the_events(tmp_path: Path) -> None:
    code, file = "MEDICATION//RXNORM//310429", tmp_path / "codes.parquet"
    parents = ["INGREDIENT/furosemide", "ATC/C03CA01", "ATC/C03C", "ATC/C03", "ATC/C", "ATC/C03CA"]
    pl.DataFrame({"code": [code], "parent_codes": [parents]}).write_parquet(file)
    levels = {
        level: medication.outcome_of_code(
            [code], medication.Config.model_validate({"level": level, "parents": file})
        )[code]
        for level in ("ingredient", "atc1", "atc2", "atc3", "atc4", "atc5")
    }
    assert list(levels.values()) == [parents[0], "ATC/C", "ATC/C03", "ATC/C03C", "ATC/C03CA", "ATC/C03CA01"]
    assert medication.describe(levels["atc3"], medication.Config()) == "ATC C03C"


def test_a_level_that_no_drug_has_is_refused_and_says_what_helps(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"task\.parents"):
        medication.check(medication.Config(level="atc3"), [LASIX])
    (tmp_path / "codes.parquet").write_text("no table")
    with pytest.raises(TaskError, match=r"of task\.parents"):
        medication.check(medication.Config(parents=tmp_path / "codes.parquet"), [LASIX])


def test_codes_as_they_stand_may_be_predicted() -> None:
    labels = medication.label(EVENTS, medication.Config(level="code")).frame
    assert labels["label_codes"].to_list() == [[LASIX, HEPARIN]]
    assert medication.describe(HEPARIN, medication.Config()) == "START Heparin"
