import gzip

import polars as pl
import pytest

from attending.errors import SourceError
from attending.ontology import terms
from attending.ontology.vocabularies import Vocabularies

HEART_FAILURE = "CONDITION//SNOMED//42343007"
CONCEPTS = (
    "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\tinvalid_reason\n"
    '1\tCongestive "heart" failure\tCondition\tSNOMED\tDisorder\tS\t42343007\t\n'
    "2\tHeart failure, unspecified\tCondition\tICD10CM\tCode\t\tI50.9\t\n"
    "3\tHeart disease\tCondition\tSNOMED\tDisorder\tS\t56265001\t\n"
    "4\tFurosemide 20 MG\tDrug\tRxNorm\tClinical Drug\tS\t310429\t\n"
    "5\tHigh-ceiling diuretics\tDrug\tATC\tATC 2nd\tC\tC03C\t\n"
    "6\tDisease\tCondition\tSNOMED\tDisorder\tS\t64572001\t\n"
    "7\tOffice visit\tObservation\tCPT4\tCPT4\tS\t99213\t\n"
)
RELATIONSHIPS = (
    "concept_id_1\tconcept_id_2\trelationship_id\tinvalid_reason\n"
    "2\t1\tMaps to\t\n1\t1\tMaps to\t\n1\t3\tIs a\t\n1\t6\tIs a\tD\n2\t3\tHas finding\t\n"
)
ANCESTORS = (
    "ancestor_concept_id\tdescendant_concept_id\tmin_levels_of_separation\tmax_levels_of_separation\n"
    "1\t1\t0\t0\n3\t1\t1\t1\n6\t1\t2\t2\n5\t4\t3\t3\n"
)


def described(code, folder, own=None):
    """Return description, its origin, and the parents of one code, as the files of `folder` say."""
    row = terms.describe(pl.Series([code]), own, Vocabularies.load([folder])).row(0, named=True)
    return row["description"], row["described_by"], row["parent_codes"]


@pytest.fixture
def omop(tmp_path):
    (tmp_path / "CONCEPT.csv").write_text(CONCEPTS)
    (tmp_path / "CONCEPT_RELATIONSHIP.csv").write_text(RELATIONSHIPS)
    (tmp_path / "CONCEPT_ANCESTOR.csv").write_text(ANCESTORS)
    return tmp_path


def test_athenas_tables_name_codes_and_say_what_is_above(omop):
    name, origin, parents = described(HEART_FAILURE, omop)
    assert (name, origin) == ('Congestive "heart" failure', "vocabulary")
    assert parents == ["SNOMED/42343007", "SNOMED/56265001"]


def test_an_icd_code_has_what_it_maps_to_and_what_is_above_that_beside_its_own_tree(omop):
    parents = described("DIAGNOSIS//ICD//10//I509", omop)[2]
    assert {"SNOMED/42343007", "SNOMED/56265001", "ICD10CM/I50", "CCSR/CIR019"} <= set(parents)
    assert "SNOMED/64572001" not in parents


def test_a_drug_has_the_classes_among_its_far_ancestors(omop):
    assert "ATC/C03C" in described("MEDICATION//RxNorm//310429", omop)[2]


def test_cpt_codes_are_hcpcs_codes(omop):
    assert described("HCPCS//99213", omop)[0] == "Office visit"


def test_relationships_without_concepts_are_refused(omop):
    (omop / "CONCEPT.csv").unlink()
    with pytest.raises(SourceError, match="needs the table CONCEPT"):
        described(HEART_FAILURE, omop)


def test_snomed_snapshots_are_read(tmp_path):
    (tmp_path / "sct2_Concept_Snapshot.txt").write_text(
        "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n42343007\t2020\t1\t9\t9\n"
    )
    head = "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n"
    (tmp_path / "sct2_Description_Snapshot.txt").write_text(
        f"{head}1\t2020\t0\t9\t42343007\ten\t900000000000003001\tOld name\t9\n"
        "2\t2020\t1\t9\t42343007\ten\t900000000000013009\tCHF\t9\n"
        "3\t2020\t1\t9\t42343007\ten\t900000000000003001\tCongestive heart failure (disorder)\t9\n"
    )
    head = "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\ttypeId\n"
    (tmp_path / "sct2_Relationship_Snapshot.txt").write_text(
        f"{head}1\t2020\t1\t9\t42343007\t84114007\t0\t116680003\n"
        "2\t2020\t0\t9\t42343007\t111\t0\t116680003\n3\t2020\t1\t9\t42343007\t222\t0\t363698007\n"
    )
    assert described(HEART_FAILURE, tmp_path) == (
        "Congestive heart failure (disorder)",
        "vocabulary",
        ["SNOMED/42343007", "SNOMED/84114007"],
    )


