"""Runs side by side: the same samples for all, or a refusal that says how many differ."""

import json
import re
import shutil

import polars as pl
import pytest
from tiny_runs import add_model, drop_held_out, write_run

from attending.cli.main import main
from attending.compare.latex import escape
from attending.compare.runs import names_of
from attending.compare.table import table
from attending.compare.writers import FILES, write
from attending.errors import ArtifactError
from attending.evaluate.config import Config
from attending.stages.compare import compare

CONFIG = Config(n_replicates=200)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    first = write_run(folder / "first")
    second = write_run(folder / "second")
    add_model(second, "weaker", noise=2.0)
    shutil.rmtree(first / "predictions" / "popularity")
    add_model(first, "gru", noise=0.1, seed=2)
    add_model(second, "gru", noise=0.8, seed=3)
    return [first, second]


@pytest.fixture(scope="module")
def result(runs):
    return compare(runs, config=CONFIG)


def of(result, model, scope="all"):
    return result["models"][model][scope][result["headline"]]


def test_a_model_name_that_repeats_carries_its_run_and_what_is_the_same_stands_once(result):
    assert set(result["models"]) == {
        "strong",
        "logistic_counts",
        "popularity",
        "weaker",
        "first/gru",
        "second/gru",
    }
    assert result["entries"]["strong"]["runs"] == ["first", "second"]
    assert result["entries"]["second/gru"]["model"] == "gru"


def test_the_references_are_chosen_on_tuning_and_differences_are_paired(result):
    assert result["best_baseline"] == "logistic_counts"
    assert result["best_model"] in ("strong", "first/gru")
    weaker, best = of(result, "weaker"), of(result, result["best_model"])
    difference = weaker["difference_to_best"]
    assert difference["estimate"] == pytest.approx(weaker["estimate"] - best["estimate"])
    assert difference["high"] < 0
    width = difference["high"] - difference["low"]
    assert width < (weaker["high"] - weaker["low"]) + (best["high"] - best["low"])


def test_the_table_is_best_first_with_scopes_apart_and_costs_beside(result):
    laid_out = table(result)
    order = [line.name for line in laid_out.lines]
    assert order == sorted(order, key=lambda name: -of(result, name)["estimate"])
    assert [name for name, _ in laid_out.groups] == ["All outcomes", "New onset", "Recurrent", "Cost"]
    assert all(len(line.cells) == len(laid_out.columns) for line in laid_out.lines)
    strong = next(line for line in laid_out.lines if line.name == "strong")
    assert [cell.text for cell in strong.cells[-3:]] == ["1,234", "2.5", "–"]
    gru = next(line for line in laid_out.lines if line.name == "first/gru")
    assert gru.cells[-3].text == "–"  # its model is not there, so its cost is not known


def test_marks_follow_the_corrected_p_values_and_words_stand_below(result):
    laid_out = table(result)
    for line in laid_out.lines:
        difference = of(result, line.name)["difference"]
        survives = difference.get("p_holm", 1) <= 0.05 and not difference["low"] <= 0 <= difference["high"]
        assert (line.cells[1].mark == "*") == survives
    assert any("survives Holm's correction for the 5 comparisons" in note for note in laid_out.notes)


def test_too_few_replicates_for_any_difference_to_survive_are_told(runs):
    notes = table(compare(runs, config=Config(n_replicates=20))).notes
    assert any("20 replicates are too few for any to survive" in note for note in notes)


def test_every_form_holds_the_same_numbers(result, tmp_path):
    assert [path.name for path in write(result, tmp_path)] == list(FILES)
    assert json.loads((tmp_path / "comparison.json").read_text())["models"] == result["models"]
    wide = pl.read_csv(tmp_path / "comparison.csv")
    assert wide["name"].to_list() == [line.name for line in table(result).lines]
    assert wide["all_estimate"].to_list() == [of(result, name)["estimate"] for name in wide["name"]]
    long = pl.read_csv(tmp_path / "metrics.csv")
    row = long.row(
        by_predicate=(pl.col("name") == "weaker")
        & (pl.col("scope") == "recurrent")
        & (pl.col("metric") == result["headline"]),
        named=True,
    )
    assert row["difference_p_holm"] == of(result, "weaker", "recurrent")["difference"]["p_holm"]
    assert f"{of(result, 'weaker')['estimate']:.3f}" in (tmp_path / "comparison.html").read_text()


