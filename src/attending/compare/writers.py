"""A comparison as files: CSV, LaTeX, JSON and HTML, all of the same numbers."""

from pathlib import Path
from typing import Any

from attending.artifact import code_version, write_atomic, write_json, write_text
from attending.compare.latex import latex
from attending.compare.page import comparison_page, html
from attending.compare.table import long, table, wide
from attending.report.comparison import metric_name

TABLE, METRICS, LATEX, JSON, HTML = FILES = (
    "comparison.csv",
    "metrics.csv",
    "comparison.tex",
    "comparison.json",
    "comparison.html",
)


def write(result: dict[str, Any], out: Path) -> list[Path]:
    """Write the comparison below `out`; return the files."""
    caption = f"{metric_name(result['headline'])} on {result['n_subjects']:,} held-out subjects, best first"
    write_atomic(out / TABLE, wide(result).write_csv)
    write_atomic(out / METRICS, long(result).write_csv)
    write_text(out / LATEX, latex(table(result), caption))
    write_json(out / JSON, result)
    write_text(out / HTML, html(comparison_page(result, code_version())))
    return [out / name for name in FILES]
