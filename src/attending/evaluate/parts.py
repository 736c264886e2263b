"""The parts of an evaluation beside the comparison of models: each looks at the evidence and writes one JSON file."""

from collections.abc import Callable
from typing import Any

from attending.evaluate import survival
from attending.evaluate.conformal import conformal
from attending.evaluate.evidence import Evidence
from attending.evaluate.recalibration import recalibration
from attending.evaluate.subgroups import subgroups

Part = Callable[[Evidence], dict[str, Any] | None]
"""What a part found, ready for JSON; None where it does not apply to the task."""

PARTS: dict[str, Part] = {
    "subgroups": subgroups,
    "recalibration": recalibration,
    "conformal": conformal,
    "survival": survival.describe,
}