def test_latex_is_escaped_and_every_row_has_every_column(result, tmp_path):
    write(result, tmp_path)
    text = (tmp_path / "comparison.tex").read_text()
    assert r"logistic\_counts" in text
    assert not re.search(r"(?<!\\)_", text.replace("booktabs", ""))
    inside = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
    assert all(line.endswith(r" \\") and line.count(" & ") == len(columns) - 1 for line in inside)
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert text.isascii()


def test_no_letter_of_latex_is_taken_for_a_command():
    assert escape("a_b & 5 % #1 {x} ~^\\$") == (
        r"a\_b \& 5 \% \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}\$"
    )


def test_other_held_out_samples_are_refused_with_their_number_and_common_takes_the_rest(runs, tmp_path):
    other = write_run(tmp_path / "other", keep=("strong",))
    n = drop_held_out(other, 5)
    with pytest.raises(ArtifactError, match=rf"{n} samples in 'first' that not all have.*--common"):
        compare([runs[0], other], config=CONFIG)
    result = compare([runs[0], other], config=CONFIG, intersect=True)
    assert result["n_samples"] == 240 - n
    assert [run["n_samples_left_out"] for run in result["runs"]] == [n, 0]
    assert any(f"{n} held-out samples" in note for note in table(result).notes)


def test_other_outcomes_are_refused_with_their_number_and_common_takes_the_rest(runs, tmp_path):
    other = write_run(tmp_path / "other", n_outcomes=3)
    for path in (other / "labels").glob("outcomes.parquet"):
        pl.read_parquet(path).head(2).write_parquet(path)
    with pytest.raises(ArtifactError, match=r"2 are in all, and beside them 2 outcomes in 'first'"):
        compare([runs[0], other], config=CONFIG)


def test_other_answers_for_the_same_samples_are_always_refused(runs, tmp_path):
    other = write_run(tmp_path / "other", seed=5)
    for intersect in (False, True):
        with pytest.raises(ArtifactError, match=r"different answers for \d+ of 240 samples"):
            compare([runs[0], other], config=CONFIG, intersect=intersect)


def test_tasks_of_another_kind_are_refused(runs, tmp_path):
    binary = write_run(tmp_path / "binary", binary=True)
    with pytest.raises(ArtifactError, match="a multilabel task, 'binary' a binary one"):
        compare([runs[0], binary], config=CONFIG)


def test_one_outcome_has_one_scope_and_compares_as_well(tmp_path):
    result = compare([write_run(tmp_path / "binary", binary=True)], config=CONFIG)
    assert result["headline"] == "auroc"
    assert [name for name, _ in table(result).groups] == ["Held-out samples", "Cost"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="expected a run in"):
        (tmp_path / "events" / "metadata").mkdir(parents=True)
        pl.DataFrame({"subject_id": [1], "split": ["train"]}).write_parquet(
            tmp_path / "events" / "metadata" / "subject_splits.parquet"
        )
        compare([tmp_path], config=CONFIG)


def test_folders_of_one_name_are_told_apart_by_their_parents(tmp_path):
    assert names_of([tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "c"]) == [
        "a/run",
        "b/run",
        "c",
    ]
    with pytest.raises(ArtifactError, match="given twice"):
        names_of([tmp_path / "a", tmp_path / "a"])


def test_the_command_prints_json_on_stdout_and_a_table_on_stderr(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["compare", *map(str, runs), "--out", str(tmp_path / "out"), "--replicates", "50", "--json"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n_replicates"] == 50
    assert "first/gru" in printed.err
    assert max(map(len, printed.err.splitlines()[:40])) <= 80
    assert "…" not in printed.err
    assert main(["compare", str(runs[0]), str(tmp_path / "nothing")]) == 2


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_opens_it_without_error_or_request(result, tmp_path, width):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    write(result, tmp_path)
    address = (tmp_path / "comparison.html").as_uri()
    messages, requests = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        tab = browser.new_page(viewport={"width": width, "height": 900})
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(address)
        scroll = tab.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert (messages, requests, scroll) == ([], [address], width)
