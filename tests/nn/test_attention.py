"""Attention within packed histories, against one token and one head at a time."""

from typing import get_args

import pytest
import torch

from attending.batch import Batch
from attending.nn import attention_cuda
from attending.nn.attention import Fading, Sees, _at_once, attend, layout
from histories import batch_of, random_batch

WAYS = get_args(Sees)


def naive(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    batch: Batch,
    sees: str,
    fading: Fading | None = None,
) -> torch.Tensor:
    """Attention one token, one head at a time."""
    out = torch.zeros_like(value)
    subject, visit, n_heads = batch.subject_of_token, batch.visit_of_token, query.shape[1]
    order = torch.arange(len(query))
    for token in range(len(query)):
        for head in range(n_heads):
            way = sees if sees != "both" else ("past" if head < n_heads // 2 else "future")
            seen = subject == subject[token]
            if way == "past":
                seen &= visit <= visit[token]
            elif way == "future":
                seen &= visit >= visit[token]
            elif way == "before":
                seen &= order <= token
            scores = key[seen, head] @ query[token, head] / query.shape[2] ** 0.5
            if fading is not None:
                scores = scores - fading.slopes[head] * (fading.days[seen] - fading.days[token]).abs()
            out[token, head] = torch.softmax(scores, 0) @ value[seen, head]
    return out


@pytest.mark.parametrize("sees", WAYS)
@pytest.mark.parametrize("fades", [False, True])
def test_attention_in_blocks_equals_one_token_at_a_time(sees: Sees, fades: bool) -> None:
    batch = random_batch(7, seed=2)
    torch.manual_seed(0)
    query, key, value = torch.randn(3, len(batch.tokens), 4, 8)
    fading = Fading(batch.days, torch.tensor([0.1, 0.01, 0.001, 0.0])) if fades else None
    found = attend(
        query, key, value, layout(batch.token_offsets, batch.visit_of_token), sees=sees, fading=fading
    )
    expected = naive(query, key, value, batch, sees, fading)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sees", WAYS)
def test_without_visits_every_token_is_its_own(sees: Sees) -> None:
    batch = random_batch(7, seed=2)
    torch.manual_seed(0)
    query, key, value = torch.randn(3, len(batch.tokens), 2, 4)
    alone = layout(batch.token_offsets, torch.arange(len(batch.tokens)))
    torch.testing.assert_close(
        attend(query, key, value, layout(batch.token_offsets), sees=sees),
        attend(query, key, value, alone, sees=sees),
    )


def test_a_layout_holds_each_token_once_and_its_order_can_be_undone() -> None:
    batch = random_batch(200, seed=3, max_visits=12)
    laid = layout(batch.token_offsets, batch.visit_of_token)
    assert laid.order is not None
    assert sorted(laid.order.tolist()) == list(range(len(batch.tokens)))
    assert sum(block.n * block.length for block in laid.blocks) == len(batch.tokens)
    assert len({block.length for block in laid.blocks}) == len(laid.blocks)
    assert torch.equal(laid.unsort(laid.sort(batch.tokens)), batch.tokens)
    assert torch.equal(laid.sorted.sort(batch.tokens), batch.tokens)


def test_a_stack_may_sort_once() -> None:
    batch = random_batch(9, seed=5)
    query, key, value = torch.randn(3, len(batch.tokens), 2, 4)
    laid = layout(batch.token_offsets, batch.visit_of_token)
    sides = [laid.sort(one) for one in (query, key, value)]
    once = laid.unsort(attend(*sides, laid.sorted, sees="both"))
    assert torch.equal(once, attend(query, key, value, laid, sees="both"))


@pytest.mark.parametrize("sees", WAYS)
def test_empty_histories_and_no_tokens_are_safe(sees: Sees) -> None:
    nothing = batch_of([[], [(0.0, [])]])
    laid = layout(nothing.token_offsets, nothing.visit_of_token)
    empty = torch.zeros(0, 2, 4)
    assert attend(empty, empty, empty, laid, sees=sees).shape == (0, 2, 4)
    batch = batch_of([[], [(3.0, [1, 2]), (2.0, []), (1.0, [3])], [], [(0.0, [4])]])
    query, key, value = (torch.randn(4, 2, 4, requires_grad=True) for _ in range(3))
    found = attend(query, key, value, layout(batch.token_offsets, batch.visit_of_token), sees=sees)
    torch.testing.assert_close(found[3], value[3])
    found.square().sum().backward()
    assert all(bool(torch.isfinite(one.grad).all()) for one in (query, key, value) if one.grad is not None)


@pytest.mark.parametrize("sees", WAYS)
def test_a_history_of_five_thousand_events_is_safe(sees: Sees) -> None:
    batch = batch_of([[(5000.0 - event, [event % 40]) for event in range(5000)], [(0.0, [1])]])
    value = torch.randn(5001, 2, 4)
    fading = Fading(batch.days, torch.tensor([0.1, 0.01]))
    laid = layout(batch.token_offsets, batch.visit_of_token)
    assert bool(torch.isfinite(attend(value, value, value, laid, sees=sees, fading=fading)).all())


@pytest.mark.parametrize("sees", WAYS)
def test_bfloat16_on_a_processor_is_attention_in_float32(sees: Sees) -> None:
    batch = random_batch(5, seed=2)
    query, key, value = torch.randn(3, len(batch.tokens), 2, 4).bfloat16()
    laid = layout(batch.token_offsets, batch.visit_of_token)
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(query, key, value, laid, sees=sees)
    assert found.dtype == torch.bfloat16
    exact = attend(query.float(), key.float(), value.float(), laid, sees=sees)
    assert torch.equal(found, exact.bfloat16())


@pytest.mark.parametrize("sees", WAYS)
@pytest.mark.parametrize("fades", [False, True])
@pytest.mark.filterwarnings("ignore:.*flex_attention.*")
def test_the_masks_of_a_gpu_say_what_the_blocks_say(sees: Sees, fades: bool) -> None:
    """FlexAttention without its compiler, on a processor: slow, and the same."""
    batch = random_batch(5, seed=2)
    torch.manual_seed(0)
    query, key, value = torch.randn(3, len(batch.tokens), 4, 8)
    laid = layout(batch.token_offsets, batch.visit_of_token)
    fading = Fading(batch.days, torch.tensor([0.1, 0.01, 0.001, 0.0])) if fades else None
    expected = attend(query, key, value, laid, sees=sees, fading=fading)
    sides = [laid.sort(one) for one in (query, key, value)]
    found = _at_once(*sides, laid, sees, fading)
    torch.testing.assert_close(laid.unsort(found), expected, atol=1e-5, rtol=1e-5)


def test_heads_that_are_no_whole_tiles_are_left_to_the_blocks() -> None:
    taken = [size for size in range(300) if attention_cuda.takes(size)]
    assert taken == list(range(16, 257, 8))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("sees", WAYS)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [4, 32])
def test_a_gpu_attends_as_a_processor_does(sees: Sees, kind: torch.dtype, size: int) -> None:
    batch = random_batch(64, seed=2)
    query, key, value = torch.randn(3, len(batch.tokens), 4, size).to(kind)
    expected = attend(query, key, value, layout(batch.token_offsets, batch.visit_of_token), sees=sees)
    there = batch.to("cuda")
    laid = layout(there.token_offsets, there.visit_of_token)
    found = attend(query.cuda(), key.cuda(), value.cuda(), laid, sees=sees)
    torch.testing.assert_close(found.cpu(), expected, atol=2e-2, rtol=2e-2)  # bf16 keeps 8 bits
