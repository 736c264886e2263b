import polars as pl
import pytest

from attending.errors import SourceError
from attending.ontology import gem, icd_tree


def test_all_rows_and_flags_of_both_directions_are_there():
    forward, back = gem.pairs("icd9_to_icd10"), gem.pairs("icd10_to_icd9")
    assert (forward.height, forward["source"].n_unique()) == (23_912, 14_567)
    assert (back.height, back["source"].n_unique()) == (78_838, 69_832)
    assert (forward["no_map"].sum(), forward["combination"].sum()) == (425, 2_260)
    assert forward.filter(pl.col("no_map"))["target"].is_null().all()
    assert set(forward["source"]) == set(icd_tree.codes("ICD9CM"))


def test_a_code_has_all_its_alternatives_and_combinations():
    forward = gem.pairs("icd9_to_icd10")
    assert gem.targets("25000", forward) == [("E119",)]
    assert gem.targets("00589", forward) == [("A054",), ("A058",)]
    assert gem.targets("0730", forward) == [("A70", "J17")]
    assert gem.targets("36570", forward) == []
    assert ("0031", "99591") in gem.targets("A021", gem.pairs("icd10_to_icd9"))


def test_the_cms_format_is_read(tmp_path):
    file = tmp_path / "gem_i9pcs.txt"
    file.write_text("0001  6A750Z4 10000\n0001  6A751Z4 10000\n\n0009  NoPCS   11000\n")
    mapping = gem.read(file)
    assert mapping["target"].to_list() == ["6A750Z4", "6A751Z4", None]
    assert gem.targets("0001", mapping) == [("6A750Z4",), ("6A751Z4",)]
    file.write_text("0001,6A750Z4,10000\n")
    with pytest.raises(SourceError, match=r"source target 00000.*gem_i9pcs"):
        gem.read(file)
