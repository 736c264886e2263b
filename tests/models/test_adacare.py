"""AdaCare against its equations in plain loops."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from attending.batch import Batch
from attending.models.adacare import DILATIONS, EXAMPLE, CausalConvolution, Model, Recalibration
from histories import double, random_batch
from plain_layers import sigmoid, sparsemax
from plain_loops import gru_step


@pytest.mark.parametrize("recalibrate", ["sigmoid", "sparsemax"])
@torch.no_grad()
def test_the_model_matches_its_equations_in_plain_loops(recalibrate: str) -> None:
    torch.manual_seed(0)
    model = Model(EXAMPLE.model_copy(update={"recalibrate": recalibrate, "kernel": 3})).double().eval()
    torch.nn.init.normal_(model.embed.value)
    batch = double(random_batch(9, seed=4, max_visits=14))
    np.testing.assert_allclose(model(batch).logits.numpy(), plain_adacare(model, batch), atol=1e-10)


def plain_adacare(model: Model, batch: Batch) -> np.ndarray:
    """Restate the equations, one patient, one step at a time."""
    w = {name: value.numpy() for name, value in model.state_dict().items()}
    gate = sigmoid if model.of_features.gate is torch.sigmoid else sparsemax
    tokens, values, logits = batch.tokens.numpy(), batch.values.numpy(), []
    for subject in range(batch.n_subjects):
        first, end = batch.subject_offsets[subject : subject + 2].tolist()
        x = []
        for visit in range(first, end):
            codes = slice(*batch.visit_offsets[visit : visit + 2].tolist())
            x.append(np.zeros(w["embed.code"].shape[1]))
            for code in set(tokens[codes].tolist()):
                mean = values[codes][tokens[codes] == code].mean()
                x[-1] += w["embed.code"][code] + mean * w["embed.value"][code]
        h = np.zeros(w["recurrence.weight_hh_l0"].shape[1])
        for t in range(len(x)):
            channels = []
            for place, dilation in enumerate(DILATIONS):
                weight = w[f"convolutions.{place}.weight.weight"]
                total = w[f"convolutions.{place}.weight.bias"].copy()
                for k in range(model.convolutions[place].weight.in_features // len(x[0])):
                    if t - k * dilation >= 0:
                        total += weight[:, k * len(x[0]) : (k + 1) * len(x[0])] @ x[t - k * dilation]
                channels.append(np.maximum(total, 0))
            u = np.concatenate(channels)
            inputs = np.concatenate(
                [
                    plain_recalibration(w, "of_channels", u, gate),
                    plain_recalibration(w, "of_features", x[t], gate),
                ]
            )
            h = gru_step(inputs, h, w)
        logits.append(w["output.weight"] @ h + w["output.bias"])
    return np.array(logits)


def plain_recalibration(w: dict[str, np.ndarray], name: str, v: np.ndarray, gate) -> np.ndarray:
    return v * gate(w[f"{name}.excite.weight"] @ np.maximum(w[f"{name}.squeeze.weight"] @ v, 0))


def test_gradients_match_finite_differences() -> None:
    torch.manual_seed(0)
    offsets = torch.tensor([0, 3, 3, 8])
    convolve = CausalConvolution(2, 3, 2, 3).double()
    recalibrate = Recalibration(3, 2, "sparsemax").double()
    x = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda one: recalibrate(convolve(one, offsets)), x)


@torch.no_grad()
def test_a_convolution_reads_a_dilation_back_and_no_other_history() -> None:
    convolve = CausalConvolution(1, 1, 2, 3)
    convolve.weight.weight.copy_(torch.tensor([[1.0, 10.0]]))
    convolve.weight.bias.zero_()
    found = convolve(torch.arange(1.0, 8.0)[:, None], torch.tensor([0, 5, 7]))[:, 0]
    assert found.tolist() == [1, 2, 3, 4 + 10, 5 + 20, 6, 7]
