"""Settings of the firewall."""

from pydantic import Field

from attending.config import Settings


class Config(Settings):
    """Settings of the audit.

    n_subjects          how many subjects are labelled, tokenized and predicted again, with another future
    n_samples           how many training and tuning samples the one-code oracle reads, one a subject
    oracle_auroc        a single feature that tells an outcome better than this is a leak
    min_positives       … of outcomes that happen, and do not happen, at least so often
    min_history         histories of fewer distinct events are too short to tell whether they are copies
    near                histories that share this much of their events are near-identical
    permutation_epochs  on request, models are trained on shuffled labels for at most so many epochs
    """

    n_subjects: int = Field(default=200, ge=1)
    n_samples: int = Field(default=4_000, ge=100)
    oracle_auroc: float = Field(default=0.95, gt=0.5, lt=1)
    min_positives: int = Field(default=20, ge=5)
    min_history: int = Field(default=20, ge=5)
    near: float = Field(default=0.8, gt=0.5, le=1)
    permutation_epochs: int = Field(default=2, ge=1)
