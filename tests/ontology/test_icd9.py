import gzip

import pytest

from attending.errors import SourceError
from attending.ontology import icd9


def ten(code):
    return f"DIAGNOSIS//ICD//10//{code}"


def nine(code):
    return f"DIAGNOSIS//ICD//9//{code}"


def test_an_icd10_code_stands_for_the_icd9_code_that_means_the_same():
    assert icd9.as_icd9([ten("I509"), ten("N179"), ten("E1121")]) == {
        ten("I509"): nine("4280"),
        ten("N179"): nine("5849"),
        ten("E1121"): nine("25040"),
    }


def test_of_several_alternatives_the_typical_one_is_taken_not_the_first():
    assert icd9.equivalents("I10") == ("4019",)
    assert icd9.ccs_of(ten("I10")) == ("98",)


def test_codes_that_must_stand_together_give_each_of_their_categories():
    assert icd9.ccs_of(ten("R6521")) == ("249", "2")


def test_an_icd9_code_stands_for_itself_and_other_codes_for_none():
    assert icd9.as_icd9([nine("428.0"), "LAB//50912//mg/dL", "PROCEDURE//ICD//9//3961"]) == {
        nine("428.0"): nine("4280")
    }


def test_a_heading_takes_what_most_codes_below_it_share():
    assert icd9.ccs_of(ten("I50")) == ("108",)


def test_a_file_of_ones_own_is_followed_to_the_letter(tmp_path):
    file = tmp_path / "icd10-icd9.csv.gz"
    with gzip.open(file, "wt") as out:
        out.write("ICD10,ICD9\nI509,428.9\nZ000,NoDx\nM2551,71940\nI509,428.0\n")
    mapping = icd9.read(file)
    found = icd9.as_icd9([ten("I50.9"), ten("Z000"), ten("M255"), ten("J189")], mapping)
    assert found == {ten("I50.9"): nine("4280"), ten("M255"): nine("71940")}


def test_cmss_own_format_is_read_too(tmp_path):
    file = tmp_path / "2018_I10gem.txt"
    file.write_text("A000    0010    00000\nA009    NoDx    11000\n")
    assert icd9.read(file) == {"A000": "0010"}


def test_a_file_of_another_kind_is_refused(tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="expected columns ICD10 and ICD9"):
        icd9.read(file)
