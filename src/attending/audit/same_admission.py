"""A stay's own diagnosis codes, which are assigned when it ends, are not inputs of an outcome of that stay."""

from polars import col

from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, not_applicable, number, passed
from attending.schema import ORIGIN, VISIT_ID

FEWEST_LABELS = 50
MOST_OWN = 0.95

ADVICE = (
    "keep diagnoses from predictions within their own stay: give them the discharge as available_time, and let the "
    "prediction stand before it"
)


def check(evidence: Evidence) -> Finding:
    """Fail if samples within a stay see its codes, or if the codes of a sample's own visit are the labels.

    Diagnoses that are entered during a stay, at times of their own, are inputs like any other (eICU); and a label that
    recurs is no leak, as long as not all of them do.
    """
    scan = evidence.scan
    if evidence.samples[VISIT_ID].null_count() == evidence.samples.height:
        return not_applicable("no sample is asked of a visit")
    if scan.n_labels >= FEWEST_LABELS and scan.n_own > MOST_OWN * scan.n_labels:
        return failed(
            f"{scan.n_own / scan.n_labels:.0%} of {number(scan.n_labels, 'label')} are named by a code of the sample's "
            "own visit that is known at the prediction",
            ADVICE,
        )
    coded = scan.origins.filter(~col(ORIGIN).is_in(scan.kept_in_time))
    n_seen = int(coded["n_samples"].sum())
    if n_seen:
        return failed(
            f"{number(n_seen, 'sample')} within a stay whose own diagnosis codes are inputs", ADVICE
        )
    if not scan.n_inside and not scan.n_own:
        return not_applicable("no sample is asked within a stay, and no label is a code of its own visit")
    return passed(
        f"{number(scan.n_inside, 'sample')} before the end of their visit, none sees codes that its end assigns; "
        f"{scan.n_own / max(scan.n_labels, 1):.0%} of labels recur from the sample's own visit"
    )
