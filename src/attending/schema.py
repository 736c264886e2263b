"""Every table's columns, types and order: the only file where a column name is a string.

Events are MEDS 0.4 with four extension columns, which `dataset.json` names:

`available_time`
    When the event became *known*: a lab's store time, a diagnosis code's discharge. Never null for
    an event that has a time. **The leak rule of the whole library: an event may inform a prediction
    only if `available_time <= prediction_time`.**
`visit_id`
    The encounter the event belongs to, where the source says so.
`priority`
    Rank within the visit (`seq_num` of a diagnosis), 1 is first.
`origin`
    The source table the event came from, so that counts can be compared with the raw files.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from attending.errors import SchemaError

# Events -----------------------------------------------------------------------------------------
SUBJECT_ID = "subject_id"
TIME = "time"
CODE = "code"
NUMERIC_VALUE = "numeric_value"
TEXT_VALUE = "text_value"
AVAILABLE_TIME = "available_time"
VISIT_ID = "visit_id"
PRIORITY = "priority"
ORIGIN = "origin"

# Splits, code metadata --------------------------------------------------------------------------
SPLIT = "split"
TRAIN, TUNING, HELD_OUT = SPLITS = ("train", "tuning", "held_out")
DESCRIPTION = "description"
PARENT_CODES = "parent_codes"
N_EVENTS = "n_events"

# Subject ids ------------------------------------------------------------------------------------
SOURCE_ID = "source_id"

# Quarantine -------------------------------------------------------------------------------------
FILE = "file"
LINE = "line"
N_LINES = "n_lines"
REASON = "reason"
COLUMN = "column"
WHOLE_LINE = "whole_line"
RAW = "raw"

# Labels and predictions -------------------------------------------------------------------------
# A sample's outcome is in `label_codes` (it happens), in `censored_codes` (not known: the subject left too early), or
# in neither (it does not happen). `history_codes` holds what had happened before. `value` is what a regression
# predicts; `event_days` and `event` say when, for time to event: 1 the event, 2 a competing one, 0 end of follow-up.
PREDICTION_TIME = "prediction_time"
LABEL_CODES = "label_codes"
HISTORY_CODES = "history_codes"
CENSORED_CODES = "censored_codes"
VALUE = "value"
EVENT_DAYS = "event_days"
EVENT = "event"
Target = Literal[
    "binary", "multilabel", "value"
]  # what a task predicts: an outcome, a set of them, or a number
NO_EVENT, HAPPENED_EVENT, COMPETING_EVENT = 0, 1, 2  # what `event` says
OUTCOME = "outcome"
N_TRAIN_POSITIVE = "n_train_positive"
PROBABILITY = "probability"
BOOLEAN_VALUE = "boolean_value"
CATEGORICAL_VALUE = "categorical_value"
FLOAT_VALUE = "float_value"
PREDICTED_VALUE = "predicted_boolean_value"
PREDICTED_PROBABILITY = "predicted_boolean_probability"

# Tokens and attributions ------------------------------------------------------------------------
CONCEPT, TOKENS = ("concept", "tokens")
TOKEN = "token"  # noqa: S105 - a vocabulary entry
BIN = "bin"
N_TRAIN_SUBJECTS = "n_train_subjects"
EDGES = "edges"
CENTER = "center"
SCALE = "scale"
ATTRIBUTION = "attribution"
VISIT = "visit"
SAMPLE = "sample"
DAYS = "days"
HAPPENED = "happened"
VALUE_TEXT = "value_text"
LOGIT = "logit"
BASE = "base"

# Metrics ----------------------------------------------------------------------------------------
MODEL = "model"
SCOPE = "scope"
METRIC = "metric"
N_SAMPLES = "n_samples"
N_POSITIVE = "n_positive"
PREVALENCE = "prevalence"
SUPPRESSED = "suppressed"
ESTIMATE, LOW, HIGH = INTERVAL = ("estimate", "low", "high")
DIFFERENCE, DIFFERENCE_LOW, DIFFERENCE_HIGH = ("difference", "difference_low", "difference_high")
P, P_HOLM = ("p", "p_holm")  # of a difference: by itself, and corrected for how many there are
DIFFERENCE_P, DIFFERENCE_P_HOLM = ("difference_p", "difference_p_holm")
TO_BEST = "difference_to_best"
GAP, GAP_LOW, GAP_HIGH = ("gap_to_ceiling", "gap_to_ceiling_low", "gap_to_ceiling_high")
AUROC, AUROC_LOW, AUROC_HIGH = ("auroc", "auroc_low", "auroc_high")
AUPRC, AUPRC_LOW, AUPRC_HIGH = ("auprc", "auprc_low", "auprc_high")
BRIER = "brier"
EXPECTED_OVER_OBSERVED = "expected_over_observed"

# The simulator's truth --------------------------------------------------------------------------
CONDITION = "condition"
SHARE = "share"
DEATH_PROBABILITY = "death_probability"
READMISSION_PROBABILITY = "readmission_probability"

# Codes ------------------------------------------------------------------------------------------
MEDS_VERSION = "0.4.1"
SEPARATOR = "//"
BIRTH = "MEDS_BIRTH"
DEATH = "MEDS_DEATH"
ADMISSION = "HOSPITAL_ADMISSION"
DISCHARGE = "HOSPITAL_DISCHARGE"
DIAGNOSIS = "DIAGNOSIS"
DIAGNOSIS_ICD9 = "DIAGNOSIS//ICD//9"
DIAGNOSIS_ICD10 = "DIAGNOSIS//ICD//10"
PROCEDURE = "PROCEDURE"
PROCEDURE_ICD9 = "PROCEDURE//ICD//9"
PROCEDURE_ICD10 = "PROCEDURE//ICD//10"
MEDICATION = "MEDICATION"
LAB = "LAB"
SEX = "GENDER"
RACE = "RACE"
INSURANCE = "INSURANCE"
HOSPITAL = "HOSPITAL"

MICROSECONDS = pl.Datetime("us")


@dataclass(frozen=True, kw_only=True)
class Table:
    """The columns of one kind of file: `required` and `optional` by name, `closed` to any other."""

    name: str
    required: dict[str, pl.DataType | type[pl.DataType]]
    optional: dict[str, pl.DataType | type[pl.DataType]]
    sorted_by: tuple[str, ...] = ()
    closed: bool = True

    @property
    def columns(self) -> dict[str, pl.DataType | type[pl.DataType]]:
        """All named columns in the order they are written."""
        return self.required | self.optional

    def empty(self) -> pl.DataFrame:
        """Return a frame of no rows that has every named column."""
        return pl.DataFrame(schema=self.columns)

    def check(self, frame: pl.DataFrame, where: str) -> pl.DataFrame:
        """Return `frame` if it has the columns, types and order of this table.

        Raises:
            SchemaError: naming the first column that is missing, unknown, or of the wrong type.
        """
        for column in self.required:
            if column not in frame.columns:
                raise SchemaError(
                    f"expected a column '{column}' in {where}, a {self.name} table; "
                    f"got {', '.join(frame.columns)}"
                )
        for column, got in frame.schema.items():
            expected = self.columns.get(column)
            if expected is None and self.closed:
                raise SchemaError(f"{where}, a {self.name} table, has an unknown column '{column}'")
            if expected is not None and got != expected:
                raise SchemaError(
                    f"expected {expected} in column '{column}' of {where}, a {self.name} table; got {got}"
                )
        by = list(self.sorted_by)
        if by and not frame.select(by).equals(frame.select(by).sort(by, nulls_last=False)):
            raise SchemaError(f"expected {where}, a {self.name} table, sorted by {', '.join(by)}")
        return frame


EVENTS = Table(
    name="events",
    required={SUBJECT_ID: pl.Int64(), TIME: MICROSECONDS, CODE: pl.String()},
    optional={
        NUMERIC_VALUE: pl.Float32(),
        TEXT_VALUE: pl.String(),
        AVAILABLE_TIME: MICROSECONDS,
        VISIT_ID: pl.Int64(),
        PRIORITY: pl.Int32(),
        ORIGIN: pl.String(),
    },
    sorted_by=(SUBJECT_ID, TIME),
    closed=False,
)
EXTENSION_COLUMNS = (AVAILABLE_TIME, VISIT_ID, PRIORITY, ORIGIN)

SUBJECT_SPLITS = Table(
    name="subject splits", required={SUBJECT_ID: pl.Int64(), SPLIT: pl.String()}, optional={}
)
SUBJECT_IDS = Table(
    name="subject ids",
    required={SUBJECT_ID: pl.Int64(), SOURCE_ID: pl.String()},
    optional={},
    sorted_by=(SUBJECT_ID,),
)
CODES = Table(
    name="codes",
    required={CODE: pl.String()},
    optional={DESCRIPTION: pl.String(), PARENT_CODES: pl.List(pl.String()), N_EVENTS: pl.Int64()},
    closed=False,
)
LABELS = Table(
    name="labels",
    required={
        SUBJECT_ID: pl.Int64(),
        PREDICTION_TIME: MICROSECONDS,
        LABEL_CODES: pl.List(pl.String()),
        HISTORY_CODES: pl.List(pl.String()),
    },
    optional={
        VISIT_ID: pl.Int64(),
        CENSORED_CODES: pl.List(pl.String()),
        VALUE: pl.Float64(),
        EVENT_DAYS: pl.Float64(),
        EVENT: pl.Int8(),
    },
    sorted_by=(SUBJECT_ID, PREDICTION_TIME),
)
OUTCOMES = Table(
    name="outcomes",
    required={OUTCOME: pl.String(), DESCRIPTION: pl.String(), N_TRAIN_POSITIVE: pl.Int64()},
    optional={},
)
CONCEPTS = Table(
    name="concepts",
    required={CONCEPT: pl.String(), TOKENS: pl.List(pl.Int32())},
    optional={},
)

VOCABULARY = Table(
    name="vocabulary",
    required={
        TOKEN: pl.Int32(),
        CODE: pl.String(),
        BIN: pl.Int32(),
        DESCRIPTION: pl.String(),
        N_TRAIN_SUBJECTS: pl.Int64(),
        EDGES: pl.List(pl.Float64()),
        CENTER: pl.Float64(),
        SCALE: pl.Float64(),
    },
    optional={},
    sorted_by=(TOKEN,),
)
QUARANTINE = Table(
    name="quarantine",
    required={
        LINE: pl.UInt32(),
        N_LINES: pl.UInt32(),
        REASON: pl.String(),
        COLUMN: pl.String(),
        WHOLE_LINE: pl.Boolean(),
    },
    optional={FILE: pl.String(), RAW: pl.String()},
)
PER_OUTCOME = Table(
    name="metrics per outcome",
    required={
        MODEL: pl.String(),
        SCOPE: pl.String(),
        OUTCOME: pl.String(),
        DESCRIPTION: pl.String(),
        N_SAMPLES: pl.Int64(),
        N_POSITIVE: pl.Int64(),
        PREVALENCE: pl.Float64(),
        SUPPRESSED: pl.Boolean(),
        AUROC: pl.Float64(),
        AUROC_LOW: pl.Float64(),
        AUROC_HIGH: pl.Float64(),
        AUPRC: pl.Float64(),
        AUPRC_LOW: pl.Float64(),
        AUPRC_HIGH: pl.Float64(),
        BRIER: pl.Float64(),
        EXPECTED_OVER_OBSERVED: pl.Float64(),
    },
    optional={},
)
COMPARISON = Table(
    name="comparison",
    required={
        MODEL: pl.String(),
        SCOPE: pl.String(),
        METRIC: pl.String(),
        ESTIMATE: pl.Float64(),
        LOW: pl.Float64(),
        HIGH: pl.Float64(),
        DIFFERENCE: pl.Float64(),
        DIFFERENCE_LOW: pl.Float64(),
        DIFFERENCE_HIGH: pl.Float64(),
        DIFFERENCE_P: pl.Float64(),
        DIFFERENCE_P_HOLM: pl.Float64(),
        GAP: pl.Float64(),
        GAP_LOW: pl.Float64(),
        GAP_HIGH: pl.Float64(),
    },
    optional={},
)
