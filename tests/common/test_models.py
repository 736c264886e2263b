"""What every registered model must do; a new file in `models/` is tested here before it has a test of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from attending import registry
from attending.batch import Batch, Facts, Output
from attending.checkpoint import build_model, digest, load_model, load_tensors, save_model
from attending.config import Settings
from attending.data.batches import Config as BatchConfig
from attending.data.batches import assemble
from attending.nn.interface import Model, SelfSupervised
from histories import (
    History,
    batch_of,
    facts,
    random_batch,
    random_histories,
    turned,
    with_static_facts,
    with_values,
)
from two_futures import two_futures

MODELS = registry.names("models")
VARIANTS: dict[str, list[dict[str, object]]] = {
    "adacare": [{"recalibrate": "sparsemax"}],
    "behrt": [{"strict": "authors"}],
    "concare": [{"strict": "authors"}, {"most_steps": 2}],
    "dipole": [{"score": "location"}, {"score": "general"}],
    "gram": [{"strict": "authors", "knowledge": True}, {"passes": "up_and_down"}],
    "gru": [{"gap_weight": 0.0}],
    "retain": [{"strict": "authors", "time": False}],
    "stagenet": [{"strict": "authors"}],
    "transformer": [{"fades": True}],
}  # of which every check of a `model` is asked too; not HiTANet's `authors`, whose score depends on batch mates
CLOSE = {"atol": 1e-6, "rtol": 1e-6}


def fresh(name: str, *, config: Settings | None = None, fitted: bool = True, seed: int = 0) -> Model:
    """Build a model, of its example size unless told; one that fits is fitted on random histories."""
    config = config or registry.load("models", name).EXAMPLE
    torch.manual_seed(seed)
    model = build_model(name, config)
    model.use(facts_for(config))
    for parameter in model.parameters():  # leave no zero start in the way of a test
        parameter.data += 0.05 * torch.randn_like(parameter)
    if model.fits and fitted:
        batches = [random_batch(32, n_outcomes=config.n_outcomes, seed=one) for one in range(4)]
        model.fit(batches, batches[:1], seed=0)
    return model.eval()


def facts_for(config: Settings) -> Facts:
    n_tokens, n_outcomes = config.n_tokens, config.n_outcomes
    outcome_of_token = torch.arange(n_tokens) % (2 * n_outcomes)
    outcome_of_token[outcome_of_token >= n_outcomes] = -1
    return facts(outcome_of_token, torch.linspace(0.1, 0.6, n_outcomes))


@torch.no_grad()
def logits(model: Model, batch: Batch) -> np.ndarray:
    return model(batch.without_labels()).logits.numpy()


def training_loss(model: Model, batch: Batch) -> torch.Tensor:
    output = model(batch.without_labels())
    loss = binary_cross_entropy_with_logits(output.logits, batch.labels)
    return loss if output.penalty is None else loss + output.penalty


@pytest.fixture(params=[(name, given) for name in MODELS for given in ({}, *VARIANTS.get(name, []))], ids=str)
def model(request: pytest.FixtureRequest) -> Model:
    name, given = request.param
    return fresh(name, config=registry.load("models", name).EXAMPLE.model_copy(update=given))


def test_a_model_runs_forward_with_one_logit_per_history_and_outcome(model: Model) -> None:
    output = model(random_batch(7).without_labels())
    assert isinstance(output, Output)
    assert output.logits.shape == (7, 5)
    assert bool(torch.isfinite(output.logits).all())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_runs_backward_with_finite_gradients_for_every_parameter(name: str) -> None:
    model = fresh(name).train()
    if model.fits:
        assert not list(model.parameters()), (
            "a model that fits itself has no parameters for the training loop"
        )
        return
    training_loss(model, with_static_facts(random_batch(16))).backward()
    for label, parameter in model.named_parameters():
        if label.startswith("pretext."):
            continue
        assert parameter.grad is not None, f"{label} takes no part in the prediction"
        assert bool(torch.isfinite(parameter.grad).all()), label
        assert bool(parameter.grad.any()), f"{label} can learn nothing"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_from_histories_without_labels(name: str) -> None:
    model, batch = fresh(name, fitted=False).train(), random_batch(16)
    if not isinstance(model, SelfSupervised):
        return  # it learns from labels alone
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(60):
        torch.manual_seed(step)
        loss = model.self_loss(batch.without_labels())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < np.mean(losses[:10]), "its own objective does not fall"
    for label, parameter in model.named_parameters():
        if label.startswith("pretext."):
            assert parameter.grad is not None, f"{label} takes no part in the model's own objective"


def test_a_score_does_not_depend_on_who_shares_the_batch(model: Model) -> None:
    histories = random_histories(9, seed=3)
    np.testing.assert_allclose(together(model, histories), alone(model, histories), **CLOSE)


def test_an_empty_first_visit_takes_nothing_from_a_batch_mate(model: Model) -> None:
    histories = [
        [(30.0, [1, 2])],
        [(500.0, []), (90.0, [3, 4]), (0.0, [5])],
        [(0.0, [])],
        [(70.0, []), (0.0, [])],
    ]
    np.testing.assert_allclose(together(model, histories), alone(model, histories), **CLOSE)


def test_a_long_batch_mate_changes_nothing(model: Model) -> None:
    short = random_histories(1, seed=4)
    long = [[(float(900 - visit), [visit % 40, (7 * visit) % 40]) for visit in range(300)]]
    np.testing.assert_allclose(together(model, short), together(model, short + long)[:1], **CLOSE)


def test_the_order_of_patients_changes_nothing(model: Model) -> None:
    histories = random_histories(8, seed=5)
    forwards, backwards = together(model, histories), together(model, histories[::-1])
    np.testing.assert_allclose(forwards, backwards[::-1], **CLOSE)


def together(model: Model, histories: list[History]) -> np.ndarray:
    return logits(model, with_values(batch_of(histories)))


def alone(model: Model, histories: list[History]) -> np.ndarray:
    return np.concatenate([together(model, [history]) for history in histories])


def test_the_order_of_simultaneous_events_changes_nothing(model: Model) -> None:
    batch = random_batch(6, seed=6)
    np.testing.assert_allclose(logits(model, batch), logits(model, turned(batch)), atol=5e-6, rtol=5e-6)


@pytest.mark.parametrize("name", MODELS)
def test_an_empty_visit_in_the_middle_does_not_hide_the_last_one(name: str) -> None:
    model = fresh(name)
    if not _reads_the_patient(name):
        return
    histories = [
        [(400.0, [1, 2]), (200.0, []), (0.0, [token, token + 1, token + 2])] for token in (3, 10, 17, 24, 31)
    ]
    found = logits(model, batch_of(histories))
    assert np.isfinite(found).all()
    assert len(np.unique(found.round(7), axis=0)) > 1, "different last visits must give different logits"


def test_empty_single_and_very_long_histories_work(model: Model) -> None:
    long = [(5000.0 - event, [event % 40]) for event in range(5000)]
    found = logits(model, batch_of([[], [(0.0, [5])], [(0.0, [])], long]))
    assert found.shape == (4, 5)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("histories", [[[], []], [[(0.0, [])]]], ids=["no visits", "no tokens"])
def test_a_batch_of_only_empty_histories_works(name: str, histories: list[History]) -> None:
    model, batch = fresh(name), batch_of(histories, np.zeros((len(histories), 5)))
    assert np.isfinite(logits(model, batch)).all()
    if model.fits:
        return
    losses = [training_loss(model.train(), batch)]
    if isinstance(model, SelfSupervised):
        losses.append(model.self_loss(batch.without_labels()))
    for loss in losses:
        assert bool(torch.isfinite(loss))
        model.zero_grad()
        if loss.requires_grad:
            loss.backward()
        for label, parameter in model.named_parameters():
            assert parameter.grad is None or bool(torch.isfinite(parameter.grad).all()), label


def test_a_batch_of_no_histories_works(model: Model) -> None:
    assert logits(model, batch_of([])).shape == (0, 5)
    if isinstance(model, SelfSupervised):
        assert bool(torch.isfinite(model.self_loss(batch_of([]))))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_overfits_eight_patients(name: str) -> None:
    if not getattr(registry.load("models", name), "LEARNS", True):
        pytest.skip(f"{name} says in its file why it cannot")
    model, batch = fresh(name, fitted=False), random_batch(8, seed=11)
    if model.fits:
        model.fit([batch] * 4, [batch], seed=0)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(200):
            optimizer.zero_grad()
            training_loss(model, batch).backward()
            optimizer.step()
    model.eval()
    loss = binary_cross_entropy_with_logits(torch.from_numpy(logits(model, batch)), batch.labels)
    assert float(loss) < 0.25


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_leaves_out_labels_that_are_not_known(name: str) -> None:
    if not fresh(name, fitted=False).fits:
        return  # the training loop's loss does it
    batch = random_batch(48, seed=8)
    unknown = torch.rand(48, 5, generator=torch.Generator().manual_seed(0)) < 0.2
    model = fresh(name, fitted=False)
    model.fit([replace(batch, labels=batch.labels.masked_fill(unknown, torch.nan))], [batch], seed=0)
    assert np.isfinite(logits(model.eval(), batch)).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_predicts_a_number_where_one_is_asked_for(name: str) -> None:
    if not fresh(name, fitted=False).fits:
        return  # the training loop's loss does it
    batch = random_batch(48, n_outcomes=1, seed=8)
    batch = replace(batch, labels=2 * batch.labels - 40)
    config = registry.load("models", name).EXAMPLE.model_copy(update={"n_outcomes": 1})
    model = fresh(name, config=config, fitted=False)
    model.use(facts(torch.full((40,), -1), torch.full((1,), 0.5), "value"))
    model.fit([batch], [batch], seed=0)
    assert logits(model.eval(), batch).mean() == pytest.approx(float(batch.labels.mean()), abs=0.5)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_saves_and_loads_to_the_same_bits(name: str, tmp_path) -> None:
    model = fresh(name)
    config = registry.load("models", name).EXAMPLE
    save_model(tmp_path, name, config, model)
    loaded_name, loaded = load_model(tmp_path)
    assert loaded_name == name
    assert (
        digest(loaded.state_dict())
        == digest(model.state_dict())
        == digest(load_tensors(tmp_path / "model.safetensors")[0])
    )
    batch = random_batch(5, seed=2)
    assert np.array_equal(logits(loaded, batch), logits(model, batch))


@pytest.mark.parametrize("name", MODELS)
def test_settings_round_trip_through_yaml(name: str) -> None:
    config = registry.load("models", name).EXAMPLE
    assert type(config).from_yaml(config.to_yaml()) == config


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", ["tiny", "large"])
def test_one_dial_sets_a_model_that_runs(name: str, size: str) -> None:
    module = registry.load("models", name)
    known = ("n_tokens", "n_outcomes", "n_concepts")
    sizes = {key: value for key, value in module.EXAMPLE.to_dict().items() if key in known}
    config = module.Config(size=size, **sizes)
    assert module.Config.from_yaml(config.to_yaml()) == config
    if not build_model(name, config).fits:
        assert np.isfinite(logits(fresh(name, config=config), random_batch(3))).all()


def test_a_model_runs_in_bfloat16(model: Model) -> None:
    batch = random_batch(6).without_labels()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model(batch).logits.float().numpy()
    np.testing.assert_allclose(found, logits(model, batch), atol=0.15, rtol=0.1)  # bf16 keeps 8 bits


def test_prediction_needs_no_label_and_ignores_any(model: Model) -> None:
    batch = random_batch(6)
    flipped = replace(batch, labels=1 - batch.labels)
    with torch.no_grad():
        assert torch.equal(model(batch).logits, model(flipped).logits)
        assert torch.equal(model(batch).logits, model(batch.without_labels()).logits)


def test_prediction_is_deterministic(model: Model) -> None:
    batch = random_batch(6)
    assert np.array_equal(logits(model, batch), logits(model, batch))


@pytest.mark.parametrize("name", MODELS)
def test_attention_lands_on_the_visit_it_belongs_to(name: str) -> None:
    model = fresh(name)
    few, many = random_histories(1, seed=7, max_visits=4), [[(float(99 - v), [v % 40]) for v in range(16)]]
    gone = [[(50.0, [3, 4]), (20.0, []), (0.0, [5])]]
    batch = batch_of(few + many + gone)
    with torch.no_grad():
        output = model(batch)
    for attention, owner in (
        (output.visit_attention, batch.subject_of_visit),
        (output.token_attention, batch.subject_of_token),
    ):
        if attention is not None:
            assert bool((attention >= 0).all())
            assert torch.zeros(3).index_add(0, owner, attention).tolist() == pytest.approx(
                [1.0] * 3, abs=1e-5
            )


@pytest.mark.parametrize("name", MODELS)
def test_the_future_stays_unseen(name: str, store_with_samples) -> None:
    """Replacing everything known after the prediction time by noise changes no bit of the prediction."""
    store, samples = store_with_samples
    model = fresh(name)
    positions = np.arange(len(samples))
    before = logits(model, assemble(store, samples, positions, 512))
    future = np.ones(len(store.token), dtype=bool)
    for start, cut in zip(samples.start, samples.cut, strict=True):
        future[start:cut] = False
    assert future.any()
    noise = np.random.default_rng(0)
    noisy = replace(
        store,
        token=np.where(future, noise.integers(0, 40, len(future)), store.token).astype(np.int32),
        value=np.where(future, noise.normal(size=len(future)), store.value).astype(np.float32),
        visit=np.where(future, store.visit + noise.integers(0, 3, len(future)), store.visit).astype(np.int32),
    )
    assert np.array_equal(before, logits(model, assemble(noisy, samples, positions, 512)))


@pytest.mark.parametrize("name", MODELS)
def test_two_records_that_agree_up_to_the_prediction_give_the_same_bits(name: str) -> None:
    """From events on: tokenized with another future and other labels, the prediction is the same."""
    real, noisy = two_futures()
    model, positions = fresh(name), np.arange(len(real.samples))
    assert len(real.store.token) != len(noisy.store.token)
    batches = [assemble(one.store, one.samples, positions, 512) for one in (real, noisy)]
    assert not torch.equal(batches[0].labels, batches[1].labels)
    with torch.no_grad():
        before, after = (model.predicted(batch, "multilabel") for batch in batches)
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", MODELS)
def test_the_newest_events_are_kept_when_a_history_is_cut(name: str, store_with_samples) -> None:
    """Noise in the oldest events, which the cut removes, changes nothing; the newest decide."""
    store, samples = store_with_samples
    model = fresh(name)
    longest = int(np.argmax(samples.cut - samples.start))
    positions, limit = np.array([longest]), 12
    assert BatchConfig(max_tokens=limit).max_tokens < samples.cut[longest] - samples.start[longest]
    kept = assemble(store, samples, positions, limit)
    assert len(kept.tokens) == limit
    newest = store.token[samples.cut[longest] - (limit - 1) : samples.cut[longest]]
    assert kept.tokens[1:].tolist() == newest.tolist(), "one static fact, then the newest events"
    old = np.arange(len(store.token))
    oldest = (old > samples.start[longest]) & (old < samples.cut[longest] - limit)
    noisy = replace(store, token=np.where(oldest, 39, store.token).astype(np.int32))
    assert np.array_equal(logits(model, kept), logits(model, assemble(noisy, samples, positions, limit)))


def _reads_the_patient(name: str) -> bool:
    return name not in ("popularity", "age_sex")
