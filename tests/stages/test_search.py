"""A search over settings: on tuning subjects, the same whether it is killed or not."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from attending.config import Component
from attending.data import batches
from attending.errors import ConfigError, Diverged, ModelError
from attending.pipeline import Study
from attending.stages import search as stage
from attending.stages.search import Config, Range, applied, default_space, laid_over, read_best, search
from attending.train import loop

GRU = Component(name="gru", width=8, width_state=8)
SPACE = {"train.learning_rate": Range(low=1e-3, high=3e-2, log=True), "model.dropout": [0.0, 0.3]}
BATCHES = batches.Config(max_tokens=48)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = Study(
        name="small",
        output=tmp_path_factory.mktemp("search") / "run",
        workers=1,
        simulate={"n_subjects": 250, "seed": 3},
        task={"name": "next_diagnoses", "vocabulary": "ccs"},
        models=[GRU.model_dump()],
        baselines=[],
        train={"epochs": 1},
        batches=BATCHES.to_dict(),
        search={"trials": 2, "space": {"train.learning_rate": {"low": 1e-3, "high": 1e-2}}},
    )
    made.fit()
    return made


def run(
    study: Study, out: Path, *, trials: int = 4, model: Component = GRU, seed: int = 0, **options: object
) -> Path:
    search(
        study.folder / "tokens",
        study.folder / "labels",
        out,
        model=model,
        config=Config(**({"trials": trials, "space": SPACE} | options)),
        training=loop.Config(epochs=1),
        batching=BATCHES,
        seed=seed,
    )
    return out


def test_the_best_of_all_trials_is_found_and_kept(study: Study, tmp_path: Path) -> None:
    out = run(study, tmp_path / "whole")
    table, best = pl.read_parquet(out / "trials.parquet"), read_best(out)
    assert table.height == 4
    assert table["tuning_loss"].n_unique() == 4
    assert best.tuning_loss == table["tuning_loss"].min()
    assert 1e-3 <= best.train["learning_rate"] <= 3e-2
    kept = yaml.safe_load((out / "model" / "config.yaml").read_text())
    assert kept["config"]["dropout"] == best.model["dropout"]
    assert not (out / "trials").exists()


def test_a_search_that_is_killed_ends_as_one_that_is_not(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(study, tmp_path / "whole")
    trained, calls = stage.train, []

    def killed(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return trained(*arguments, **options)

    monkeypatch.setattr(stage, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        run(study, tmp_path / "killed")
    again = run(study, tmp_path / "killed")
    assert len(calls) == 3 + 4, "all are asked again; the first two are up to date"
    assert (again / "best.yaml").read_text() == (whole / "best.yaml").read_text()
    assert pl.read_parquet(again / "trials.parquet").equals(pl.read_parquet(whole / "trials.parquet"))


def test_a_search_that_is_up_to_date_trains_nothing(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run(study, tmp_path / "whole", trials=1)
    monkeypatch.setattr(stage, "train", None)
    assert run(study, out, trials=1) == out


def test_a_trial_that_comes_apart_is_the_worst_and_no_more(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, calls = stage.train, []

    def sometimes(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise Diverged("the training loss is not finite")
        return trained(*arguments, **options)

    monkeypatch.setattr(stage, "train", sometimes)
    out = run(study, tmp_path / "whole")
    table = pl.read_parquet(out / "trials.parquet")
    assert table["tuning_loss"].is_infinite().to_list() == [False, False, False, True]
    assert read_best(out).tuning_loss == table["tuning_loss"].min()
    monkeypatch.setattr(stage, "train", lambda *_, **__: (_ for _ in ()).throw(Diverged("not finite")))
    with pytest.raises(ModelError, match="lower learning rates"):
        run(study, tmp_path / "nothing")


def test_settings_that_do_not_go_together_are_a_trial_that_failed(study: Study, tmp_path: Path) -> None:
    """Each value fits alone; a width of 12 and 8 heads do not."""
    space = {"model.width": [12, 16], "model.n_heads": [8]}
    out = run(
        study, tmp_path / "whole", model=Component(name="behrt", width=16, n_heads=4), space=space, trials=6
    )
    table = pl.read_parquet(out / "trials.parquet")
    failed = (table["model.width"] == 12) & (table["model.n_heads"] == 8)
    assert failed.any()
    assert table["tuning_loss"].is_infinite().to_list() == failed.to_list()


def test_a_large_seed_is_a_seed(study: Study, tmp_path: Path) -> None:
    assert read_best(run(study, tmp_path / "whole", trials=1, seed=2**31)).tuning_loss > 0


def test_whole_numbers_are_tried_where_a_setting_is_one(study: Study, tmp_path: Path) -> None:
    space = {"model.width": Range(low=4, high=12), "train.epochs": Range(low=1, high=2)}
    out = run(study, tmp_path / "whole", trials=2, space=space)
    assert all(isinstance(one, int) for one in read_best(out).model.values())


def test_a_study_whose_search_is_misspelt_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        Study(
            name="misspelt",
            output=tmp_path,
            simulate={"n_subjects": 250},
            models=["gru"],
            search={"space": {"train.learningrate": [0.1]}},
        )


def test_only_sizes_that_fit_the_other_settings_are_tried() -> None:
    assert "model.size" not in default_space(Component(name="hitanet", strict="authors"))
    assert default_space(Component(name="hitanet"))["model.size"] == ["tiny", "small", "medium"]


def test_a_study_trains_with_what_its_search_found(study: Study) -> None:
    found = read_best(study.folder / "search" / "gru")
    model, training = applied(found, GRU, loop.Config(epochs=1))
    assert training.learning_rate == found.train["learning_rate"]
    manifest = yaml.safe_load((study.model_folder("gru") / "manifest.json").read_text())
    assert manifest["config"]["train"]["learning_rate"] == found.train["learning_rate"]
    assert manifest["counts"]["tuning_loss"] == pytest.approx(found.tuning_loss), "same settings, same seed"
    assert model.settings == GRU.settings


def test_every_model_is_searched_over_the_same_few_settings_unless_told() -> None:
    assert set(default_space(Component(name="retain"))) == {
        "train.learning_rate", "train.weight_decay", "model.size", "model.dropout",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="chooses its own settings"):
        default_space(Component(name="logistic_counts"))


def test_a_size_replaces_the_widths_beside_it() -> None:
    assert laid_over(GRU, {"model.size": "tiny"}).settings == {"size": "tiny"}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.size": ["tinny"]}, "tinny|size"),
        ({"model.width": Range(low=-4, high=8)}, "width|invalid|negative"),
        ({"train.learningrate": [0.1]}, "did you mean 'train.learning_rate'"),
        ({"model.heads": [1]}, "no setting"),
        ({"train.learning_rate": Range(low=0, high=1, log=True)}, "low < high"),
        ({"model.dropout": []}, "something to choose from"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_any_work(
    study: Study, tmp_path: Path, space: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(study, tmp_path / "none", space=space)
    assert not (tmp_path / "none").exists()
