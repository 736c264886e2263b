"""A small made-up study as artifacts, with the shapes that the other stages write."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from attending.artifact import Recipe, write_json, writing
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import CEILING
from attending.evaluate.curves import curves, grids, populations, reference
from attending.evaluate.definitions import definition
from attending.evaluate.samples import Samples
from attending.ledger.accounts import ABSENT, NOT_READ, Account, to_json
from attending.ledger.quarantine import total
from attending.schema import (
    AUPRC,
    AUPRC_HIGH,
    AUPRC_LOW,
    AUROC,
    AUROC_HIGH,
    AUROC_LOW,
    BRIER,
    DESCRIPTION,
    EXPECTED_OVER_OBSERVED,
    MODEL,
    N_POSITIVE,
    N_SAMPLES,
    OUTCOME,
    PER_OUTCOME,
    PREVALENCE,
    SCOPE,
    SUPPRESSED,
)
from attending.stages.report import ReportConfig, report

ICD = "DIAGNOSIS//ICD//10//"
DIAGNOSES = {
    "I509": "Heart failure, unspecified",
    "I10": "Essential (primary) hypertension",
    "E119": "Type 2 diabetes mellitus without complications",
    "N183": "Chronic kidney disease, stage 3 (moderate)",
    "I4891": "Unspecified atrial fibrillation",
    "J449": "Chronic obstructive pulmonary disease, unspecified",
    "F329": "Major depressive disorder, single episode, unspecified",
    "I639": "Cerebral infarction, unspecified",
    "A419": "Sepsis, unspecified organism",
    "D649": "Anemia, unspecified",
    "E785": "Hyperlipidemia, unspecified",
    "K219": "Gastro-esophageal reflux disease without esophagitis",
    "N179": "Acute kidney failure, unspecified",
    "J189": "Pneumonia, unspecified organism",
}
OUTCOMES = {
    "CIR019": "Heart failure",
    "CIR007": "Essential hypertension",
    "END002": "Diabetes mellitus without complication",
    "GEN003": "Chronic kidney disease",
    "CIR017": "Cardiac dysrhythmias",
    "RSP008": "Chronic obstructive pulmonary disease and bronchiectasis",
    "MBD002": "Depressive disorders",
    "CIR020": "Cerebral infarction",
    "INF002": "Septicemia",
    "BLD003": "Aplastic & other anemia <unspecified>",
    "GEN002": "Acute and unspecified renal failure",
    "RSP002": "Pneumonia (except that caused by tuberculosis)",
}
OTHERS = {
    "MEDICATION//Furosemide": "Furosemide",
    "MEDICATION//Metformin": "Metformin",
    "MEDICATION//Apixaban": "Apixaban",
    "LAB//50912//mg/dL": "Creatinine, blood",
    "LAB//50963//pg/mL": "NT-proBNP, blood",
    "LAB//50852//%": "Hemoglobin A1c",
    "PROCEDURE//ICD//10//02HV33Z": "Insertion of infusion device into superior vena cava",
}
MODELS = {
    "transformer": (0.842, 0.118, 41.7),
    "retain": (0.836, 0.110, 22.1),
    "gru": (0.829, 0.097, 30.4),
    "gbm_counts": (0.824, 0.094, 12.9),
    "logistic_counts": (0.817, 0.090, 3.3),
    "copy_history": (0.741, 0.031, 0.1),
    "popularity": (0.5, 0.062, 0.1),
}
BEST_BASELINE = "gbm_counts"
START = datetime(2120, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Study:
    """Where the artifacts are."""

    folder: Path
    models: list[Path]
    attributions: list[Path]

    def report(self, name: str = "report", study: dict[str, Any] | None = None, **settings: Any) -> str:
        """Write the report and return its HTML."""
        out = self.folder / name
        report(
            events=self.folder / "events",
            labels=self.folder / "labels",
            metrics=self.folder / "metrics",
            models=self.models,
            attributions=self.attributions,
            out=out,
            config=ReportConfig(**settings),
            study=study or {"name": "Simulated cohort <demo>", "task": "next_diagnoses", "seed": 7},
        )
        return (out / "index.html").read_text(encoding="utf-8")


def make_study(folder: Path, n_subjects: int = 400, seed: int = 7) -> Study:
    """Write every artifact that the report reads."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    _events(folder / "events", n_subjects, generator)
    _labels(folder / "labels", folder / "events", generator)
    _metrics(folder / "metrics", generator)
    models = [_model(folder / "models" / name, name) for name in MODELS]
    attributions = [
        _attributions(folder / "attributions" / method, method, model, generator)
        for method, model in (("contributions", "retain"), ("integrated_gradients", "transformer"))
    ]
    return Study(folder=folder, models=models, attributions=attributions)


