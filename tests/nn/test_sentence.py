import torch

from attending.nn.sentence import age_now, make_room, without_empty_visits
from histories import batch_of


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


def test_age_is_told_at_the_prediction() -> None:
    ages = age_now(batch_of([[(365.25, [1]), (36.525, [2])], [], [(0.0, [3])]]))
    torch.testing.assert_close(ages, torch.tensor([50.0, 0.0, 50.0]))
