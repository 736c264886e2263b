"""The ten checks, in the order in which they are told."""

from collections.abc import Callable
from dataclasses import dataclass

from attending.audit import (
    duplicates,
    future_shuffle,
    label_blind,
    label_permutation,
    one_code,
    same_admission,
    subjects_disjoint,
    time_gate,
    train_only,
    visit_order,
)
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check: its name, what it makes sure of, and how."""

    name: str
    claim: str
    run: Callable[[Evidence], Finding]


CHECKS = (
    Check(name="subjects_disjoint", claim="No subject is in two splits", run=subjects_disjoint.check),
    Check(name="time_gate", claim="Inputs are known at the prediction time", run=time_gate.check),
    Check(name="same_admission", claim="A stay's own codes do not predict it", run=same_admission.check),
    Check(name="label_blind", claim="Prediction times ignore the future", run=label_blind.check),
    Check(name="train_only", claim="Everything fitted is fitted on train", run=train_only.check),
    Check(name="future_shuffle", claim="A future of noise changes no prediction", run=future_shuffle.check),
    Check(name="one_code", claim="No single feature tells the outcome", run=one_code.check),
    Check(name="label_permutation", claim="Shuffled labels teach nothing", run=label_permutation.check),
    Check(name="duplicates", claim="No history is in two splits", run=duplicates.check),
    Check(name="visit_order", claim="Visits are in the order of time", run=visit_order.check),
)
