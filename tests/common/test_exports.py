"""What every registered export must do with events of any source: say what it wrote, and write the same again."""

import pytest

from attending import artifact, registry
from attending.config import Component
from attending.engine.local import Local
from attending.stages.export import export
from attending.stages.ingest import Sizes, ingest
from folders import component, contents, made_up

ENGINE = Local(1)
SOURCES = ("mimic4", "physionet2012", "synthea")


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """Waiting for the disk is no part of what is tested here."""
    monkeypatch.setattr(artifact, "_sync", lambda path: None)


@pytest.fixture(scope="module", params=SOURCES)
def events(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    raw = made_up(request.param).write(folder / "raw")
    sizes = Sizes(shard_bytes=20_000)
    ingest(component(request.param, raw), raw, folder / "events", engine=ENGINE, sizes=sizes)
    return folder / "events"


@pytest.mark.parametrize("name", registry.names("exports"))
def test_an_export_says_what_it_wrote_and_writes_the_same_again(name, events, tmp_path):
    first = export(events, tmp_path / "one", to=Component(name=name), engine=ENGINE)
    again = export(events, tmp_path / "two", to=Component(name=name), engine=ENGINE)
    assert first.counts == again.counts
    assert first.counts["rows"] > 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert not list((tmp_path / "one").rglob(".*"))


@pytest.mark.parametrize("name", registry.names("exports"))
def test_an_export_that_was_killed_ends_in_the_same_bytes(name, events, tmp_path, monkeypatch):
    export(events, tmp_path / "whole", to=Component(name=name), engine=ENGINE)
    left = [3]

    def dies(path):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(artifact, "_sync", dies)
    with pytest.raises(KeyboardInterrupt):
        export(events, tmp_path / "out", to=Component(name=name), engine=ENGINE)
    export(events, tmp_path / "out", to=Component(name=name), engine=ENGINE)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