def _events(out: Path, n_subjects: int, generator: np.random.Generator) -> None:
    with writing(out, Recipe(kind="events", config={"source": {"name": "mimic4"}}, seed=7)) as writer:
        for folder in ("data", "metadata"):
            (writer.path / folder).mkdir()
        rows: list[tuple[Any, ...]] = []
        races = ["WHITE", "BLACK/AFRICAN AMERICAN", "HISPANIC/LATINO", "ASIAN", "OTHER"]
        for subject in range(1, n_subjects + 1):
            race = races[generator.choice(5, p=[0.6, 0.2, 0.1, 0.085, 0.015])]
            rows.append((subject, None, f"GENDER//{'FM'[generator.integers(2)]}", None))
            rows.append(
                (subject, START - timedelta(days=int(generator.integers(9000, 32000))), "MEDS_BIRTH", None)
            )
            time = START + timedelta(days=int(generator.integers(0, 400)))
            for visit in range(int(generator.integers(2, 8))):
                visit_id = subject * 100 + visit
                rows.append((subject, time, f"RACE//{race}", visit_id))
                rows.append((subject, time, "HOSPITAL_ADMISSION//EW EMER.//EMERGENCY ROOM", visit_id))
                time += timedelta(days=int(generator.integers(1, 14)))
                codes = generator.choice(list(DIAGNOSES), size=int(generator.integers(2, 9)), replace=False)
                rows += [(subject, time, ICD + code, visit_id) for code in codes]
                rows.append((subject, time, "HOSPITAL_DISCHARGE//HOME", visit_id))
                time += timedelta(days=int(generator.integers(20, 500)))
        schema = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "visit_id": pl.Int64}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        half = n_subjects // 2
        frame.filter(pl.col("subject_id") <= half).write_parquet(writer.path / "data" / "000.parquet")
        frame.filter(pl.col("subject_id") > half).write_parquet(writer.path / "data" / "001.parquet")
        split = generator.choice(["train", "tuning", "held_out"], size=n_subjects, p=[0.7, 0.1, 0.2])
        splits = pl.DataFrame({"subject_id": np.arange(1, n_subjects + 1), "split": split})
        splits.write_parquet(writer.path / "metadata" / "subject_splits.parquet")
        described = {ICD + code: name for code, name in DIAGNOSES.items()} | OTHERS
        counts = frame.group_by("code").agg(pl.len().cast(pl.Int64).alias("n_events")).sort("code")
        codes = pl.DataFrame({"code": list(described), "description": list(described.values())})
        counts.join(codes, on="code", how="full", coalesce=True).write_parquet(
            writer.path / "metadata" / "codes.parquet"
        )
        write_json(writer.path / "ledger.json", _ledger())
        writer.counts = {"subjects": n_subjects, "events": frame.height}


def _ledger() -> dict[str, Any]:
    def file(name: str, accepted: int, events: int, quarantined: dict[str, dict[str, int]]) -> Account:
        n_lines = 1 + accepted + total(quarantined)
        return Account(
            file=f"hosp/{name}.csv.gz", table=name, lines=n_lines, header=1, accepted=accepted,
            quarantined=quarantined, events=events,
        )  # fmt: skip

    labs = file("labevents", 1204551, 1204551, {"not a number": {"itemid": 17}})
    files = [
        file("patients", 5000, 10210, {}),
        file(
            "admissions",
            21483,
            64101,
            {"duplicate admission": {"hadm_id": 2}, "death before birth": {"": 1}},
        ),
        file("diagnoses_icd", 187212, 187212, {"wrong number of fields": {"": 3}}),
        file("prescriptions", 301877, 301877, {}),
        replace(
            labs,
            values={"not a number": {"valuenum": 1204}},
            parsed={"above a limit": {"value": 312}, "words": {"value": 7121}},
            missing_columns=["storetime"],
        ),
        Account(file="icu/chartevents", table="chartevents", status=ABSENT),
        Account(file="hosp/poe.csv.gz", status=NOT_READ, lines=6021, not_read=6021),
    ]
    return to_json(files, {one.table: one.events for one in files if one.events})


