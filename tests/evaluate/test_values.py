"""Predicted numbers: intervals by subject, the comparison of models, and what is written."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as oracle
from written_study import evaluated, read

from attending.errors import ArtifactError
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.samples import check_values
from attending.evaluate.values import Measured, errors_of, groups
from attending.metrics.regression import errors

TASK = {"name": "length_of_stay", "kind": "days"}


def stays(n_subjects=150, seed=0):
    generator = np.random.default_rng(seed)
    subject = np.repeat(np.arange(1, n_subjects + 1), generator.integers(1, 4, n_subjects))
    expected = generator.gamma(4, 1, n_subjects)[subject - 1]
    return subject, expected, expected + generator.gamma(2, 1, len(subject)) - 1


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    subject, expected, observed = stays()
    generator = np.random.default_rng(1)
    close, far = (expected + generator.normal(0, spread, len(subject)) for spread in (0.2, 2))
    mean = np.full(len(subject), observed.mean())
    columns = {
        "label_codes": pl.lit(["length_of_stay"], dtype=pl.List(pl.String)),
        "value": pl.Series(observed),
    }
    predictions = {"strong": close, "gbm_counts": far, "popularity": mean}
    out = evaluated(
        tmp_path_factory.mktemp("stays"),
        subject,
        columns,
        outcomes=["length_of_stay"],
        task=TASK,
        target="value",
        predictions={name: value[:, None] for name, value in predictions.items()},
    )
    held_out = subject % 3 > 0
    return out, observed[held_out], {name: value[held_out] for name, value in predictions.items()}


def test_models_are_ranked_by_their_mean_absolute_error_against_the_best_baseline(study):
    out, observed, predictions = study
    metrics = read(out, "metrics")
    assert (metrics["headline"], metrics["target"], metrics["unit"]) == ("mae", "value", "days")
    better = min(("gbm_counts", "popularity"), key=lambda name: np.abs(predictions[name] - observed).mean())
    assert (metrics["best_baseline"], metrics["best_baseline_decided_by"]) == (better, "tuning")
    assert metrics["best_model"] == "strong"
    strong = metrics["models"]["strong"]["all"]["mae"]
    expected = oracle.mean_absolute_error(observed, predictions["strong"])
    assert strong["estimate"] == pytest.approx(expected, abs=1e-6)
    assert strong["low"] < expected < strong["high"]
    assert strong["difference"]["high"] < 0
    assert strong["difference"]["p_holm"] < 0.1


def test_every_metric_of_days_has_its_definition_and_an_interval(study):
    metrics = read(study[0], "metrics")
    found = metrics["models"]["strong"]["all"]
    assert set(found) == set(metrics["definitions"])
    assert {"kappa", "share_within_one_day", "msle", "median_absolute_error", "r2"} <= set(found)
    assert all(entry["low"] <= entry["estimate"] <= entry["high"] for entry in found.values())


def test_a_constant_prediction_has_no_slope(study):
    constant = read(study[0], "metrics")["models"]["popularity"]["all"]
    assert constant["slope_of_observed"]["estimate"] is None
    assert constant["mae"]["estimate"] > 0


def test_no_file_of_probabilities_is_written(study):
    names = {path.name for path in study[0].iterdir()}
    assert {"metrics.json", "comparison.parquet", "comparison.csv", "values.json"} <= names
    assert not {"curves.json", "per_outcome.parquet", "survival.json"} & names
    table = pl.read_parquet(study[0] / "comparison.parquet")
    assert set(table["model"]) == {"strong", "gbm_counts", "popularity"}


def test_groups_of_alike_predictions_stand_around_what_was_observed(study):
    found = read(study[0], "values")["models"]["strong"]
    assert len(found) > 1
    predicted = [group["predicted"] for group in found]
    assert predicted == sorted(predicted)
    for group in found:
        assert group["low"] <= group["observed"] <= group["high"]
        assert group["first_quartile"] <= group["third_quartile"]


def test_replicates_draw_subjects_with_all_their_samples():
    subject, expected, observed = stays(40)
    samples, bootstrap = Measured(subject, observed), Bootstrap(40, 20, 0)
    found = errors_of(samples, expected, bootstrap, of_days=True)
    weights = np.concatenate([block.T for block in bootstrap.blocks])[:, samples.owner].astype(int)
    for name in ("mae", "rmse", "median_absolute_error", "r2", "kappa", "slope_of_observed"):
        drawn = [
            errors(np.repeat(observed, of), np.repeat(expected, of), of_days=True)[name] for of in weights
        ]
        shift = found[name].estimate - np.mean(drawn)
        assert found[name].values == pytest.approx(np.array(drawn) + shift, abs=1e-9)


def test_nothing_is_told_of_ten_subjects():
    subject, expected, observed = stays(10)
    samples, bootstrap = Measured(subject, observed), Bootstrap(10, 20, 0)
    found = errors_of(samples, expected, bootstrap, of_days=True)
    assert np.isnan([value.estimate for value in found.values()]).all()
    assert groups(samples, expected, bootstrap) == []
    more = stays(11)
    assert np.isfinite(errors_of(Measured(more[0], more[2]), more[1], Bootstrap(11, 20, 0))["mae"].estimate)


def test_negative_numbers_are_accepted_and_what_is_no_number_is_refused():
    predicted = np.array([[-3.0], [40.0], [np.nan]])
    check_values("gru", predicted[:2], 2, 1)
    with pytest.raises(ArtifactError, match="expected finite numbers from the model 'gru'; 1 of 3"):
        check_values("gru", predicted, 3, 1)
    with pytest.raises(ArtifactError, match="for 4 samples × 1 outcomes; got 3 × 1"):
        check_values("gru", predicted, 4, 1)
