import numpy as np
import pytest
import torch

from attending.nn.masking import CodeHead, mask_tokens, masked_loss
from histories import batch_of, random_batch


def test_of_the_chosen_tokens_eight_in_ten_are_masked_and_one_in_ten_is_random() -> None:
    torch.manual_seed(0)
    batch = random_batch(2000, seed=1)
    masked, chosen = mask_tokens(batch, 40)
    assert float(chosen.float().mean()) == pytest.approx(0.15, abs=0.01)
    assert torch.equal(masked.tokens[~chosen], batch.tokens[~chosen])
    assert torch.equal(masked.values[~chosen], batch.values[~chosen])
    hidden = masked.tokens[chosen] == 40
    stays = masked.tokens[chosen] == batch.tokens[chosen]
    assert float(hidden.float().mean()) == pytest.approx(0.8, abs=0.02)
    assert float(stays.float().mean()) == pytest.approx(0.1 + 0.1 / 40, abs=0.02)


def test_the_value_of_a_chosen_token_does_not_tell_its_bin() -> None:
    torch.manual_seed(0)
    masked, chosen = mask_tokens(random_batch(50, seed=1), 40, 0.5)
    assert bool((masked.values[chosen] == 0).all())


@pytest.mark.parametrize("seed", range(20))
def test_one_token_is_chosen_where_chance_would_choose_none(seed: int) -> None:
    torch.manual_seed(seed)
    _, chosen = mask_tokens(batch_of([[(1.0, [3])], [(0.0, [])]]), 40, 0.01)
    assert chosen.tolist() == [True]


def test_a_batch_without_tokens_costs_nothing_and_has_gradients() -> None:
    masked, chosen = mask_tokens(batch_of([[], [(0.0, [])]]), 40)
    head = CodeHead(8, 40)
    loss = masked_loss(head(torch.zeros(0, 8)), masked.tokens[chosen])
    loss.backward()
    assert float(loss.detach()) == 0
    assert head.transform.weight.grad is not None
    assert float(head.transform.weight.grad.abs().sum()) == 0


@pytest.mark.parametrize("tied", [False, True])
def test_the_head_matches_its_equations(tied: bool) -> None:
    torch.manual_seed(0)
    head, x, tokens = CodeHead(8, 40, tied=tied).double(), torch.randn(5, 8).double(), torch.arange(5)
    table = torch.randn(43, 8).double() if tied else None
    with torch.no_grad():
        found = head(x, table)
        w = {name: value.numpy() for name, value in head.state_dict().items()}
        decoder = w["decoder"] if table is None else table[:40].numpy()
        rows = []
        for row in x.numpy():
            h = w["transform.weight"] @ row + w["transform.bias"]
            h = h * 0.5 * (1 + torch.erf(torch.from_numpy(h) / 2**0.5).numpy())
            h = (h - h.mean()) / np.sqrt(h.var() + 1e-12) * w["norm.weight"] + w["norm.bias"]
            rows.append(decoder @ h + w["bias"])
        np.testing.assert_allclose(found.numpy(), rows, atol=1e-12)
        logged = [np.log(np.exp(row).sum()) - row[token] for row, token in zip(rows, tokens, strict=True)]
        assert float(masked_loss(found, tokens)) == pytest.approx(float(np.mean(logged)), abs=1e-6)
