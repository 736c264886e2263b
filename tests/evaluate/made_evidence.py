"""Evidence of a made-up study for the parts of an evaluation: subjects with sex, age and race, some samples each."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.config import Config
from attending.evaluate.evidence import Evidence
from attending.evaluate.reading import Cohort
from attending.evaluate.samples import Samples
from records import event, table

START = datetime(2150, 1, 1)


def evidence(
    folder, *, n_subjects=300, n_outcomes=1, races=("WHITE", "BLACK"), seed=0, target=None, shift=0.0
):
    """Return evidence of `n_subjects` tuning and as many held-out subjects; race is drawn by halves of what is left.

    The models are `right`, whose probabilities are the truth, and `shifted`, whose logits are `shift` too high.
    """
    generator = np.random.default_rng(seed)
    write_events(folder, generator, 2 * n_subjects, races)
    cohorts, predictions = {}, {"tuning": {}, "held_out": {}}
    for split, first in (("tuning", 1), ("held_out", n_subjects + 1)):
        subject = np.repeat(np.arange(first, first + n_subjects), generator.integers(1, 5, n_subjects))
        order = np.concatenate([np.arange(n) for n in np.unique(subject, return_counts=True)[1]])
        eta = generator.normal(-1, 1.2, (len(subject), n_outcomes))
        labels = generator.random(eta.shape) < 1 / (1 + np.exp(-eta))
        known = generator.random(eta.shape) < 0.95
        frame = pl.DataFrame(
            {
                "subject_id": subject,
                "prediction_time": [START + timedelta(days=30 * int(at)) for at in order],
            },
            schema={"subject_id": pl.Int64, "prediction_time": pl.Datetime("us")},
        )
        cohorts[split] = Cohort(frame, Samples(subject, labels & known, np.zeros_like(labels), known), 0, 0)
        for model, off in (("right", 0.0), ("shifted", shift)):
            predictions[split][model] = (1 / (1 + np.exp(-eta - off))).astype(np.float32)
    return Evidence(
        task={"name": "made up"},
        target=target or ("binary" if n_outcomes == 1 else "multilabel"),
        outcomes=pl.DataFrame(),
        tuning=cohorts["tuning"],
        held_out=cohorts["held_out"],
        predictions=predictions,
        scores={},
        bootstrap=Bootstrap(n_subjects, 200, 0),
        config=Config(n_replicates=200),
        best_baseline=None,
        best_model="right",
        events=folder,
        splits=folder,
    )


def write_events(folder, generator, n_subjects, races):
    rows = []
    for subject in range(1, n_subjects + 1):
        rows.append(event(subject, None, f"GENDER//{'FM'[subject % 2]}"))
        rows.append(event(subject, -365.25 * float(generator.uniform(20, 95)), "MEDS_BIRTH"))
        at = min(int(-np.log2(generator.random())), len(races) - 1)
        rows.append(event(subject, -10, f"RACE//{races[at]}"))
    (folder / "data").mkdir(parents=True)
    table(rows).write_parquet(folder / "data" / "000.parquet")
