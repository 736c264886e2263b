"""Drawings and tables are laid out so that they can be read, and so that their numbers give nothing away."""

import re
from typing import Any

import pytest

from attending.report.axis import axis
from attending.report.figures import Line, Plot, draw
from attending.report.flow import draw as draw_flow
from attending.report.flow import source_box, steps
from attending.report.forest import competing, forest
from attending.report.ledger import ledger_table
from attending.report.names import readable
from report_study import results

PLOT = Plot(
    key="calibration",
    heading="Calibration <1>",
    caption="",
    x_label="predicted $x$ <b>",
    y_label="observed",
    lines=[Line(name="a", x=[0, 0.5, 1], y=[0, 0.4, 1], low=[0, 0.3, 0.9], high=[0.1, 0.5, 1], colour=1)],
)


def flow_step(step: str, n_subjects: int, n_samples: int) -> dict[str, Any]:
    return {"step": step, "n_subjects": n_subjects, "n_samples": n_samples}


def test_a_step_that_leaves_out_few_is_drawn_with_the_next() -> None:
    shown = steps([flow_step("all", 500, 0), flow_step("adults", 495, 0), flow_step("two visits", 300, 900)])
    assert [(step.label, step.n_subjects) for step in shown] == [("all", 500), ("adults; two visits", 300)]
    assert shown[1].left_out == "200 subjects"


def test_a_last_step_that_leaves_out_few_replaces_the_one_before() -> None:
    shown = steps(
        [flow_step("all", 500, 900), flow_step("two visits", 300, 800), flow_step("labelled", 300, 797)]
    )
    assert [(step.label, step.n_samples) for step in shown] == [("all", 900), ("two visits; labelled", 797)]
    assert shown[1].left_out == "200 subjects, 103 samples"


def test_the_flow_stays_within_its_drawing() -> None:
    shown = steps([flow_step("all", 500, 900), flow_step("a very long criterion " * 5, 300, 800)])
    drawing = draw_flow(source_box("3 files", ["100 lines"]), shown, [("Train", "200"), ("Held-out", "100")])
    assert len(drawing.boxes) == 6
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
        assert all(len(line) < 60 for line in box.headings)


def test_an_axis_holds_its_values_between_round_ticks() -> None:
    scale = axis([0.8123, 0.8467], left=100, width=200)
    assert [text for _, text in scale.ticks] == ["0.81", "0.82", "0.83", "0.84", "0.85"]
    assert scale.place(0.81) == pytest.approx(100)
    assert scale.place(0.85) == pytest.approx(300)
    assert axis([0.5], left=0, width=1).low <= 0.5


def test_models_far_behind_do_not_squeeze_the_others() -> None:
    assert competing([0.84, 0.83, 0.82, 0.5]) == [0.84, 0.83, 0.82]
    assert competing([0.84, 0.83, 0.82, 0.81]) == [0.84, 0.83, 0.82, 0.81]
    edges = [dot.edge for dot in forest(results()).panels[0].dots]
    assert edges == ["", "", "", "", "", "0.741", "0.500"]


def test_every_dot_lies_within_its_interval_and_its_panel() -> None:
    plot = forest(results())
    assert len(plot.panels) == 3
    for panel in plot.panels:
        for dot in panel.dots:
            assert panel.axis.left <= dot.low <= dot.x <= dot.high <= panel.axis.left + panel.axis.width


def test_a_figure_takes_the_colours_of_the_page_and_holds_no_date() -> None:
    svg = str(draw(PLOT).svg)
    assert "var(--series-1)" in svg
    assert "var(--muted)" in svg
    assert "#0201" not in svg
    assert "#0101" not in svg
    assert not re.search(r"<metadata|<style|<\?xml|<!DOCTYPE|font-family|20\d\d-\d\d", svg)
    assert all(name.startswith("calibration-") for name in re.findall(r'\bid="([^"]+)"', svg))


def test_a_figure_is_deterministic_and_its_words_are_escaped() -> None:
    svg = str(draw(PLOT).svg)
    assert svg == str(draw(PLOT).svg)
    assert "predicted $x$ &lt;b&gt;" in svg
    assert "Calibration &lt;1&gt;" in svg


def test_a_ledger_that_does_not_add_up_says_so() -> None:
    wrong = {
        "files": [{"file": "a.csv", "lines": 10, "header": 1, "accepted": 7, "quarantined": {}, "blank": 0}]
    }
    assert ledger_table(wrong).summary.startswith("Here they do not add up: 10 lines were read, 8")


def test_files_that_nothing_reads_are_one_row_of_the_ledger() -> None:
    table = ledger_table(
        {
            "files": [
                {"file": "a.csv", "lines": 3, "header": 1, "accepted": 2, "status": "read", "events": 2},
                {"file": "b.txt", "lines": 7, "not_read": 7, "status": "not read"},
                {"file": "c.txt", "lines": 1, "not_read": 1, "status": "not read"},
                {"file": "d.csv", "status": "absent"},
            ]
        }
    )
    assert [row.name for row in table.rows] == ["a.csv", "2 other files, not read", "All files"]
    assert table.n_files == 1
    assert table.sums["lines"] == 11
    assert "they add up to all 11 lines" in table.summary


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("DIAGNOSIS//ICD//10//I509", "I509"),
        ("MEDICATION//Furosemide", "Furosemide"),
        ("LAB//50912//mg/dL", "50912 · mg/dL"),
        ("GENDER//F", "Sex: Female"),
        ("HOSPITAL_ADMISSION//URGENT//ED", "Admission: Urgent · ED"),
        ("RACE//HISPANIC/LATINO", "Race or ethnicity: Hispanic/Latino"),
        ("MEDS_DEATH", "Death"),
        ("ICU_ADMISSION//Medical", "ICU admission: Medical"),
    ],
)
def test_a_code_without_a_name_is_readable(code: str, name: str) -> None:
    assert readable(code) == name
