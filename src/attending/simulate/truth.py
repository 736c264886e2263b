"""What was true: probabilities given the full state, and what raised them.

    truth/conditions.parquet   every code of every condition and its share
    truth/data/NNN.parquet     at each discharge that a later visit follows: the probability that each condition
                               is recorded at the next visit
    truth/outcomes/NNN.parquet each visit: probability of death in it, and of readmission within 30 days (null
                               after death), both given the full state
    truth/causes/NNN.parquet   the past records that raised the probability of a condition at the next visit.
                               `effect` is by how much the log hazard of the condition would be lower had the
                               cause never been: a pair counts for both of its conditions; what lowers is left out.

In null mode the visits of a record were dealt out at random and no closed form is left: `conditions.parquet` alone
is written.
"""

from pathlib import Path

import numpy as np
import polars as pl

from attending import parquet
from attending.schema import (
    CODE,
    CONDITION,
    DEATH_PROBABILITY,
    DIAGNOSIS_ICD10,
    PREDICTION_TIME,
    PROBABILITY,
    READMISSION_PROBABILITY,
    SEPARATOR,
    SHARE,
    SUBJECT_ID,
    VISIT_ID,
)
from attending.simulate import world
from attending.simulate.clinical import moments
from attending.simulate.cohort import FIRST_SUBJECT, Block
from attending.simulate.conditions import (
    CONDITIONS,
    N_ACUTE,
    N_CHRONIC,
    N_CONDITIONS,
    codes_of,
)
from attending.simulate.shards import write_shard
from attending.simulate.world import Floats, State

NAME = "name"
CAUSE_VISIT, CAUSE_CONDITION, EFFECT = "cause_visit_id", "cause_condition", "effect"
ADMISSION_TIME, DISCHARGE_TIME = "admission_time", "discharge_time"
LEAST_EFFECT = 0.5


def write_conditions(folder: Path) -> None:
    """Write which codes record each condition, and how often each does."""
    rows = [
        (index, condition.name, SEPARATOR.join((DIAGNOSIS_ICD10, code)), share)
        for index, condition in enumerate(CONDITIONS)
        for code, share in codes_of(condition.codes)
    ]
    types = {CONDITION: pl.Int32(), NAME: pl.String(), CODE: pl.String(), SHARE: pl.Float64()}
    parquet.write(folder / "conditions.parquet", pl.DataFrame(rows, schema=types, orient="row"))


def write_block(folder: Path, block: Block, n_subjects: int) -> None:
    """Write the truth of a block's first `n_subjects`."""
    if block.config.shuffle != "none":
        return
    last = FIRST_SUBJECT + int(block.subjects.number[n_subjects - 1])
    parts = {"outcomes": outcomes(block), "data": probabilities(block), "causes": causes(block)}
    for name, frame in parts.items():
        write_shard(folder / name, block.index, frame.filter(pl.col(SUBJECT_ID) <= last))


def probabilities(block: Block) -> pl.DataFrame:
    """Return the probability of each condition at the next visit, where there is one."""
    visits = block.visits
    rows = np.flatnonzero(visits.has_next)
    probability = world.expected_next_visit(visits.state.take(rows))
    return pl.DataFrame(
        {
            SUBJECT_ID: block.subject_id[rows],
            PREDICTION_TIME: moments(visits.discharge[rows]),
            VISIT_ID: block.visit_id[rows],
            PROBABILITY: pl.Series(probability, dtype=pl.Array(pl.Float32, N_CONDITIONS)),
        }
    )


def outcomes(block: Block) -> pl.DataFrame:
    """Return the probability of death in hospital and of readmission of each visit."""
    visits = block.visits
    death = world.death_in_hospital(visits.state)
    # The record of a subject ends at the last visit allowed: none can follow it.
    readmitted = world.readmission(visits.state) * (visits.visit < world.MAX_VISITS - 1)
    frame = pl.DataFrame(
        {
            SUBJECT_ID: block.subject_id,
            VISIT_ID: block.visit_id,
            ADMISSION_TIME: moments(visits.admission),
            DISCHARGE_TIME: moments(visits.discharge),
            DEATH_PROBABILITY: death,
            READMISSION_PROBABILITY: readmitted.astype(np.float32),
        }
    )
    left = pl.Series(~visits.died)
    return frame.with_columns(pl.when(left).then(READMISSION_PROBABILITY).alias(READMISSION_PROBABILITY))