def _labels(out: Path, events: Path, generator: np.random.Generator) -> None:
    config = {
        "task": {"name": "next_diagnoses", "visits": "every", "vocabulary": "ccs", "min_train_subjects": 11}
    }
    with writing(out, Recipe(kind="labels", config=config)) as writer:
        (writer.path / "data").mkdir()
        n_samples = n_subjects = 0
        for shard in sorted((events / "data").glob("*.parquet")):
            ends = pl.read_parquet(shard).filter(pl.col("code").str.starts_with("HOSPITAL_DISCHARGE"))
            ends = ends.group_by("subject_id", "visit_id").agg(pl.col("time").max().alias("prediction_time"))
            ends = ends.sort("subject_id", "prediction_time").filter(
                pl.int_range(pl.len()).over("subject_id") > 0
            )
            codes = [
                sorted(
                    generator.choice(
                        list(OUTCOMES)[:11], size=int(generator.integers(1, 5)), replace=False
                    ).tolist()
                )
                for _ in range(ends.height)
            ]
            frame = ends.with_columns(pl.Series("label_codes", codes), pl.Series("history_codes", codes))
            frame.write_parquet(writer.path / "data" / shard.name)
            n_samples, n_subjects = n_samples + frame.height, n_subjects + frame["subject_id"].n_unique()
        outcomes = {"outcome": list(OUTCOMES), "description": list(OUTCOMES.values())}
        pl.DataFrame(
            outcomes | {"n_train_positive": range(900, 900 - 11 * len(OUTCOMES), -11)}
        ).write_parquet(writer.path / "outcomes.parquet")
        steps = {
            "subjects in the data": (n_subjects + 260, 0),
            "with at least one visit": (n_subjects + 60, n_samples + 4 * n_subjects),
            "visits that a later visit follows": (n_subjects + 4, n_samples + 31),
            "whose next visit has a diagnosis": (n_subjects, n_samples),
        }
        flow = [{"step": step, "n_subjects": a, "n_samples": b} for step, (a, b) in steps.items()]
        write_json(writer.path / "flow.json", flow)
        writer.counts = {"samples": n_samples, "subjects": n_subjects, "outcomes": len(OUTCOMES)}


def _model(out: Path, name: str) -> Path:
    config = {
        "model": {"name": name, "width": 128, "n_layers": 2},
        "train": {"epochs": 12, "learning_rate": 1e-3},
    }
    with writing(out, Recipe(kind="model", config=config, seed=7)) as writer:
        writer.counts = {"seconds": MODELS[name][2], "n_parameters": 1_204_311}
        codes = ["unknown", "GENDER//F", *(ICD + code for code in DIAGNOSES), *OTHERS]
        pl.DataFrame({"code": codes}).write_parquet(writer.path / "vocabulary.parquet")
        writer.counts |= {"best_step": 640} if name in ("transformer", "retain", "gru") else {}
    return out


def _attributions(out: Path, method: str, model: str, generator: np.random.Generator) -> Path:
    codes = {ICD + code: name for code, name in DIAGNOSES.items()} | OTHERS
    outcomes = list(OUTCOMES.items())
    samples, events = [], []
    for sample in range(3):
        base, days = -3.2 + 0.3 * sample, -float(generator.integers(900, 3000))
        own: list[float] = []
        events.append((sample, None, None, "GENDER//F", "", None, 0.031))
        own.append(0.031)
        n_visits = (4, 7, 13)[sample]
        for visit in range(n_visits):
            days_now = days * (1 - visit / (n_visits - 0.9)) ** 1.3
            for code in generator.choice(list(codes), size=int(generator.integers(2, 17)), replace=True):
                value = f"{generator.uniform(0.6, 4):.1f} mg/dL" if code.startswith("LAB") else None
                amount = float(
                    np.float32(generator.normal(0.035, 0.09) * (1 + 3 * (generator.random() < 0.12)))
                )
                events.append((sample, visit, days_now, code, codes[code], value, amount))
                own.append(amount)
        logit = base + sum(own)
        outcome, name = outcomes[sample * 3]
        probability = 1 / (1 + np.exp(-logit))
        samples.append(
            (sample, 9_000_001 + sample, START, outcome, name, probability, logit, base, sample != 1)
        )
    sample_schema = {
        "sample": pl.Int32, "subject_id": pl.Int64, "prediction_time": pl.Datetime("us"), "outcome": pl.String,
        "description": pl.String, "probability": pl.Float32, "logit": pl.Float32, "base": pl.Float32,
        "happened": pl.Boolean,
    }  # fmt: skip
    event_schema = {
        "sample": pl.Int32, "visit": pl.Int32, "days": pl.Float32, "code": pl.String, "description": pl.String,
        "value_text": pl.String, "attribution": pl.Float32,
    }  # fmt: skip
    with writing(out, Recipe(kind="attributions", config={"method": method, "model": model})) as writer:
        pl.DataFrame(samples, schema=sample_schema, orient="row").write_parquet(
            writer.path / "samples.parquet"
        )
        pl.DataFrame(events, schema=event_schema, orient="row").write_parquet(writer.path / "events.parquet")
    return out


