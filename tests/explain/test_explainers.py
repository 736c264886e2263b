"""Explainers on models whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from attending import registry
from attending.batch import Batch
from attending.checkpoint import build_model
from attending.errors import ModelError
from attending.explain import contributions, integrated_gradients
from attending.nn.interface import Model
from attending.train.config import Config
from attending.train.steps import hide
from histories import batch_of, facts, random_batch

HIDING = Config(hide_events=0.1, hide_histories=0.1)
DIFFERENTIABLE = ["retain", "transformer", "gru"]


def trained_on_a_planted_cause(name: str, cause: int = 7) -> tuple[Model, Batch]:
    """Train a model on histories where token `cause` alone decides outcome 0."""
    batch = random_batch(192, seed=3)
    present = torch.zeros(192).index_add(0, batch.subject_of_token, (batch.tokens == cause).float()) > 0
    labels = torch.zeros(192, 5)
    labels[:, 0] = present.float()
    torch.manual_seed(0)
    model = build_model(name, registry.load("models", name).EXAMPLE)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator, lengths = np.random.default_rng(0), batch.token_offsets.diff().numpy()
    for _ in range(120):
        optimizer.zero_grad()
        hidden = batch.with_weights(torch.from_numpy(hide(lengths, HIDING, generator)))
        binary_cross_entropy_with_logits(model(hidden).logits, labels).backward()
        optimizer.step()
    return model.eval(), replace(batch, labels=labels)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_a_planted_cause_ranks_first(name: str) -> None:
    model, batch = trained_on_a_planted_cause(name)
    outcome = torch.zeros(batch.n_subjects, dtype=torch.int64)
    for explainer in (integrated_gradients, contributions) if name == "retain" else (integrated_gradients,):
        attribution, _ = explainer.explain(model, batch, outcome, explainer.Config())
        hits = []
        for subject in torch.nonzero(batch.labels[:, 0])[:, 0].tolist():
            first, end = batch.token_offsets[subject : subject + 2].tolist()
            hits.append(int(batch.tokens[first:end][attribution[first:end].argmax()]) == 7)
        assert sum(hits) >= 0.9 * len(hits)


@pytest.mark.parametrize("name", [*DIFFERENTIABLE, "logistic_counts", "copy_history", "popularity"])
def test_integrated_gradients_sum_to_the_logit_minus_the_base(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, registry.load("models", name).EXAMPLE)
    model.use(facts(torch.arange(40) % 5, torch.full((5,), 0.3)))
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    if model.fits:
        model.fit([random_batch(32)], [random_batch(16, seed=9)], seed=0)
    model.eval()
    batch, outcome = random_batch(6, seed=1), torch.arange(6) % 5
    attribution, base = integrated_gradients.explain(
        model, batch, outcome, integrated_gradients.Config(n_steps=64)
    )
    with torch.no_grad():
        logit = model(batch).logits.gather(1, outcome[:, None])[:, 0]
    total = torch.zeros(6).index_add(0, batch.subject_of_token, attribution)
    torch.testing.assert_close(total + base, logit, atol=5e-3, rtol=5e-3)  # the quadrature's error


def test_for_retain_with_frozen_attention_both_explainers_agree() -> None:
    """With α and β constant the model is linear, and integrated gradients are the contributions."""
    torch.manual_seed(0)
    model = build_model("retain", registry.load("models", "retain").EXAMPLE).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in ("alpha.weight", "beta.weight"):
                parameter.zero_()
    batch, outcome = random_batch(8, seed=5), torch.zeros(8, dtype=torch.int64)
    exact, base = contributions.explain(model, batch, outcome, contributions.Config())
    along_path, zero = integrated_gradients.explain(model, batch, outcome, integrated_gradients.Config())
    torch.testing.assert_close(exact, along_path, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(base, zero)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_random_weights_give_another_explanation(name: str) -> None:
    model, batch = trained_on_a_planted_cause(name)
    outcome = torch.zeros(batch.n_subjects, dtype=torch.int64)
    config = integrated_gradients.Config()
    before, _ = integrated_gradients.explain(model, batch, outcome, config)
    torch.manual_seed(1)
    other = build_model(name, registry.load("models", name).EXAMPLE).eval()
    for parameter in other.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    after, _ = integrated_gradients.explain(other, batch, outcome, config)
    correlation = torch.corrcoef(torch.stack([before, after]))[0, 1]
    assert abs(float(correlation)) < 0.5


def test_a_history_without_events_is_explained_by_its_base_alone() -> None:
    model, _ = trained_on_a_planted_cause("retain")
    batch = batch_of([[], [(0.0, [])]])
    attribution, base = contributions.explain(
        model, batch, torch.zeros(2, dtype=torch.int64), contributions.Config()
    )
    assert len(attribution) == 0
    with torch.no_grad():
        torch.testing.assert_close(model(batch).logits[:, 0], base)


def test_a_model_without_gradients_or_contributions_says_so() -> None:
    model = build_model("gbm_counts", registry.load("models", "gbm_counts").EXAMPLE)
    batch, outcome = random_batch(2), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ModelError, match="gbm_counts has no gradients"):
        integrated_gradients.explain(model, batch, outcome, integrated_gradients.Config())
    with pytest.raises(ModelError, match="no exact contributions: use the explainer integrated_gradients"):
        contributions.explain(model, batch, outcome, contributions.Config())
