"""What a model learns from: outcomes that are not known count for nothing, and numbers are standardised in training."""

import numpy as np
import polars as pl
import torch

from attending.data.batches import assemble
from attending.data.samples import find_samples
from attending.nn.losses import loss
from stores import OUTCOMES, random_store


def labelled(**columns: list[object]) -> pl.DataFrame:
    _, samples = random_store(n_subjects=2, seed=0)
    frame = samples.frame[[0, 2]]
    return frame.with_columns(*(pl.Series(name, values) for name, values in columns.items()))


def test_a_label_that_is_not_known_is_nan_and_takes_no_part_in_loss_or_prevalence() -> None:
    store, _ = random_store(n_subjects=2, seed=0)
    frame = labelled(
        label_codes=[[OUTCOMES[0]], [OUTCOMES[1]]], censored_codes=[[OUTCOMES[1], OUTCOMES[2]], [OUTCOMES[2]]]
    )
    samples = find_samples(store, frame, OUTCOMES)
    labels = assemble(store, samples, np.arange(2), 512).labels
    expected = [[1, np.nan, np.nan, 0, 0], [0, 1, np.nan, 0, 0]]
    np.testing.assert_array_equal(labels.numpy(), np.array(expected, np.float32))
    np.testing.assert_array_equal(samples.prevalence(np.arange(2)), [0.5, 1, 0, 0, 0])
    logits = torch.zeros(2, 5, requires_grad=True)
    found = loss(logits, labels, "multilabel")
    found.backward()
    assert abs(float(found.detach()) - np.log(2)) < 1e-6
    assert bool(((logits.grad == 0) == torch.isnan(labels)).all())


def test_a_number_is_measured_in_standard_deviations_from_its_mean_in_training() -> None:
    store, _ = random_store(n_subjects=2, seed=0)
    frame = labelled(label_codes=[["days"], ["days"]], value=[4.0, 10.0])
    samples = find_samples(store, frame, ["days"]).standardised(np.arange(2))
    assert (samples.center, samples.scale) == (7.0, 3.0)
    assert assemble(store, samples, np.arange(2), 512).labels.tolist() == [[-1.0], [1.0]]


def test_the_loss_of_a_number_is_its_squared_error() -> None:
    assert float(loss(torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [float("nan")]]), "value")) == 1.0


def test_a_batch_in_which_nothing_is_known_has_no_loss_and_no_gradient() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    loss(logits, torch.full((2, 3), float("nan")), "multilabel").backward()
    assert bool((logits.grad == 0).all())
