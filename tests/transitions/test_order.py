"""How much of the past a move depends on: by hand, against R, with structural zeros, and when customers differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.stages.moves import Moves
from lcm_research.transitions.contingency import behaviour, classical_test, expected_counts
from lcm_research.transitions.homogeneity import homogeneity
from lcm_research.transitions.order import order_comparison, order_test

KEYS = ["before_stage", "from_stage", "to_stage"]
RAIN = ["0", "1-5", "6+"]


def pairs(table: np.ndarray, stages: list[str], replicate: int = 0) -> pd.DataFrame:
    """Counts of an array (before, from, to)."""
    places = np.argwhere(table > 0)
    rows = [(*(stages[k] for k in place), int(table[tuple(place)]), replicate) for place in places]
    return pd.DataFrame(rows, columns=[*KEYS, "n", "replicate"])


def declared(stages: list[str], possible: np.ndarray) -> Moves:
    none = np.zeros(possible.shape, dtype=bool)
    return Moves(stages=tuple(stages), possible=possible, clock=none, purchase=none)


def with_a_clock() -> Moves:
    """New, active, dormant, churned by recency: time leads on, a purchase leads back to active."""
    stages = ("prospect", "new", "active", "dormant", "churned")
    possible = np.array(
        [[1, 1, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 0, 1]], dtype=bool
    )
    clock, purchase = np.zeros((5, 5), dtype=bool), np.zeros((5, 5), dtype=bool)
    clock[[1, 2, 3], [3, 3, 4]] = True
    purchase[[0, 3, 4], [1, 2, 2]] = True
    return Moves(stages=stages, possible=possible, clock=clock, purchase=purchase)


# -- against R --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rain(reference: Path) -> pd.DataFrame:
    days = pd.read_csv(reference / "survival" / "r_markovchain_rain.csv", dtype=str)["rain"].to_numpy()
    made = pd.DataFrame({"before_stage": days[:-2], "from_stage": days[1:-1], "to_stage": days[2:]})
    return made.value_counts().rename("n").reset_index().assign(replicate=0)


@pytest.fixture(scope="module")
def expected(reference: Path) -> pd.Series:
    numbers = pd.read_csv(reference / "survival" / "numbers.csv")
    numbers = numbers[numbers["case"] == "rain_markov_test"]
    return numbers.set_index("quantity")["expected"].astype(float)


def test_pearsons_statistic_of_order_two_is_assess_order_of_r_markovchain(rain, expected, record_property) -> None:
    found = order_test(rain, stages=RAIN, order=2, moves=None)
    asked = expected["assessOrder chisq"]
    record_property("deviation", f"rain assessOrder: 1 number, {abs(found.classical.pearson / asked - 1):.1e}")
    assert found.classical.pearson == pytest.approx(asked, rel=1e-8)
    assert found.classical.degrees_of_freedom == 12


def test_verify_markov_property_of_r_asks_the_same_with_another_statistic(rain, expected) -> None:
    # its 20 degrees of freedom are not those of 3 stages, 3 x (3 - 1) x (3 - 1) = 12; the statistic is near, not equal
    found = order_test(rain, stages=RAIN, order=2, moves=None).classical
    asked = expected["verifyMarkovProperty chisq"]
    assert found.likelihood_ratio == pytest.approx(asked, rel=0.01)
    assert found.likelihood_ratio != pytest.approx(asked, rel=1e-4)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.likelihood_ratio, 12))


def test_assess_stationarity_of_r_tests_shares_as_if_they_were_counts(reference: Path, expected) -> None:
    days = pd.read_csv(reference / "survival" / "r_markovchain_rain.csv", dtype=str)["rain"].to_numpy()
    block = np.arange(len(days) - 1) * 10 // (len(days) - 1)
    moves = pd.DataFrame({"block": block, "from_stage": days[:-1], "to_stage": days[1:]})
    counts = moves.value_counts().rename("n").reset_index().assign(replicate=0)
    found = homogeneity(counts, stages=RAIN, moves=None, by="block", ordered=True)
    # R's number is Pearson's statistic of the shares in each block: smaller by the days in a block, it never rejects
    table = moves.value_counts().unstack(fill_value=0)
    shares = table.div(table.sum(axis=1), axis=0).to_numpy().reshape(10, 3, 3)
    overall = shares.mean(axis=0)
    of_shares = ((shares - overall) ** 2 / overall).sum()
    assert of_shares == pytest.approx(expected["assessStationarity(10 blocks) chisq"], rel=1e-3)
    assert found.pearson > 10 * of_shares
    assert found.p_value < 0.001


# -- worked by hand ---------------------------------------------------------------------------------------------------


def test_order_two_is_a_contingency_table_for_each_stage_now() -> None:
    # from a: before a 30 to a, 10 to b; before b 20 to a, 40 to b; from b the stage before does not matter (1 to 3)
    table = np.array([[[30, 10], [5, 15]], [[20, 40], [10, 30]]])
    found = order_test(pairs(table, ["a", "b"]), stages=["a", "b"], order=2, moves=None)
    textbook = stats.chi2_contingency([[30, 10], [20, 40]], correction=False)
    likelihood = stats.chi2_contingency([[30, 10], [20, 40]], correction=False, lambda_="log-likelihood")
    by_stage = found.by_stage.set_index("stage")
    assert by_stage.loc["a", "pearson"] == pytest.approx(textbook.statistic)
    assert by_stage.loc["a", "likelihood_ratio"] == pytest.approx(likelihood.statistic)
    assert by_stage.loc["b", "pearson"] == pytest.approx(0.0)
    assert found.classical.degrees_of_freedom == 2
    assert found.classical.p_value == pytest.approx(stats.chi2.sf(likelihood.statistic, 2))


def test_order_one_is_a_contingency_table_of_from_by_to() -> None:
    table = np.array([[[30, 10], [5, 15]], [[20, 40], [10, 30]]])
    found = order_test(pairs(table, ["a", "b"]), stages=["a", "b"], order=1, moves=None)
    textbook = stats.chi2_contingency(table.sum(axis=0), correction=False)
    assert found.classical.pearson == pytest.approx(textbook.statistic)
    assert found.classical.degrees_of_freedom == 1


def test_criteria_of_the_orders_are_likelihood_and_parameters() -> None:
    table = np.array([[[30, 10], [5, 15]], [[20, 40], [10, 30]]], float)
    made = order_comparison(pairs(table, ["a", "b"]), stages=["a", "b"], moves=None).set_index("order")
    p2, p1 = table / table.sum(axis=2, keepdims=True), table.sum(axis=0) / table.sum(axis=(0, 2))[:, None]
    p0 = table.sum(axis=(0, 1)) / table.sum()
    by_hand = [(table * np.log(p)).sum() for p in (p0[None, None], p1[None], p2)]
    assert made["log_likelihood"].tolist() == pytest.approx(by_hand)
    assert made["n_parameters"].tolist() == [1, 2, 4]
    assert made.loc[2, "aic"] == pytest.approx(2 * 4 - 2 * by_hand[2])
    assert made.loc[2, "bic"] == pytest.approx(4 * np.log(160) - 2 * by_hand[2])


def test_a_structural_zero_is_fitted_as_zero_and_is_no_degree_of_freedom() -> None:
    # b cannot be left for c. Quasi-independence of the 8 other cells: 8 - (3 + 3 - 1) = 3 degrees of freedom
    possible = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 1]], dtype=bool)
    table = np.array([[20.0, 30, 10], [40, 20, 0], [15, 25, 30]])
    fitted = expected_counts(table, possible)
    assert fitted[1, 2] == 0
    np.testing.assert_allclose(fitted.sum(axis=0), table.sum(axis=0))
    np.testing.assert_allclose(fitted.sum(axis=1), table.sum(axis=1))
    # the odds of a to b are then the same in every row
    np.testing.assert_allclose(fitted[:, 0] / fitted[:, 1], fitted[0, 0] / fitted[0, 1])
    assert classical_test(table, possible).degrees_of_freedom == 3
    assert classical_test(table, np.ones((3, 3), dtype=bool)).degrees_of_freedom == 4


def test_independent_outcomes_around_structural_zeros_are_not_rejected() -> None:
    # rows proportional to 3 : 2 : 1 wherever a move is possible; without the declaration this looks like memory
    possible = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 1]], dtype=bool)
    table = np.array([[30.0, 20, 10], [30, 20, 0], [0, 20, 10]])
    assert classical_test(table, possible).likelihood_ratio == pytest.approx(0.0, abs=1e-8)
    assert classical_test(table, np.ones((3, 3), dtype=bool)).p_value < 0.01


def test_moves_by_the_clock_are_one_outcome_with_staying() -> None:
    moves = with_a_clock()
    stages = list(moves.stages)
    kind = behaviour(stages, moves)
    place = kind.place[stages.index("dormant")]
    told = {stage: kind.outcomes[k] for stage, k in zip(stages, place, strict=True) if k >= 0}
    assert told == {"active": "active", "dormant": "(stayed or clock)", "churned": "(stayed or clock)"}
    # of the dormant, those who were dormant before are churned by the clock, others cannot be yet: no memory in that
    table = np.zeros((5, 5, 5))
    table[2, 3, [2, 3]], table[3, 3, [2, 4]] = (20, 80), (20, 80)
    found = order_test(pairs(table, stages), stages=stages, order=2, moves=moves)
    assert found.classical.likelihood_ratio == pytest.approx(0.0)
    plain = order_test(pairs(table, stages), stages=stages, order=2, moves=None)
    assert plain.classical.p_value < 1e-9


# -- customers who differ ---------------------------------------------------------------------------------------------

ROUND = ["hub", "b1", "b2", "d1", "d2"]
TURNS = np.zeros((5, 5), dtype=bool)
TURNS[0, [1, 2]] = TURNS[1:3, 3] = TURNS[1:3, 4] = TURNS[3:, 0] = True


def rounds(rng: np.random.Generator, *, n_customers: int, n_rounds: int, linked: float) -> pd.DataFrame:
    """
    Customers go round hub, b1 or b2, d1 or d2, hub; each prefers one b and one d, by tastes of their own.

    Where the two tastes have nothing to do with each other, the stage before the hub says nothing on the next b in
    the population, though customers differ in both. ``linked`` is the share whose tastes are the same.
    """
    taste_d, taste_b = rng.beta(0.4, 0.4, n_customers), rng.beta(0.4, 0.4, n_customers)
    taste_b = np.where(rng.random(n_customers) < linked, taste_d, taste_b)
    table = np.zeros((100, 5, 5, 5), dtype=int)
    group = np.arange(n_customers) % 100
    before = np.where(rng.random(n_customers) < taste_d, 3, 4)
    for _ in range(n_rounds):
        b = np.where(rng.random(n_customers) < taste_b, 1, 2)
        d = np.where(rng.random(n_customers) < taste_d, 3, 4)
        np.add.at(table, (group, before, 0, b), 1)
        np.add.at(table, (group, 0, b, d), 1)
        np.add.at(table, (group, b, d, 0), 1)
        before = d
    places = np.nonzero(table)
    names = {key: np.array(ROUND)[place] for key, place in zip(KEYS, places[1:], strict=True)}
    return pd.DataFrame({**names, "replicate": places[0], "n": table[places]})


def test_the_replicate_test_keeps_its_size_when_customers_differ_and_the_classical_does_not() -> None:
    rng = np.random.default_rng(11)
    classical = replicate = 0
    for _ in range(120):
        counts = rounds(rng, n_customers=400, n_rounds=12, linked=0.0)
        found = order_test(counts, stages=ROUND, order=2, moves=declared(ROUND, TURNS))
        classical += found.classical.p_value < 0.05
        replicate += found.replicate.p_value < 0.05
    assert found.classical.degrees_of_freedom == 1
    assert found.replicate.degrees_of_freedom == (1, 99)
    assert replicate <= 15  # 6 expected; binomial(120, .05) is above in 1 of 2,000 runs
    assert classical >= 24  # at least .2 where .05 was promised


def test_rare_moves_do_not_upset_the_replicate_test() -> None:
    rng, shares = np.random.default_rng(3), np.cumsum([[0.9, 0.09, 0.01], [0.3, 0.68, 0.02], [0.45, 0.5, 0.05]], axis=1)
    rejected = 0
    for _ in range(80):
        walk = [rng.integers(0, 3, 300)]
        for _ in range(11):
            walk.append((rng.random(300)[:, None] > shares[walk[-1]]).sum(axis=1))
        table = np.zeros((100, 3, 3, 3), dtype=int)
        for three in zip(walk, walk[1:], walk[2:], strict=False):
            np.add.at(table, (np.arange(300) % 100, *three), 1)
        places = np.nonzero(table)
        names = {key: np.array(RAIN)[place] for key, place in zip(KEYS, places[1:], strict=True)}
        counts = pd.DataFrame({**names, "replicate": places[0], "n": table[places]})
        found = order_test(counts, stages=RAIN, order=2, moves=None)
        rejected += found.replicate.p_value < 0.05
    assert found.n_left_out > 0
    assert rejected <= 11  # 4 expected; binomial(80, .05) is above in 1 of 1,000 runs; 20 where rare cells are kept


def test_memory_or_linked_tastes_are_found() -> None:
    counts = rounds(np.random.default_rng(5), n_customers=400, n_rounds=12, linked=0.7)
    found = order_test(counts, stages=ROUND, order=2, moves=declared(ROUND, TURNS))
    assert found.replicate.p_value < 0.01
    assert found.table()["test"].tolist() == ["likelihood ratio", "Pearson", "groups of customers (hotelling)"]


# -- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=27, max_size=27), st.permutations(range(3)))
def test_splitting_counts_or_renaming_stages_changes_nothing(cells, order) -> None:
    table = np.array(cells).reshape(3, 3, 3) + 1
    stages = ["a", "b", "c"]
    whole = pairs(table, stages)
    found = order_test(whole, stages=stages, order=2, moves=None).classical
    halves = pd.concat([whole.assign(n=whole["n"] - 1, replicate=3), whole.assign(n=1, replicate=8)])
    split = order_test(halves, stages=stages, order=2, moves=None).classical
    assert split.likelihood_ratio == pytest.approx(found.likelihood_ratio)
    renamed = whole.replace({column: {stages[k]: stages[order[k]] for k in range(3)} for column in KEYS})
    again = order_test(
        renamed, stages=[stages[k] for k in np.random.default_rng(0).permutation(3)], order=2, moves=None
    )
    assert again.classical.likelihood_ratio == pytest.approx(found.likelihood_ratio)
    assert again.classical.degrees_of_freedom == found.degrees_of_freedom


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_with_the_reason() -> None:
    one = pairs(np.ones((2, 2, 2)), ["a", "b"])
    with pytest.raises(ModelError, match="came order=3"):
        order_test(one, stages=["a", "b"], order=3, moves=None)
    with pytest.raises(ModelError, match="three periods in a row; none were counted"):
        order_test(one.iloc[:0], stages=["a", "b"], order=2, moves=None)
    possible = np.array([[True, False], [True, True]])
    with pytest.raises(ModelError, match="moves from 'a' to 'b' were counted, which are declared a structural zero"):
        order_test(one, stages=["a", "b"], order=2, moves=declared(["a", "b"], possible))


def test_a_stage_never_visited_is_no_degree_of_freedom() -> None:
    table = np.zeros((3, 3, 3))
    table[:2, :2, :2] = [[[30, 10], [5, 15]], [[20, 40], [10, 30]]]
    found = order_test(pairs(table, ["a", "b", "c"]), stages=["a", "b", "c"], order=2, moves=None)
    assert found.classical.degrees_of_freedom == 2
    assert not found.replicate.applies
    assert (
        found.replicate.reason
        == "what could be compared was seen in fewer than 20 groups of customers, or expected fewer than 5 times"
    )
