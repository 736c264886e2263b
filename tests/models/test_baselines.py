"""Baselines find what is planted for them."""

from dataclasses import replace

import pytest
import torch

from attending import registry
from attending.batch import Batch
from attending.checkpoint import build_model
from attending.nn.interface import Model
from histories import facts, random_batch

BASELINES = ("popularity", "copy_history", "age_sex", "logistic_counts", "gbm_counts")


def fitted(
    name: str, train: Batch, tuning: Batch, target: str = "multilabel", **settings: object
) -> tuple[Model, dict]:
    assert train.labels is not None
    n = train.labels.shape[1]
    config = registry.load("models", name).EXAMPLE.model_copy(update={"n_outcomes": n} | settings)
    model = build_model(name, config)
    prevalence = torch.full((n,), 0.5)
    model.use(facts(torch.full((40,), -1), prevalence, target))
    return model.eval(), model.fit([train], [tuning], seed=0)


def by_token(token: int, n: int, seed: int) -> Batch:
    """Return histories whose only outcome is whether they hold a token."""
    batch = random_batch(n, n_outcomes=1, seed=seed)
    held = torch.zeros(n).index_add(0, batch.subject_of_token, (batch.tokens == token).float()) > 0
    return replace(batch, labels=held.float()[:, None])


def test_age_sex_learns_a_sex() -> None:
    train, tuning = by_token(1, 400, 1), by_token(1, 100, 2)
    model, _ = fitted("age_sex", train, tuning)
    with torch.no_grad():
        logits = model(tuning).logits[:, 0]
    assert float(logits[tuning.labels[:, 0] > 0].min()) > float(logits[tuning.labels[:, 0] == 0].max())


def test_logistic_counts_is_sparse_where_one_code_decides() -> None:
    train, tuning = by_token(7, 400, 1), by_token(7, 100, 2)
    model, chosen = fitted("logistic_counts", train, tuning, strengths=(3e-2,), sparsities=(3e-3, 1e-3))
    assert chosen["sparsity"] > 0
    assert chosen["share_of_weights_not_0"] < 0.3
    with torch.no_grad():
        right = (model(tuning).logits > 0).float() == tuning.labels
    assert float(right.float().mean()) > 0.95


def test_logistic_counts_keeps_to_prevalence_where_nothing_can_be_learned() -> None:
    train, tuning = by_token(7, 60, 1), by_token(7, 30, 2)
    tuning = replace(tuning, labels=1 - tuning.labels)
    model, chosen = fitted("logistic_counts", train, tuning, strengths=(0.1,), sparsities=(1e-2,))
    assert chosen == {"share_of_weights_not_0": 0.0}
    with torch.no_grad():
        assert model(tuning).logits.std() == 0


def test_gbm_counts_chooses_among_its_settings() -> None:
    train, tuning = by_token(7, 400, 1), by_token(7, 100, 2)
    _, chosen = fitted("gbm_counts", train, tuning, n_leaves=(7, 3), min_leaf=(5, 300))
    assert chosen["min_leaf"] == 5, "a leaf of 300 cannot hold the code"


@pytest.mark.parametrize("name", BASELINES)
def test_a_number_is_predicted_about_its_mean(name: str) -> None:
    train = by_token(7, 400, 1)
    train = replace(train, labels=train.labels * 2 + 3)
    model, _ = fitted(name, train, train, "value", **({"min_leaf": (5,)} if name == "gbm_counts" else {}))
    with torch.no_grad():
        assert float(model(train).logits.mean()) == pytest.approx(float(train.labels.mean()), abs=0.1)
