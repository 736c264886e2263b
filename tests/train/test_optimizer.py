"""Which part of a model learns at which rate."""

import numpy as np
import pytest
import torch

from attending import registry
from attending.checkpoint import build_model
from attending.config import Settings
from attending.models import gru, transformer
from attending.nn.interface import Model
from attending.train.config import Config
from attending.train.objective import OfLabels
from attending.train.optimizer import adamw, set_rate
from attending.train.phases import factors
from histories import random_batch

GRU = gru.Config(n_tokens=40, n_outcomes=5, width=128, width_state=256, dropout=0.0, gap_weight=0.0)
TRANSFORMER = transformer.Config(n_tokens=40, n_outcomes=5, width=128, n_heads=4, dropout=0.0)


def model_of(config: Settings) -> Model:
    torch.manual_seed(0)
    return build_model(type(config).__module__.rpartition(".")[2], config)


def test_what_multiplies_by_a_width_learns_slower_the_wider_it_is() -> None:
    found = factors(model_of(GRU), GRU, 64, 5)
    assert found["recurrence.weight_hh_l0"] == 128 / 256, "widths are thought in proportion"
    assert found["recurrence.weight_ih_l0"] == 65 / 129
    assert found["output.weight"] == 128 / 256
    assert (
        found["embedding"] == found["bias"] == found["output.bias"] == found["recurrence.bias_hh_l0"] == 1.0
    )


def test_tables_keep_their_rate_and_readouts_do_not() -> None:
    found = factors(model_of(TRANSFORMER), TRANSFORMER, 64, 5)
    matrices = [one for name, one in found.items() if "layers.0." in name and name.endswith(".weight")]
    assert min(matrices) == pytest.approx(0.5, abs=0.01)
    assert found["query"] == found["read"] == 0.5
    for kept in ("embedding", "recency", "memory", "bias", "time.weight"):
        assert found[kept] == 1.0, kept


@pytest.mark.parametrize("name", registry.names("models"))
def test_every_model_can_be_scaled_from_the_width_of_small(name: str) -> None:
    module = registry.load("models", name)
    known = ("n_tokens", "n_outcomes", "n_concepts")
    sizes = {key: value for key, value in module.EXAMPLE.to_dict().items() if key in known}
    config = module.Config(size="medium", **sizes)
    found = factors(build_model(name, config), config, 64, config.n_outcomes)
    assert set(found) == {label for label, _ in build_model(name, config).named_parameters()}
    assert all(0.4 < factor <= 1.0 for factor in found.values()), found
    small = config.model_copy(
        update={key: 64 for key in type(config).model_fields if key.startswith("width")}
    )
    assert set(factors(build_model(name, small), small, 64, config.n_outcomes).values()) <= {1.0}


@pytest.mark.parametrize("name", registry.names("models"))
def test_a_model_as_wide_as_the_rate_was_chosen_for_is_not_scaled(name: str) -> None:
    """Whatever the proportions of its widths."""
    config = registry.load("models", name).Config(n_tokens=40, n_outcomes=5)
    if "n_concepts" in type(config).model_fields:
        config = config.model_copy(update={"n_concepts": 56})
    found = factors(build_model(name, config), config, getattr(config, "width", 64), config.n_outcomes)
    assert set(found.values()) <= {1.0}


@pytest.mark.parametrize("name", registry.names("models"))
def test_of_every_model_only_matrices_shrink(name: str) -> None:
    model = build_model(name, registry.load("models", name).EXAMPLE)
    if model.fits:
        return
    shrunk = {
        id(one)
        for group in adamw(model, Config(), {}, fused=True).param_groups
        for one in group["params"]
        if group["weight_decay"]
    }
    spared = {label for label, one in model.named_parameters() if id(one) not in shrunk}
    assert all(
        "bias" not in label and "norm" not in label
        for label, _ in model.named_parameters()
        if label not in spared
    )
    assert {label for label, one in model.named_parameters() if one.ndim <= 1} <= spared


@pytest.mark.parametrize("name", registry.names("models"))
def test_heads_that_do_not_divide_the_rate_width_share_the_nearest_that_they_do(name: str) -> None:
    module = registry.load("models", name)
    if "n_heads" not in module.Config.model_fields:
        return
    widths = {key: 96 for key in module.Config.model_fields if key.startswith("width")}
    config = module.EXAMPLE.model_copy(update=widths | {"n_heads": 6})
    found = factors(build_model(name, config), config, 64, config.n_outcomes)
    assert min(found.values()) == pytest.approx(60 / 96, abs=0.05)


def test_nothing_is_scaled_unless_asked() -> None:
    assert factors(model_of(GRU), GRU, 0, 5) == {}


@pytest.mark.parametrize("kind", [gru, transformer])
def test_a_step_moves_the_logits_as_far_at_every_width(kind) -> None:
    """The check of coordinates of Tensor Programs V: three steps of Adam at one rate, narrow and wide."""
    scaled = [moved(kind, width, rate_width=32) for width in (32, 256)]
    plain = [moved(kind, width, rate_width=0) for width in (32, 256)]
    assert scaled[0] == pytest.approx(plain[0])
    assert 0.4 < scaled[1] / scaled[0] < 2.5
    assert plain[1] / plain[0] > 2 * scaled[1] / scaled[0]


def moved(kind, width: int, rate_width: int) -> float:
    config = kind.Config(n_tokens=40, n_outcomes=5, dropout=0.0, **_widths(kind, width))
    model, batch = model_of(config), random_batch(64)
    found = factors(model, config, rate_width, 5)
    objective = OfLabels(model, "multilabel").train()
    optimizer = adamw(model, Config(weight_decay=0.0), found, fused=True)
    before = model(batch).logits.detach()
    for _ in range(3):
        set_rate(optimizer, 1e-3)
        objective(batch, torch.ones(2)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return float((model(batch).logits.detach() - before).abs().mean())


def _widths(kind, width: int) -> dict[str, int]:
    return {name: width for name in kind.Config.model_fields if name.startswith("width")}


def test_only_matrices_shrink() -> None:
    optimizer = adamw(model_of(GRU), Config(weight_decay=0.1), {}, fused=True)
    for group in optimizer.param_groups:
        assert {parameter.ndim > 1 for parameter in group["params"]} == {group["weight_decay"] == 0.1}
    assert np.unique([group["factor"] for group in optimizer.param_groups]).tolist() == [1.0]
