"""The grid of packed histories: every item in one cell, the longest history first, nothing padded."""

import torch

from attending.nn.grid import before, blocks, each_step, grid, to_cells, to_items

OFFSETS = torch.tensor([0, 2, 2, 6, 9])  # histories of 2, 0, 4 and 3 items


def test_each_step_holds_the_histories_that_reach_it_the_longest_first() -> None:
    places = grid(OFFSETS)
    cells = torch.arange(9.0)[places.source]
    found = [step.tolist() for (step,) in each_step(places.sizes, cells)]
    assert found == [[2, 6, 0], [3, 7, 1], [4, 8], [5]]


def test_cells_and_items_are_inverse() -> None:
    places = grid(OFFSETS)
    assert places.sizes == [3, 3, 2, 1]
    assert torch.equal(places.source[places.cell], torch.arange(9))
    assert torch.equal(places.cell[places.source], torch.arange(9))


def test_items_moved_into_cells_and_back_are_where_they_were_and_so_are_their_gradients() -> None:
    places, items = grid(OFFSETS), torch.arange(9.0)[:, None].requires_grad_()
    assert to_cells(items, places)[:, 0].tolist() == places.source.tolist()
    (to_cells(items, places) * torch.arange(9.0)[:, None]).sum().backward()
    assert items.grad is not None and items.grad[:, 0].tolist() == places.cell.tolist()
    assert torch.equal(to_items(to_cells(items, places), places), items)


def test_a_cell_knows_the_row_of_its_history_one_step_before() -> None:
    rows = torch.cat([torch.full((3,), -1), grid(OFFSETS).source])
    found = rows[before([3, 3, 2, 1], torch.device("cpu"))]
    assert found.tolist() == [-1, -1, -1, 2, 6, 0, 3, 7, 4]


def test_blocks_hold_whole_steps_and_all_cells() -> None:
    assert blocks([3, 3, 2, 1], 5) == [([3], slice(0, 3)), ([3, 2], slice(3, 8)), ([1], slice(8, 9))]
    assert blocks([9, 2], 4) == [([9], slice(0, 9)), ([2], slice(9, 11))]
    assert blocks([], 4) == []


def test_empty_histories_and_empty_batches_have_no_cells() -> None:
    for offsets in (torch.tensor([0]), torch.tensor([0, 0, 0])):
        places = grid(offsets)
        assert places.sizes == []
        assert each_step(places.sizes, torch.zeros(0, 4)) == []
