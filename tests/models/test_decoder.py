"""The decoder: causal, blind to the order of simultaneous tokens, and its likelihood against plain loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attending.batch import Batch
from attending.models.decoder import EXAMPLE, Model
from attending.nn.canonical import canonical
from attending.nn.time_to_event import TimeToEvent, next_events
from histories import batch_of, facts, random_batch


def made() -> Model:
    torch.manual_seed(0)
    model = Model(EXAMPLE)
    model.use(facts(torch.full((40,), -1), torch.full((5,), 0.3)))
    return model.eval()


def states(model: Model, batch: Batch) -> torch.Tensor:
    """Return each token's state, in the canonical order."""
    seen = []
    handle = model.encoder.register_forward_hook(lambda *call: seen.append(call[-1]))
    model.train()
    with torch.no_grad():
        model(batch)
    handle.remove()
    return seen[0]


def test_a_token_sees_nothing_that_comes_after_it() -> None:
    model = made()
    short = [(40.0, [1, 2]), (20.0, [3])]
    longer, other = batch_of([[*short, (10.0, [5, 6])]]), batch_of([[*short, (3.0, [9])]])
    here, there = states(model, longer), states(model, other)
    torch.testing.assert_close(here[:3], there[:3], atol=0, rtol=0)
    assert float((here[3] - there[3]).abs().max()) > 1e-3


def test_states_do_not_know_when_the_record_ends() -> None:
    """Days before the prediction would tell pretraining how long it is censored; a state reads ages alone."""
    model = made()
    batch = batch_of([[(40.0, [1, 2]), (20.0, [3])]])
    torch.testing.assert_close(
        states(model, batch), states(model, replace(batch, days=batch.days - 500)), atol=0, rtol=0
    )
    with torch.no_grad():
        now, then = model.eval()(batch).logits, model(replace(batch, days=batch.days - 500)).logits
    assert float((now - then).abs().max()) > 1e-5, "but the prediction knows how old the record is"


def test_tokens_of_a_visit_are_read_by_day_then_token_and_come_back() -> None:
    batch = batch_of([[(9.0, [7, 3, 5]), (0.0, [2, 1])], [(4.0, [6, 0])]])
    batch = replace(batch, days=torch.tensor([-9.0, -9.0, -8.0, 0.0, 0.0, -4.0, -4.0]))
    ordered, order = canonical(batch.with_weights(torch.arange(7.0)))
    assert ordered.tokens.tolist() == [3, 7, 5, 1, 2, 0, 6]
    assert ordered.weights.tolist() == [1, 0, 2, 4, 3, 6, 5]
    assert torch.equal(batch.tokens[order], ordered.tokens)
    attention = made()(batch).token_attention
    swapped = batch_of([[(9.0, [3, 7, 5]), (0.0, [1, 2])], [(4.0, [0, 6])]])
    again = made()(replace(swapped, days=batch.days, ages=batch.ages)).token_attention
    torch.testing.assert_close(attention, again[[1, 0, 2, 4, 3, 6, 5]])


def test_events_are_the_most_frequent_codes_and_never_a_sex() -> None:
    model = made()  # the made-up facts count token t t+1 times, and tokens 0 and 1 state a sex
    assert model.event_of_token[-EXAMPLE.n_events :].tolist() == list(range(EXAMPLE.n_events))[::-1]
    assert bool((model.event_of_token[: -EXAMPLE.n_events] == -1).all())
    one = facts(torch.full((40,), -1), torch.full((5,), 0.3))
    model.use(replace(one, code_of_token=torch.arange(40) // 20))  # two codes of twenty value bins
    assert model.event_of_token.tolist() == [1] * 20 + [0] * 20


def plain_next(batch: Batch, event_of_token: torch.Tensor, place: int, event: int) -> tuple[float, float]:
    """Look through the rest of the history, token by token."""
    subject = int(batch.subject_of_token[place])
    end = int(batch.token_offsets[subject + 1])
    for later in range(place + 1, end):
        away = float(batch.days[later] - batch.days[place])
        if away > 0 and int(event_of_token[batch.tokens[later]]) == event:
            return away, 1.0
    return float(batch.days[end - 1] - batch.days[place]), 0.0


def test_next_events_match_a_search_token_by_token() -> None:
    batch, _ = canonical(random_batch(12, seed=3))
    event_of_token = torch.where(torch.arange(40) < 12, torch.arange(40) // 2, -1)
    places = torch.randperm(len(batch.tokens))[:60]
    days, came = next_events(batch, event_of_token, places, 7)  # the seventh never comes
    for row, place in enumerate(places.tolist()):
        for event in range(7):
            expected = plain_next(batch, event_of_token, place, event)
            assert (float(days[row, event]), float(came[row, event])) == pytest.approx(expected, abs=1e-4)
    assert 0 < float(came.mean()) < 1


def test_the_likelihood_of_times_matches_its_equation_in_plain_loops() -> None:
    torch.manual_seed(0)
    head = TimeToEvent(6, n_events=5, n_pieces=4, rank=3).double()
    head.rate.data += torch.randn(5)
    x = torch.randn(7, 6, dtype=torch.float64)
    days = torch.rand(7, 5, dtype=torch.float64) * 3000
    days[0] = torch.tensor([0.0, 7.0, 1825.0, 6.9, 5000.0])  # on the bounds, and in the piece without an end
    came = (torch.rand(7, 5) < 0.5).double()
    came[0] = torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0])
    w = {name: value.detach().double().numpy() for name, value in head.named_parameters()}
    bounds = [*head.bounds.tolist(), np.inf]
    assert bounds[:2] == pytest.approx([0, 7])
    assert bounds[-2] == pytest.approx(1825)
    terms = []
    for position in range(7):
        pieces = (w["task.weight"] @ x[position].numpy() + w["task.bias"]).reshape(4, 3)
        for event in range(5):
            log_likelihood = 0.0
            for piece in range(4):
                rate = np.exp(pieces[piece] @ w["events"][event] + w["rate"][event])
                until = float(days[position, event])
                spent = min(max(until - bounds[piece], 0), bounds[piece + 1] - bounds[piece])
                log_likelihood -= rate * spent
                if came[position, event] and bounds[piece] <= until < bounds[piece + 1]:
                    log_likelihood += np.log(rate)
            terms.append(-log_likelihood)
    with torch.no_grad():
        assert float(head.loss(x, days, came)) == pytest.approx(np.mean(terms), rel=1e-10)


def test_the_rate_of_a_made_up_event_is_recovered() -> None:
    """Times drawn with a hazard of 1/100 a day and censored at 300 days: the fitted hazard is 1/100."""
    torch.manual_seed(0)
    head = TimeToEvent(1, n_events=1, n_pieces=3, rank=1)
    times = -torch.rand(4000, 1).log() * 100
    came, days = (times < 300).float(), times.clamp(max=300)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        head.loss(torch.zeros(4000, 1), days, came).backward()
        optimizer.step()
    hazard = head(torch.zeros(1, 1))[0, :2, 0].exp()
    assert hazard.tolist() == pytest.approx([0.01, 0.01], rel=0.2)


def test_histories_of_one_token_have_nothing_to_say_next() -> None:
    model = made().train()
    loss = model.self_loss(batch_of([[(0.0, [1])], [], [(3.0, [2])]]))
    assert float(loss.detach()) == 0
    loss.backward()
