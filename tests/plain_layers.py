"""Common layers in plain NumPy, one item and one head at a time: `w` holds weights by name, items are rows."""

import numpy as np
from torch import nn

Weights = dict[str, np.ndarray]


def weights_of(model: nn.Module) -> Weights:
    """Return the weights of a model by name."""
    return {name: value.numpy() for name, value in model.state_dict().items()}


def transformer_layer(
    w: Weights, name: str, x: list[np.ndarray], n_heads: int, *, back: bool = False
) -> list[np.ndarray]:
    """One layer of the first Transformer, in which an item sees all, or itself and those before it."""
    width = len(x[0])
    size = width // n_heads
    parts = [linear(w, f"{name}.inputs", one) for one in x]
    q, k, v = ([one[start : start + width] for one in parts] for start in (0, width, 2 * width))
    out = []
    for i, one in enumerate(x):
        heads, seen = [], slice(0, i + 1 if back else None)
        for start in range(0, width, size):
            part = slice(start, start + size)
            a = softmax([q[i][part] @ other[part] / np.sqrt(size) for other in k[seen]])
            heads.append(sum(share * other[part] for share, other in zip(a, v[seen], strict=True)))
        y = normal(w, f"{name}.norm", one + linear(w, f"{name}.mixed", np.concatenate(heads)))
        fed = linear(w, f"{name}.feed.down", np.maximum(linear(w, f"{name}.feed.up", y), 0))
        out.append(normal(w, f"{name}.feed.norm", y + fed))
    return out


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def normal(w: Weights, name: str, x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(x.var(-1, keepdims=True) + epsilon)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def wave(place: int, width: int) -> np.ndarray:
    rates = [place / 10000 ** (2 * (i // 2) / width) for i in range(width)]
    return np.array([np.sin(rate) if i % 2 == 0 else np.cos(rate) for i, rate in enumerate(rates)])


def softmax(scores: list[float] | np.ndarray) -> np.ndarray:
    raised = np.exp(np.asarray(scores) - np.max(scores))
    return raised / raised.sum()


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(x)))


def sparsemax(scores: np.ndarray) -> np.ndarray:
    """Take from all alike until what is left above zero sums to one: the threshold by bisection."""
    low, high = scores.min() - 1, scores.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(scores - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(scores - low, 0)
