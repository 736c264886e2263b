"""What a model takes and gives: a packed batch of patient histories, without padding.

Named dimensions, used in every signature of the library:

    token            all events of all histories of the batch, one after another
    visit            all visits of all histories
    subject          the histories, one for each (subject, prediction time)
    outcome          what is predicted

A history is cut at its prediction time and, where it is too long, at its *oldest* end. It opens with one visit
of static facts (sex …) at birth, where the record has any.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


@dataclass(frozen=True, kw_only=True, repr=False)
class Batch:
    """Packed histories.

    tokens            which event, an index into the vocabulary
    days              when it became known, in days before the prediction time (≤ 0)
    ages              the subject's age then, in years; where no birth is known, the time since a second before the
                      first event of the record, so that time is kept, and 0 for static facts
    values            its numeric value, standardised on the training split; 0 where there is none
    visit_offsets     where each visit starts in `tokens`, and the end: visit `v` is `[o[v], o[v + 1])`
    subject_offsets   where each history starts in the *visits*, and the end
    labels            1 where the outcome happened, 0 where not, NaN where it is not known; where a number is predicted,
                      that number, standardised; absent when predicting
    weights           scales each token's embedding (1 where absent): explanations walk along it
    """

    tokens: Int64[Tensor, " token"]
    days: Float[Tensor, " token"]
    ages: Float[Tensor, " token"]
    values: Float[Tensor, " token"]
    visit_offsets: Int64[Tensor, " visit_bounds"]
    subject_offsets: Int64[Tensor, " subject_bounds"]
    labels: Float[Tensor, "subject outcome"] | None = None
    weights: Float[Tensor, " token"] | None = None

    def __repr__(self) -> str:
        """Give sizes only: a traceback must not print a patient."""
        return f"Batch({self.n_subjects} histories, {self.n_visits} visits, {len(self.tokens)} tokens)"

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch with every tensor on `device`."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """Return the batch in memory that a GPU can fetch by itself."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: change(one) for name, one in tensors.items() if one is not None})

    @property
    def n_subjects(self) -> int:
        """How many histories the batch holds."""
        return len(self.subject_offsets) - 1

    @property
    def n_visits(self) -> int:
        """How many visits the batch holds."""
        return len(self.visit_offsets) - 1

    @property
    def token_offsets(self) -> Int64[Tensor, " subject_bounds"]:
        """Where each history starts in `tokens`, and the end."""
        return self.visit_offsets[self.subject_offsets]

    @property
    def visit_of_token(self) -> Int64[Tensor, " token"]:
        """The visit that each token belongs to."""
        return owners(self.visit_offsets)

    @property
    def subject_of_visit(self) -> Int64[Tensor, " visit"]:
        """The history that each visit belongs to."""
        return owners(self.subject_offsets)

    @property
    def subject_of_token(self) -> Int64[Tensor, " token"]:
        """The history that each token belongs to."""
        return owners(self.token_offsets)

    def with_weights(self, weights: Float[Tensor, " token"]) -> "Batch":
        """Return the batch with every token's embedding scaled by `weights`."""
        return replace(self, weights=weights)

    def without_labels(self) -> "Batch":
        """Return the batch as a model sees it when it predicts."""
        return replace(self, labels=None)


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a model gives: one logit per history and outcome, and what it attended to where it has attention.

    penalty   what training adds to the loss of the labels, already weighted: a regulariser, or a second task that is
              read from the history itself; predictions do not depend on it
    """

    logits: Float[Tensor, "subject outcome"]
    visit_attention: Float[Tensor, " visit"] | None = None
    token_attention: Float[Tensor, " token"] | None = None
    penalty: Float[Tensor, ""] | None = None


KINDS = ("other", "diagnosis", "procedure", "medication", "measurement")


@dataclass(frozen=True, kw_only=True)
class Ontology:
    """Concepts above the vocabulary, a directed acyclic graph: the first concepts are the tokens, the last is the root.

    A concept is the set of tokens below it; its parents are the smallest concepts that hold all of these and more.

    n_concepts   tokens and what is above them
    above        (token, concept) of every concept that holds the token, the token itself first, by token
    parents      (child, parent) of every edge
    """

    n_concepts: int
    above: Int64[Tensor, "2 link"]
    parents: Int64[Tensor, "2 edge"]


@dataclass(frozen=True, kw_only=True)
class Together:
    """How often two tokens stand in one visit of the training split: of each token itself and those it meets most.

    pairs    (first, second), sorted; a frequent token may be missing where it is the first and a rare one the second
    count    the visits that hold both; of a token with itself, the visits that hold it
    """

    pairs: Int64[Tensor, "2 pair"]
    count: Float[Tensor, " pair"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a model may know of its vocabulary before it trains; all of it fitted on the training split.

    outcome_of_token   the outcome that a token is an instance of, or -1
    prevalence         the share of training samples that have the outcome, of those where it is known
    target             what is predicted: outcomes, or one number (`value`), whose logit is the standardised number
    code_of_token      the number of the token's code: tokens of one code (its value bins) share it
    sex_of_token       the number of the sex that a token states, or -1
    kind_of_token      what a token is, a position in `KINDS`
    count_of_token     how many events of the training split it is
    ontology           concepts above the tokens; only for a model that needs it
    together           which tokens share visits; only for a model that needs it
    """

    outcome_of_token: Int64[Tensor, " vocabulary"]
    prevalence: Float[Tensor, " outcome"]
    code_of_token: Int64[Tensor, " vocabulary"]
    sex_of_token: Int64[Tensor, " vocabulary"]
    kind_of_token: Int64[Tensor, " vocabulary"]
    count_of_token: Int64[Tensor, " vocabulary"]
    target: str = "multilabel"
    ontology: Ontology | None = None
    together: Together | None = None

    @property
    def count_of_code(self) -> Int64[Tensor, " code"]:
        """How many events of the training split each code is; 0 where it states the sex: a fact, and no event."""
        n_codes = int(self.code_of_token.max()) + 1 if len(self.code_of_token) else 0
        events = self.count_of_token * (self.sex_of_token < 0)
        return events.new_zeros(n_codes).index_add(0, self.code_of_token, events)


def owners(offsets: Int64[Tensor, " bounds"]) -> Int64[Tensor, " item"]:
    """Return, for each item, the index of the segment of `offsets` that holds it."""
    lengths = offsets.diff()
    return torch.repeat_interleave(torch.arange(len(lengths), device=offsets.device), lengths)


def offsets_of(lengths: Int64[Tensor, " segment"]) -> Int64[Tensor, " bounds"]:
    """Return where segments of these lengths start, and the end."""
    ends = lengths.cumsum(0)
    return torch.cat([ends.new_zeros(1), ends])


def runs(
    first: Int64[Tensor, " run"], lengths: Int64[Tensor, " run"]
) -> tuple[Int64[Tensor, " item"], Int64[Tensor, " item"]]:
    """Return (i, number) for the `lengths[i]` numbers from `first[i]` on, one run after another."""
    bounds = offsets_of(lengths)
    run = owners(bounds)
    return run, torch.arange(len(run), device=first.device) + (first - bounds[:-1])[run]


def mask_of_lengths(lengths: Int64[Tensor, " row"], width: int) -> Bool[Tensor, "row width"]:
    """Return True at the first `lengths[i]` places of row `i`."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]