def test_loinc_names_tests_and_their_class(tmp_path):
    (tmp_path / "Loinc.csv").write_text(
        '"LOINC_NUM","COMPONENT","CLASS","LONG_COMMON_NAME"\n'
        '"2160-0","Creatinine","CHEM","Creatinine [Mass/volume] in Serum, or Plasma"\n'
    )
    name, origin, parents = described("LAB//LOINC//2160-0//mg/dL", tmp_path)
    assert (name, origin) == ("Creatinine [Mass/volume] in Serum, or Plasma", "vocabulary")
    assert parents == ["LOINC/2160-0", "LOINC_CLASS/CHEM"]


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("icd9,phecode\n428.0,428.1\n", "DIAGNOSIS//ICD//9//4280", ["phecode/428.1", "phecode/428"]),
        (
            "icd9,phecode\n038.9,994.21\n",
            "DIAGNOSIS//ICD//9//0389",
            ["phecode/994.21", "phecode/994.2", "phecode/994"],
        ),
        (
            "icd10cm,icd10cm_str,phecode,phecode_str\nI50.9,Heart failure,428.2,Heart failure NOS\n",
            "DIAGNOSIS//ICD//10//I509",
            ["phecode/428.2", "phecode/428"],
        ),
        (
            "code,vocabulary_id,phecode\nI50.9,ICD10CM,CV_424.1\nI50.9,ICD10CM,CV_400\n",
            "DIAGNOSIS//ICD//10//I509",
            ["phecodeX/CV_424.1", "phecodeX/CV_424", "phecodeX/CV_400"],
        ),
        ("ICD,Flag,Phecode\n428.0,9,428\nI50.9,10,428\n", "DIAGNOSIS//ICD//9//4280", ["phecode/428"]),
        ("code,vocabulary_id,phecode\nV27.0,ICD10CM,1\n", "DIAGNOSIS//ICD//9//V270", []),
        ("icd9,phecode\n428.0,\n", "DIAGNOSIS//ICD//9//4280", []),
    ],
)
def test_phecode_maps_of_every_layout_give_phecodes_and_those_above(tmp_path, text, code, expected):
    (tmp_path / "map.csv").write_text(text)
    parents = described(code, tmp_path)[2]
    assert [one for one in parents if one.startswith("phecode")] == expected


def test_ahrqs_own_file_gives_every_category(tmp_path):
    (tmp_path / "DXCCSR_v2024-1.csv").write_text(
        "'ICD-10-CM CODE','ICD-10-CM CODE DESCRIPTION','Default CCSR CATEGORY IP','CCSR CATEGORY 1',"
        "'CCSR CATEGORY 1 DESCRIPTION','CCSR CATEGORY 2','CCSR CATEGORY 2 DESCRIPTION'\n"
        "'I110',\"Hypertensive heart disease with heart failure\",'CIR008','CIR008','Hypertension','CIR019','Failure'\n"
        "'I10',\"Hypertension\",'CIR007','CIR007','Hypertension',' ',' '\n"
    )
    assert {"CCSR/CIR008", "CCSR/CIR019"} <= set(described("DIAGNOSIS//ICD//10//I110", tmp_path)[2])
    parents = described("DIAGNOSIS//ICD//10//I10", tmp_path)[2]
    assert [one for one in parents if one.startswith("CCSR")] == ["CCSR/CIR007"]


def test_atc_files_name_classes_and_reach_drugs_by_their_ingredient(tmp_path):
    (tmp_path / "atc.csv").write_text(
        "atc_code,atc_name,ddd\nC,CARDIOVASCULAR SYSTEM,\nC03CA,Sulfonamides plain,\nC03CA01,furosemide,40\n"
    )
    drug = described("MEDICATION//FUROSEMIDE 20 MG PO TABS", tmp_path)[2]
    assert [one for one in drug if one.startswith("ATC")] == [
        "ATC/C03CA01",
        "ATC/C03CA",
        "ATC/C03C",
        "ATC/C03",
        "ATC/C",
    ]
    assert described("MEDICATION//ATC//C03CA", tmp_path)[0] == "Sulfonamides plain"


def test_a_plain_file_names_whole_codes_terms_and_codes_of_a_vocabulary(tmp_path):
    (tmp_path / "mine.csv").write_text(
        'code,description,parent\nLAB//50912//mg/dL,"Creatinine, blood",LOINC/2160-0;MINE/kidney\n'
        "SNOMED/42343007,Heart failure of mine,\n"
    )
    (tmp_path / "more.csv").write_text("vocabulary,code,description\nCVX,140,Influenza\n")
    assert described("LAB//50912//mg/dL", tmp_path) == (
        "Creatinine, blood",
        "vocabulary",
        ["LOINC/2160-0", "MINE/kidney"],
    )
    assert described(HEART_FAILURE, tmp_path)[0] == "Heart failure of mine"
    assert described("IMMUNIZATION//CVX//140", tmp_path)[0] == "Influenza"
    assert described("IMMUNIZATION//OTHER//140", tmp_path)[1] == "words"


def test_packed_and_parquet_files_are_read_alike(tmp_path):
    (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(b"code,description\nX//1,one\n"))
    pl.DataFrame({"code": ["X//2"], "description": ["two"]}).write_parquet(tmp_path / "mine.parquet")
    assert described("X//1", tmp_path)[0] == "one"
    assert described("X//2", tmp_path)[0] == "two"


def test_a_missing_column_is_named(tmp_path):
    file = tmp_path / "CONCEPT.csv"
    file.write_text("concept_id,vocabulary_id,concept_name\n1,SNOMED,x\n")
    with pytest.raises(SourceError, match=r"'concept_code'.*CONCEPT\.csv.*OMOP CONCEPT"):
        Vocabularies.load([tmp_path])


def test_files_of_no_known_kind_are_named_in_a_folder_and_refused_by_name(tmp_path):
    (tmp_path / "README.txt").write_text("what this is\n")
    (tmp_path / "mine.csv").write_text("code,description\nX//1,one\n")
    loaded = Vocabularies.load([tmp_path])
    assert [file.name for file in loaded.unknown] == ["README.txt"]
    assert loaded.kinds == {"mine.csv": "plain"}
    with pytest.raises(
        SourceError, match=r"README\.txt is no vocabulary file of a known kind \(OMOP CONCEPT"
    ):
        Vocabularies.load([tmp_path / "README.txt"])
    with pytest.raises(SourceError, match="there is none"):
        Vocabularies.load([tmp_path / "absent"])
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SourceError, match=r"header.*empty\.csv"):
        Vocabularies.load([tmp_path])
