"""A made-up sample of DE-SynPUF: 14 beneficiaries over three years, and claims of all four kinds."""

import csv
from pathlib import Path
from random import Random

N_BENEFICIARIES = 14
FLAGS = [
    "SP_ALZHDMTA",
    "SP_CHF",
    "SP_CHRNKIDN",
    "SP_CNCR",
    "SP_COPD",
    "SP_DEPRESSN",
    "SP_DIABETES",
    "SP_ISCHMCHT",
    "SP_OSTEOPRS",
    "SP_RA_OA",
    "SP_STRKETIA",
]
AMOUNTS = [f"{kind}_{care}" for care in ("IP", "OP", "CAR") for kind in ("MEDREIMB", "BENRES", "PPPYMT")]
DIAGNOSES = ("4280", "25000", "4019", "5849", "V5861", "E9330", "0389")
SAMPLE = "sample-1"


def write(folder: Path) -> Path:
    """Write the sample."""
    random = Random(17)
    (folder / SAMPLE).mkdir(parents=True, exist_ok=True)
    people = [f"{random.getrandbits(64):016X}" for _ in range(N_BENEFICIARIES)]
    for year in (2008, 2009, 2010):
        alive = [person for number, person in enumerate(people) if not (number == 2 and year == 2010)]
        name = f"DE1_0_{year}_Beneficiary_Summary_File_Sample_1"
        _put(folder, name, [_year(random, person, year, people.index(person)) for person in alive])
    claims = [(person, visit) for person in people for visit in range(1, 4)]
    _put(folder, "DE1_0_2008_to_2010_Inpatient_Claims_Sample_1", _inpatient(random, claims))
    _put(
        folder, "DE1_0_2008_to_2010_Outpatient_Claims_Sample_1", [_outpatient(random, *one) for one in claims]
    )
    _put(folder, "DE1_0_2008_to_2010_Carrier_Claims_Sample_1A", [_carrier(random, *one) for one in claims])
    drugs = [_drug(random, *one) for one in claims]
    _put(folder, "DE1_0_2008_to_2010_Prescription_Drug_Events_Sample_1", drugs)
    return folder


def _put(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    with (folder / SAMPLE / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(f'"{column}"' for column in rows[0]) + "\n")
        csv.DictWriter(file, list(rows[0]), restval="", lineterminator="\n").writerows(rows)


def _year(random: Random, person: str, year: int, number: int) -> dict[str, object]:
    dies = number == 2 and year == 2009
    return {
        "DESYNPUF_ID": person,
        "BENE_BIRTH_DT": f"19{30 + number}0701",
        "BENE_DEATH_DT": "20090901" if dies else "",
        "BENE_SEX_IDENT_CD": 1 + number % 2,
        "BENE_RACE_CD": (1, 2, 3, 5)[number % 4],
        "BENE_ESRD_IND": "Y" if number == 1 else "0",
        "SP_STATE_CODE": "05",
        **{flag: random.choice((1, 2)) for flag in FLAGS},
        **{amount: f"{random.randrange(0, 3) * 1000}.00" for amount in AMOUNTS},
    }


def _claim(random: Random, kind: int, person: str, visit: int) -> dict[str, object]:
    """Return what begins every claim: its number, and the second or third half of a year."""
    return {
        "DESYNPUF_ID": person,
        "CLM_ID": kind * 10**12 + random.randrange(10**9) * 10 + visit,
        "SEGMENT": 1,
    }


def _codes(random: Random, name: str, n: int, codes: tuple[str, ...], used: int) -> dict[str, object]:
    chosen = random.sample(codes, used)
    return {name.replace("#", str(place + 1)): chosen[place] if place < used else "" for place in range(n)}


def _inpatient(random: Random, claims: list[tuple[str, int]]) -> list[dict[str, object]]:
    rows = []
    for person, visit in claims:
        first, last = f"{2007 + visit}0310", f"{2007 + visit}0315"
        row = _claim(random, 1, person, visit) | {
            "CLM_FROM_DT": first,
            "CLM_THRU_DT": last,
            "CLM_PMT_AMT": "4000.00",
            "CLM_ADMSN_DT": first,
            "ADMTNG_ICD9_DGNS_CD": random.choice(["78605", ""]),
            "NCH_BENE_DSCHRG_DT": last,
            "CLM_DRG_CD": "201",
            **_codes(random, "ICD9_DGNS_CD_#", 10, DIAGNOSES, 3),
            **_codes(random, "ICD9_PRCDR_CD_#", 6, ("9904", "8165"), 1),
            **_codes(random, "HCPCS_CD_#", 45, (), 0),
        }
        rows.append(row)
        if visit == 3 and person == claims[0][0]:
            rows.append(row | {"SEGMENT": 2, "CLM_FROM_DT": "", "CLM_THRU_DT": "", "ICD9_DGNS_CD_1": "5990"})
    return rows


def _outpatient(random: Random, person: str, visit: int) -> dict[str, object]:
    return _claim(random, 2, person, visit) | {
        "CLM_FROM_DT": f"{2007 + visit}0601",
        "CLM_THRU_DT": f"{2007 + visit}0601",
        "CLM_PMT_AMT": "50.00",
        **_codes(random, "ICD9_DGNS_CD_#", 10, DIAGNOSES, 2),
        **_codes(random, "ICD9_PRCDR_CD_#", 6, (), 0),
        "ADMTNG_ICD9_DGNS_CD": "",
        **_codes(random, "HCPCS_CD_#", 45, ("99213", "80053"), 2),
    }


def _carrier(random: Random, person: str, visit: int) -> dict[str, object]:
    row = _claim(random, 3, person, visit) | {
        "CLM_FROM_DT": f"{2007 + visit}0920",
        "CLM_THRU_DT": f"{2007 + visit}0921",
        **_codes(random, "ICD9_DGNS_CD_#", 8, DIAGNOSES, 2),
        **_codes(random, "HCPCS_CD_#", 13, ("99213", "93010"), 2),
        **_codes(random, "LINE_NCH_PMT_AMT_#", 13, ("10.00", "0.00"), 2),
        **_codes(random, "LINE_ICD9_DGNS_CD_#", 13, DIAGNOSES, 2),
    }
    del row["SEGMENT"]
    return row


def _drug(random: Random, person: str, visit: int) -> dict[str, object]:
    return {
        "DESYNPUF_ID": person,
        "PDE_ID": random.randrange(10**14),
        "SRVC_DT": f"{2007 + visit}1105",
        "PROD_SRVC_ID": random.choice(["00006073582", "58016005560"]),
        "QTY_DSPNSD_NUM": "30.000",
        "DAYS_SUPLY_NUM": 30,
        "PTNT_PAY_AMT": "10.00",
        "TOT_RX_CST_AMT": "40.00",
    }
