"""Ten studies that do not leak: of different tasks, splits, models and sources."""

from dataclasses import dataclass, field
from pathlib import Path

from attending.stages.ingest import ingest
from audit.studies import ENGINE, Study, make
from folders import component, made_up

SMALL = {"train": 0.6, "tuning": 0.2, "held_out": 0.2}


YEARS = {"tuning_from": "2150-01-01", "held_out_from": "2160-01-01", "straddling": "by_start"}
BOTH = {"parts": [{"name": "subject", "published": False}, {"name": "folds", "folds": 3, "seed": 3}]}


@dataclass(frozen=True)
class Clean:
    """A study: its task, and what else of it is not the default; `source` of the made-up folders, else the cohort."""

    name: str
    task: dict[str, object]
    by: str = "subject"
    split: dict[str, object] = field(default_factory=dict)
    models: tuple[str, ...] = ("popularity",)
    retrained: tuple[str, ...] = ()
    source: str = ""

    def make(self, base: Study, root: Path) -> Study:
        """Run the study."""
        if not self.source:
            return make(base.events, root, self.task, by=self.by, models=self.models, **self.split)
        raw, events = root / "raw", root / "events"
        made_up(self.source).write(raw)
        ingest(component(self.source, raw), raw, events, engine=ENGINE)
        return make(
            events, root / "study", self.task, by=self.by, models=self.models, min_subjects=1, **self.split
        )


CLEAN = (
    Clean(
        "next_diagnoses",
        {"name": "next_diagnoses"},
        models=("logistic_counts",),
        retrained=("logistic_counts",),
    ),
    Clean("final_diagnoses_by_time", {"name": "next_diagnoses", "visits": "final"}, by="time", split=YEARS),
    Clean("mortality", {"name": "mortality"}, by="folds", models=("popularity", "age_sex")),
    Clean(
        "readmission",
        {"name": "readmission", "days": [30, 365], "death": "competing"},
        by="nested",
        split=BOTH,
    ),
    Clean("onset", {"name": "onset", "disease": "type_2_diabetes", "index": "first"}),
    Clean("length_of_stay", {"name": "length_of_stay"}, models=("gru",), retrained=("gru",)),
    Clean("phenotyping", {"name": "phenotyping"}, models=("copy_history",)),
    Clean("decompensation", {"name": "decompensation", "every_hours": 6}),
    Clean("medication", {"name": "medication"}),
    Clean(
        "next_diagnoses_of_eicu",
        {"name": "next_diagnoses", "min_train_subjects": 1},
        split=SMALL | {"published": False},
        source="eicu",
    ),
)
