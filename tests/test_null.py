"""The negative control: a cohort without any order or subject to tell apart, where nothing can be learned."""

import json

import pytest

from attending.pipeline import Study


@pytest.mark.slow
def test_no_model_beats_popularity_and_copy_history_where_nothing_can_be_learned(tmp_path) -> None:
    """Visits are dealt out among all subjects, so no interval may lie wholly above chance or above a baseline."""
    study = Study(
        name="null",
        output=tmp_path / "run",
        workers=1,
        simulate={"n_subjects": 1200, "seed": 5, "shuffle": "cohort"},
        baselines=["popularity", "copy_history"],
        models=[
            {"name": "retain", "width": 24, "width_alpha": 24, "width_beta": 24},
            {"name": "transformer", "width": 16, "n_layers": 1, "n_heads": 2},
            {"name": "logistic_counts", "strengths": [0.03, 0.01], "sparsities": []},
        ],
        train={"epochs": 2},
        batches={"max_tokens": 96},
        evaluate={"n_replicates": 300},
    )
    study.fit().report()
    metrics = json.loads((study.folder / "metrics" / "metrics.json").read_text())
    assert metrics["ceiling"] is None
    for metric in ("macro_auroc", "micro_auroc", "recall_at_10"):
        found = {name: scopes["all"][metric] for name, scopes in metrics["models"].items()}
        plain = max(found["popularity"]["high"], found["copy_history"]["high"])
        for name in ("retain", "transformer", "logistic_counts"):
            assert found[name]["low"] <= plain, (name, metric)
        if metric == "macro_auroc":
            assert all(one["low"] <= 0.5 + 0.01 for one in found.values()), "nothing is above chance"
