"""What is fitted is what training subjects alone give: it is fitted again without any other row, and compared.

Rows that are not there cannot matter, so this holds for whatever held-out rows might have been. On request a model is
trained twice, with other held-out labels the second time: it must be the same.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
from polars import col

from attending.audit.dealt_labels import dealt_out
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, number, passed
from attending.schema import (
    CODE,
    HELD_OUT,
    LABEL_CODES,
    N_TRAIN_POSITIVE,
    OUTCOME,
    PARENT_CODES,
    PREDICTION_TIME,
    SUBJECT_ID,
    VALUE,
)
from attending.tokens import concepts
from attending.tokens.vocabulary import build

ADVICE = "fit on the training split only: make the artifact again with `attending run`"


def check(evidence: Evidence) -> Finding:
    """Fail if the vocabulary, the outcomes, the labels or a model's scale is not what training rows alone give."""
    if _differs(_vocabulary(evidence), evidence.vocabulary.table):
        return failed("the vocabulary is not what the training subjects alone give", ADVICE)
    if _differs(_concepts(evidence), concepts.read(evidence.tokens)):
        return failed("the concepts above the vocabulary are not what its codes alone give", ADVICE)
    if _differs(_outcomes(evidence), evidence.outcomes.select(OUTCOME, N_TRAIN_POSITIVE)):
        return failed("the outcomes are not what the training subjects alone give", ADVICE)
    n_changed = _changed_labels(evidence)
    if n_changed:
        return failed(
            f"{number(n_changed, 'training sample')} labelled otherwise when no other subject is there",
            "let a task read one subject at a time, and fit nothing on a shard",
        )
    for name, folder in evidence.models.items():
        wrong = _of_model(folder, evidence)
        if wrong:
            return failed(
                f"the {wrong} of the model '{name}' not what the training subjects alone give", ADVICE
            )
    chosen_by = _chosen_on_held_out(evidence)
    if chosen_by:
        return failed(f"the model '{chosen_by}' is another one when held-out labels are others", ADVICE)
    return passed(
        f"{len(evidence.vocabulary):,} tokens and {evidence.outcomes.height:,} outcomes, fitted again on training "
        "subjects alone, are the same, in every model too"
    )


def _chosen_on_held_out(evidence: Evidence) -> str:
    """Return the model that, trained twice, predicts otherwise where only held-out labels differ; on request only."""
    if evidence.retrain is None or not evidence.retrained:
        return ""
    name = evidence.retrained[0]
    one, other = (
        evidence.retrain(labels, name) for labels in (evidence.samples, dealt_out(evidence, [HELD_OUT]))
    )
    return "" if one.equals(other) else name


def _vocabulary(evidence: Evidence) -> pl.DataFrame:
    codes = pl.read_parquet(evidence.events / "metadata" / "codes.parquet", columns=[CODE, "description"])
    return build(evidence.scan.counts, evidence.token_config, dict(codes.drop_nulls().iter_rows())).table


def _concepts(evidence: Evidence) -> pl.DataFrame:
    parents = pl.read_parquet(evidence.events / "metadata" / "codes.parquet", columns=[CODE, PARENT_CODES])
    return concepts.concepts(evidence.vocabulary.table, parents)


def _outcomes(evidence: Evidence) -> pl.DataFrame:
    least: int = getattr(evidence.settings, "min_train_subjects", 1)
    labels = evidence.samples.join(evidence.train_subjects, on=SUBJECT_ID, how="semi")
    pairs = labels.select(SUBJECT_ID, col(LABEL_CODES).alias(OUTCOME)).explode(OUTCOME, empty_as_null=False)
    found = pairs.group_by(OUTCOME).agg(
        pl.len().cast(pl.Int64).alias(N_TRAIN_POSITIVE), col(SUBJECT_ID).n_unique().alias("n_subjects")
    )
    return found.filter(col("n_subjects") >= least).sort(OUTCOME).select(OUTCOME, N_TRAIN_POSITIVE)


def _changed_labels(evidence: Evidence) -> int:
    """Count the training samples of the first shard that are labelled otherwise without the other subjects."""
    shard = min((evidence.labels / "data").glob("*.parquet"))
    train = evidence.train_subjects
    events = pl.read_parquet(evidence.events / "data" / shard.name).join(
        train, on=SUBJECT_ID, how="semi", maintain_order="left"
    )
    if events.is_empty():
        return 0
    stored = pl.read_parquet(shard).join(train, on=SUBJECT_ID, how="semi", maintain_order="left")
    alone: pl.DataFrame = evidence.module.label(events, evidence.settings).frame
    columns = [SUBJECT_ID, PREDICTION_TIME, LABEL_CODES, *([VALUE] if VALUE in stored.columns else [])]
    if stored.select(columns).equals(alone.select(columns)):
        return 0
    same = stored.select(columns).join(alone.select(columns), on=columns[:3], how="semi").height
    return max(1, stored.height - same)


def _of_model(folder: Path, evidence: Evidence) -> str:
    """Return what of a model's folder is not what it should be, in words, or nothing."""
    if _differs(pl.read_parquet(folder / "vocabulary.parquet"), evidence.vocabulary.table):
        return "vocabulary is"
    if _differs(pl.read_parquet(folder / "outcomes.parquet"), evidence.outcomes):
        return "outcomes are"
    origin = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
    if evidence.target != "value":
        return ""
    values = evidence.samples.join(evidence.train_subjects, on=SUBJECT_ID, how="semi")[VALUE].to_numpy()
    fitted = np.array([origin["center"], origin["scale"]])
    same = np.allclose(fitted, [values.mean(), values.std() or 1.0], rtol=1e-9)
    return "" if same else "center and scale are"


def _differs(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    return one.height != other.height or not one.equals(other.select(one.columns))
