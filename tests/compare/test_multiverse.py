"""How far results move with the split and the seed, on numbers whose answer is known, and on a tiny study."""

import numpy as np
import pytest

from attending.compare.multiverse import as_table, first_counts, in_short, instability, read, spread
from attending.errors import ConfigError
from attending.multiverse import multiverse
from attending.simulate.config import Config as SimulateConfig
from attending.simulate.meds import simulate_meds
from attending.study import StudyConfig


def test_all_variance_is_the_split_s_where_seeds_change_nothing():
    found = spread(np.array([[0.7, 0.7], [0.8, 0.8], [0.6, 0.6]]))
    assert (found["mean"], found["min"], found["max"]) == (pytest.approx(0.7), 0.6, 0.8)
    assert (found["share_by_split"], found["share_by_seed"]) == (1, 0)


def test_all_variance_is_the_seed_s_where_splits_have_equal_means():
    found = spread(np.array([[0.6, 0.8], [0.8, 0.6]]))
    assert (found["share_by_split"], found["share_by_seed"]) == (0, 1)


def test_variance_components_are_recovered_from_a_simulation():
    generator = np.random.default_rng(0)
    values = generator.normal(0, 2, (2000, 1)) + generator.normal(0, 1, (2000, 4))
    assert spread(values)["share_by_split"] == pytest.approx(0.8, abs=0.02)


def test_shares_need_two_splits_and_two_seeds():
    assert spread(np.array([[0.7, 0.8]]))["share_by_split"] is None
    assert spread(np.array([[0.7], [0.8]]))["share_by_seed"] is None
    assert spread(np.array([[0.7]]))["sd"] is None
    assert spread(np.full((2, 2), 0.5))["share_by_split"] is None


def test_first_is_counted_by_the_better_end_and_ties_count_for_all():
    values = {"a": np.array([[0.9, 0.5]]), "b": np.array([[0.8, 0.5]])}
    assert first_counts(values) == {"a": 2, "b": 1}
    assert first_counts(values, lower_is_better=True) == {"a": 1, "b": 2}


def test_instability_is_the_spread_of_one_subject_s_probability_over_seeds():
    seeds = [np.array([[0.2], [0.5], [0.5]]), np.array([[0.4], [0.5], [0.5]])]
    found = instability(seeds, np.array([0, 0, 1]))
    assert found == pytest.approx([np.std([0.2, 0.4], ddof=1) / 2, 0])
    assert in_short([found])["median"] == pytest.approx(found.mean())
    assert in_short([])["mean"] is None


def study(tmp_path, **changed):
    simulate_meds(SimulateConfig(n_subjects=250, seed=3), tmp_path / "data")
    values = {
        "name": "tiny",
        "output": tmp_path / "out",
        "data": tmp_path / "data",
        "source": "meds",
        "workers": 1,
        "task": {"name": "next_diagnoses", "vocabulary": "ccs", "min_train_subjects": 40},
        "baselines": ["popularity"],
        "models": [{"name": "gru", "width": 8, "width_state": 8}],
        "train": {"epochs": 1},
        "evaluate": {"n_replicates": 10},
    }
    return StudyConfig.model_validate(values | changed)


def test_a_study_is_run_for_each_split_and_seed_on_events_ingested_once(tmp_path):
    found = multiverse(study(tmp_path), n_splits=2, n_seeds=2)
    assert np.shape(found["models"]["gru"]["values"]) == (2, 2)
    assert found["models"]["gru"]["instability"]["mean"] > 0
    assert found["models"]["popularity"]["instability"]["mean"] == 0
    variants = sorted((tmp_path / "out" / "multiverse").glob("split-*/seed-*"))
    assert len(variants) == 4
    assert not [folder for folder in variants if (folder / "events").exists()]
    tokens = [folder / "tokens" / "token.npy" for folder in variants[:2]]
    assert tokens[0].stat().st_ino == tokens[1].stat().st_ino  # one split: the same file
    assert len(as_table(found).lines) == 2
    assert read(tmp_path / "out") == found


def test_a_split_that_is_not_drawn_has_no_other(tmp_path):
    fixed = study(tmp_path, split={"name": "time"})
    with pytest.raises(ConfigError, match="not drawn at random"):
        multiverse(fixed)


def test_an_unknown_model_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'gru'"):
        multiverse(study(tmp_path), models=("gruu",))
