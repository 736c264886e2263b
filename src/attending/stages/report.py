"""Artifacts → one HTML file that a clinician and a committee can read without a network."""

from pathlib import Path
from typing import Any

from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_text, writing
from attending.report.comparison import three_numbers
from attending.report.evidence import read
from attending.report.page import html, page
from attending.report.settings import ReportConfig
from attending.stages.split import splits_file, splits_parent

__all__ = ["INDEX", "KIND", "ReportConfig", "report", "three_numbers"]

KIND = "report"
INDEX = "index.html"


def report(
    *,
    events: Path,
    labels: Path,
    metrics: Path,
    models: list[Path],
    attributions: list[Path],
    out: Path,
    config: ReportConfig,
    study: dict[str, Any],
    splits: Path | None = None,
    audit: Path | None = None,
) -> Manifest:
    """Write `out/index.html`, self-contained; the same artifacts give the same bytes.

    Raises:
        ArtifactError: if an artifact is missing, damaged, or of another kind.
    """
    parents = {"events": events, "labels": labels, "metrics": metrics}
    parents |= {f"model {position}": folder for position, folder in enumerate(models)}
    parents |= {"audit": audit} if audit else {}
    parents |= {f"attributions {position}": folder for position, folder in enumerate(attributions)}
    recipe = Recipe(
        kind=KIND,
        config={"report": config.to_dict(), "study": study},
        parents={name: read_manifest(folder).fingerprint for name, folder in parents.items()}
        | splits_parent(splits),
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        file = splits_file(splits or events)
        found = read(events, labels, metrics, models, attributions, config.n_timelines, file, audit)
        content = page(found, config, study)
        text = html(content)
        write_text(writer.path / INDEX, text)
        writer.counts = {
            "bytes": len(text.encode()),
            "models": len(content.models),
            "figures": len(content.figures),
            "timelines": sum(len(group.timelines) for group in content.patients),
        }
    return read_manifest(out, KIND)
