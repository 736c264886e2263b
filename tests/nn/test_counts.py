"""Features of histories as sparse rows, and the elastic nets on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from attending.batch import Batch
from attending.nn.counts.features import Layout, rows, value_of_token
from attending.nn.counts.matrix import Kept, count_matrix, filled, raise_values
from attending.nn.counts.regression import Matrix, Penalty, Problem, intercepts, predict, solve
from histories import batch_of, random_batch, random_histories

CODE_OF_TOKEN = torch.cat([torch.tensor([0, 1, 1, 1]), torch.arange(2, 38)])  # tokens 2, 3: values of token 1
LAYOUT = Layout(windows=(30.0, 365.0), decays=(100.0,), value_of_token=value_of_token(CODE_OF_TOKEN))
N = LAYOUT.n_tokens


def dense(batch: Batch) -> np.ndarray:
    """Return the features as a table, for comparison only."""
    found = rows(batch, LAYOUT)
    parts = (found.values.detach().numpy(), found.columns.numpy(), found.offsets.numpy())
    return csr_array(parts, shape=(batch.n_subjects, LAYOUT.n_columns)).toarray()


def measured() -> Batch:
    """Return one history: a code twice, and values of another at 400, 40 and 10 days."""
    batch = batch_of([[(400.0, [5, 2]), (40.0, [5, 3]), (10.0, [2])]])
    return replace(batch, values=torch.tensor([0.0, -1.0, 0.0, 2.0, -0.5]))


def test_the_first_token_of_a_code_is_no_value_and_the_others_are() -> None:
    assert value_of_token(CODE_OF_TOKEN)[:5].tolist() == [-1, -1, 1, 1, -1]


def test_counts_stand_by_window_and_recency_decays() -> None:
    found = dense(measured())[0]
    assert found[5] == 0, "not in the last month"
    assert found[N + 5] == pytest.approx(np.log(2)), "once in the last year"
    assert found[2 * N + 2] == pytest.approx(np.log(2)), "in the last visit"
    assert found[3 * N + 5] == pytest.approx(np.exp(-0.4))


def test_values_give_last_lowest_highest_and_slope() -> None:
    found = dense(measured())[0]
    start = LAYOUT.values_start + 1
    years, value = np.array([-400, -40, -10]) / 365.25, np.array([-1.0, 2.0, -0.5])
    since, off = years - years.mean(), value - value.mean()
    slope = (since * off).sum() / ((since**2).sum() + 0.01)
    assert found[start : start + 4 * N : N].tolist() == pytest.approx([-0.5, -1.0, 2.0, slope], rel=1e-5)


def test_raised_values_are_above_zero_and_nothing_else_moves() -> None:
    plain = rows(measured(), LAYOUT)
    raised = raise_values(plain, LAYOUT)
    moved = raised.values != plain.values
    assert int(moved.sum()) == 4
    assert bool((raised.values[moved] > 0).all())


def test_an_event_of_weight_zero_is_as_if_it_were_not_there() -> None:
    batch = measured()
    hidden = dense(batch.with_weights(torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])))
    without = replace(
        batch_of([[(400.0, [5, 2]), (40.0, [5]), (10.0, [2])]]), values=torch.tensor([0.0, -1.0, 0.0, -0.5])
    )
    np.testing.assert_allclose(hidden, dense(without), atol=1e-6)


def test_the_matrix_holds_the_numbers_of_every_batch_however_packed() -> None:
    batch = random_batch(30, seed=2)
    x, y = count_matrix([batch, random_batch(5, seed=3)], LAYOUT)
    assert y.shape == (35, 5)
    assert np.array_equal(x.toarray()[:30], dense(batch))
    histories = random_histories(6, seed=4)
    alone = np.concatenate([dense(batch_of([one])) for one in histories])
    np.testing.assert_allclose(dense(batch_of(histories)), alone, atol=1e-6)


def test_narrowing_a_matrix_and_rows_keeps_the_same_columns() -> None:
    batch = random_batch(30, seed=2)
    x, _ = count_matrix([batch], LAYOUT)
    kept = Kept()
    kept.keep(filled(x))
    assert 0 < len(kept) < LAYOUT.n_columns
    found = kept.narrow_rows(rows(batch, LAYOUT))
    again = csr_array((found.values, found.columns, found.offsets), shape=(30, len(kept))).toarray()
    assert np.array_equal(kept.narrow(x).toarray(), x.toarray()[:, kept.columns])
    assert np.array_equal(again, kept.narrow(x).toarray())


def test_products_with_many_outcomes_are_those_with_few() -> None:
    generator = np.random.default_rng(0)
    shares = np.linspace(0, 0.5, 20)  # the first column is empty
    table = (generator.normal(size=(200, 20)) * (generator.random((200, 20)) < shares)).astype(np.float32)
    one = Matrix(csr_array(table))
    right, left = torch.randn(20, 6), torch.randn(200, 6)
    torch.testing.assert_close(one.times(right), torch.from_numpy(table) @ right)
    torch.testing.assert_close(one.transposed_times(left), torch.from_numpy(table).T @ left)
    torch.testing.assert_close(one.times(right[:, :2]), one.times(right)[:, :2])


def problem(*, amounts: bool = False) -> tuple[csr_array, Problem]:
    """Return 300 rows of 12 features, of which two decide six outcomes."""
    generator = np.random.default_rng(0)
    dense_x = generator.normal(size=(300, 12)) * (generator.random((300, 12)) < 0.5)
    logits = dense_x[:, :1] * np.linspace(0.5, 2, 6) - dense_x[:, 1:2]
    y = (
        logits + generator.normal(size=logits.shape)
        if amounts
        else generator.random(logits.shape) < 1 / (1 + np.exp(-logits))
    )
    x = csr_array(dense_x.astype(np.float32))
    return x, Problem(x=Matrix(x), y=torch.from_numpy(y.astype(np.float32)), amounts=amounts)


def fitted(one: Problem, penalty: Penalty) -> torch.Tensor:
    start = torch.cat([torch.zeros(12, one.y.shape[1]), intercepts(one)[None]])
    return solve(one, penalty, start, iterations=500, tolerance=1e-9)


@pytest.mark.parametrize(("l2", "l1"), [(0.05, 0.0), (0.02, 0.02), (0.001, 0.05)])
def test_an_elastic_net_is_that_of_scikit_learn(l2: float, l1: float) -> None:
    x, one = problem()
    beta = fitted(one, Penalty(l2=l2, l1=l1))
    for outcome in (0, 5):
        oracle = LogisticRegression(
            C=1 / (300 * (l1 + l2)),
            l1_ratio=l1 / (l1 + l2),
            solver="saga" if l1 else "lbfgs",
            max_iter=20_000,
            tol=1e-6,
        ).fit(x.toarray(), one.y[:, outcome].numpy())
        expected = np.append(oracle.coef_[0], oracle.intercept_)
        np.testing.assert_allclose(beta[:, outcome].numpy(), expected, atol=3e-3)


def test_least_squares_solve_the_normal_equations() -> None:
    x, one = problem(amounts=True)
    beta = fitted(one, Penalty(l2=0.1)).numpy()
    design = np.hstack([x.toarray(), np.ones((300, 1))]).astype(np.float64)
    ridge = np.diag([0.1 * 300] * 12 + [0.0])
    expected = np.linalg.solve(design.T @ design + ridge, design.T @ one.y.numpy())
    np.testing.assert_allclose(beta, expected, atol=2e-3)


def test_labels_that_are_not_known_are_left_out() -> None:
    x, one = problem()
    y = one.y.clone()
    y[200:, 2] = torch.nan
    found = fitted(replace(one, y=y), Penalty(l2=0.05))
    part = Problem(x=Matrix(x[:200]), y=one.y[:200])
    torch.testing.assert_close(found[:, 2], fitted(part, Penalty(l2=0.05))[:, 2], atol=2e-3, rtol=0)
    assert bool(torch.isfinite(predict(one.x, found)).all())
