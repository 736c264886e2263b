"""One order of simultaneous tokens."""

from dataclasses import replace

import torch

from attending.nn.canonical import canonical
from histories import batch_of, random_batch


def test_simultaneous_tokens_are_ordered_by_number_and_others_by_time() -> None:
    batch = batch_of([[(5.0, [9, 1, 4]), (2.0, [7, 3])]])
    batch = replace(batch, days=torch.tensor([-5.0, -5.0, -4.0, -2.0, -2.0]))
    ordered, order = canonical(batch)
    assert ordered.tokens.tolist() == [1, 9, 4, 3, 7]
    assert torch.equal(batch.tokens[order], ordered.tokens)


def test_the_order_in_which_simultaneous_tokens_come_is_forgotten() -> None:
    batch = random_batch(9, seed=1)
    shuffled = torch.argsort(batch.visit_of_token + torch.rand(len(batch.tokens)))
    mixed = replace(
        batch, **{name: getattr(batch, name)[shuffled] for name in ("tokens", "days", "ages", "values")}
    )
    assert torch.equal(canonical(batch)[0].tokens, canonical(mixed)[0].tokens)
    assert torch.equal(canonical(batch)[0].values, canonical(mixed)[0].values)


def test_tokens_of_one_moment_are_sorted_and_no_others() -> None:
    batch = batch_of([[(9.0, [3, 1, 1]), (2.0, [0])], [], [(4.0, [7, 5])]])
    batch = replace(batch, values=torch.tensor([0.0, 2.0, 1.0, 0.0, 0.0, 0.0]))
    batch = batch.with_weights(torch.arange(6.0))
    assert canonical(batch)[0].tokens.tolist() == [1, 1, 3, 0, 5, 7]
    assert canonical(batch)[0].weights.tolist() == [2, 1, 0, 3, 5, 4]
    later = replace(batch, days=torch.tensor([-9.0, -8.0, -7.0, -2.0, -4.0, -3.0]))
    assert canonical(later)[0].weights.tolist() == [0, 1, 2, 3, 4, 5], "within a visit, moments stay in order"
