"""No subject is in two splits, and every artifact was made with the same split."""

import numpy as np
from polars import col

from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, number, passed
from attending.schema import SPLIT, SPLITS, SUBJECT_ID
from attending.tokens.store import NO_SPLIT

ADVICE = "make the split anew (attending split), and everything that was made with it"


def check(evidence: Evidence) -> Finding:
    """Fail if a subject is in two splits, or the token store holds it twice or in another split than the split file."""
    of = evidence.split_of
    several = of.group_by(SUBJECT_ID).agg(col(SPLIT).n_unique()).filter(col(SPLIT) > 1).height
    if several:
        return failed(f"{number(several, 'subject')} in more than one split", ADVICE)
    store = evidence.store
    twice = len(store.subject) - len(np.unique(store.subject))
    twice = max(twice, len(evidence.scan.subject) - len(np.unique(evidence.scan.subject)))
    if twice:
        return failed(f"{number(twice, 'subject')} stored more than once", "ingest the source again")
    split = dict(of.select(SUBJECT_ID, SPLIT).iter_rows())
    places = {name: at for at, name in enumerate(SPLITS)}
    expected = np.array([places.get(split.get(one, ""), NO_SPLIT) for one in store.subject.tolist()])
    elsewhere = int((expected != store.split).sum())
    if elsewhere:
        return failed(
            f"{number(elsewhere, 'subject')} stored under another split than the split file's", ADVICE
        )
    made_with = {
        manifest.parents.get("splits")
        for name, manifest in evidence.manifests.items()
        if name in ("labels", "tokens")
    }
    if len(made_with) > 1:
        return failed("labels and tokens were made with different splits", ADVICE)
    sizes = [f"{int((of[SPLIT] == name).sum()):,} {name.replace('_', '-')}" for name in SPLITS]
    return passed(f"{number(len(split), 'subject')}, each in one split: {', '.join(sizes)}")
