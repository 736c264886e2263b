"""HiTANet against its authors' code (golden arrays) and against the paper's equations in plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.hitanet import EXAMPLE, Config, Model
from histories import batch_of, double, random_batch
from plain_layers import linear, softmax, transformer_layer, wave

GOLDEN = Path(__file__).parent.parent / "golden" / "hitanet.npz"


def golden() -> tuple[Model, Batch, np.ndarray]:
    """Return the authors' weights in our model, their input as a batch, and their logits.

    Recipe: the authors' PyTorch code was run on random visits of 100 patients with random weights, in float32.
    Codes are the first rows of their table; the row before its last is the visit that they append.
    """
    arrays = dict(np.load(GOLDEN, allow_pickle=False))
    w = {name[2:]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith("w.")}
    table = w["feature_encoder.pre_embedding.weight"]
    sizes = {"width": table.shape[1], "width_time": len(w["quiry_layer.bias"]), "n_heads": 4}
    config = Config(n_tokens=len(table) - 2, n_outcomes=2, dropout=0.0, strict="authors", **sizes)
    model = Model(config).eval()
    attention, feed = (
        "feature_encoder.encoder_layers.0.attention",
        "feature_encoder.encoder_layers.0.feed_forward",
    )
    ours = {
        "visit_light.inner": "feature_encoder.selection_layer",
        "time": "feature_encoder.time_layer",
        "layers.0.mixed": f"{attention}.linear_final",
        "layers.0.norm": f"{attention}.layer_norm",
        "layers.0.feed.up": f"{feed}.w1",
        "layers.0.feed.down": f"{feed}.w2",
        "layers.0.feed.norm": f"{feed}.layer_norm",
        "local": "self_layer",
        "query": "quiry_layer",
        "key_light.inner": "time_encoder.selection_layer",
        "key": "time_encoder.weight_layer",
        "gate": "quiry_weight_layer",
        "output": "classify_layer",
    }
    state = {
        "embedding": table[:-2],
        "summary": table[-2],
        "bias": w["feature_encoder.bias_embedding"],
    }
    for kind in ("weight", "bias"):
        state |= {f"{mine}.{kind}": w[f"{theirs}.{kind}"] for mine, theirs in ours.items()}
        state[f"layers.0.inputs.{kind}"] = torch.cat([w[f"{attention}.linear_{one}.{kind}"] for one in "qkv"])
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    model.load_state_dict({name: value.reshape(shapes[name]) for name, value in state.items()})
    ends = np.cumsum(arrays["X_visit_lengths"])
    codes = [one.tolist() for one in np.split(arrays["X_codes"], ends[:-1])]
    visits = list(zip(arrays["T_flat"].tolist(), codes, strict=True))
    lengths = arrays["X_subject_lengths"]
    starts = np.cumsum(lengths) - lengths
    histories = [visits[start : start + n] for start, n in zip(starts, lengths, strict=True)]
    return model, batch_of(histories), arrays["out"]


def test_the_authors_form_matches_their_own_code() -> None:
    model, batch, theirs = golden()
    with torch.no_grad():
        output = model(batch)
    np.testing.assert_allclose(output.logits.numpy(), theirs, atol=1e-6, rtol=0)


def test_the_papers_form_matches_its_equations_in_plain_loops() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update={"n_layers": 2})).double().eval()
    batch = double(random_batch(9, seed=4))
    with torch.no_grad():
        found = model(batch)
    logits, weights = plain_hitanet(model, batch)
    np.testing.assert_allclose(found.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(found.visit_attention.numpy(), weights, atol=1e-10)


def plain_hitanet(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Restate the paper's equations, one patient, one visit, one head at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    logits, weights = [], []
    for subject in range(batch.n_subjects):
        h, ago = [], []
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        for visit in range(first, end):
            start, stop = batch.visit_offsets[visit : visit + 2].tolist()
            codes = set(batch.tokens[start:stop].tolist())
            ago.append(-float(batch.days[stop - 1]))
            h.append(sum(w["embedding"][code] for code in codes))
        h.append(w["summary"])
        for i, (one, d) in enumerate(zip(h, [*ago, 0.0], strict=True)):
            h[i] = one + w["bias"] + linear(w, "time", light(w, "visit_light.inner", d)) + wave(i, len(one))
        for layer in range(model.config.n_layers):
            h = transformer_layer(w, f"layers.{layer}", h, model.config.n_heads)
        *visits, summary = h
        alpha = softmax([linear(w, "local", one)[0] for one in visits])
        query = np.maximum(linear(w, "query", summary), 0)
        keys = [np.maximum(linear(w, "key", light(w, "key_light.inner", d)), 0) for d in ago]
        beta = softmax([query @ key / np.sqrt(len(query)) for key in keys])
        z = softmax(linear(w, "gate", summary))
        gamma = z[0] * beta + z[1] * alpha
        weights.extend(gamma)
        logits.append(linear(w, "output", sum(g * one for g, one in zip(gamma, visits, strict=True))))
    return np.array(logits), np.array(weights)


def light(w: dict[str, np.ndarray], name: str, days: float) -> np.ndarray:
    return 1 - np.tanh(linear(w, name, np.array([days / 180])) ** 2)


def test_time_alone_changes_the_weights() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    near, far = ([[(ago, [1, 2]), (10.0, [3])]] for ago in (40.0, 400.0))
    with torch.no_grad():
        weights = [model(batch_of(one)).visit_attention for one in (near, far)]
    assert float((weights[0] - weights[1]).abs().max()) > 1e-3


def test_the_authors_form_depends_on_batch_mates_and_the_papers_does_not() -> None:
    """The released attention mixes padded steps into its heads; this is why it is not the default."""
    history, mates = [(90.0, [1]), (10.0, [2])], [[(float(ago), [3]) for ago in range(9, 0, -1)]]
    for strict, same in (("paper", True), ("authors", False)):
        torch.manual_seed(0)
        model = Model(EXAMPLE.model_copy(update={"strict": strict})).eval()
        with torch.no_grad():
            alone, together = model(batch_of([history])).logits, model(batch_of([history, *mates])).logits[:1]
        assert torch.allclose(alone, together, atol=1e-10) is same


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="width 16, n_heads 3"):
        Model(EXAMPLE.model_copy(update={"n_heads": 3}))
    with pytest.raises(ConfigError, match="n_layers: 1; got 2"):
        Model(EXAMPLE.model_copy(update={"n_layers": 2, "strict": "authors"}))
