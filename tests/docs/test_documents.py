"""The documents run: every block of every page, in order, on tiny simulated data."""

import inspect
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from _pytest.outcomes import Skipped

from attending import registry
from attending.cli.main import main
from attending.pipeline import Study
from attending.study import StudyConfig, check


def _beside(name: str, folder: Path = Path(__file__).parent) -> ModuleType:
    spec = spec_from_file_location(f"of_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


documents = _beside("documents")
ROOT, PAGES = documents.ROOT, documents.PAGES
LINKED = ("adr", "components", "models")
RUN_FIRST = [
    page
    for page in PAGES
    if any(block.language in ("sh", "python", "yaml") for block in documents.blocks(page))
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as a reader has it: the studies, data below `/data/`, and the demo already run."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "studies").mkdir()
    for study in (ROOT / "studies").glob("*.yaml"):
        text = documents.shrink(study.read_text(encoding="utf-8"))
        (folder / "studies" / study.name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["simulate", "data/meds", "--subjects", "250", "--seed", "7", "--layout", "meds"]) == 0
        assert main(["run", "studies/demo.yaml"]) == 0
    shutil.copytree(folder / "runs" / "demo" / "raw", folder / "data" / "mimic-iv")
    for name in registry.names("sources"):
        if not (folder / "data" / name).exists():
            import_module(f"raw.{name}").write(folder / "data" / name)
    later = folder / "data" / "mimic4-2025" / "hosp"
    later.mkdir(parents=True)
    (later / "patients.csv").write_text("subject_id,gender,anchor_age,anchor_year\n999999,F,50,2025\n")
    return folder


@pytest.fixture
def written_models(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the model that a page writes as a package of its own would: by an entry point."""
    site = workplace / "site"
    about = site / "example-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[attending.models]\nfading_mean = fading_mean\n")
    (page,) = (page for page in PAGES if page.name == "add-a-model.md")
    (model,) = (block for block in documents.blocks(page) if (block.path or "").endswith("fading_mean.py"))
    (site / "fading_mean.py").write_text(model.text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    registry._modules.cache_clear()
    yield
    registry._modules.cache_clear()


@pytest.mark.parametrize("page", RUN_FIRST, ids=lambda page: page.stem)
def test_a_page_runs(
    page: Path, workplace: Path, written_models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    names: dict[str, object] = {"__name__": "page"}
    for block in documents.blocks(page):
        documents.run_block(block, workplace, names, page)
        if (block.path or "").startswith("studies/"):
            assert Study.from_yaml(workplace / block.path).config.name


def test_the_model_of_the_page_passes_every_common_check(
    written_models: None, tmp_path: Path, store_with_samples: object
) -> None:
    checks = _beside("test_models", ROOT / "tests" / "common")
    tests = [one for name, one in vars(checks).items() if name.startswith("test_")]
    assert len(tests) > 10
    for number, test in enumerate(tests):
        given = {
            "name": "fading_mean",
            "model": checks.fresh("fading_mean"),
            "tmp_path": tmp_path / str(number),
            "store_with_samples": store_with_samples,
        }
        given["tmp_path"].mkdir()
        for mark in getattr(test, "pytestmark", []):  # the first of each parameter that a check has
            given = {mark.args[0]: mark.args[1][0]} | given
        try:
            test(**{name: given[name] for name in inspect.signature(test).parameters})
        except Skipped:
            pytest.fail(f"{test.__name__} does not apply to the model of the page")


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(page for folder in LINKED for page in sorted((ROOT / "docs" / folder).glob("*.md")))],
    ids=lambda page: f"{page.parent.name}-{page.stem}",
)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http") and target != "docs/images/report.png":
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    "page",
    [page for page in sorted((ROOT / "docs" / "models").glob("*.md")) if page.stem != "baselines"],
    ids=lambda page: page.stem,
)
def test_the_settings_on_the_page_of_a_model_are_those_of_a_study(page: Path, tmp_path: Path) -> None:
    given = [block for block in documents.blocks(page) if block.language == "yaml"]
    assert given, "a page of a model says what to write in a study"
    for block in given:
        study = {"name": "A page", "output": str(tmp_path), "simulate": {"n_subjects": 10}}
        check(StudyConfig.from_yaml(yaml.safe_dump(study | yaml.safe_load(block.text)), page.name))


def test_every_command_that_the_readme_lists_exists_and_no_other_does() -> None:
    from attending.cli.main import app

    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Commands")[1].split("\n## ")[0]
    listed = set(re.findall(r"`attending ([\w-]+) ", table)) - {"COMMAND"}
    assert listed == {name for name in app if not name.startswith("-")}
