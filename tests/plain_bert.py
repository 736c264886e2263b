"""BERT's encoder in plain loops over NumPy arrays, one history at a time: the oracle of its family's models."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from attending.batch import Batch
from histories import double, random_batch
from plain_layers import Weights, linear, normal, softmax


def assert_matches(
    model: nn.Module, plain: Callable[[nn.Module, Batch], tuple[np.ndarray, np.ndarray]]
) -> None:
    """Compare a model with its restatement, on weighted tokens; attention, softmax of float32, only to 1e-6."""
    model, batch = model.double().eval(), double(random_batch(6, seed=4))
    batch = batch.with_weights(torch.rand(len(batch.tokens)).double())
    with torch.no_grad():
        output = model(batch)
    logits, attention = plain(model, batch)
    np.testing.assert_allclose(output.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(output.token_attention.numpy(), attention, atol=1e-6)


def norm(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return normal(w, name, x, epsilon=1e-12)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / 2**0.5))


def encode(
    w: Weights, name: str, x: np.ndarray, n_layers: int, n_heads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the states of one history, and the last layer's attention (head, looking, looked at)."""
    size, attention = x.shape[1] // n_heads, np.zeros((n_heads, len(x), len(x)))
    for layer in range(n_layers):
        here, mixed = f"{name}.layers.{layer}", np.zeros_like(x)
        query, key, value = np.split(linear(w, f"{here}.inputs", x), 3, axis=1)
        for head in range(n_heads):
            part = slice(head * size, (head + 1) * size)
            for i in range(len(x)):
                share = softmax(np.array([query[i, part] @ key[j, part] / size**0.5 for j in range(len(x))]))
                mixed[i, part] = sum(share[j] * value[j, part] for j in range(len(x)))
                attention[head, i] = share
        x = norm(w, f"{here}.norm", x + linear(w, f"{here}.mixed", mixed))
        fed = linear(w, f"{here}.feed.down", gelu(linear(w, f"{here}.feed.up", x)))
        x = norm(w, f"{here}.feed.norm", x + fed)
    return x, attention


def gaze(attention: np.ndarray, reader: int, items: list[int]) -> np.ndarray:
    """Return how each head's attention from the reader is shared among the items, mean over heads."""
    looks = attention[:, reader, items]
    return (looks / looks.sum(1, keepdims=True)).mean(0)


def code_head(w: Weights, name: str, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the logits of the vocabulary, decoded by a table."""
    h = norm(w, f"{name}.norm", gelu(linear(w, f"{name}.transform", x)))
    return h @ table.T + w[f"{name}.bias"]
