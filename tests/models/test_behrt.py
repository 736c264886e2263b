"""BEHRT against its authors' code (golden arrays) and against the paper's equations in plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.errors import ConfigError
from attending.models.behrt import EXAMPLE, Config, Model, Sentence
from histories import batch_of, double, random_batch
from plain_bert import assert_matches, code_head, encode, gaze, norm
from plain_layers import linear, wave, weights_of

GOLDEN = Path(__file__).parent.parent / "golden" / "behrt_mlm.npz"
LAYERS = {
    "norm": "attention.output.LayerNorm",
    "mixed": "attention.output.dense",
    "feed.up": "intermediate.dense",
    "feed.down": "output.dense",
    "feed.norm": "output.LayerNorm",
}


def golden() -> tuple[Model, Sentence, dict[str, np.ndarray]]:
    """Return the authors' weights in our model, their input as packed sentences, and their arrays.

    Recipe: the authors' masked-code model was run on random words, ages, segments and positions; `am` is 0 at padding.
    """
    arrays = dict(np.load(GOLDEN, allow_pickle=False))
    theirs = {name[2:]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith("w.")}
    config = Config(
        n_tokens=37,
        n_outcomes=1,
        width=24,
        width_feed=32,
        n_layers=2,
        n_heads=4,
        dropout=0.0,
        strict="authors",
    )
    model = Model(config).eval()
    tables = "bert.embeddings."
    model.positions = torch.nn.Buffer(theirs[tables + "posi_embeddings.weight"])
    state = model.state_dict() | {
        "inputs.words.weight": theirs[tables + "word_embeddings.weight"],
        "inputs.ages.weight": theirs[tables + "age_embeddings.weight"],
        "inputs.segments.weight": theirs[tables + "segment_embeddings.weight"],
    }
    head = "cls.predictions."
    pairs = {"inputs.norm": tables + "LayerNorm", "pretext.norm": head + "transform.LayerNorm"}
    pairs |= {"pool": "bert.pooler.dense", "pretext.transform": head + "transform.dense"}
    for layer in range(2):
        pairs |= {
            f"encoder.layers.{layer}.{ours}": f"bert.encoder.layer.{layer}.{name}"
            for ours, name in LAYERS.items()
        }
    for part in ("weight", "bias"):
        state |= {f"{ours}.{part}": theirs[f"{name}.{part}"] for ours, name in pairs.items()}
        for layer in range(2):
            parts = [
                f"bert.encoder.layer.{layer}.attention.self.{one}.{part}" for one in ("query", "key", "value")
            ]
            state[f"encoder.layers.{layer}.inputs.{part}"] = torch.cat([theirs[one] for one in parts])
    state["pretext.bias"] = theirs[head + "bias"][:37]
    model.load_state_dict(state)
    real = torch.from_numpy(arrays["am"]) > 0
    words, ages, visits = (torch.from_numpy(arrays[name])[real] for name in ("ids", "age", "pos"))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), real.sum(1).cumsum(0)])
    sentence = Sentence(
        words, ages.float(), visits, torch.ones(len(words)), offsets, torch.arange(len(words))
    )
    return model, sentence, arrays


def test_the_authors_form_matches_their_own_code() -> None:
    model, sentence, arrays = golden()
    with torch.no_grad():
        states, _ = model._encode(sentence)
        found = model._say(states).numpy()
    real = arrays["am"] > 0  # their last three words, mask, [CLS] and [SEP] here, are no codes
    np.testing.assert_allclose(found, arrays["out"][real][:, :37], atol=1e-6, rtol=0)


@pytest.mark.parametrize("strict", ["paper", "authors"])
def test_the_papers_form_matches_its_equations_in_plain_loops(strict: str) -> None:
    torch.manual_seed(0)
    assert_matches(Model(EXAMPLE.model_copy(update={"strict": strict})), plain_behrt)


def plain_behrt(model: Model, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Write each history as a sentence, word by word, and read it."""
    w, config = weights_of(model), model.config
    cls, sep = config.n_tokens + 1, config.n_tokens + 2
    logits, attention = [], []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        last = int(batch.visit_offsets[end]) - 1
        now = float(batch.ages[last] - batch.days[last] / 365.25)
        sentence, tokens = [(cls, now, 0, 1.0)], []
        for number, visit in enumerate(range(first, end)):
            for token in range(*batch.visit_offsets[visit : visit + 2].tolist()):
                tokens.append(len(sentence))
                weight = float(batch.weights[token])
                sentence.append((int(batch.tokens[token]), float(batch.ages[token]), number, weight))
            sentence.append((sep, sentence[-1][1], number, 1.0))
        x = np.array([word(w, config, *one) for one in sentence])
        states, looks = encode(w, "encoder", norm(w, "inputs.norm", x), config.n_layers, config.n_heads)
        pooled = np.tanh(linear(w, "pool", states[0]))
        logits.append(linear(w, "output", pooled))
        attention += list(gaze(looks, 0, tokens))
    return np.array(logits), np.array(attention)


def word(
    w: dict[str, np.ndarray], config: Config, code: int, age: float, visit: int, weight: float
) -> np.ndarray:
    e = (
        w["inputs.words.weight"][code] * weight
        + w["inputs.ages.weight"][int(age)]
        + w["inputs.segments.weight"][visit % 2]
    )
    if config.strict == "authors":
        return e + w["positions"][visit]
    return e + 0.02 * 2**0.5 * wave(visit, config.width)


def test_a_masked_code_is_said_again_by_the_head_in_plain_loops() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).double().eval()
    sentence = model._write(double(random_batch(3, seed=1)))
    with torch.no_grad():
        states, _ = model._encode(sentence)
        found = model._say(states).numpy()
    w = weights_of(model)
    np.testing.assert_allclose(
        found, code_head(w, "pretext", states.numpy(), w["inputs.words.weight"][:40]), atol=1e-10
    )


def test_a_sentence_has_a_beginning_and_an_end_of_each_visit() -> None:
    model = Model(EXAMPLE)
    sentence = model._write(batch_of([[(60.0, [1, 2]), (30.0, []), (0.0, [3])], []]))
    cls, sep = 41, 42
    assert sentence.words.tolist() == [cls, 1, 2, sep, 3, sep, cls]
    assert sentence.visits.tolist() == [0, 0, 0, 0, 1, 1, 0]
    assert sentence.offsets.tolist() == [0, 6, 7]
    assert sentence.ages.floor().tolist() == [50, 49, 49, 49, 50, 50, 0]


def test_a_history_without_weight_says_nothing_of_its_codes() -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE).eval()
    one, other = (batch_of([[(9.0, tokens), (1.0, tokens)]]) for tokens in ([1, 2], [3, 4]))
    with torch.no_grad():
        found = [model(batch.with_weights(torch.zeros(4))).logits for batch in (one, other)]
    torch.testing.assert_close(*found)


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 18, n_heads 4"):
        Model(Config(n_tokens=40, n_outcomes=5, width=18, n_heads=4))


def test_a_batch_without_events_can_be_read() -> None:
    model, batch = Model(EXAMPLE), batch_of([[], [(0.0, [])]])
    assert bool(torch.isfinite(model.self_loss(batch)))
    assert bool(torch.isfinite(model.eval()(batch).logits).all())
