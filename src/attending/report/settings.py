"""What the reader of a study may set about its report."""

from attending.config import Settings


class ReportConfig(Settings):
    """Settings of the report.

    title         the heading; without one the task's name is used
    n_timelines   explained predictions shown of each explanation; 0 shows no patient at all
    n_outcomes    outcomes listed one by one
    n_curves      models drawn in the calibration and discrimination figures
    intended_use  what the models would be for
    limits        further limits to state, beside those that always hold
    """

    title: str = ""
    n_timelines: int = 4
    n_outcomes: int = 20
    n_curves: int = 4
    intended_use: str = "Methods research on held-out data. Not for decisions about patients."
    limits: tuple[str, ...] = ()
