"""Hidden Markov models on counted sequences: every hidden path by hand, Baum and Welch's law, and known truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.transitions.hidden_markov import (
    HiddenMarkov,
    Words,
    baum_welch_round,
    fit_hidden_markov,
    sequence_log_likelihood,
    state_probability,
    words,
)


def model(seed: int, n_states: int, n_behaviours: int) -> HiddenMarkov:
    rng = np.random.default_rng(seed)
    return HiddenMarkov(
        initial=rng.dirichlet(np.ones(n_states), size=2),
        transition=rng.dirichlet(np.ones(n_states), size=n_states),
        emission=rng.dirichlet(np.ones(n_behaviours), size=n_states),
    )


def by_every_path(sequence: list[int], m: HiddenMarkov) -> np.ndarray:
    """Probability of a sequence together with its last hidden stage: summed over all paths, one by one."""
    begin = m.initial[1] if sequence[0] < 0 else m.initial[0]
    seen = [b for b in sequence if b >= 0]
    total = np.zeros(m.n_states)
    for path in itertools.product(range(m.n_states), repeat=len(seen)):
        p = begin[path[0]] * m.emission[path[0], seen[0]]
        for k in range(1, len(seen)):
            p *= m.transition[path[k - 1], path[k]] * m.emission[path[k], seen[k]]
        total[path[-1]] += p
    return total


sequences = st.lists(
    st.tuples(st.integers(0, 4), st.lists(st.integers(0, 2), min_size=5, max_size=5)), min_size=1, max_size=6
)


def of(drawn: list[tuple[int, list[int]]]) -> np.ndarray:
    """Five periods each, the first ``k`` of them before the customer's first."""
    return np.array([[-1] * k + behaviour[k:] for k, behaviour in drawn])


