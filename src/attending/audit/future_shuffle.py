"""Every model predicts the same bits when everything after the prediction time is replaced by noise.

The record of some subjects is tokenized again: what was known at their prediction time as it is, everything else any
code of the data set, with any value, at any later time. The labels that come along are noise as well.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
import torch

from attending.audit import futures
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, not_run, number, passed
from attending.checkpoint import load_model
from attending.data.batches import assemble
from attending.data.samples import Samples, find_samples
from attending.nn.interface import Model
from attending.schema import CENSORED_CODES, CODE, LABEL_CODES, OUTCOME, SUBJECT_ID, VALUE
from attending.tokens.store import TokenStore, encode_shard

BATCH = 64


def check(evidence: Evidence) -> Finding:
    """Fail if a prediction of any model of the study changes by a bit."""
    if not evidence.models:
        return not_run("the study has no trained model")
    outcomes = evidence.outcomes[OUTCOME].to_list()
    asked = evidence.chosen.samples
    before = find_samples(evidence.store, asked, outcomes)
    store = _noisy(evidence)
    after = find_samples(store, _with_other_labels(asked, outcomes), outcomes)
    for name, folder in evidence.models.items():
        model = load_model(folder)[1]
        changed = sum(
            int((ours != theirs).any(axis=1).sum())
            for ours, theirs in zip(
                _predicted(model, evidence.store, before, evidence),
                _predicted(model, store, after, evidence),
                strict=True,
            )
        )
        if changed:
            return failed(
                f"the model '{name}' predicts otherwise for {number(changed, 'subject')} of {asked.height} when what "
                "comes after the prediction is noise",
                "tokenize again; if it stays, the model or its input reads what is not known yet",
            )
    return passed(
        f"{len(evidence.models)} model{'s' * (len(evidence.models) > 1)}, {number(asked.height, 'subject')}: the same "
        "bits with noise in place of the future"
    )


def _noisy(evidence: Evidence) -> TokenStore:
    """Return a token store of the chosen subjects, whose future is noise."""
    codes = pl.read_parquet(evidence.events / "metadata" / "codes.parquet", columns=[CODE])[CODE].to_list()
    events = futures.noise(evidence.chosen, codes, evidence.seed)
    arrays, subjects = encode_shard(events, evidence.one_split_of, evidence.vocabulary, evidence.token_config)
    offset = np.concatenate([[0], np.cumsum(subjects.pop("length"))]).astype(np.int64)
    return TokenStore(**arrays, **subjects, offset=offset)  # type: ignore[arg-type]


def _with_other_labels(asked: pl.DataFrame, outcomes: list[str]) -> pl.DataFrame:
    """Return samples of which everything happens that did not, and nothing else."""
    inverted = pl.lit(outcomes, dtype=pl.List(pl.String)).list.set_difference(LABEL_CODES)
    other = asked.with_columns(inverted.alias(LABEL_CODES)).drop(CENSORED_CODES, strict=False)
    return other.with_columns(-pl.col(VALUE)) if VALUE in other.columns else other


@torch.inference_mode()
def _predicted(model: Model, store: TokenStore, samples: Samples, evidence: Evidence) -> Iterator[np.ndarray]:
    """Yield the predictions of the samples, a batch at a time, in their order."""
    order = np.argsort(samples.frame[SUBJECT_ID].to_numpy(), kind="stable")
    for first in range(0, len(order), BATCH):
        positions, settings = order[first : first + BATCH], evidence.batches
        batch = assemble(store, samples, positions, settings.max_tokens, step_hours=settings.step_hours)
        yield model.predicted(batch, evidence.target).numpy()
