"""Dipole against the paper's equations in plain loops, and the trap of an encoder that reads both ways."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from attending.batch import Batch
from attending.data.batches import assemble
from attending.data.samples import find_samples
from attending.models.dipole import EXAMPLE, Model
from attending.tokens.store import TokenStore
from histories import batch_of
from plain_layers import softmax, weights_of
from plain_loops import both_ways_gru, exact_batch, histories_of

SCORES = ["location", "general", "concat"]
VISITS = [[3, 4], [5], [6, 7, 8], [4, 9], [3, 11], [12]]


def model_of(score: str) -> Model:
    torch.manual_seed(0)
    return Model(EXAMPLE.model_copy(update={"score": score})).eval()


def plain_dipole(model: Model, batch: Batch, score: str) -> tuple[list[np.ndarray], list[float]]:
    """Restate the equations, one patient and one visit at a time; return logits and the attention of all visits."""
    w, logits, attention = weights_of(model), [], []
    for visits in histories_of(batch):
        v = [np.maximum(w["embedding"][visit.codes].sum(0) + w["bias"], 0) for visit in visits]
        *earlier, now = both_ways_gru(v, w)
        context = np.zeros_like(now)
        if earlier:
            alpha = softmax(np.array([plain_score(score, now, h, w) for h in earlier]))
            context = sum(a * h for a, h in zip(alpha, earlier, strict=True))
            attention += alpha.tolist()
        attention.append(0.0)
        read = np.tanh(w["read.weight"] @ np.concatenate([context, now]))
        logits.append(w["output.weight"] @ read + w["output.bias"])
    return logits, attention


def plain_score(score: str, now: np.ndarray, h: np.ndarray, w: dict[str, np.ndarray]) -> float:
    if score == "location":
        return w["score.weigh.weight"][0] @ h + w["score.weigh.bias"][0]
    if score == "general":
        return now @ w["score.project.weight"].T @ h
    both = np.concatenate([w["score.query.weight"], w["score.item.weight"]], 1)
    return w["score.weigh.weight"][0] @ np.tanh(both @ np.concatenate([now, h]))


@pytest.mark.parametrize("score", SCORES)
def test_the_model_matches_the_equations_in_plain_loops(score: str) -> None:
    model, batch = model_of(score).double(), exact_batch(12, seed=4)
    assert int(batch.subject_offsets.diff().min()) == 1, "a history of one visit has no context"
    with torch.no_grad():
        found = model(batch)
    logits, attention = plain_dipole(model, batch, score)
    np.testing.assert_allclose(found.logits, logits, atol=1e-12)
    np.testing.assert_allclose(found.visit_attention, attention, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_gradients_are_those_of_finite_differences(score: str) -> None:
    model, batch = model_of(score).double(), exact_batch(3, seed=2, max_visits=3)
    weights = torch.linspace(0.5, 1.5, len(batch.tokens), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one: model(batch.with_weights(one)).logits, (weights,))


def test_attention_sums_to_one_over_the_visits_before_the_last() -> None:
    model = model_of("concat")
    batch = batch_of([[(30.0, [1]), (20.0, [2]), (0.0, [3])], [(0.0, [4])], []])
    with torch.no_grad():
        found = model(batch).visit_attention
    assert float(found[:2].sum()) == pytest.approx(1.0)
    assert found[2:].tolist() == [0.0, 0.0], "the last visit asks; a lone one has nothing to ask"


def record(visits: list[list[int]]) -> Batch:
    """Return samples at the end of visits 1 to 3 of the record of one subject, as training assembles them."""
    day, sizes = 86_400, [len(codes) for codes in visits]
    times = 10_000 * day + 30 * day * np.arange(len(visits))
    store = TokenStore(
        token=np.concatenate(visits).astype(np.int32),
        second=np.repeat(times, sizes).astype(np.int64),
        value=np.zeros(sum(sizes), dtype=np.float32),
        visit=np.repeat(np.arange(1, len(visits) + 1), sizes).astype(np.int32),
        offset=np.array([0, sum(sizes)]),
        subject=np.array([1]),
        birth=np.array([0]),
        split=np.array([0], dtype=np.int8),
    )
    moments = pl.Series(times[:3] * 1_000_000).cast(pl.Datetime("us"))
    frame = pl.DataFrame({"subject_id": [1] * 3, "prediction_time": moments, "label_codes": [["o"]] * 3})
    return assemble(store, find_samples(store, frame, ["o"]), np.arange(3), 512)


@pytest.mark.parametrize("score", SCORES)
def test_a_prediction_does_not_change_when_later_visits_join_the_record(score: str) -> None:
    """A sample is a prefix, and the encoder runs anew for each: at visits 1, 2 and 3, nothing later is seen."""
    model = model_of(score)
    with torch.no_grad():
        before, after = (model(record(visits)).logits for visits in (VISITS[:3], VISITS))
    assert torch.equal(before, after)


def test_one_pass_over_the_whole_record_would_see_later_visits() -> None:
    """What the prefix protects from: run once over the record, the state at visit 3 knows visits 4 to 6."""
    model = model_of("concat")
    short, long = (batch_of([[(0.0, codes) for codes in visits]]) for visits in (VISITS[:3], VISITS))
    with torch.no_grad():
        alone, in_passing = model.encode(short)[2], model.encode(long)[2]
    forwards, backwards = (alone - in_passing).abs().chunk(2)
    assert float(forwards.max()) < 1e-6, "its forward half reads what came up to it …"
    assert float(backwards.max()) > 1e-2, "… and its backward half what came after"


def test_visits_are_read_in_order() -> None:
    model, codes = model_of("location"), VISITS[:3]
    one, other = (
        batch_of([[(0.0, visit) for visit in way]]) for way in (codes, [codes[1], codes[0], codes[2]])
    )
    with torch.no_grad():
        assert float((model(one).logits - model(other).logits).abs().max()) > 1e-4
    with torch.no_grad():
        late = replace(one, days=one.days - 100)
        assert torch.equal(model(one).logits, model(late).logits), "time does not enter, only order"
