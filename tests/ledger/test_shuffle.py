import json

import numpy as np
import polars as pl
import pytest

from attending.engine import shuffle
from attending.errors import LedgerError
from attending.shares import split_of

IDS = np.arange(10_000, dtype=np.int64)
SHARES = {"train": 0.7, "tuning": 0.1, "held_out": 0.2}


def test_the_hash_is_splitmix64():
    # First output of SplitMix64 seeded with 0 and 1 (Vigna's reference implementation).
    assert shuffle.mix(np.array([0, 1]), 0).tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1]


def test_shards_and_splits_have_their_shares():
    counts = np.bincount(shuffle.shard_of(IDS, 8))
    assert counts.min() > 1100 and counts.max() < 1400
    splits = split_of(pl.Series(IDS), SHARES, 0)
    assert abs((splits == "train").mean() - 0.7) < 0.02
    assert abs((splits == "tuning").mean() - 0.1) < 0.01


def test_the_split_of_a_subject_does_not_depend_on_others_but_on_the_seed():
    whole = split_of(pl.Series(IDS), SHARES, 0)
    assert split_of(pl.Series(IDS[500:600]), SHARES, 0).equals(whole[500:600])
    assert not split_of(pl.Series(IDS), SHARES, 1).equals(whole)


def test_split_and_shard_are_independent():
    shard = shuffle.shard_of(IDS, 2)
    train = (split_of(pl.Series(IDS), SHARES, 0) == "train").to_numpy()
    assert abs(train[shard == 0].mean() - train[shard == 1].mean()) < 0.03


def test_a_staging_file_gives_each_shard_its_rows_in_order(tmp_path):
    frame = pl.DataFrame({"id": IDS[:1000] % 37, "row": IDS[:1000], "word": [str(i) for i in range(1000)]})
    path = tmp_path / "t" / "000000.arrow"
    shuffle.write(path, frame, frame["id"], 4, {"n": 1})
    shards = [shuffle.read(path, shard) for shard in range(4)]
    assert sum(shard.height for shard in shards) == 1000
    for number, shard in enumerate(shards):
        expected = frame.filter(pl.Series(shuffle.shard_of(frame["id"].to_numpy(), 4)) == number)
        assert shard.equals(expected)
    assert shuffle.finished(path).counts == {"n": 1}


def test_lost_rows_are_noticed(tmp_path):
    frame = pl.DataFrame({"id": [1, 2, 3]})
    path = tmp_path / "000000.arrow"
    shuffle.write(path, frame, frame["id"], 1, {})
    manifest = path.with_suffix(".json")
    manifest.write_text(json.dumps({"rows": [4], "counts": {}}))
    with pytest.raises(LedgerError, match="expected 4 rows of shard 0"):
        shuffle.read(path, 0)
    manifest.unlink()
    assert shuffle.finished(path) is None
    with pytest.raises(LedgerError, match="expected a finished staging file"):
        shuffle.read(path, 0)