def interval(estimate: float, width: float) -> dict[str, float]:
    """Return an estimate with an interval of ± `width`."""
    return {"estimate": estimate, "low": estimate - width, "high": estimate + width}


def results(shift: float = 0.0) -> dict[str, Any]:
    """Return what `metrics.json` holds; `shift` is added to every difference to the best baseline."""
    models: dict[str, Any] = {}
    for name, (auroc, recall, _) in {**MODELS, CEILING: (0.871, 0.151, 0)}.items():
        models[name] = {}
        for scope, drop in (("all", 0.0), ("new_onset", 0.09), ("recurrent", 0.04)):
            values = {
                "brier": 0.061 - recall / 10, "recall_at_10": recall + (0.0 if drop == 0.09 else 0.45),
                "hit_rate_at_10_min": recall + 0.5, "macro_auroc": auroc - drop, "macro_auprc": auroc - 0.4,
                "calibration_slope": 1.04, "ici": 0.004,
            }  # fmt: skip
            models[name][scope] = {metric: interval(value, 0.006) for metric, value in values.items()}
            headline = models[name][scope]["macro_auroc"]
            headline["difference"] = interval(auroc - MODELS[BEST_BASELINE][0] + shift, 0.004)
            headline["gap_to_ceiling"] = interval(0.871 - auroc, 0.005)
    return {
        "task": {"name": "next_diagnoses"}, "n_samples": 3127, "n_subjects": 812, "n_outcomes": 12,
        "n_scored_outcomes": {"all": 11}, "n_unseen_labels": 3, "headline": "macro_auroc",
        "best_baseline": BEST_BASELINE, "ceiling": {"name": CEILING, "metrics": models.pop(CEILING)},
        "definitions": {metric: vars(definition(metric)) for metric in models["retain"]["all"]}, "models": models,
    }  # fmt: skip


def _curves(generator: np.random.Generator) -> dict[str, Any]:
    """Draw outcomes from known risks and trace them with the evaluation's own functions."""
    n = 2000
    logits = generator.normal(-2.2, 1.3, size=(n, 3))
    labels = generator.random((n, 3)) < 1 / (1 + np.exp(-logits))
    samples = Samples(subject=np.arange(n) // 3, labels=labels, history=np.zeros_like(labels))
    bootstrap = Bootstrap(samples.n_subjects, 30, 1)

    def of_model(noise: float, outcomes: list[int]) -> dict[str, Any] | None:
        noisy = logits * (1 - noise / 4) + generator.normal(0, noise, logits.shape)
        return curves(samples, 1 / (1 + np.exp(-noisy)), outcomes, bootstrap, 0.95)

    sets = [
        reference(samples, population)
        | {"models": {name: of_model(0.3 + 0.25 * at, population) for at, name in enumerate(MODELS)}}
        | ({"description": list(OUTCOMES.values())[population[0]]} if at else {})
        for at, population in enumerate(populations(samples))
    ]
    return grids() | {"pooled": sets[0], "outcomes": sets[1:]}


def _per_outcome() -> pl.DataFrame:
    rows = [
        (model, scope, outcome, name, 3127, None if at == 11 else 900 - 70 * at, None if at == 11 else 0.29 - 0.02 * at,
         at == 11, auroc - 0.01 * at, auroc - 0.01 * at - 0.02, auroc - 0.01 * at + 0.02, 0.4, 0.38, 0.42, 0.06, 1.02)
        for model, (auroc, _, _) in MODELS.items()
        for scope in ("all", "new_onset", "recurrent")
        for at, (outcome, name) in enumerate(OUTCOMES.items())
    ]  # fmt: skip
    columns = [MODEL, SCOPE, OUTCOME, DESCRIPTION, N_SAMPLES, N_POSITIVE, PREVALENCE, SUPPRESSED]
    columns += [AUROC, AUROC_LOW, AUROC_HIGH, AUPRC, AUPRC_LOW, AUPRC_HIGH, BRIER, EXPECTED_OVER_OBSERVED]
    frame = pl.DataFrame(
        rows, schema={column: PER_OUTCOME.columns[column] for column in columns}, orient="row"
    )
    return PER_OUTCOME.check(frame, "the made-up outcomes")


def _metrics(out: Path, generator: np.random.Generator) -> None:
    with writing(out, Recipe(kind="metrics", config={"n_replicates": 1000}, seed=7)) as writer:
        write_json(writer.path / "metrics.json", results())
        write_json(writer.path / "curves.json", _curves(generator))
        _per_outcome().write_parquet(writer.path / "per_outcome.parquet")
