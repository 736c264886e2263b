import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attending.ontology import icd_tree as tree
from attending.ontology.chronic import is_chronic

N_CODES = {"ICD9CM": 14_567, "ICD10CM": 74_044, "ICD9Proc": 3_882, "ICD10PCS": 78_603}


@pytest.mark.parametrize("system", tree.SYSTEMS)
def test_every_code_has_a_title_and_stands_in_a_chapter(system):
    codes = list(tree.codes(system))
    assert len(codes) == N_CODES[system]
    assert [code for code in codes if not tree.title(system, code)] == []
    assert [code for code in codes if tree.chapter(system, code) is None] == []


@pytest.mark.parametrize("system", tree.SYSTEMS)
def test_what_stands_right_above_a_node_has_it_among_its_children(system):
    for code in list(tree.codes(system))[::397]:
        for node, above in zip(
            [code, *tree.ancestors(system, code)], tree.ancestors(system, code), strict=False
        ):
            assert node in tree.children(system, above)


@pytest.mark.parametrize(
    ("system", "code", "above"),
    [
        ("ICD9CM", "42823", ["4282", "428", "420-429", "390-459"]),
        ("ICD9CM", "0389", ["038", "030-041", "001-139"]),
        ("ICD9CM", "389", ["380-389", "320-389"]),
        ("ICD9CM", "E8490", ["E849", "E000-E999"]),
        ("ICD9CM", "V270", ["V27", "V20-V29", "V01-V91"]),
        ("ICD9CM", "042", ["001-139"]),
        ("ICD10CM", "S72001A", ["S72001", "S7200", "S720", "S72", "S70-S79", "S00-T88"]),
        ("ICD10CM", "M1A0110", ["M1A011", "M1A01", "M1A0", "M1A", "M05-M14", "M00-M99"]),
        ("ICD10CM", "I5A", ["I30-I5A", "I00-I99"]),
        ("ICD10CM", "B20", ["A00-B99"]),
        ("ICD9Proc", "3893", ["389", "38", "35-39"]),
        ("ICD10PCS", "02100Z9", ["021", "02", "0"]),
    ],
)
def test_a_code_stands_below_its_headings(system, code, above):
    assert tree.ancestors(system, code) == above


def test_headings_blocks_and_chapters_have_titles():
    assert tree.title("ICD9CM", "428") == "Heart failure"
    assert tree.title("ICD9CM", "2504") == "Diabetes with renal manifestations"
    assert tree.title("ICD9CM", "420-429") == "Other forms of heart disease"
    assert tree.title("ICD9CM", "390-459") == "Diseases of the circulatory system"
    assert tree.title("ICD10CM", "I30-I5A") == "Other forms of heart disease"
    assert tree.title("ICD9Proc", "35-39") == "Operations on the cardiovascular system"
    assert tree.title("ICD10PCS", "021") == "Medical and Surgical: Heart and Great Vessels: Bypass"
    assert tree.nearest_title("ICD9Proc", "389") == "Arterial catheterization and related"


def test_blocks_and_chapters_follow_one_another_without_gaps_in_what_is_known():
    blocks = tree.children("ICD9CM", "390-459")
    assert blocks[0] == "390-392"
    assert blocks[-1] == "451-459"
    assert tree.children("ICD10CM", "I00-I99")[0] == "I00-I02"
    assert tree.block("ICD10CM", "I509") == "I30-I5A"
    assert tree.block("ICD10CM", "B20") == "B20"
    assert tree.block("ICD10PCS", "02100Z9") is None


def test_a_code_of_another_year_stands_below_its_longest_known_prefix():
    assert tree.ancestors("ICD10CM", "I50999")[:2] == ["I509", "I50"]
    assert tree.nearest_title("ICD10CM", "I50999") == "Heart failure, unspecified"
    assert tree.ancestors("ICD10CM", "ZZZ9") == []
    assert tree.nearest_title("ICD10CM", "ZZZ9") is None


def test_a_code_too_long_for_its_system_stands_nowhere():
    assert tree.ancestors("ICD9Proc", "25000") == []
    assert tree.nearest_title("ICD9Proc", "25000") is None
    assert tree.ancestors("ICD9CM", "250000") == []


def test_terms_are_printed_with_their_dot():
    assert tree.term("ICD9CM", "E8490") == "ICD9CM/E849.0"
    assert tree.term("ICD9CM", "V270") == "ICD9CM/V27.0"
    assert tree.term("ICD9Proc", "3893") == "ICD9Proc/38.93"
    assert tree.term("ICD10PCS", "02100Z9") == "ICD10PCS/02100Z9"
    assert tree.term("ICD10CM", "I30-I5A") == "ICD10CM/I30-I5A"
    assert tree.bare(" i50.9 ") == "I509"


@settings(deadline=None)  # the first call reads the tables
@given(st.sampled_from(tree.SYSTEMS), st.text(max_size=9))
def test_any_text_has_an_answer(system, text):
    code = tree.bare(text)
    assert tree.term(system, code).startswith(system)
    assert isinstance(tree.ancestors(system, code), list)
    tree.nearest_title(system, code)
    is_chronic(system, code)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package, when it reads its own file
def test_the_tree_of_icd10_is_that_of_the_package_that_carries_it():
    import simple_icd_10_cm as package

    for code in ("I50.9", "S72.001A", "E11.3211", "N18.30", "A00.0", "M1A.0110", "Z99.81"):
        bare = code.replace(".", "")
        above = [one.replace(".", "") for one in package.get_ancestors(code)[:-1]]  # the last is a number
        assert tree.ancestors("ICD10CM", bare)[:-1] == above


@pytest.mark.parametrize(
    ("system", "code", "chronic"),
    [
        ("ICD9CM", "4280", True),
        ("ICD9CM", "486", False),
        ("ICD10CM", "I509", True),
        ("ICD10CM", "J189", False),
        ("ICD10CM", "E11", True),  # all codes below are
        ("ICD10CM", "Z9981", None),  # AHRQ has not determined it
        ("ICD10CM", "ZZZ", None),
        ("ICD10PCS", "02100Z9", None),
    ],
)
def test_chronic_conditions_are_flagged(system, code, chronic):
    assert is_chronic(system, code) is chronic
