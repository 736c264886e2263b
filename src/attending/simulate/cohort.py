"""Draw a block of subjects: the law of `world.py`, one visit step at a time, all subjects at once."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attending.simulate import world
from attending.simulate.conditions import ACUTE, N_ACUTE, N_CHRONIC, N_NOISE
from attending.simulate.config import BLOCK, Config
from attending.simulate.world import Bools, Floats, State

Seconds = NDArray[np.int64]

FIRST_SUBJECT, FIRST_VISIT = 10_000_000, 20_000_000
VISITS_APART = 40  # hadm_id = FIRST_VISIT + 40 × subject + visit
EPOCH = np.datetime64("2110-01-01", "s")
ENTRY_DAYS = 60 * world.YEAR
DAY = 86_400
STREAMS = 4  # independent random streams of a block: life, null mode, records, codes


@dataclass(frozen=True)
class Subjects:
    """The subjects of a block, one a row."""

    number: NDArray[np.int64]  # position in the cohort
    female: Bools
    birth_year: NDArray[np.int64]
    birth: Seconds
    frailty: Floats
    death: Seconds  # -1 if not known to have died


@dataclass(frozen=True)
class Visits:
    """The visits of a block in order of subject and time, one a row."""

    subject: NDArray[np.intp]  # row in Subjects
    visit: NDArray[np.intp]  # 0, 1, … within the subject
    admission: Seconds
    discharge: Seconds
    died: Bools
    has_next: Bools
    recorded: Bools  # [n, N_CONDITIONS]
    present: Bools  # [n, N_CHRONIC], chronic conditions present at this visit
    state: State  # at the end of the visit


ARRAYS_OF_VISITS = [field.name for field in fields(Visits) if field.name != "state"]


@dataclass(frozen=True)
class Block:
    """A block of simulated subjects and their visits."""

    config: Config
    index: int
    subjects: Subjects
    visits: Visits

    def generator(self, stream: int) -> np.random.Generator:
        """Return one of the block's own random streams, always the same."""
        return _generators(self.config.seed, self.index)[stream]

    @property
    def subject_id(self) -> NDArray[np.int64]:
        """The subject of each visit."""
        return FIRST_SUBJECT + self.subjects.number[self.visits.subject]

    @property
    def visit_id(self) -> NDArray[np.int64]:
        """The identifier of each visit."""
        return visit_id(self.subjects.number[self.visits.subject], self.visits.visit)


