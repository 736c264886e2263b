import torch

from attending.nn.attention import attend, layout
from histories import random_batch


def naive(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, batch, directed: bool) -> torch.Tensor:
    """Attention one token, one head at a time."""
    out = torch.zeros_like(value)
    subject, visit = batch.subject_of_token, batch.visit_of_token
    n_back = query.shape[1] // 2
    for token in range(len(query)):
        for head in range(query.shape[1]):
            seen = subject == subject[token]
            if directed:
                seen &= visit <= visit[token] if head < n_back else visit >= visit[token]
            scores = key[seen, head] @ query[token, head] / query.shape[2] ** 0.5
            out[token, head] = torch.softmax(scores, 0) @ value[seen, head]
    return out


def test_attention_in_blocks_equals_one_token_at_a_time() -> None:
    batch = random_batch(7, seed=2)
    torch.manual_seed(0)
    query, key, value = torch.randn(3, len(batch.tokens), 4, 8)
    blocks = layout(batch.token_offsets, batch.visit_of_token)
    for directed in (False, True):
        found = attend(query, key, value, blocks, directed=directed)
        torch.testing.assert_close(found, naive(query, key, value, batch, directed), atol=1e-5, rtol=1e-5)


def test_a_block_wastes_little_on_padding_and_holds_each_token_once() -> None:
    batch = random_batch(200, seed=3, max_visits=12)
    blocks = layout(batch.token_offsets, batch.visit_of_token)
    places = torch.cat([block.place[block.real] for block in blocks])
    assert sorted(places.tolist()) == list(range(len(batch.tokens)))
    assert sum(block.real.numel() for block in blocks) < 1.6 * len(batch.tokens)


def test_padding_gives_no_gradient_that_is_not_finite() -> None:
    batch = random_batch(9, seed=4)
    query, key, value = (torch.randn(len(batch.tokens), 2, 4, requires_grad=True) for _ in range(3))
    blocks = layout(batch.token_offsets, batch.visit_of_token)
    attend(query, key, value, blocks, directed=True).square().sum().backward()
    assert all(bool(torch.isfinite(one.grad).all()) for one in (query, key, value) if one.grad is not None)
