"""A made-up hospital with tables of its own, and the mapping that describes them, which is the docs' example."""

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

N_PATIENTS = 14
MAPPING = """\
name: St. Example Hospital
subjects: patients
time_zone: Europe/Berlin              # what clocks show there; events are in UTC

tables:
  patients:                           # patients.csv
    subject: patient                  # identifiers such as P-0007 become integers
    separator: ";"
    required: true
    unique: [patient]
    events:
      - code: [GENDER, {value: $sex, change: [{only: {1: M, 2: F}}]}]
        time: static
        when: {value: $sex, is: [1, 2]}
      - code: MEDS_BIRTH
        time: {value: $born, formats: ["%d.%m.%Y"], date_only: start}
      - code: MEDS_DEATH
        time: {value: $died, formats: ["%d.%m.%Y"]}

  stays:                              # stays.csv
    subject: patient
    separator: ";"
    unique: [stay]
    needs: [stay, admitted]
    ordered: [[$admitted, $discharged]]
    visit: $stay
    events:
      - code: [HOSPITAL_ADMISSION, $kind]
        time: $admitted
      - code: [HOSPITAL_DISCHARGE, {value: $outcome, change: [upper], missing: UNK}]
        time: $discharged

  coding/diagnoses:                   # coding/diagnoses.csv knows the stay only
    subject: {through: stays, by: stay}
    separator: ";"
    joins:
      of: {table: stays, by: stay, needed: true}
    visit: $stay
    time: $of.discharged              # coders assign codes when the stay is over
    events:
      - code: [DIAGNOSIS, ICD, 10, {value: $each, change: [strip, upper, {remove: "."}]}]
        each: {split: $codes, by: "|"}
        priority: $each.number

  results:                            # results/2023.csv, results/2024.csv …
    file: results/*
    subject: patient
    separator: ";"
    needs: [analyte]
    joins:
      analyte: {dictionary: analytes, by: {analyte: number}}
    visit: $stay
    events:
      - code: [LAB, {first: [$analyte.loinc, $analyte]}]
        unit: $unit
        time: {value: {join: [$taken_on, $taken_at], by: " "}, formats: ["%d.%m.%Y %H:%M"]}
        available: $reported
        measurement: $result          # 7.2, <0.1, NEG, 1,234

  vitals:                             # one line a round, one column a measurement
    subject: patient
    separator: ";"
    joins:
      of: {table: stays, by: stay}
    visit: $stay
    time: {after: $of.admitted, minutes: $minutes}
    events:
      - code: [VITAL, {value: $each.name, change: [upper]}]
        each: [systolic, diastolic, pulse]
        value: $each
      - code: [VITAL, TEMPERATURE, degC]
        value: {value: $fahrenheit, change: [{plus: -32}, {times: 0.5555555556}]}
        when: {value: $fahrenheit, at_least: 50, below: 120}

dictionaries:
  analytes:
    separator: ";"
    names:
      - {code: [LAB, $loinc], name: $label}
      - {code: [LAB, $number], name: $label}
"""
ANALYTES = 'number;loinc;label\n1;2160-0;Creatinine\n2;2823-3;"Potassium; serum"\n3;;Local test\n'
CODES = ("I50.9", "e11.9", "N17.9 ", "J18.9", "A41.9")


def write(folder: Path) -> Path:
    """Write the tables and the mapping."""
    random = Random(20)
    files = {
        "patients": ["patient;sex;born;died"],
        "stays": ["patient;stay;kind;admitted;discharged;outcome"],
    }
    files["coding/diagnoses"] = ["stay;codes"]
    files["results/2023"] = ["patient;stay;analyte;taken_on;taken_at;reported;result;unit"]
    files["results/2024"] = list(files["results/2023"])
    files["vitals"] = ["patient;stay;minutes;systolic;diastolic;pulse;fahrenheit"]
    for number in range(N_PATIENTS):
        patient, dies = f"P-{number:04}", number == 5
        files["patients"].append(f"{patient};{1 + number % 2};0{1 + number % 9}.11.{1930 + 4 * number};")
        if dies:
            files["patients"][-1] += "20.08.2024"
        for visit in range(2 + number % 2):
            start = datetime(2023, 3, 1, 10, 15) + timedelta(days=number + 190 * visit)
            _add_stay(files, random, patient, f"S{number}-{visit}", start)
    for name, lines in files.items():
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "analytes.csv").write_text(ANALYTES, encoding="utf-8")
    (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    return folder


def _add_stay(files: dict[str, list[str]], random: Random, patient: str, stay: str, start: datetime) -> None:
    end = start + timedelta(days=4, hours=2)
    times = f"{start:%Y-%m-%d %H:%M:%S};{end:%Y-%m-%d %H:%M:%S}"
    files["stays"].append(f"{patient};{stay};EMERGENCY;{times};{random.choice(['home', ''])}")
    files["coding/diagnoses"].append(f'{stay};"{"|".join(random.sample(CODES, 2))}"')
    taken, reported = start + timedelta(hours=20), start + timedelta(hours=22)
    for analyte, unit in ((1, "mg/dL"), (2, "mmol/L"), (3, "")):
        result = random.choice(["7.2", "<0.1", "NEG", '"1,234"', ""])
        files[f"results/{start.year}"].append(
            f"{patient};{stay};{analyte};{taken:%d.%m.%Y};{taken:%H:%M};{reported:%Y-%m-%d %H:%M:%S};{result};{unit}"
        )
    for minutes in (30, 400, 1700):
        pressure = f"{110 + random.randrange(50)};{random.choice(['70', ''])}"
        files["vitals"].append(f"{patient};{stay};{minutes};{pressure};{60 + random.randrange(50)};98.6")
