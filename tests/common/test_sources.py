"""What every registered source must do, on a made-up folder: leave out no line, keep MEDS, and always say the same."""

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending import artifact, registry
from attending.cli.main import main
from attending.config import Component
from attending.engine.local import Local
from attending.errors import TaskError
from attending.ledger import files
from attending.schema import AVAILABLE_TIME, CODE, RAW, SPLITS, SUBJECT_ID, TIME
from attending.stages.ingest import Sizes, ingest, update
from attending.stages.label import label
from folders import component, contents, cut, events_of, made_up, read_text, write_text

ROOT = Path(__file__).parent.parent.parent
NAMES = registry.names("sources")
ENGINE = Local(1)
SECRET = "recognisable"


@dataclass(frozen=True)
class Made:
    """A source's made-up folder and the events of it, in one shard and in many."""

    name: str
    raw: Path
    whole: Path
    shards: Path

    @property
    def component(self) -> Component:
        return component(self.name, self.raw)

    @property
    def tables(self) -> bool:
        """Whether all that is read are CSV tables, which can be cut and added to."""
        source = registry.load("sources", self.name).source(self.raw, self.component.config("sources"))
        units = files.find(source, self.raw).units
        return source.units is None and all(".csv" in unit.name for unit in units)

    @property
    def few(self) -> Sizes:
        """Sizes that cut it into some shards, and its files into many blocks."""
        return few(self.raw)

    @property
    def ledger(self) -> dict:
        return json.loads((self.whole / "ledger.json").read_text())


