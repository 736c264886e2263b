"""What the report lays out of subgroups, recalibration and sets is what the evaluation found, hidden cells hidden."""

import sys
from pathlib import Path

import pytest

from attending.evaluate.conformal import conformal
from attending.evaluate.recalibration import recalibration
from attending.evaluate.subgroups import subgroups
from attending.report.comparison import NOTHING
from attending.report.conformal import conformal_table
from attending.report.recalibration import recalibration_table
from attending.report.subgroups import HIDDEN_COUNT, group_name, subgroup_table

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))
from made_evidence import evidence

METRICS = {"best_model": "right", "best_baseline": "shifted", "models": {"right": {}, "shifted": {}}}
RACES = ("WHITE", "BLACK", "ASIAN", "NATIVE", "HISPANIC", "SAMOAN", "TONGAN")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return evidence(tmp_path_factory.mktemp("events"), n_subjects=400, races=RACES, shift=0.7)


def test_a_small_group_shows_no_number_and_its_companion_no_count(made):
    found = subgroups(made)
    table = subgroup_table(found, METRICS)
    flags = {
        (attribute, group_name(attribute, group["group"])): group
        for attribute, groups in found["attributes"].items()
        for group in groups
    }
    headings = dict(zip(found["attributes"], table.attributes, strict=True))
    n_hidden = 0
    for name, attribute in headings.items():
        for group in attribute.groups:
            flag = flags[name, group.name]
            if flag["counts_hidden"]:
                n_hidden += 1
                assert group.counts == [HIDDEN_COUNT] * 3 + [NOTHING]
                assert all(value.text() == NOTHING for value in group.rates)
            assert all(value.text() == NOTHING for value in group.metrics) == flag["suppressed"]
    assert n_hidden


def test_groups_are_named_as_people_write_them():
    assert group_name("sex", "F") == "Female"
    assert group_name("race", "BLACK/AFRICAN AMERICAN") == "Black/African American"
    assert group_name("age", "80 and over") == "80 and over"
    assert group_name("insurance", "all others") == "All others"
    assert group_name("hospital", "73") == "73"


def test_a_model_stands_above_its_recalibrated_selves(made):
    rows = recalibration_table(recalibration(made), METRICS).rows
    assert [row.name for row in rows if row.is_model] == ["right", "shifted"]
    assert rows[1].name == "Shifted (intercept)"
    assert rows[1].settings.startswith("intercept ")
    assert all(len(row.cells) == 6 for row in rows)


def test_sets_say_what_may_be_missed_and_what_was(made):
    table = conformal_table(conformal(made), METRICS)
    assert [cells[0] for _, cells in table.rows] == ["5 %", "10 %", "20 %"] * 2
    assert all("%" in cells[1] or cells[1] == "hidden" for _, cells in table.rows)
    assert "exchangeable" in table.guarantee
    assert next(heading for heading, _ in table.groups) == "Sex"


def test_nothing_found_is_nothing_shown():
    assert not subgroup_table({}, METRICS).attributes
    assert not recalibration_table({}, METRICS).rows
    assert not conformal_table({}, METRICS).rows
