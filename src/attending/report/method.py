"""The words of the report: what was asked, of which data, how it was done, what it rests on, where it ends."""

from dataclasses import dataclass
from typing import Any

import yaml

from attending import registry
from attending import schema as s
from attending.artifact import Manifest
from attending.errors import UnknownComponent
from attending.evaluate.comparison import BASELINES
from attending.report import comparison
from attending.report.evidence import Evidence
from attending.report.ledger import LedgerTable
from attending.report.names import inline, kind_name, sentence
from attending.report.settings import ReportConfig
from attending.report.suppression import SMALL, is_small
from attending.report.table_one import TableOne

EXPECTED_INPUTS = (s.DIAGNOSIS, s.PROCEDURE, s.MEDICATION, s.LAB)
NEVER_INPUTS = ("clinical notes", "images", "waveforms", "genetic data")
TITLES = {
    "next_diagnoses": "Which diagnoses will the next visit bring?",
    "mortality": "Who will die?",
    "readmission": "Who will be back in hospital?",
    "onset": "Who will fall ill with it?",
    "length_of_stay": "How long will the stay be?",
    "decompensation": "Who is about to die?",
    "phenotyping": "Which conditions is this stay about?",
    "medication": "Which drugs will the visit bring?",
    "lab_value": "What will the laboratory find next?",
    "panel": "What will the next round bring?",
}
LIMITS = (
    "The held-out subjects come from the same source as those trained on. How the models do elsewhere, or later, "
    "is not known.",
    "What was not recorded of a subject who was followed counts as not having happened. Codes are recorded for billing "
    "as much as for care.",
    "Intervals express which subjects were sampled. They do not express how results vary between training runs.",
    "A contribution says what moved the model, not what caused the illness.",
    "Groups with few subjects are hidden, so nothing is known of how the models do in them.",
)
TASK_LIMITS = {
    "next_diagnoses": "Only visits that another visit follows are predicted: those who never came back, or died, are "
    "not in the study."
}


SPLITS = {
    "subject": "By subject, from a hash of the subject and the seed",
    "folds": "By subject, in {folds} folds, of which number {fold} is held out",
    "time": "By time: held out are those whose record begins on {held_out_from} or later",
    "site": "By site: held out are those of the sites {held_out}",
    "nested": "In several ways at once: held out are those whom each of them holds out",
    "cgl": "As CGL and Chet divide subjects",
}


class _Given(dict[str, Any]):
    """Settings of which one that was not given is its default."""

    def __missing__(self, key: str) -> str:
        return "(by default)"


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """A model's settings as they were resolved, and what training it took."""

    name: str
    facts: str
    summary: str
    yaml: str