def few(raw: Path) -> Sizes:
    text = sum(files.text_bytes(path) for path in raw.rglob("*") if path.is_file())
    return Sizes(block_bytes=text // 20, shard_bytes=text // 3, part_bytes=text // 5)


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """Waiting for the disk is no part of what is tested here."""
    monkeypatch.setattr(artifact, "_sync", lambda path: None)


@pytest.fixture(scope="module", params=NAMES)
def made(request, tmp_path_factory):
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    raw = made_up(name).write(folder / "raw") or folder / "raw"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(artifact, "_sync", lambda path: None)
        ingest(component(name, raw), raw, folder / "whole", engine=ENGINE)
        ingest(component(name, raw), raw, folder / "shards", engine=ENGINE, sizes=few(raw))
    return Made(name, raw, folder / "whole", folder / "shards")


@pytest.mark.parametrize("name", NAMES)
def test_a_source_has_a_page_and_a_made_up_folder(name):
    assert (ROOT / "docs" / "data" / f"{name}.md").exists()
    assert (ROOT / "tests" / "raw" / f"{name}.py").exists()


def test_no_line_is_set_aside_but_those_that_are_meant_to_be(made):
    reasons = {reason for file in made.ledger["files"] for reason in (*file["quarantined"], *file["values"])}
    assert reasons == made_up(made.name).__dict__.get("SET_ASIDE", set())


def test_every_file_is_in_the_ledger_and_its_lines_add_up(made):
    accounts = {account["file"]: account for account in made.ledger["files"]}
    for path in (path for path in made.raw.rglob("*") if path.is_file()):
        account = accounts[path.relative_to(made.raw).as_posix()]
        fates = sum(account[fate] for fate in ("header", "accepted", "blank", "not_read"))
        aside = sum(n for columns in account["quarantined"].values() for n in columns.values())
        assert fates + aside == account["lines"]
        if account["header"]:
            assert account["lines"] == len(read_text(path).splitlines())
        if account["table"] and account["status"] == "read":
            assert account["lines"]


def test_the_files_beside_the_events_are_those_of_meds(made):
    for path in sorted((made.whole / "data").glob("*.parquet")):
        meds.DataSchema.validate(pq.read_table(path))
    beside = made.whole / "metadata"
    meds.CodeMetadataSchema.validate(pq.read_table(beside / "codes.parquet"))
    meds.SubjectSplitSchema.validate(pq.read_table(beside / "subject_splits.parquet"))
    meds.DatasetMetadataSchema.validate(json.loads((beside / "dataset.json").read_text()))
    splits = pl.read_parquet(beside / "subject_splits.parquet")
    assert splits[SUBJECT_ID].is_unique().all()
    assert set(splits["split"]) <= set(SPLITS)
    assert set(events_of(made.whole)[SUBJECT_ID]) <= set(splits[SUBJECT_ID])


def test_every_code_is_among_the_codes_with_the_number_of_its_events(made):
    codes = pl.read_parquet(made.whole / "metadata" / "codes.parquet")
    counted = events_of(made.whole).group_by(CODE).len("n_events").sort(CODE)
    assert codes.select(CODE, "n_events").sort(CODE).equals(counted.cast({"n_events": pl.Int64}))


def test_an_event_is_known_when_it_happened_or_later(made):
    events = events_of(made.whole)
    assert (events[AVAILABLE_TIME].is_null() == events[TIME].is_null()).all()
    assert (events[AVAILABLE_TIME] >= events[TIME]).all()


def test_events_are_in_order_and_each_subject_is_in_one_shard(made):
    seen: set[int] = set()
    for path in sorted((made.shards / "data").glob("*.parquet")):
        events = pl.read_parquet(path)
        assert events.equals(events.sort(SUBJECT_ID, TIME, nulls_last=False, maintain_order=True))
        subjects = set(events[SUBJECT_ID])
        assert not subjects & seen
        seen |= subjects
    assert len(list((made.shards / "data").glob("*.parquet"))) > 1


def test_many_shards_hold_the_events_of_one(made):
    assert events_of(made.shards).equals(events_of(made.whole))
    for name in ("codes", "subject_splits"):
        whole, shards = (
            pl.read_parquet(out / "metadata" / f"{name}.parquet") for out in (made.whole, made.shards)
        )
        assert shards.equals(whole)


def test_the_command_line_gives_the_same_bytes(made, tmp_path):
    settings = made.component.model_dump(exclude={"name"})
    given = [f"source.{key}={value}" for key, value in settings.items()]
    assert main(["ingest", made.name, str(made.raw), str(tmp_path / "out"), *given, "--workers", "1"]) == 0
    assert contents(tmp_path / "out") == contents(made.whole)


def test_an_ingest_that_is_killed_again_and_again_ends_in_the_same_bytes(made, tmp_path, monkeypatch):
    random, left = Random(made.name), [0]

    def dies(path: Path) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(artifact, "_sync", dies)
    n_killed, done = 0, False
    while not done:
        left[0] = random.randint(5, 60) * (1 + n_killed)
        try:
            ingest(made.component, made.raw, tmp_path / "out", engine=ENGINE, sizes=made.few)
            done = True
        except KeyboardInterrupt:
            n_killed += 1
    assert n_killed
    assert contents(tmp_path / "out") == contents(made.shards)


def test_the_text_of_a_line_is_kept_only_on_request(made, tmp_path):
    raw = made_up(made.name).write(tmp_path / "raw") or tmp_path / "raw"
    damaged = [path for path in raw.rglob("*") if {".csv", ".ndjson"} & set(path.suffixes)]
    for path in damaged:
        write_text(path, read_text(path) + f'{SECRET}"\n'.encode())
    for keep_raw in (False, True):
        ingest(component(made.name, raw), raw, tmp_path / "out", engine=ENGINE, keep_raw=keep_raw)
        assert (SECRET in everything(tmp_path / "out")) == (keep_raw and bool(damaged))
        for path in (tmp_path / "out" / "quarantine").glob("*.parquet"):
            assert (RAW in pl.read_parquet_schema(path)) == keep_raw


def everything(out: Path) -> str:
    """Return all that the files of an artifact say, as text."""
    texts = [path.read_text() for path in out.rglob("*.json")]
    tables = [pl.read_parquet(path) for path in out.rglob("*.parquet")]
    return "\n".join([*texts, *(str(table.to_dicts()) for table in tables)])


@pytest.mark.parametrize("name", NAMES)
def test_an_update_is_an_ingest_of_everything(name, tmp_path):
    raw = made_up(name).write(tmp_path / "whole") or tmp_path / "whole"
    if not Made(name, raw, raw, raw).tables:
        pytest.skip("tables that are no CSV are not cut in two here")
    cut(raw, tmp_path / "old", tmp_path / "new", 0.6)
    source, options = (
        component(name, raw),
        {"engine": ENGINE, "sizes": Sizes(shard_bytes=few(raw).shard_bytes), "keep_rows": True},
    )
    ingest(source, [tmp_path / "old", tmp_path / "new"], tmp_path / "full", **options)
    ingest(source, tmp_path / "old", tmp_path / "out", **options)
    update(tmp_path / "out", tmp_path / "new", engine=ENGINE)
    assert contents(tmp_path / "out") == contents(tmp_path / "full")


def test_a_question_can_be_asked_of_the_events(made, tmp_path):
    samples = {}
    for task in registry.names("tasks"):
        settings = {"min_train_subjects": 1} if task == "next_diagnoses" else {}
        try:
            manifest = label(
                made.whole, tmp_path / task, task=Component(name=task, **settings), engine=ENGINE
            )
        except TaskError:
            continue
        samples[task] = manifest.counts["samples"]
    assert any(samples.values()), samples
