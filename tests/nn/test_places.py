"""Numbers, waves and neighbours within packed histories."""

import torch

from attending.batch import owners
from attending.nn.places import numbers, shifted, sinusoids

OFFSETS = torch.tensor([0, 3, 3, 5])


def test_items_are_numbered_within_their_segment() -> None:
    assert numbers(OFFSETS).tolist() == [0, 1, 2, 0, 1]


def test_a_shift_stays_within_its_segment() -> None:
    items = torch.arange(1.0, 6.0)[:, None]
    assert shifted(items, owners(OFFSETS), 1)[:, 0].tolist() == [0, 1, 2, 0, 4]
    assert shifted(items, owners(OFFSETS), -1)[:, 0].tolist() == [2, 3, 0, 5, 0]
    assert shifted(items, owners(OFFSETS), 0).equal(items)
    assert shifted(items, owners(OFFSETS), 9).eq(0).all()


def test_nothing_shifts_to_nothing() -> None:
    empty = torch.zeros(3, dtype=torch.int64)
    assert numbers(empty).shape == (0,)
    assert shifted(torch.zeros(0, 4), owners(empty), 1).shape == (0, 4)


def test_sinusoids_are_sines_and_cosines_in_turn() -> None:
    waves = sinusoids(torch.tensor([0, 7, 5000]), torch.zeros(3, 4, dtype=torch.float64))
    place = torch.tensor([0.0, 7.0, 5000.0], dtype=torch.float64)
    expected = torch.stack([place.sin(), place.cos(), (place / 100).sin(), (place / 100).cos()], 1)
    torch.testing.assert_close(waves, expected)
