"""Settings of an evaluation."""

from pydantic import Field

from attending.config import Settings

CONFIDENCE = 0.95  # of every interval


class Config(Settings):
    """Settings of an evaluation.

    n_replicates    bootstrap replicates of the held-out subjects
    min_positives   an outcome is scored by itself with at least this many held-out samples of either class
    ks              cut-offs of the ranking metrics
    """

    n_replicates: int = Field(default=1000, ge=1)
    min_positives: int = Field(default=10, ge=1)
    ks: tuple[int, ...] = Field(default=(5, 10, 20), min_length=1)
