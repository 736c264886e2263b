"""The parts of an evaluation beside the comparison of models: each looks at the evidence and writes one JSON file."""

from collections.abc import Callable
from typing import Any

from attending.evaluate.evidence import Evidence

Part = Callable[[Evidence], dict[str, Any] | None]
"""What a part found, ready for JSON; None where it does not apply to the task."""

PARTS: dict[str, Part] = {}
