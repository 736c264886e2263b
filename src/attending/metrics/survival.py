"""What became of people who are not all seen to the end: incidence, and weights for those who left too early.

Each has a time and an event: 1 it happened, 2 a competing event (death) made it impossible, 0 seen no longer. At each
distinct time t, of those still there, n, let d be the events, m the competing ones, c those who leave. Events come
before leavings of the same time:

    Kaplan-Meier          S(t) = Π_{s≤t} (1 − (d + m) / n)         of any event; of censored m, that of d alone
    Nelson-Aalen          H(t) = Σ_{s≤t} d / n
    leaving               G(t) = Π_{s≤t} (1 − c / (n − d − m))
    Aalen-Johansen        F(t) = Σ_{s≤t} S(s−) · d / n             cumulative incidence; deaths never fall ill

By a horizon h the answer is known of those who had either event, and of those still there. Who left before is made up
for by others of the same time who stayed (inverse probability of censoring weights):

    w = 1 / G(T−) for an event at T ≤ h       1 / G(h−) for those there at h       0 for who left before

The weights sum to n, and the weighted share with the event is F(h) exactly. They are undefined where nobody is followed
to the horizon. Leaving must not depend on what would have happened (Graf 1999, Gerds 2006, Blanche 2013).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attending.metrics.ratio import Array, Floats, ratio, weights_or_ones

NO_EVENT, HAPPENED, COMPETED = 0, 1, 2


@dataclass(frozen=True)
class Steps:
    """A function that is `before` up to the first of `times` (g,), and `values` (g,) from each of them on."""

    times: Floats
    values: Floats
    before: float

    def at(self, times: ArrayLike) -> Floats:
        """Return the values at some times."""
        return self._taken(times, "right")

    def just_before(self, times: ArrayLike) -> Floats:
        """Return the values just before some times."""
        return self._taken(times, "left")

    def _taken(self, times: ArrayLike, side: str) -> Floats:
        place = np.searchsorted(self.times, np.asarray(times, float), side=side)  # type: ignore[call-overload]
        return np.asarray(np.concatenate([[self.before], self.values])[place], np.float64)


@dataclass(frozen=True)
class Counts:
    """How many had the event, the competing one, or left at each time, (g, B) each; replicates are columns."""

    happened: Floats
    competed: Floats
    left: Floats

    @property
    def there(self) -> Floats:
        """How many are there just before each time (g, B)."""
        total = self.happened + self.competed + self.left
        return np.cumsum(total[::-1], axis=0)[::-1]

    def staying(self) -> Floats:
        """Return S (g, B): the share without any event."""
        return _products(1 - _share(self.happened + self.competed, self.there))

    def unseen(self) -> Floats:
        """Return G (g, B): the share that has not left, had there been no events."""
        return _products(1 - _share(self.left, self.there - self.happened - self.competed))

    def incidence(self, competing: bool = False) -> Floats:
        """Return F (g, B): the share that has had the event, or the `competing` one."""
        before = np.concatenate([np.ones((1, self.left.shape[1])), self.staying()[:-1]])
        return np.cumsum(before * _share(self.competed if competing else self.happened, self.there), axis=0)


def counts_at_times(
    time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Floats, Counts]:
    """Return the distinct times (g,), and what happens at them, (g, 1) each."""
    time, event = np.asarray(time, np.float64), np.asarray(event)
    weight = weights_or_ones(weights, len(time))
    times, place = np.unique(time, return_inverse=True)
    columns = [
        np.bincount(place, weight * (event == kind), minlength=len(times)).astype(np.float64)[:, None]
        for kind in (HAPPENED, COMPETED, NO_EVENT)
    ]
    return times, Counts(*columns)


def kaplan_meier(time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None) -> Steps:
    """Return the share that has not had the event; a competing event counts as leaving."""
    times, counts = counts_at_times(time, np.asarray(event) == HAPPENED, weights)
    return Steps(times, counts.staying()[:, 0], 1.0)


def nelson_aalen(time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None) -> Steps:
    """Return the cumulative hazard of the event; a competing event counts as leaving."""
    times, counts = counts_at_times(time, event, weights)
    return Steps(times, np.cumsum(_share(counts.happened, counts.there), axis=0)[:, 0], 0.0)


def leaving(time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None) -> Steps:
    """Return G: the chance still to be followed, estimated from those who left."""
    times, counts = counts_at_times(time, event, weights)
    return Steps(times, counts.unseen()[:, 0], 1.0)


def aalen_johansen(
    time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None, *, competing: bool = False
) -> Steps:
    """Return the cumulative incidence of the event, or of the `competing` one."""
    times, counts = counts_at_times(time, event, weights)
    return Steps(times, counts.incidence(competing)[:, 0], 0.0)


@dataclass(frozen=True)
class Answers:
    """By a horizon: whether the event `happened` (n,), and the `weight` (n,) of the answer, 0 where it is not known."""

    happened: NDArray[np.bool_]
    weight: Floats

    @property
    def defined(self) -> bool:
        """Whether the follow-up reaches the horizon: only then do the weights stand for everyone."""
        n = len(self.weight)
        return n > 0 and bool(np.isclose(self.weight.sum(), n))

    def observed(self) -> float:
        """Return the share in whom the event happens by the horizon: that of Aalen and Johansen."""
        return self._mean(self.happened.astype(np.float64))

    def brier(self, risk: ArrayLike) -> float:
        """Return the mean squared error of predicted risks (n,) at the horizon."""
        return self._mean((np.asarray(risk, np.float64) - self.happened) ** 2)

    def _mean(self, values: Floats) -> float:
        return float(ratio(self.weight @ values, self.weight.sum())) if self.defined else float("nan")


def answers(time: ArrayLike, event: ArrayLike, horizon: float, of: Steps | None = None) -> Answers:
    """Return what is known at the horizon; who leaves at that very time was there.

    `of` is the function G of the weights; without one it is estimated from the same people.
    """
    time, event = np.asarray(time, np.float64), np.asarray(event)
    staying = leaving(time, event) if of is None else of
    by_then = (event != NO_EVENT) & (time <= horizon)
    known = by_then | (time >= horizon)
    weight = np.where(known, ratio(1.0, staying.just_before(np.minimum(time, horizon))), 0.0)
    return Answers(by_then & (event == HAPPENED), weight)


def integrated_brier(horizons: ArrayLike, briers: ArrayLike) -> float:
    """Return the mean over time of Brier scores at ascending horizons, along straight lines; NaN for less than two."""
    times, values = np.asarray(horizons, np.float64), np.asarray(briers, np.float64)
    if len(times) < 2:
        return float("nan")
    return float(np.trapezoid(values, times) / (times[-1] - times[0]))


def _products(factors: Floats) -> Floats:
    return np.asarray(np.cumprod(factors, axis=0), np.float64)


def _share(part: Array, whole: Array) -> Floats:
    """Return part / whole; of nobody, nothing."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=np.asarray(whole) > 0)
