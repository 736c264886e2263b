"""As CGL and Chet divide MIMIC: fixed numbers, every code seen in training, NumPy's seed 6669.

1. Eligible are subjects with two admissions to hospital or more, each with a diagnosis. `sample` draws so many of them.
2. For each code, the first subject who ever has it goes into training, and so does the subject with most admissions.
   So no code is unseen in training: this looks at the held-out records, and is right only to reproduce a table.
3. The others are shuffled; they fill up training, then tuning, then held-out.

Lu et al., IJCAI 2021 (CGL) and AAAI 2022 (Chet), as their code does it: 6,000 / 493 / 1,000 of MIMIC-III's 7,493
subjects; 8,000 / 1,000 / 1,000 of 10,000 drawn from MIMIC-IV. There training and held-out are fixed and the rest tunes;
with fewer subjects all three shrink in proportion, and where those that cover the codes are more than training holds,
the ones that cover fewest are shuffled with the others.

"First" is by the order of subjects: of their ids, or of the rows of `order`, MIMIC's table of admissions, as the
authors have it. With `order`, Python's order of sets does the rest as theirs: the same subjects in each split.
"""

from pathlib import Path

import numpy as np
import polars as pl
from polars import col
from pydantic import Field

from attending import coded_admissions as coded
from attending.errors import SourceError
from attending.progress import say
from attending.schema import ADMISSION, CODE, HELD_OUT, SPLIT, SUBJECT_ID, TRAIN, TUNING, VISIT_ID
from attending.visits import is_code, stays, with_visit_ids

N_ADMISSIONS, CODES = "n_admissions", "codes"
_KEYS = [SUBJECT_ID, VISIT_ID]


class Config(coded.Admissions):
    """Settings.

    train, tuning, held_out    numbers of subjects; in proportion where there are fewer
    sample                     how many eligible subjects are drawn first; all where none is given
    order                      a table of admissions whose rows say in which order subjects stand
    icd9                       ICD-10 counts as ICD-9: `cms`, or a mapping file with columns ICD10 and ICD9
    patients, after_year       MIMIC-IV: only admissions after a real year, by the table of patients
    """

    train: int = Field(default=6000, ge=1)
    tuning: int = Field(default=493, ge=1)
    held_out: int = Field(default=1000, ge=1)
    sample: int | None = Field(default=None, ge=3)
    order: Path | None = None
    seed: int = 6669


def traits(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return each subject's number of admissions and its codes; null of one who is not eligible."""
    subjects = events.select(SUBJECT_ID).unique()
    events = with_visit_ids(events)
    begun = events.filter(is_code(ADMISSION)).select(_KEYS).unique()
    admissions = coded.counted(stays(events).join(begun, on=_KEYS, how="semi", maintain_order="left"), config)
    diagnoses = coded.diagnoses(events, config).group_by(_KEYS).agg(CODE)
    held = admissions.join(diagnoses, on=_KEYS, how="left")
    found = held.group_by(SUBJECT_ID).agg(
        pl.len().cast(pl.Int64).alias(N_ADMISSIONS),
        col(CODE).is_null().any().alias("uncoded"),
        col(CODE).explode().drop_nulls().unique().sort().alias(CODES),
    )
    eligible = found.filter(col(N_ADMISSIONS) > 1, ~col("uncoded")).drop("uncoded")
    return subjects.join(eligible, on=SUBJECT_ID, how="left")


def assign(traits: pl.DataFrame, config: Config, seed: int) -> pl.Series:
    """Return the split of each subject; null of those who are not eligible or not drawn.

    Raises:
        ValueError: if fewer than three subjects are eligible.
    """
    eligible = _ordered(traits.filter(col(N_ADMISSIONS).is_not_null()), config.order)
    ids = eligible[SUBJECT_ID].to_list()
    if config.sample is not None and config.sample < len(ids):
        drawn = np.random.RandomState(seed).choice(ids, config.sample, replace=False).tolist()
        place = pl.DataFrame({SUBJECT_ID: drawn})
        eligible, ids = place.join(eligible, on=SUBJECT_ID, how="left", maintain_order="left"), drawn
    if len(ids) < 3:
        raise ValueError(
            f"expected 3 subjects or more with two admissions, each with a diagnosis; got {len(ids)}"
        )
    n_train, n_tuning = _numbers(len(ids), config)
    covering = _covering(eligible, n_train)
    others = np.array(list(set(ids).difference(covering)), dtype=np.int64)
    np.random.RandomState(seed).shuffle(others)
    free = n_train - len(covering)
    split_of = dict.fromkeys([*covering, *others[:free].tolist()], TRAIN)
    split_of |= dict.fromkeys(others[free : free + n_tuning].tolist(), TUNING)
    split_of |= dict.fromkeys(others[free + n_tuning :].tolist(), HELD_OUT)
    return pl.Series(SPLIT, [split_of.get(subject) for subject in traits[SUBJECT_ID]], pl.String)


def _numbers(n: int, config: Config) -> tuple[int, int]:
    """Return how many of `n` subjects train and tune."""
    total = config.train + config.tuning + config.held_out
    if n >= total:
        return config.train, n - config.train - config.held_out
    held_out = max(1, round(n * config.held_out / total))
    tuning = max(1, round(n * config.tuning / total))
    return n - held_out - tuning, tuning


def _covering(eligible: pl.DataFrame, most: int) -> set[int]:
    """Return the first subject with each code and the one with most admissions; at most so many."""
    first = (
        eligible.select(SUBJECT_ID, col(CODES).alias(CODE))
        .explode(CODE)
        .unique(CODE, keep="first", maintain_order=True)
    )
    longest = eligible.select(col(SUBJECT_ID).get(col(N_ADMISSIONS).arg_max())).item()
    covers = first[SUBJECT_ID].value_counts(sort=True)
    ordered = list(
        dict.fromkeys([longest, *covers.sort("count", SUBJECT_ID, descending=[True, False])[SUBJECT_ID]])
    )
    if len(ordered) > most:
        n_left = first.filter(~col(SUBJECT_ID).is_in(ordered[:most])).height
        say(
            f"{len(ordered)} subjects would cover every code and {most} train: "
            f"of {n_left} codes the first subject need not train"
        )
    return set(ordered[:most])


def _ordered(eligible: pl.DataFrame, order: Path | None) -> pl.DataFrame:
    if order is None:
        return eligible.sort(SUBJECT_ID)
    if not order.is_file():
        raise SourceError(f"expected a file at {order}, the table that orders subjects; there is none")
    rows = pl.read_csv(order, infer_schema=False)
    name = next((one for one in rows.columns if one.lower() == SUBJECT_ID), None)
    if name is None:
        raise SourceError(f"expected a column '{SUBJECT_ID}' in {order}, the table that orders subjects")
    place = (
        rows.select(col(name).cast(pl.Int64).alias(SUBJECT_ID))
        .unique(maintain_order=True)
        .with_row_index("place")
    )
    placed = eligible.join(place, on=SUBJECT_ID, how="left")
    return placed.sort("place", SUBJECT_ID, nulls_last=True).drop("place")