def causes(block: Block) -> pl.DataFrame:
    """Return the past records that raised the hazard of a condition at the next visit by a log of 0.5 or more."""
    visits = block.visits
    last = _last_record(block)[visits.has_next]
    rows = np.flatnonzero(visits.has_next)
    state = visits.state.take(rows)
    found = [_of_acute(state), _of_parents(state), _of_itself(state)]
    at, cause, condition, effect = (np.concatenate([each[part] for each in found]) for part in range(4))
    recorded = last[at, cause]
    at, cause, condition, effect, recorded = (
        value[recorded >= 0] for value in (at, cause, condition, effect, recorded)
    )
    order = np.lexsort((cause, condition, at))
    frame = pl.DataFrame(
        {
            SUBJECT_ID: block.subject_id[rows[at]],
            PREDICTION_TIME: moments(visits.discharge[rows[at]]),
            CONDITION: condition.astype(np.int32),
            CAUSE_VISIT: block.visit_id[recorded],
            CAUSE_CONDITION: cause.astype(np.int32),
            EFFECT: effect.astype(np.float32),
        }
    )
    return frame[order]


Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # row of state, cause, condition, effect


def _last_record(block: Block) -> np.ndarray:
    """Return the row of the last visit so far that recorded each condition, -1 if none. [n, N_CONDITIONS]."""
    recorded, subject = block.visits.recorded, block.visits.subject
    rows = np.arange(len(subject))
    last = np.maximum.accumulate(np.where(recorded, rows[:, None], -1), axis=0)
    own_first = rows - block.visits.visit
    return np.where(last >= own_first[:, None], last, -1)


def _of_acute(state: State) -> Found:
    """Return what acute records did: pairs, lone causes, and the condition itself."""
    law = world.world()
    pairs, lone = np.zeros((len(state.age), len(law.window))), np.zeros((len(state.age), len(law.recent)))
    again = np.zeros_like(state.since)
    for days, weight in zip(*world.gap_nodes(state), strict=True):
        pairs += weight[:, None] * world.active_pairs(state, days)
        lone += weight[:, None] * world.active_recents(state, days)
        again += weight[:, None] * world.recurrence(state, days)
    found = []
    for cause in range(N_ACUTE):
        effect = np.zeros_like(again)
        effect[:, cause] = again[:, cause]
        with_it = (law.first == cause) | (law.then == cause)
        effect += pairs[:, with_it] @ law.pair_effect[with_it]
        alone = law.recent == cause
        effect += lone[:, alone] @ law.recent_effect[alone]
        at, outcome = np.nonzero(effect > LEAST_EFFECT)
        found.append((at, np.full(len(at), N_CHRONIC + cause), N_CHRONIC + outcome, effect[at, outcome]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def _of_parents(state: State) -> Found:
    """Return what chronic conditions did to acute ones, and to the onset of chronic ones that are absent."""
    law = world.world()
    risk = np.concatenate([law.onset_risk, law.acute_risk], axis=1)
    parent, child = np.nonzero(risk > LEAST_EFFECT)
    onset = child < N_CHRONIC
    acts = state.chronic[:, parent] & ~(onset & state.chronic[:, np.where(onset, child, 0)])
    at, edge = np.nonzero(acts)
    return at, parent[edge], child[edge], risk[parent[edge], child[edge]]


def _of_itself(state: State) -> Found:
    """Return what the presence of a chronic condition does: it is recorded, instead of perhaps beginning."""
    absent = world.onset_hazard(state.without_chronic())
    begins = np.zeros_like(absent)
    for days, weight in zip(*world.gap_nodes(state), strict=True):
        begins += weight[:, None] * -np.expm1(-absent * days[:, None])
    recorded = world.recorded_chronic()
    effect: Floats = np.log(-np.log1p(-recorded)) - np.log(-np.log1p(-np.maximum(begins * recorded, 1e-9)))
    at, condition = np.nonzero(state.chronic & (effect > LEAST_EFFECT))
    return at, condition, condition, effect[at, condition]
