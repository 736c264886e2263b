"""Numbers, waves and neighbours within packed histories."""

import torch

from attending.nn.places import followed, numbers, shifted, sinusoids

OFFSETS = torch.tensor([0, 3, 3, 5])


def test_items_are_numbered_within_their_segment() -> None:
    assert numbers(OFFSETS).tolist() == [0, 1, 2, 0, 1]


def test_a_shift_stays_within_its_segment() -> None:
    items = torch.arange(1.0, 6.0)[:, None]
    assert shifted(items, OFFSETS, 1)[:, 0].tolist() == [0, 1, 2, 0, 4]
    assert shifted(items, OFFSETS, -1)[:, 0].tolist() == [2, 3, 0, 5, 0]
    assert shifted(items, OFFSETS, 0).equal(items)
    assert shifted(items, OFFSETS, 9).eq(0).all()
    assert shifted(items[:, 0], OFFSETS, 1).tolist() == [0, 1, 2, 0, 4]


def test_nothing_shifts_to_nothing() -> None:
    empty = torch.zeros(3, dtype=torch.int64)
    assert numbers(empty).shape == (0,)
    assert shifted(torch.zeros(0, 4), empty, 1).shape == (0, 4)


def test_sinusoids_are_sines_and_cosines_in_turn() -> None:
    waves = sinusoids(torch.tensor([0, 7, 5000]), torch.zeros(3, 4, dtype=torch.float64))
    place = torch.tensor([0.0, 7.0, 5000.0], dtype=torch.float64)
    expected = torch.stack([place.sin(), place.cos(), (place / 100).sin(), (place / 100).cos()], 1)
    torch.testing.assert_close(waves, expected)


def test_waves_differ_far_into_a_history() -> None:
    waves = sinusoids(torch.arange(5000), torch.zeros(1, 32))
    assert bool(torch.isfinite(waves).all())
    assert len(torch.unique(waves.round(decimals=4), dim=0)) == 5000
    torch.testing.assert_close(float(waves.square().mean()), 0.5)


def test_some_items_that_are_followed_are_drawn_from_all_of_them() -> None:
    offsets = torch.tensor([0, 3, 3, 4, 6])
    assert sorted(followed(offsets, 9).tolist()) == [0, 1, 4]
    assert set(followed(offsets, 2).tolist()) < {0, 1, 4}
    assert len(followed(torch.tensor([0, 1, 2]), 9)) == 0
