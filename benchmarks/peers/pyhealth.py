"""PyHealth's load + task step on tables in the layout of MIMIC-IV: samples of the diagnoses of the next visit.

    "$(python benchmarks/peers/environment.py pyhealth)" -I benchmarks/peers/pyhealth.py RAW CACHE WORKERS

It runs in the environment that `environment.py` makes, never in ours; `-I` keeps this folder, where a file has the
library's name, off the path. The task is written as PyHealth's own tasks are (compare its DrugRecommendationMIMIC4):
for each visit but the first the diagnoses, procedures and drugs of every visit before it, and its diagnoses as labels.
It reads `patients`, `admissions`, `icustays`, `diagnoses_icd`, `procedures_icd` and `prescriptions`. The simulator
gives drugs a name but no NDC, so the name is the code.
"""

import json
import sys
from typing import Any, ClassVar

import polars as pl
from pyhealth.data import Patient
from pyhealth.datasets import MIMIC4EHRDataset
from pyhealth.tasks import BaseTask

TABLES = {
    "diagnoses_icd": ("icd_version", "icd_code"),
    "procedures_icd": ("icd_version", "icd_code"),
    "prescriptions": ("drug",),
}


class NextDiagnoses(BaseTask):
    """The diagnoses of a visit from the codes of those before it."""

    task_name: str = "NextDiagnoses"
    input_schema: ClassVar[dict[str, str]] = dict.fromkeys(TABLES, "nested_sequence")
    output_schema: ClassVar[dict[str, str]] = {"next_diagnoses": "multilabel"}

    def __call__(self, patient: Patient) -> list[dict[str, Any]]:
        """Return the samples of a patient."""
        past: dict[str, list[list[str]]] = {table: [] for table in TABLES}
        samples = []
        for admission in patient.get_events(event_type="admissions"):
            now = {table: codes(patient, table, admission.hadm_id) for table in TABLES}
            if past["diagnoses_icd"] and now["diagnoses_icd"]:
                known = {table: list(visits) for table, visits in past.items()}
                ids = {"patient_id": patient.patient_id, "visit_id": admission.hadm_id}
                samples.append(ids | known | {"next_diagnoses": now["diagnoses_icd"]})
            for table, visits in past.items():
                visits.append(now[table])
        return samples


def codes(patient: Patient, table: str, visit: str) -> list[str]:
    """Return the codes of a visit."""
    rows = patient.get_events(event_type=table, filters=[("hadm_id", "==", visit)], return_df=True)
    parts = [f"{table}/{name}" for name in TABLES[table]]
    return rows.select(pl.concat_str(parts, separator="_")).to_series().to_list()


def main(raw: str, cache: str, n_workers: int) -> None:
    """Load the tables and make the samples."""
    dataset = MIMIC4EHRDataset(root=raw, tables=list(TABLES), cache_dir=cache, num_workers=n_workers)
    samples = dataset.set_task(NextDiagnoses(), num_workers=n_workers)
    n_events = dataset.global_event_df.filter(pl.col("event_type").is_in(list(TABLES))).select(pl.len())
    print(json.dumps({"samples": len(samples), "coded events": n_events.collect().item()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
