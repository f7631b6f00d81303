"""The transition matrix, its intervals and its stationary distribution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.estimate import clopper_pearson
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.chain import dirichlet_interval, stationary_distribution, transition_matrix

NADC = stage_rules("nadc", window_days=180)
MOVES = possible_moves(NADC)


def counts(rows: dict[tuple[str, str], int | list[int]]) -> pd.DataFrame:
    """Counted moves; a list spreads over the groups of customers 0, 1, ..., a number lies in group 0."""
    made = [
        (a, b, group, k) for (a, b), n in rows.items() for group, k in enumerate(n if isinstance(n, list) else [n]) if k
    ]
    return pd.DataFrame(made, columns=["from_stage", "to_stage", "replicate", "n"]).assign(period_start="2021-01-01")


# -- against R --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rain(reference: Path) -> tuple[pd.DataFrame, dict[str, float]]:
    days = pd.read_csv(reference / "survival" / "r_markovchain_rain.csv", dtype=str)["rain"]
    moves = pd.DataFrame({"from_stage": days[:-1].to_numpy(), "to_stage": days[1:].to_numpy()})
    moves = moves.value_counts().rename("n").reset_index().assign(replicate=0)
    numbers = pd.read_csv(reference / "survival" / "numbers.csv")
    numbers = numbers[numbers["case"] == "rain_dtmc"]
    return moves, dict(zip(numbers["quantity"], numbers["expected"].astype(float), strict=True))


def test_the_rain_chain_is_that_of_r_markovchain(rain) -> None:
    moves, expected = rain
    stages = ["0", "1-5", "6+"]
    matrix = transition_matrix(moves, stages=stages)
    errors = matrix.standard_error(assume="poisson")
    stationary = stationary_distribution(matrix.probability, stages=stages)
    for i, a in enumerate(stages):
        assert stationary[a] == pytest.approx(expected[f"pi[{a}]"], abs=1e-8)
        for j, b in enumerate(stages):
            assert matrix.estimate(a, b).value == pytest.approx(expected[f"P[{a},{b}]"], abs=1e-10)
            assert errors[i, j] == pytest.approx(expected[f"se[{a},{b}]"], abs=1e-8)
    assert matrix.log_likelihood == pytest.approx(expected["logLikelihood"], rel=1e-8)


# -- worked by hand ---------------------------------------------------------------------------------------------------


def test_probabilities_are_shares_of_the_customer_periods_in_a_stage() -> None:
    # 3 of 10 dormant customer-periods ended active, 5 dormant, 2 churned
    matrix = transition_matrix(
        counts({("dormant", "active"): 3, ("dormant", "dormant"): 5, ("dormant", "churned"): 2}),
        stages=NADC.stages,
        moves=MOVES,
    )
    assert [matrix.estimate("dormant", to).value for to in ("active", "dormant", "churned")] == [0.3, 0.5, 0.2]
    assert matrix.likeliest_exit("dormant") == "active"
    assert matrix.likeliest_exit("churned") is None
    assert matrix.unvisited == ("prospect", "new", "active", "churned")


def test_few_groups_of_customers_get_the_exact_interval() -> None:
    matrix = transition_matrix(counts({("dormant", "active"): 3, ("dormant", "dormant"): 7}), stages=NADC.stages)
    found = matrix.estimate("dormant", "active")
    assert (found.lower, found.upper) == clopper_pearson(3, 10)


def test_many_groups_get_the_jackknife_which_knows_that_customers_differ() -> None:
    # half of the groups always return, half never: the 100 customers say less than their 1,000 customer-periods
    always, never = [10] * 50 + [0] * 50, [0] * 50 + [10] * 50
    matrix = transition_matrix(
        counts({("dormant", "active"): always, ("dormant", "dormant"): never}), stages=NADC.stages
    )
    found = matrix.estimate("dormant", "active")
    # the logit of a mean of 100 independent values of 0 or 1 has standard error 1 / sqrt(100 * .5 * .5) = 0.2;
    # t(.975, 99) = 1.984; 1 / (1 + exp(1.984 * 0.2)) = 0.402
    assert found.lower == pytest.approx(0.402, abs=0.002)
    assert found.lower < clopper_pearson(500, 1000)[0] - 0.05


def test_the_sample_size_of_a_probability_is_customers_and_not_customer_periods() -> None:
    heads = pd.DataFrame(
        {
            "from_stage": ["dormant"] * 3,
            "to_stage": ["active", "dormant", "(any)"],
            "replicate": 0,
            "n_customers": [2, 4, 5],
        }
    )
    moved = counts({("dormant", "active"): 3, ("dormant", "dormant"): 7})
    matrix = transition_matrix(moved, stages=NADC.stages, moves=MOVES, customers=heads)
    assert matrix.estimate("dormant", "active").n == 5
    row = matrix.table().set_index(["from", "to"]).loc[("dormant", "active")]
    assert (row["n_moves"], row["n_from"], row["n_customers"], row["n_customers_from"]) == (3, 10, 2, 5)


def test_the_table_holds_possible_moves_only_and_marks_the_clock() -> None:
    table = transition_matrix(counts({("new", "active"): 5}), stages=NADC.stages, moves=MOVES).table()
    assert len(table) == 12
    assert table[table["clock"]][["from", "to"]].to_numpy().tolist() == [
        ["new", "dormant"],
        ["active", "dormant"],
        ["dormant", "churned"],
    ]
    assert table[table["from"] == "churned"]["probability"].isna().all()


def test_a_move_that_never_happened_has_an_upper_end() -> None:
    matrix = transition_matrix(counts({("churned", "churned"): 30}), stages=NADC.stages, moves=MOVES)
    found = matrix.estimate("churned", "active")
    assert found.value == 0
    assert found.upper == pytest.approx(1 - 0.025 ** (1 / 30))  # the rule of three's exact form


def test_a_small_group_is_hidden_together_with_a_second_cell_that_would_give_it_away() -> None:
    matrix = transition_matrix(
        counts({("dormant", "active"): 4, ("dormant", "dormant"): 50, ("dormant", "churned"): 20}),
        stages=NADC.stages,
        moves=MOVES,
    )
    hidden = matrix.hidden(min_group=10)
    dormant = dict(zip(NADC.stages, hidden[NADC.stages.index("dormant")], strict=True))
    assert dormant == {"prospect": False, "new": False, "active": True, "dormant": False, "churned": True}


def test_a_dirichlet_prior_is_added_to_possible_cells_only() -> None:
    matrix = transition_matrix(
        counts({("dormant", "active"): 3, ("dormant", "dormant"): 7}), stages=NADC.stages, moves=MOVES
    )
    mean, lower, upper = dirichlet_interval(matrix, prior=1.0)
    # (3 + 1) / (10 + 3) over the three possible destinations
    assert mean[3].tolist() == [0, 0, pytest.approx(4 / 13), pytest.approx(8 / 13), pytest.approx(1 / 13)]
    assert upper[3, 0] == lower[3, 0] == 0
    assert lower[3, 2] < 4 / 13 < upper[3, 2]


# -- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=9, max_size=9), st.randoms(use_true_random=False))
def test_rows_sum_to_one_and_intervals_hold_their_estimate(cells, random) -> None:
    if not sum(cells):
        cells[0] = 1
    stages = ["a", "b", "c"]
    pairs = [(x, y) for x in stages for y in stages]
    moves = counts(dict(zip(pairs, cells, strict=True)))
    moves["replicate"] = [random.randrange(100) for _ in range(len(moves))]
    matrix = transition_matrix(moves, stages=stages)
    visited = matrix.n.sum(axis=1) > 0
    assert np.allclose(matrix.probability[visited].sum(axis=1), 1)
    assert all(e.lower <= e.value <= e.upper for e in matrix.estimates.values())
    shuffled = transition_matrix(moves.sample(frac=1, random_state=1), stages=stages)
    np.testing.assert_array_equal(shuffled.n, matrix.n)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=4, max_size=4))
def test_one_more_period_leaves_the_stationary_distribution_as_it_is(rows) -> None:
    P = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    pi = stationary_distribution(P, stages=list("abcd"))
    np.testing.assert_allclose(pi.to_numpy() @ P, pi.to_numpy(), atol=1e-12)
    assert pi.sum() == pytest.approx(1)


def test_intervals_cover_the_truth_as_often_as_they_promise() -> None:
    # customers differ: each returns with a probability of their own, mean 0.3; 400 customers of 12 periods
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        returns = rng.binomial(12, rng.beta(1.5, 3.5, 400))
        active = np.bincount(np.arange(400) % 100, weights=returns).astype(int)
        stays = 48 - active
        moves = counts({("dormant", "active"): active.tolist(), ("dormant", "dormant"): stays.tolist()})
        found = transition_matrix(moves, stages=NADC.stages).estimate("dormant", "active")
        covered += found.lower <= 0.3 <= found.upper
    # binomial with 200 trials and .95: between 181 and 198 in 99.9 of 100 runs; multinomial intervals about 150
    assert 181 <= covered <= 198


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_move_that_the_scheme_rules_out_is_refused() -> None:
    with pytest.raises(ModelError, match="3 moves from 'active' to 'new' were counted, which the scheme rules out"):
        transition_matrix(counts({("active", "new"): 3}), stages=NADC.stages, moves=MOVES)


def test_no_moves_at_all_are_refused() -> None:
    with pytest.raises(ModelError, match="two periods in a row; none were counted"):
        transition_matrix(counts({}), stages=NADC.stages, moves=MOVES)


def test_estimates_that_cannot_be_are_refused_with_the_reason() -> None:
    matrix = transition_matrix(counts({("new", "active"): 5}), stages=NADC.stages, moves=MOVES)
    with pytest.raises(ModelError, match="nobody started a period as 'dormant'"):
        matrix.estimate("dormant", "active")
    with pytest.raises(ModelError, match="rules out a move from 'new' to 'churned'"):
        matrix.estimate("new", "churned")
    with pytest.raises(ModelError, match="no stage is named 'loyal'"):
        matrix.estimate("loyal", "new")
    with pytest.raises(ModelError, match="prior=0"):
        dirichlet_interval(matrix, prior=0)


def test_two_ways_to_end_have_no_one_stationary_distribution() -> None:
    P = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(ModelError, match=r"customers end in \{b\} or \{c\}"):
        stationary_distribution(P, stages=["a", "b", "c"])
    with pytest.raises(ModelError, match="that of 'b' does not"):
        stationary_distribution(np.array([[1.0, 0], [np.nan, np.nan]]), stages=["a", "b"])


def test_the_smallest_group_shown_is_never_below_the_smallest_allowed() -> None:
    rows = {("dormant", "active"): 4, ("dormant", "dormant"): 50, ("dormant", "churned"): 20, ("new", "active"): 12}
    matrix = transition_matrix(counts(rows), stages=NADC.stages, moves=MOVES)
    assert matrix.smallest_shown(min_group=10) == 12
    assert matrix.smallest_shown(min_group=100) == 0
    asked = [("dormant", "active"), ("dormant", "dormant"), ("new", "active"), ("churned", "active")]
    assert matrix.publishable(asked, min_group=10) == [("dormant", "dormant"), ("new", "active")]
