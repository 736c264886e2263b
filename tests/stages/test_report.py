"""One self-contained HTML file: every section there, nothing private in it, nothing fetched."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from attending.artifact import read_manifest, write_json
from attending.errors import ArtifactError
from attending.report.comparison import verdict
from attending.stages.report import three_numbers
from report_study import OUTCOMES, Study, make_study, results

VOID = {"meta", "br", "hr", "img", "input", "link"}
SECTIONS = ["result", "cohort", "ledger", "models", "curves", "outcomes", "patients", "method", "basis"]


class Outline(HTMLParser):
    """Checks that elements nest, and gathers ids, links and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.add(tag)
        self.ids += [str(found["id"])] if "id" in found else []
        self.links += [str(found[name]) for name in ("href", "src", "xlink:href") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study") / "artifacts")


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    return study.report()


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    outline.close()
    return outline


def test_every_section_is_there_and_linked(outline: Outline) -> None:
    assert outline.open == []
    for anchor in SECTIONS:
        assert anchor in outline.ids
        assert f"#{anchor}" in outline.links


def test_ids_are_unique(outline: Outline) -> None:
    assert len(outline.ids) == len(set(outline.ids))


def test_nothing_outside_the_file_is_referred_to(page: str, outline: Outline) -> None:
    assert all(link.startswith("#") for link in outline.links)
    assert not outline.tags & {"script", "link", "img", "iframe", "object", "embed", "base"}
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert "default-src 'none'" in page


def test_the_same_artifacts_give_the_same_bytes(study: Study, page: str) -> None:
    assert study.report("again") == page


def test_a_report_that_is_up_to_date_is_not_written_again(study: Study, page: str) -> None:
    index = study.folder / "report" / "index.html"
    before = index.stat().st_mtime_ns
    study.report()
    assert index.stat().st_mtime_ns == before
    assert read_manifest(study.folder / "report", "report").counts["timelines"] == 6


def test_the_report_says_how_subjects_were_divided(study: Study, page: str) -> None:
    assert "By subject, from a hash of the subject and the seed: train" in page
    by_time = {"name": "Later", "split": {"name": "time", "held_out_from": "2018-01-01T00:00:00"}}
    later = study.report("later", study=by_time)
    assert "By time: held out are those whose record begins on 2018-01-01T00:00:00 or later: train" in later


def test_names_are_escaped(page: str) -> None:
    assert "Simulated cohort &lt;demo&gt;" in page
    assert "Aplastic &amp; other anemia &lt;unspecified&gt;" in page
    assert "<demo>" not in page
    assert "<unspecified>" not in page


def test_no_subject_visit_or_date_is_shown(study: Study, page: str) -> None:
    samples = pl.read_parquet(study.attributions[0] / "samples.parquet")
    for subject in samples["subject_id"]:
        assert str(subject) not in page
    assert "2120" not in page
    assert "Patient 1" in page


def test_outcomes_and_events_have_names(page: str, outline: Outline) -> None:
    text = " ".join(outline.text)
    assert OUTCOMES["CIR019"] in text
    assert "Heart failure, unspecified" in text
    assert "Sex: Female" in text
    assert "DIAGNOSIS//" not in text


def test_small_cells_are_suppressed(page: str) -> None:
    table = page[page.index("Race or ethnicity") : page.index("Hospital stays per subject")]
    assert "&lt;11" in table
    counts = [int(count) for count in re.findall(r"<td>(\d+) \(", table)]
    assert counts
    assert not [count for count in counts if 0 < count < 11]


def test_what_is_shown_of_a_patient_sums_to_the_logit(page: str) -> None:
    patients = page.split('<article class="patient">')[1:]
    assert len(patients) == 6
    for patient in patients:
        chips = [_number(value) for value in re.findall(r'class="chip[^>]*contributes ([^"]+)"', patient)]
        more = [_number(value) for value in re.findall(r"summing to ([^<]+)<", patient)]
        base, logit = (
            _number(value) for value in re.findall(r"base (\S+) \+ .*the logit \(([^)]+)\)", patient)[0]
        )
        rounding = 5e-5 * len(chips) + 5e-4 * (len(more) + 2)
        assert base + sum(chips) + sum(more) == pytest.approx(logit, abs=rounding)


def test_a_method_that_leaves_something_unexplained_says_so(study: Study, tmp_path: Path) -> None:
    leaking = tmp_path / "attributions"
    shutil.copytree(study.attributions[0], leaking)
    samples = pl.read_parquet(leaking / "samples.parquet")
    samples.with_columns(pl.col("logit") + 0.25).write_parquet(leaking / "samples.parquet")
    page = Study(folder=study.folder, models=study.models, attributions=[leaking]).report("leaking")
    assert "this method leaves +0.250 unexplained" in page


def test_no_timeline_is_shown_where_none_is_wanted(study: Study) -> None:
    page = study.report("aggregates", n_timelines=0)
    assert "Patient 1" not in page
    assert 'id="patients"' not in page


def test_a_study_without_attributions_models_or_curves_has_a_report(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(study.folder, folder)
    (folder / "metrics" / "curves.json").unlink()
    (folder / "metrics" / "per_outcome.parquet").unlink()
    (folder / "events" / "ledger.json").unlink()
    page = Study(folder=folder, models=[], attributions=[]).report("bare_report")
    assert "This source keeps no line ledger." in page
    for anchor in ("curves", "outcomes", "patients"):
        assert f'id="{anchor}"' not in page


def test_a_binary_task_has_a_report(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "binary"
    shutil.copytree(study.folder, folder)
    metrics = results()
    for scopes in [*metrics["models"].values(), metrics["ceiling"]["metrics"]]:
        values = scopes["all"]
        scopes.clear()
        scopes["all"] = {"auroc": values["macro_auroc"], "auprc": values["macro_auprc"]}
    rule = {"threshold": 0.13, "sensitivity": values["macro_auroc"], "ppv": values["macro_auprc"]}
    metrics |= {"headline": "auroc", "n_outcomes": 1, "thresholds": {"transformer": {"youden": rule}}}
    write_json(folder / "metrics" / "metrics.json", metrics)
    page = Study(folder=folder, models=[], attributions=[]).report("binary_report")
    assert "What a threshold means: transformer" in page
    assert [label for label, _ in three_numbers(metrics)][2] == "AUPRC of transformer"


def test_the_three_numbers_are_the_model_the_difference_and_what_is_new() -> None:
    assert three_numbers(results()) == [
        ("Macro AUROC of transformer", "0.842 (0.836–0.848)"),
        ("Difference to gbm_counts, the best baseline", "+0.018 (+0.014 to +0.022)"),
        ("New-onset recall@10 of transformer", "0.118 (0.112–0.124)"),
    ]


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        (0.0, "transformer, beats the best baseline, gbm_counts"),
        (-0.016, "No model beats the baseline gbm_counts beyond chance"),
        (-0.019, "A plain baseline is ahead"),
        (-0.05, "A plain baseline wins"),
    ],
)
def test_the_verdict_is_honest(shift: float, words: str) -> None:
    assert words in verdict(results(shift))


def test_a_verdict_on_few_subjects_says_that_they_are_few() -> None:
    assert "no ranking can be trusted" in verdict(results() | {"n_subjects": 40})
    assert "no ranking can be trusted" not in verdict(results())


def test_an_outcome_of_few_samples_is_left_out(page: str) -> None:
    table = page[page.index('<section id="outcomes">') : page.index('<section id="patients">')]
    assert "Pneumonia" not in table
    assert "Heart failure" in table


def test_a_missing_artifact_is_named(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"expected an artifact .* found no manifest\.json there"):
        Study(folder=study.folder, models=[tmp_path], attributions=[]).report("missing")


def test_an_artifact_of_another_kind_is_refused(study: Study) -> None:
    with pytest.raises(ArtifactError, match="expected an artifact of kind 'model'"):
        Study(folder=study.folder, models=study.attributions, attributions=[]).report("confused")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_opens_it_without_error_or_request(
    study: Study, page: str, scheme: str, width: int
) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    address = (study.folder / "report" / "index.html").as_uri()
    messages: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(address)
        scroll = tab.evaluate("document.documentElement.scrollWidth")
        sections = tab.locator("section").count()
        browser.close()
    assert messages == []
    assert requests == [address]
    assert scroll == width
    assert sections == len(SECTIONS)


def _number(text: str) -> float:
    return float(text.replace("−", "-"))
