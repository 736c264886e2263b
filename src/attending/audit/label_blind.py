"""When a prediction is asked, and whether the answer is open, does not depend on what the future brings.

Some subjects are labelled again with another future: everything later is later still, or diagnoses, values and deaths
are dealt out anew. A cohort may be selected by what comes (a next visit is needed to predict its diagnoses), so a
sample may vanish; but where its visit is asked again, it is asked at the same time. And with no future at all, no
label is left: an answer that is on record at the prediction is none.
"""

import polars as pl
from polars import col

from attending.audit import futures
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, number, passed
from attending.schema import LABEL_CODES, PREDICTION_TIME, SUBJECT_ID, VALUE, VISIT_ID

_SAMPLE = [SUBJECT_ID, PREDICTION_TIME]
_VISIT = [SUBJECT_ID, VISIT_ID]


def check(evidence: Evidence) -> Finding:
    """Fail if a sample's time moves with its future, or a label is on record by then."""
    chosen = evidence.chosen
    before = _labelled(evidence, chosen.events).select(*_SAMPLE, VISIT_ID)
    asked = chosen.samples.select(*_SAMPLE, VISIT_ID)
    n_known = _answered(evidence, asked)
    if n_known:
        return failed(
            f"the outcome is on record at the prediction time of {number(n_known, 'sample')} of {asked.height}",
            "let the prediction stand before the outcome, and leave out subjects who have it already",
        )
    n_kept = 0
    for events in (futures.stretched(chosen), futures.dealt(chosen, evidence.seed)):
        after = _labelled(evidence, events).select(*_SAMPLE, VISIT_ID)
        moved, kept = _moved(asked, before, after)
        n_kept += kept
        if moved:
            return failed(
                f"{number(moved, 'sample')} of {asked.height} asked at another time when the future is another",
                "let prediction times depend on what is known by then: hours after an admission, the end of a visit; "
                "never on when, or whether, an outcome comes",
            )
    return passed(
        f"{asked.height:,} samples labelled again with other futures: none moved, "
        f"{n_kept / (2 * asked.height):.0%} still asked, no answer on record"
    )


def _labelled(evidence: Evidence, events: pl.DataFrame) -> pl.DataFrame:
    frame: pl.DataFrame = evidence.module.label(events, evidence.settings).frame
    return frame


def _answered(evidence: Evidence, asked: pl.DataFrame) -> int:
    """Count the samples that keep a label where everything later is cut off."""
    again = _labelled(evidence, futures.none(evidence.chosen))
    answer = pl.lit(value=True) if VALUE in again.columns else col(LABEL_CODES).list.len() > 0
    return asked.join(again.filter(answer), on=_SAMPLE, how="semi").height


def _moved(asked: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> tuple[int, int]:
    """Count the samples that are gone while their visit is asked at a time that it was not asked at; and those kept."""
    gone = asked.join(after, on=_SAMPLE, how="anti")
    new = after.join(before, on=_SAMPLE, how="anti")
    # Without visits nothing tells a moved sample from another one: then most must have moved.
    of_visit = gone.filter(col(VISIT_ID).is_not_null()).join(new, on=_VISIT, how="semi").height
    of_none = gone.filter(col(VISIT_ID).is_null()).join(new, on=SUBJECT_ID, how="semi").height
    return of_visit + (of_none if 2 * of_none > asked.height else 0), asked.height - gone.height
