"""When the next event of each kind comes: a piecewise-exponential model of many events at once, of low rank.

Steinberg, Fries, Xu, Shah: "MOTOR: A Time-To-Event Foundation Model for Structured Medical Records", ICLR 2024.
Time from a token to the next event e falls into pieces [b_p, b_{p+1}), b_0 = 0 and the last without an end; in each
the hazard is constant. With x the token's state, r the rank:

    M = W x + w                                    one vector of size r for each piece
    log λ_pe = M_p · E_e + c_e                     events a day
    log-likelihood_e = Σ_p  δ_pe log λ_pe − λ_pe · (days spent in piece p before the event, or before the record ends)

δ_pe is 1 where the event comes in piece p. The event need not come: then the days until the record ends are spent
without it, and count (censoring).
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch

FIRST_BOUND_DAYS, LAST_BOUND_DAYS = 7.0, 1825.0
FIRST_GUESS_DAYS = 1000.0


class TimeToEvent(nn.Module):
    """Log hazards of `n_events` in `n_pieces`, through `rank` dimensions."""

    def __init__(self, width: int, *, n_events: int, n_pieces: int, rank: int) -> None:
        super().__init__()
        inner = torch.logspace(math.log10(FIRST_BOUND_DAYS), math.log10(LAST_BOUND_DAYS), n_pieces - 1)
        self.bounds = nn.Buffer(torch.cat([torch.zeros(1), inner]), persistent=False)
        self.task = nn.Linear(width, n_pieces * rank)
        self.events = nn.Parameter(torch.randn(n_events, rank) / rank**0.5)
        self.rate = nn.Parameter(torch.full((n_events,), -math.log(FIRST_GUESS_DAYS)))

    def forward(self, x: Float[Tensor, "position width"]) -> Float[Tensor, "position piece event"]:
        """Return the log hazard, in events a day."""
        pieces = self.task(x).unflatten(1, (len(self.bounds), -1))
        return (pieces @ self.events.T).to(self.rate.dtype) + self.rate

    def loss(
        self,
        x: Float[Tensor, "position width"],
        days: Float[Tensor, "position event"],
        came: Float[Tensor, "position event"],
    ) -> Float[Tensor, ""]:
        """Return minus the log-likelihood, the mean of positions and events.

        `days` is the time to the event where it `came`, and to the end of the record where not.
        """
        log_hazard = self(x)
        start = self.bounds[:, None]
        end = torch.cat([self.bounds[1:], self.bounds.new_full((1,), torch.inf)])[:, None]
        until = days[:, None]
        spent = (torch.minimum(until, end) - start).clamp(min=0)
        inside = (until >= start) & (until < end)
        likelihood = came[:, None] * inside * log_hazard - log_hazard.exp() * spent
        return -likelihood.sum(1).mean()


def next_events(
    batch: Batch,
    event_of_token: Int64[Tensor, " vocabulary"],
    positions: Int64[Tensor, " position"],
    n_events: int,
) -> tuple[Float[Tensor, "position event"], Float[Tensor, "position event"]]:
    """Return the days from each position to the next of each event in its history, and 1 where there is one, or 0.

    Only what comes at a later time counts as next. Where nothing comes, the days are those until the history's last
    token. Tokens must stand in order of time.
    """
    n, device = len(batch.tokens), batch.tokens.device
    ends = batch.token_offsets[1:][batch.subject_of_token]
    later = _first_later(batch)
    event = event_of_token[batch.tokens]
    places = torch.arange(n, device=device)
    keys = (event * n + places)[event >= 0].sort().values
    wanted = torch.arange(n_events, device=device) * n + later[positions, None]
    found = torch.searchsorted(keys, wanted)
    key = torch.cat([keys, keys.new_full((1,), n_events * n)])[found]
    place = key - torch.arange(n_events, device=device) * n
    came = place < ends[positions, None]
    at = torch.where(came, place, ends[positions, None] - 1)
    return (batch.days[at] - batch.days[positions, None]).clamp(min=0), came.to(batch.days.dtype)


def _first_later(batch: Batch) -> Int64[Tensor, " token"]:
    """Return the place after the last token of each token's own time and history."""
    subject, days = batch.subject_of_token, batch.days
    changed = torch.ones_like(subject, dtype=torch.bool)
    changed[1:] = (subject[1:] != subject[:-1]) | (days[1:] != days[:-1])
    group = changed.long().cumsum(0) - 1
    return torch.bincount(group).cumsum(0)[group]