class About:
    """Puts the evidence into words."""

    def __init__(self, evidence: Evidence, config: ReportConfig, study: dict[str, Any]) -> None:
        self.evidence = evidence
        self.config = config
        self.study = study
        task = evidence.labels.config.get("task") or evidence.metrics.get("task") or {}
        self.task: dict[str, Any] = task if isinstance(task, dict) else {"name": str(task)}
        self.task_name = str(self.task.get("name", ""))

    def title(self) -> str:
        """Return the heading of a report that was given none."""
        return TITLES.get(self.task_name) or sentence(self.task_name) or "A study"

    def summary(self, table: TableOne, ledger: LedgerTable) -> str:
        """Return what was done, in one paragraph."""
        metrics = self.evidence.metrics
        names = list(metrics["models"])
        held_out = dict(zip(table.splits, table.sizes, strict=True)).get(s.HELD_OUT, "–")
        n_baselines = sum(name in BASELINES for name in names)
        files = (
            f"{ledger.sums.get('lines', 0):,} lines in {ledger.n_files} files"
            if ledger.n_files
            else "event files"
        )
        return (
            f"From {files}, the histories of {_people(table.n_subjects)} subjects were built. "
            f"{_number(len(names) - n_baselines, 'model')} and {_number(n_baselines, 'plain baseline')} learned "
            f"from the training subjects, and were scored once on {metrics['n_samples']:,} predictions for "
            f"{held_out} held-out subjects, {_number(metrics['n_outcomes'], 'outcome')} each."
        )

    def method(self, table: TableOne) -> list[tuple[str, str]]:
        """Return the method as terms and texts."""
        evidence = self.evidence
        facts = [
            ("Data", self._data(table)),
            ("Question", _paragraph(registry_text("tasks", self.task_name))),
            ("Task settings", _settings_text({k: v for k, v in self.task.items() if k != "name"})),
            ("Split", self._split(table)),
            (
                "What may be known",
                "An event informs a prediction only if it was available at or before the prediction time; "
                "discharge diagnoses become available at discharge.",
            ),
            ("Evaluation", self._evaluation()),
            ("Seeds", self._seeds()),
            ("Code version", evidence.evaluation.code_version),
            ("Evaluated", evidence.evaluation.created_at[:10]),
        ]
        return [(term, text) for term, text in facts if text]

    def settings(self) -> list[ModelSettings]:
        """Return each model's settings, best model first."""
        by_name = {_model_name(manifest): manifest for manifest in self.evidence.models}
        order = [row.name for row in comparison.rows(self.evidence.metrics)]
        names = [name for name in order if name in by_name] + [name for name in by_name if name not in order]
        return [_model_settings(name, by_name[name]) for name in names]

    def seconds(self) -> dict[str, str]:
        """Return the training time of each model that tells it."""
        found = {_model_name(manifest): manifest.counts.get("seconds") for manifest in self.evidence.models}
        return {
            name: f"{seconds:,.1f}" for name, seconds in found.items() if isinstance(seconds, int | float)
        }

    def study_yaml(self) -> str:
        """Return the resolved study."""
        return yaml.safe_dump(self.study, sort_keys=False, allow_unicode=True)

    def basis(self, table: TableOne) -> list[tuple[str, str]]:
        """Return what predictions rest on, so that a reader can judge them independently."""
        used, missing = self._inputs()
        train = dict(zip(table.splits, table.sizes, strict=True)).get(s.TRAIN, "–")
        truth = comparison.ceiling(self.evidence.metrics)
        facts = [
            ("Intended use", self.config.intended_use),
            ("Inputs used", used),
            ("Inputs missing", missing),
            (
                "Training data",
                f"{train} subjects of this source. Vocabulary, value scales and outcomes come from them alone.",
            ),
            (
                "Validation",
                "Internal: held-out subjects of the same source, looked at once. No external validation, and none "
                "in later years.",
            ),
            (
                "Known truth",
                "The data are simulated, so the best possible score is known and shown as the ceiling."
                if truth
                else "",
            ),
        ]
        return [(term, text) for term, text in facts if text]

    def limits(self) -> list[str]:
        """Return what always limits the results, what limits this task, and what the study adds."""
        of_task = [TASK_LIMITS[self.task_name]] if self.task_name in TASK_LIMITS else []
        return [*of_task, *LIMITS, *self.config.limits]

    def _data(self, table: TableOne) -> str:
        source = self.evidence.events.config.get("source", {})
        name = source.get("name", "") if isinstance(source, dict) else str(source)
        read = f"Read by the source '{name}'. " if name else ""
        return f"{read}{_people(table.n_subjects)} subjects with {table.n_predictions:,} predictions."

    def _split(self, table: TableOne) -> str:
        sizes = ", ".join(
            f"{split.replace('_', '-')} {size}" for split, size in zip(table.splits, table.sizes, strict=True)
        )
        given = self.study.get("split") or {}
        words = SPLITS.get(given.get("name", ""), SPLITS["subject"]).format_map(_Given(given))
        return f"{words}: {sizes}. A subject is in one split, or in none."

    def _evaluation(self) -> str:
        settings = self.evidence.evaluation.config
        n = settings.get("n_bootstraps", settings.get("n_replicates", ""))
        resampled = (
            f"{n:,} bootstrap samples of subjects" if isinstance(n, int) else "bootstrap samples of subjects"
        )
        return (
            f"Held-out subjects only. 95 % intervals from {resampled}, the same for every model, so differences are "
            f"paired. Model selection and early stopping used the tuning split.{self._unseen()}"
        )

    def _unseen(self) -> str:
        n = self.evidence.metrics.get("n_unseen_labels") or 0
        shown = SMALL if is_small(n) else f"{n:,}"
        return (
            f" {shown} held-out labels are of outcomes too rare to train on, and are not scored." if n else ""
        )

    def _seeds(self) -> str:
        seeds = {"events and split": self.evidence.events.seed, "evaluation": self.evidence.evaluation.seed}
        seeds |= {_model_name(manifest): manifest.seed for manifest in self.evidence.models}
        if len(set(seeds.values())) == 1:
            return f"{self.evidence.evaluation.seed} for the split, every model and the evaluation"
        return ", ".join(f"{name} {seed}" for name, seed in seeds.items())

    def _inputs(self) -> tuple[str, str]:
        kinds = self.evidence.kinds
        used = ", ".join(f"{inline(kind_name(kind))} ({_number(n, 'code')})" for kind, n in kinds.items())
        missing = [inline(kind_name(kind)) for kind in EXPECTED_INPUTS if kind not in kinds]
        return used, ", ".join([*missing, *NEVER_INPUTS]) if kinds else ""


def registry_text(kind: str, name: str) -> str:
    """Return a component's own description, or nothing if it is not installed."""
    try:
        return registry.docstring(kind, name)
    except UnknownComponent:
        return ""


def _model_name(manifest: Manifest) -> str:
    model = manifest.config.get("model", "")
    return str(model.get("name", "")) if isinstance(model, dict) else str(model)


def _model_settings(name: str, manifest: Manifest) -> ModelSettings:
    counts = manifest.counts
    facts = [
        f"{counts['n_parameters']:,} parameters" if counts.get("n_parameters") else "",
        f"{counts['seconds']:,.1f} s" if counts.get("seconds") is not None else "",
        f"best step {counts['best_step']:,}" if counts.get("best_step") is not None else "",
    ]
    return ModelSettings(
        name=name,
        facts=" · ".join(fact for fact in facts if fact) or "no counts",
        summary=registry_text("models", name).partition("\n")[0],
        yaml=yaml.safe_dump(manifest.config | {"seed": manifest.seed}, sort_keys=False, allow_unicode=True),
    )


def _settings_text(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items())


def _paragraph(text: str) -> str:
    """Return a docstring's first two paragraphs as running text."""
    return " ".join(" ".join(text.split("\n\n")[:2]).split()).translate({ord("`"): None, ord("*"): None})


def _people(count: int) -> str:
    return SMALL if is_small(count) else f"{count:,}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
