"""The grid of packed histories: every item in one cell, the longest history first, nothing padded."""

import torch

from attending.nn.grid import earlier, grid, steps

OFFSETS = torch.tensor([0, 2, 2, 6, 9])  # histories of 2, 0, 4 and 3 items


def test_each_step_holds_the_histories_that_reach_it_the_longest_first() -> None:
    found = [step.tolist() for step in steps(torch.arange(9.0), grid(OFFSETS))]
    assert found == [[2, 6, 0], [3, 7, 1], [4, 8], [5]]


def test_cells_and_items_are_inverse() -> None:
    places = grid(OFFSETS)
    assert places.sizes == [3, 3, 2, 1]
    assert torch.equal(places.source[places.cell], torch.arange(9))
    assert torch.equal(places.cell[places.source], torch.arange(9))


def test_empty_histories_and_empty_batches_have_no_cells() -> None:
    for offsets in (torch.tensor([0]), torch.tensor([0, 0, 0])):
        places = grid(offsets)
        assert places.sizes == []
        assert list(steps(torch.zeros(0, 4), places)) == []


def test_what_stood_earlier_stays_within_its_history() -> None:
    items = torch.arange(1.0, 10.0)[:, None]
    assert earlier(items, OFFSETS, 1)[:, 0].tolist() == [0, 1, 0, 3, 4, 5, 0, 7, 8]
    assert earlier(items, OFFSETS, 3)[:, 0].tolist() == [0, 0, 0, 0, 0, 3, 0, 0, 0]
    assert torch.equal(earlier(items, OFFSETS, 0), items)
    assert earlier(items[:0], OFFSETS[:1], 1).shape == (0, 1)