@given(sequences, st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_the_likelihood_and_the_last_stage_are_the_sum_over_every_hidden_path(drawn, seed, n_states) -> None:
    behaviour, m = of(drawn), model(seed, n_states, 3)
    observed = Words(behaviour=behaviour, n=np.ones(len(behaviour)), n_behaviours=3)
    expected = np.array([by_every_path(row.tolist(), m) for row in behaviour])
    np.testing.assert_allclose(sequence_log_likelihood(observed, m), np.log(expected.sum(axis=1)), rtol=1e-12)
    np.testing.assert_allclose(
        state_probability(observed, m), expected / expected.sum(axis=1, keepdims=True), rtol=1e-11, atol=1e-14
    )


@given(sequences, st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_no_round_lowers_the_likelihood(drawn, seed, n_states) -> None:
    observed = words(of(drawn), np.arange(1, len(drawn) + 1), n_behaviours=3)
    now, reached = model(seed, n_states, 3), -np.inf
    for _ in range(6):
        now, before = baum_welch_round(observed, now)
        assert before >= reached - 1e-9
        reached = before


def test_one_round_by_hand() -> None:
    # Two customers, one period each, behaviours 0 and 1. Stage A begins with 1/2 and shows 0 with 3/4, B shows it with
    # 1/4: who shows 0 is in A with 3/4, who shows 1 with 1/4. So A is begun in by 1/2 and shows 0 with 3/4 again.
    start = HiddenMarkov(
        initial=np.array([[0.5, 0.5], [0.2, 0.8]]),
        transition=np.array([[0.9, 0.1], [0.3, 0.7]]),
        emission=np.array([[0.75, 0.25], [0.25, 0.75]]),
    )
    observed = words(np.array([[0], [1]]), np.array([1, 1]), n_behaviours=2)
    after, log_likelihood = baum_welch_round(observed, start)
    assert log_likelihood == pytest.approx(2 * np.log(0.5))
    np.testing.assert_allclose(after.initial[0], [0.5, 0.5])
    np.testing.assert_allclose(after.emission, [[0.75, 0.25], [0.25, 0.75]])
    # three customers show 0 where one did: A is begun in by (3 * 3/4 + 1/4) / 4
    after, _ = baum_welch_round(words(np.array([[0], [1]]), np.array([3, 1]), n_behaviours=2), start)
    np.testing.assert_allclose(after.initial[0], [0.625, 0.375])


def test_customers_who_came_later_begin_by_a_share_of_their_own() -> None:
    m = model(3, 2, 3)
    late = Words(behaviour=np.array([[-1, -1, 2]]), n=np.ones(1), n_behaviours=3)
    early = Words(behaviour=np.array([[2]]), n=np.ones(1), n_behaviours=3)
    assert sequence_log_likelihood(late, m)[0] == pytest.approx(np.log(m.initial[1] @ m.emission[:, 2]))
    assert sequence_log_likelihood(early, m)[0] == pytest.approx(np.log(m.initial[0] @ m.emission[:, 2]))


def test_counts_are_replicated_rows() -> None:
    behaviour = np.array([[0, 1, 1], [-1, 0, 2]])
    counted = words(behaviour, np.array([3, 2]), n_behaviours=3)
    spelt = words(np.repeat(behaviour, [3, 2], axis=0), np.ones(5, int), n_behaviours=3)
    np.testing.assert_array_equal(counted.behaviour, spelt.behaviour)
    np.testing.assert_array_equal(counted.n, spelt.n)


TRUTH = HiddenMarkov(
    initial=np.array([[0.5, 0.3, 0.2], [0.1, 0.5, 0.4]]),
    transition=np.array([[0.95, 0.04, 0.01], [0.10, 0.85, 0.05], [0.02, 0.08, 0.90]]),
    emission=np.array([[0.97, 0.025, 0.005], [0.55, 0.35, 0.10], [0.10, 0.30, 0.60]]),
)


def simulated(truth: HiddenMarkov, n: int, n_periods: int, rng: np.random.Generator) -> np.ndarray:
    """Draw customers, half of whom come in a later period."""
    first = np.where(rng.random(n) < 0.5, 0, rng.integers(1, n_periods // 2, n))
    found = np.full((n, n_periods), -1)
    for i in range(n):
        state = rng.choice(3, p=truth.initial[int(first[i] > 0)])
        for t in range(first[i], n_periods):
            state = state if t == first[i] else rng.choice(3, p=truth.transition[state])
            found[i, t] = rng.choice(3, p=truth.emission[state])
    return found


@pytest.fixture(scope="module")
def observed() -> Words:
    behaviour = simulated(TRUTH, 4000, 12, np.random.default_rng(7))
    return words(behaviour, np.ones(len(behaviour), int), n_behaviours=3)


def test_known_truth_is_recovered_with_stages_in_the_order_of_buying(observed) -> None:
    bought = [False, True, True]
    fits = {
        k: fit_hidden_markov(observed, n_states=k, bought=bought, n_starts=3, rng=np.random.default_rng(1))
        for k in (2, 3)
    }
    fitted = fits[3]
    assert (np.diff(fitted.emission @ np.array(bought, float)) > 0).all()
    np.testing.assert_allclose(fitted.transition, TRUTH.transition, atol=0.03)
    np.testing.assert_allclose(fitted.emission, TRUTH.emission, atol=0.04)
    np.testing.assert_allclose(fitted.initial, TRUTH.initial, atol=0.06)
    assert fitted.log_likelihood > observed.n @ sequence_log_likelihood(observed, TRUTH)
    assert fitted.log_likelihood == pytest.approx(observed.n @ sequence_log_likelihood(observed, fitted), abs=1e-6)
    # 6 moves, 6 behaviours and 2 ways to begin of 2 shares each; the truth has three stages, not two
    assert (fitted.n_parameters, fitted.n_customers) == (16, 4000)
    assert fitted.bic == pytest.approx(-2 * fitted.log_likelihood + 16 * np.log(4000))
    assert fits[3].bic < fits[2].bic


def test_a_leap_that_lowers_the_likelihood_is_not_taken(observed, monkeypatch) -> None:
    few = Words(behaviour=observed.behaviour[:300], n=observed.n[:300], n_behaviours=3)
    asked = {"n_states": 2, "bought": [False, True, True], "n_starts": 1}
    fitted = fit_hidden_markov(few, **asked, rng=np.random.default_rng(4))
    alike = HiddenMarkov(initial=np.full((2, 2), 0.5), transition=np.full((2, 2), 0.5), emission=np.full((2, 3), 1 / 3))
    monkeypatch.setattr("lcm_research.transitions.hidden_markov._leap", lambda *_: alike)  # a saddle, far down
    walked = fit_hidden_markov(few, **asked, rng=np.random.default_rng(4))
    assert walked.log_likelihood == pytest.approx(fitted.log_likelihood, abs=0.01)


def test_one_hidden_stage_is_the_shares_of_behaviour() -> None:
    counted = words(np.array([[0, 1], [-1, 2]]), np.array([3, 1]), n_behaviours=3)
    fitted = fit_hidden_markov(counted, n_states=1, bought=[False, True, True], n_starts=4, rng=np.random.default_rng())
    np.testing.assert_allclose(fitted.emission[0], [3 / 7, 3 / 7, 1 / 7])
    assert fitted.log_likelihood == pytest.approx(6 * np.log(3 / 7) + np.log(1 / 7))
    assert fitted.n_parameters == 2


def test_the_same_seed_gives_the_same_model(observed) -> None:
    few = Words(behaviour=observed.behaviour[:200], n=observed.n[:200], n_behaviours=3)
    asked = {"n_states": 2, "bought": [False, True, True], "n_starts": 2}
    one, two = (fit_hidden_markov(few, **asked, rng=np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.transition, two.transition)


@pytest.mark.parametrize(
    ("behaviour", "n", "told"),
    [
        ([[0, 1]], [0], "none were counted"),
        ([[0, 3]], [1], "from 0 to 2, or -1 before the first; came 3"),
        ([[0, -2]], [1], "came -2"),
        ([[0, -1]], [1], "without a behaviour after its first"),
        ([[0, -1, 1]], [1], "without a behaviour after its first"),
        ([[-1, -1]], [1], "without a behaviour after its first"),
    ],
)
def test_sequences_that_cannot_be_are_refused(behaviour, n, told) -> None:
    with pytest.raises(ModelError, match=told):
        words(np.array(behaviour), np.array(n), n_behaviours=3)


def test_no_states_and_no_starts_are_refused(observed) -> None:
    asked = {"bought": [False, True, True], "rng": np.random.default_rng(1)}
    with pytest.raises(ModelError, match="n_states=0, n_starts=1"):
        fit_hidden_markov(observed, n_states=0, n_starts=1, **asked)
    with pytest.raises(ModelError, match="n_states=2, n_starts=0"):
        fit_hidden_markov(observed, n_states=2, n_starts=0, **asked)
