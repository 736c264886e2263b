"""Whether a study leaks."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

WORDS = {"passed": "passed", "failed": "FAILED", "not_applicable": "not applicable", "not_run": "not run"}


def audit(
    study: Path,
    *overrides: str,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Check a study that was run against leakage, ten ways; exit with 1 if any check fails.

    Parameters
    ----------
    study
        The study's YAML file.
    overrides
        Settings to change, such as `output=runs/other`.
    all_
        Train models on shuffled labels too, which takes as long as training does.
    json_
        Print what each check found as JSON.
    """
    from attending.pipeline import Study
    from attending.progress import say

    checked = Study.from_yaml(study, *overrides)
    manifest = checked.audit(everything=all_, again=True)
    found = json.loads((checked.folder / "audit" / "audit.json").read_text(encoding="utf-8"))
    for finding in found.values():
        say(f"{WORDS[finding['verdict']]:<15} {finding['claim']}: {finding['evidence']}")
        if finding["advice"]:
            say(f"{'':<15} → {finding['advice']}")
    say(f"\n{manifest.counts['failed']} of {len(found)} checks failed")
    if json_:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    return 1 if manifest.counts["failed"] else 0