def visit_id(number: NDArray[np.int64], visit: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the identifier of a subject's visit."""
    ids: NDArray[np.int64] = FIRST_VISIT + VISITS_APART * number + visit
    return ids


def n_blocks(config: Config) -> int:
    """Return how many blocks the cohort takes."""
    return -(-config.n_subjects // BLOCK)


def blocks(config: Config) -> Iterator[Block]:
    """Yield whole blocks; who writes them keeps `n_in_block` subjects of each.

    A block is always drawn and written out in full and cut last, so a small cohort is the beginning of a large one.
    """
    for index in range(n_blocks(config)):
        yield simulate_block(config, index)


def n_in_block(config: Config, index: int) -> int:
    """Return how many subjects of this block belong to the cohort."""
    return min(BLOCK, config.n_subjects - index * BLOCK)


def simulate_block(config: Config, index: int) -> Block:
    """Draw one block of `BLOCK` subjects."""
    life, shuffle, *_ = _generators(config.seed, index)
    subjects, state, admission = _enter(life, index)
    visits, death = _live(life, state, admission)
    block = Block(config, index, replace(subjects, death=death), visits)
    if config.shuffle == "none":
        return block
    return replace(block, visits=_shuffle(shuffle, visits, config.shuffle))


def _generators(seed: int, index: int) -> list[np.random.Generator]:
    return [np.random.default_rng(each) for each in np.random.SeedSequence((seed, index)).spawn(STREAMS)]


def _enter(rng: np.random.Generator, index: int) -> tuple[Subjects, State, Seconds]:
    age = np.clip(20 + 70 * rng.beta(2.2, 1.6, BLOCK), 20, 90).astype(np.float32)
    female = rng.random(BLOCK) < 0.52
    frailty = np.clip(rng.gamma(2.5, 1 / 2.5, BLOCK), 0.1, 5).astype(np.float32)
    admission = _minutes(rng.random(BLOCK) * ENTRY_DAYS * DAY)
    entry_year = (EPOCH + admission).astype("datetime64[Y]").astype(np.int64) + 1970
    birth_year = entry_year - age.astype(np.int64)
    birth = ((birth_year - 1970).astype("datetime64[Y]").astype("datetime64[s]") - EPOCH).astype(np.int64)
    age = ((admission - birth) / (DAY * world.YEAR)).astype(np.float32)
    state = State(
        age=age,
        female=female,
        frailty=frailty,
        chronic=np.zeros((BLOCK, N_CHRONIC), np.bool_),
        since=np.full((BLOCK, N_ACUTE), np.inf, np.float32),
        severity=np.zeros(BLOCK, np.float32),
    )
    number = np.arange(index * BLOCK, (index + 1) * BLOCK, dtype=np.int64)
    nobody = np.full(BLOCK, -1, np.int64)
    subjects = Subjects(number, female, birth_year, birth, frailty, nobody)
    return subjects, _past(rng, state), admission


def _past(rng: np.random.Generator, state: State) -> State:
    """Give subjects the chronic conditions of their life so far, parents (listed first) before children."""
    chronic = state.chronic.copy()
    years = np.clip(state.age - 20, 0, 70) * np.float32(0.28)
    for condition in range(N_CHRONIC):
        hazard = world.onset_hazard(replace(state, chronic=chronic))[:, condition]
        chronic[:, condition] = rng.random(BLOCK) < -np.expm1(-hazard * years * world.YEAR)
    return replace(state, chronic=chronic)


def _live(rng: np.random.Generator, state: State, admission: Seconds) -> tuple[Visits, Seconds]:
    """Run all subjects from their first admission to the end of their records."""
    death = np.full(BLOCK, -1, np.int64)
    who, gap = np.arange(BLOCK), np.zeros(BLOCK, np.float32)
    steps: list[Visits] = []
    for visit in range(world.MAX_VISITS):
        present, recorded = _happen(rng, state, gap)
        discharge, died, state = _stay(rng, state, admission, gap, present, recorded)
        next_gap, returns, dies_after = _part(rng, state, died)
        if visit == world.MAX_VISITS - 1:
            returns = np.zeros_like(returns)
        steps.append(
            Visits(
                who, np.full(len(who), visit), admission, discharge, died, returns, recorded, present, state
            )
        )
        death[who[died]] = discharge[died]
        death[who] = np.where(dies_after > 0, discharge + dies_after, death[who])
        who, gap, state = who[returns], next_gap[returns], state.take(returns)
        admission = _minutes(discharge[returns] + gap * float(DAY))
    return _in_order(steps), death


def _happen(rng: np.random.Generator, state: State, gap: Floats) -> tuple[Bools, Bools]:
    """Draw which chronic conditions are present at this visit and which conditions it records."""
    n = len(gap)
    hazard = world.onset_hazard(state)
    begins, happens = world.next_visit(state, hazard, world.steady_log_rate(state), gap)
    up_to = np.cumsum(begins, axis=1)
    draw = rng.random((n, 1), np.float32)
    new = (draw < up_to) & (draw >= up_to - begins)  # at most one
    present = state.chronic | new
    chronic = present & (rng.random((n, N_CHRONIC), np.float32) < world.recorded_chronic())
    acute = rng.random((n, N_ACUTE), np.float32) < happens
    noise = rng.random((n, N_NOISE), np.float32) < world.noise_probability()
    return present, np.concatenate([chronic, acute, noise], axis=1)


def _stay(
    rng: np.random.Generator, state: State, admission: Seconds, gap: Floats, present: Bools, recorded: Bools
) -> tuple[Seconds, Bools, State]:
    """Draw the length of the stay and whether it ends in death; return the state at its end."""
    acute = recorded[:, N_CHRONIC : N_CHRONIC + N_ACUTE]
    severity = acute.astype(np.float32) @ np.array([c.severity for c in ACUTE], np.float32)
    days = np.clip(2.2 * np.exp(0.25 * severity + 0.6 * rng.standard_normal(len(gap))), 0.4, 60)
    discharge = np.maximum(_minutes(admission + days * DAY), admission + DAY // 3)
    stay = ((discharge - admission) / DAY).astype(np.float32)
    since = np.where(acute, np.float32(0), state.since + (gap + stay)[:, None])
    age = state.age + (gap + stay) / np.float32(world.YEAR)
    state = replace(state, age=age, chronic=present, since=since, severity=severity)
    died = rng.random(len(gap), np.float32) < world.death_in_hospital(state)
    return discharge, died, state


def _part(rng: np.random.Generator, state: State, died: Bools) -> tuple[Floats, Bools, Seconds]:
    """Draw what comes after discharge: the gap, who returns, and seconds until a death that comes first."""
    n = len(died)
    early, late = world.gap_law(state)
    normal = rng.standard_normal(n)
    soon = rng.random(n) < early
    near = world.EARLY_MEDIAN * np.exp(world.EARLY_SIGMA * normal)
    gap = 1 + np.where(soon, near, np.exp(late + world.LATE_SIGMA * normal))
    until_death = rng.exponential(size=n) / world.death_hazard(state)
    followed = (rng.random(n) < world.FOLLOWED) & ~died
    dies = followed & (until_death < gap)
    return (
        gap.astype(np.float32),
        followed & ~dies,
        np.where(dies, np.ceil(until_death * DAY), 0).astype(np.int64),
    )


def _in_order(steps: list[Visits]) -> Visits:
    """Put the visits of all steps in order of subject and time."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(step, name) for step in steps]) for name in ARRAYS_OF_VISITS
    }
    state = State(*(np.concatenate([getattr(step.state, f.name) for step in steps]) for f in fields(State)))
    order = np.lexsort((arrays["visit"], arrays["subject"]))
    return Visits(**{name: array[order] for name, array in arrays.items()}, state=state.take(order))


def _shuffle(rng: np.random.Generator, visits: Visits, scope: str) -> Visits:
    """Deal what happened at the visits out again: among those of each subject, or of the whole block."""
    key = rng.random(len(visits.subject))
    order = np.lexsort((key, visits.subject)) if scope == "subject" else np.argsort(key)
    state = replace(visits.state, severity=visits.state.severity[order])
    return replace(visits, recorded=visits.recorded[order], present=visits.present[order], state=state)


def _minutes(seconds: NDArray[np.float64] | Seconds) -> Seconds:
    whole: Seconds = np.asarray(seconds).astype(np.int64) // 60 * 60
    return whole
