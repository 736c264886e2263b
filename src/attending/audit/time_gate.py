"""What a model sees of a history is what was known at the prediction time, worked out again from the events."""

import numpy as np

from attending.audit.blocks import blocks, n_backwards
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, number, passed
from attending.audit.scan import summed
from attending.schema import BIN, CODE, ORIGIN

FEWEST_DIAGNOSES = 20


def check(evidence: Evidence) -> Finding:
    """Fail if the token store shows an event before it was known, or the source says that it was known too early."""
    scan = evidence.scan
    if scan.n_early:
        return failed(
            f"{number(scan.n_early, 'event')} known before they happened",
            "let the source set available_time to the time at which a result was stored, never before `time`",
        )
    if scan.n_undated:
        return failed(
            f"{number(scan.n_undated, 'event')} without a time at which they became known",
            "let the source set available_time for every event that has a time",
        )
    early = scan.origins.filter(
        (scan.origins["n"] >= FEWEST_DIAGNOSES) & (scan.origins["n_stamped"] * 2 > scan.origins["n"])
    )
    if early.height:
        tables = ", ".join(f"'{name}'" if name else "the events" for name in early[ORIGIN])
        return failed(
            f"{number(int(early['n_stamped'].sum()), 'diagnosis code')} in {tables} known at the admission",
            "diagnoses are coded when a stay ends: let the source give them the discharge as available_time",
        )
    wrong, unsorted = _differing(evidence)
    if wrong or unsorted:
        return failed(
            f"{number(max(wrong, unsorted), 'subject')} whose tokens do not stand where their events became known",
            "tokenize the events again (attending tokenize)",
        )
    n_samples = evidence.samples.height
    return passed(
        f"{number(len(scan.subject), 'subject')} and {number(n_samples, 'sample')}: every token at the second in which "
        "its event became known"
    )


def _differing(evidence: Evidence) -> tuple[int, int]:
    """Count the subjects whose stored events differ from their record's, and those whose tokens are not sorted."""
    store, table = evidence.store, evidence.vocabulary.table
    base = np.array([evidence.vocabulary.base[code] for code in table.filter(table[BIN].is_not_null())[CODE]])
    of_token = np.arange(table.height)
    of_token[table[BIN].is_not_null().to_numpy()] = base
    stored = np.zeros(len(store.subject), dtype=np.uint64)
    for first, last in blocks(store.offset):
        begin, end = store.offset[first], store.offset[last]
        offset = store.offset[first : last + 1] - begin
        stored[first:last] = summed(store.second[begin:end], of_token[store.token[begin:end]], offset)
    place = np.searchsorted(store.subject, evidence.scan.subject)
    place = np.minimum(place, len(store.subject) - 1)
    same = (store.subject[place] == evidence.scan.subject) & (stored[place] == evidence.scan.digest)
    return int((~same).sum()), n_backwards(store.second, store.offset)
