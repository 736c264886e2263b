"""Open a folder that `attending seismometer` wrote with seismometer itself, and say what it sees.

    python -m venv venv && venv/bin/pip install seismometer
    venv/bin/python benchmarks/conformance/seismometer_folder.py FOLDER

Checks that every prediction is loaded with its own answer, that the groups became cohorts, and that seismometer's own
AUROC can be computed. Needs neither attending nor polars.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
import seismometer as sm
import yaml
from seismometer.data.performance import calculate_bin_stats
from seismometer.seismogram import Seismogram


def main(folder: Path) -> int:
    """Load `folder` and compare what seismometer holds with the files."""
    os.chdir(folder)  # its config.yml names the data beside it, as a notebook in this folder would find them
    folder = Path.cwd()
    usage = yaml.safe_load((folder / "usage_config.yml").read_text(encoding="utf-8"))["data_usage"]
    keys = [usage["entity_id"], usage["context_id"]]
    predictions = pd.read_parquet(folder / "data" / "predictions.parquet")
    events = pd.read_parquet(folder / "data" / "events.parquet")
    sm.run_startup(config_path=folder, output_path=Path(tempfile.mkdtemp()))
    loaded = Seismogram()
    frame = loaded.dataframe
    assert len(frame) == len(predictions), (len(frame), len(predictions))
    assert loaded.modelname == json.loads((folder / "data" / "metadata.json").read_text())["modelname"]
    for event in usage["events"]:
        name = event["display_name"]
        truth = events[events["Type"] == event["source"]].set_index(keys)["Value"]
        seen = frame.set_index(keys)[f"{name}_Value"]
        assert (seen.sort_index() == truth.sort_index()).all(), name
    names = {cohort["display_name"] for cohort in usage["cohorts"]}
    assert names <= set(loaded.cohort_cols), (names, loaded.cohort_cols)
    target, score = f"{usage['primary_target']}_Value", usage["primary_output"]
    found = calculate_bin_stats(frame[target], frame[score])
    print(
        f"seismometer {sm.__version__}: {len(frame):,} predictions of {frame[keys[0]].nunique():,} subjects, "
        f"{int(frame[target].sum()):,} events, cohorts {', '.join(sorted(names))}, "
        f"thresholds {loaded.thresholds}, {len(found):,} points of performance"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
