from dataclasses import replace

import torch

from attending.nn.sentence import age_now, canonical, make_room, sinusoid, visit_number, without_empty_visits
from histories import batch_of, random_batch


def test_room_is_made_around_the_items_of_each_segment() -> None:
    room = make_room(torch.tensor([0, 2, 3]), before=torch.tensor([1, 2]), after=1)
    assert room.offsets.tolist() == [0, 4, 8]
    assert room.items.tolist() == [1, 2, 6]
    assert room.nearest.tolist() == [0, 0, 1, 1, 2, 2, 2, 2]


def test_a_segment_without_items_gets_its_room_too() -> None:
    room = make_room(torch.tensor([0, 0, 1]), before=1)
    assert room.offsets.tolist() == [0, 1, 3]
    assert room.items.tolist() == [2]


def test_empty_visits_go_and_histories_stay() -> None:
    batch = batch_of([[(9.0, []), (5.0, [1, 2]), (3.0, []), (1.0, [3])], [], [(0.0, [])]])
    kept = without_empty_visits(batch)
    assert kept.visit_offsets.tolist() == [0, 2, 3]
    assert kept.subject_offsets.tolist() == [0, 2, 2, 2]
    assert kept.token_offsets.tolist() == batch.token_offsets.tolist()
    assert visit_number(kept).tolist() == [0, 1]


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


def test_age_is_told_at_the_prediction() -> None:
    ages = age_now(batch_of([[(365.25, [1]), (36.525, [2])], [], [(0.0, [3])]]))
    torch.testing.assert_close(ages, torch.tensor([50.0, 0.0, 50.0]))


def test_a_sinusoid_has_the_size_it_is_told() -> None:
    table = sinusoid(torch.arange(4000), torch.zeros(1, 32, dtype=torch.float64), 0.02)
    assert table.dtype == torch.float64
    torch.testing.assert_close(float(table.square().mean().sqrt()), 0.02)
