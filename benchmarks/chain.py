"""The whole chain from raw tables to what a model trains on, in one process as a study has it: ingest, label, tokenize.

    python benchmarks/chain.py RAW OUT [TABLE …]

Tables that are named are left out. Prints what it made as JSON.
"""

import json
import sys
from pathlib import Path

from attending.config import Component
from attending.engine.local import Local
from attending.stages.ingest import ingest
from attending.stages.label import label
from attending.stages.tokenize import tokenize
from attending.tokens.vocabulary import Config


def main(raw: Path, out: Path, leave_out: list[str]) -> dict[str, object]:
    """Run the three stages; return their counts."""
    source = Component.model_validate({"name": "mimic4", "leave_out": leave_out})
    task, engine = Component(name="next_diagnoses"), Local(1)
    events = ingest(source, raw, out / "events", engine=engine)
    labels = label(out / "events", out / "labels", task=task, engine=engine)
    tokens = tokenize(out / "events", out / "tokens", config=Config(), engine=engine)
    return {
        "events": events.counts["events"],
        "samples": labels.counts["samples"],
        "tokens": tokens.counts["events"],
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])))
