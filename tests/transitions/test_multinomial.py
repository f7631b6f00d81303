"""The multinomial logit of moves on counts: by hand, against statsmodels on rows, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS
from lcm_research.stages.moves import Moves, possible_moves
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.move_cells import INTERCEPT, STAYS, move_cells
from lcm_research.transitions.multinomial import multinomial_logit, probabilities_at

NADC = possible_moves(stage_rules("nadc", window_days=180))
NO = np.zeros((3, 3), dtype=bool)
FREE = Moves(stages=("a", "b", "c"), possible=~NO, clock=NO, purchase=NO)


def spread(rows: Mapping[tuple[str, ...], int], covariates: list[str], from_stage: str) -> pd.DataFrame:
    """Counts with the same rows in each of the 100 groups."""
    made = [(*key, n) for key, n in rows.items()]
    counts = pd.DataFrame(made, columns=[*covariates, "to_stage", "n"]).assign(from_stage=from_stage)
    return counts.merge(pd.DataFrame({"replicate": range(100)}), how="cross")


def drawn(n: int, seed: int, *, spread_sd: float = 0.0) -> pd.DataFrame:
    """Customer-months of a true model: log odds to b: -1 + 0.8 old + 0.5 high; to c: -1.5 - 0.6 old."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"replicate": rng.integers(0, 100, n), "old": rng.random(n) < 0.4})
    rows["size"] = rng.choice(["low", "mid", "high"], n, p=[0.5, 0.3, 0.2])
    own = rng.normal(0, spread_sd, 100)[rows["replicate"]]
    to_b = -1 + 0.8 * rows["old"] + 0.5 * (rows["size"] == "high") + own
    to_c = -1.5 - 0.6 * rows["old"]
    odds = np.column_stack([np.ones(n), np.exp(to_b), np.exp(to_c)])
    at = (rng.random((n, 1)) * odds.sum(axis=1, keepdims=True) > odds.cumsum(axis=1)).sum(axis=1)
    rows = rows.assign(to_stage=np.array(["a", "b", "c"])[at], old=np.where(rows["old"], "yes", "no"), from_stage="a")
    keys = ["from_stage", "to_stage", "old", "size", "replicate"]
    return rows.value_counts(keys).rename("n").reset_index()


def on_rows(counts: pd.DataFrame) -> tuple[object, np.ndarray]:
    """statsmodels on one row a customer-month, in the order of our columns."""
    rows = counts.loc[counts.index.repeat(counts["n"])]
    x = np.column_stack([np.ones(len(rows)), rows["old"] == "yes", rows["size"] == "high", rows["size"] == "mid"])
    to = pd.Categorical(rows["to_stage"], categories=["a", "b", "c"]).codes
    return sm.MNLogit(to, x.astype(float)).fit(disp=False, tol=1e-14, maxiter=100), x


def test_odds_ratios_by_hand() -> None:
    # engaged: 40 return, 60 do not; others: 20 and 80. (40/60) / (20/80) = 8/3
    rows = {("1+", "active"): 40, ("1+", "dormant"): 60, ("0", "active"): 20, ("0", "dormant"): 80}
    counts = spread(rows, ["engaged"], "dormant")
    fit = multinomial_logit(
        counts, from_stage="dormant", covariates=["engaged"], moves=NADC, reference={"engaged": "0"}
    )
    assert fit.odds_ratio("active", "engaged", "1+").value == pytest.approx(8 / 3, abs=1e-9)
    assert fit.cells.base == STAYS
    assert fit.n_months == fit.n == 20_000
    table = fit.table()
    assert table[["to", "level", "reference", "n_level", "n_moves"]].iloc[0].tolist() == [
        "active", "1+", "0", 10_000, 4_000
    ]  # fmt: skip


def test_it_agrees_with_statsmodels_on_rows() -> None:
    counts = drawn(4000, 1)
    fit = multinomial_logit(
        counts, from_stage="a", covariates=["old", "size"], moves=FREE, reference={"old": "no", "size": "low"}
    )
    assert fit.cells.names == (INTERCEPT, "old[yes]", "size[high]", "size[mid]")
    expected, _ = on_rows(counts)
    np.testing.assert_allclose(fit.coefficients, np.asarray(expected.params).T, atol=1e-8)
    np.testing.assert_allclose(fit.covariance, np.asarray(expected.cov_params()), atol=1e-8)
    assert fit.log_likelihood == pytest.approx(expected.llf, abs=1e-7)


def test_the_moves_of_groups_are_newton_steps_and_close_to_fitting_again() -> None:
    counts = drawn(6000, 2, spread_sd=0.5)
    choice = {"from_stage": "a", "covariates": ["old", "size"], "moves": FREE}
    choice["reference"] = {"old": "no", "size": "low"}
    fit = multinomial_logit(counts, **choice)
    result, x = on_rows(counts)
    rows = counts.loc[counts.index.repeat(counts["n"])]
    to = pd.get_dummies(rows["to_stage"]).to_numpy(float)[:, 1:]
    residual = to - result.predict(x.astype(float))[:, 1:]
    for group in (0, 57):
        own = (rows["replicate"] == group).to_numpy()
        score = (residual[own].T @ x[own].astype(float)).ravel()
        np.testing.assert_allclose(fit.moved[group].ravel(), np.asarray(result.cov_params()) @ score, atol=1e-8)
        again = multinomial_logit(counts[counts["replicate"] != group], **choice)
        gap = np.abs((fit.coefficients - again.coefficients) - fit.moved[group]).max()
        assert gap < 0.1 * np.abs(fit.moved[group]).max()


def test_intervals_know_customers_from_customer_months() -> None:
    # groups differ (standard deviation 0.5 of the log odds), so the intercept moves more than independent months say
    fit = multinomial_logit(drawn(8000, 3, spread_sd=0.5), from_stage="a", covariates=["old"], moves=FREE)
    spread_of = np.sqrt(99 / 100 * (fit.moved**2).sum(axis=0)).ravel()
    model = np.sqrt(np.diag(fit.covariance))
    assert spread_of[0] > 1.5 * model[0]
    alike = multinomial_logit(drawn(8000, 3), from_stage="a", covariates=["old"], moves=FREE)
    ratio = np.sqrt(99 / 100 * (alike.moved**2).sum(axis=0)).ravel() / np.sqrt(np.diag(alike.covariance))
    assert (abs(ratio - 1) < 0.3).all()


def test_truth_is_in_the_intervals_as_often_as_promised() -> None:
    inside = 0
    for seed in range(60):
        fit = multinomial_logit(
            drawn(3000, 100 + seed, spread_sd=0.4), from_stage="a", covariates=["old", "size"], moves=FREE,
            reference={"old": "no", "size": "low"},
        )  # fmt: skip
        found = fit.odds_ratio("c", "old", "yes")
        inside += found.lower < np.exp(-0.6) < found.upper
    assert inside >= 51  # 57 expected; binomial(60, .95) is below in 1 of 500 runs


def test_a_joint_test_finds_what_is_there_and_not_what_is_not() -> None:
    fit = multinomial_logit(drawn(6000, 5), from_stage="a", covariates=["old", "size"], moves=FREE)
    old, size = fit.joint_test("old"), fit.joint_test("size")
    assert old.p_value < 1e-6
    assert (old.degrees_of_freedom, size.degrees_of_freedom) == ((2, 98), (4, 96))
    counts = drawn(6000, 5)
    rng = np.random.default_rng(1)
    null = multinomial_logit(
        counts.assign(noise=rng.choice(["x", "y"], len(counts))), from_stage="a", covariates=["noise"], moves=FREE
    )
    assert null.joint_test("noise").p_value > 0.05
    with pytest.raises(ModelError, match="no covariate 'sise'; did you mean 'size'"):
        fit.joint_test("sise")


def test_a_move_by_the_clock_is_staying() -> None:
    rows = {("1+", "active"): 4, ("1+", "dormant"): 3, ("1+", "churned"): 3}
    rows |= {("0", "active"): 2, ("0", "dormant"): 5, ("0", "churned"): 3}
    cells = move_cells(spread(rows, ["engaged"], "dormant"), from_stage="dormant", covariates=["engaged"], moves=NADC)
    assert cells.destinations == (STAYS, "active")
    assert cells.n.sum(axis=(0, 1)).tolist() == [1400, 600]
    rows = {("1+", "active"): 4, ("0", "dormant"): 3}
    with pytest.raises(ModelError, match="nothing but the passing of time leads out of 'active'"):
        move_cells(spread(rows, ["engaged"], "active"), from_stage="active", covariates=["engaged"], moves=NADC)


def test_without_staying_the_most_frequent_destination_is_the_base() -> None:
    rows = {("1", "b"): 4, ("1", "c"): 1, ("0", "b"): 3, ("0", "c"): 2}
    cells = move_cells(spread(rows, ["x"], "a"), from_stage="a", covariates=["x"], moves=FREE)
    assert cells.destinations == ("b", "c")


def test_unknown_is_left_out_and_counted() -> None:
    rows = {("1", "b"): 4, ("1", "a"): 1, ("0", "b"): 3, ("0", "a"): 2, ("unknown", "b"): 5}
    cells = move_cells(spread(rows, ["x"], "a"), from_stage="a", covariates=["x"], moves=FREE)
    assert cells.n_unknown == 500
    assert cells.n.sum() == 1000
    assert "unknown" not in cells.levels["x"]


def test_a_rare_destination_is_left_out_and_says_how_rare() -> None:
    counts = spread({("1", "b"): 4, ("1", "a"): 1, ("0", "b"): 3, ("0", "a"): 2}, ["x"], "a")
    rare = counts.iloc[:12].assign(to_stage="c", n=1)
    cells = move_cells(pd.concat([counts, rare]), from_stage="a", covariates=["x"], moves=FREE)
    assert cells.left_out == {"c": 12}
    with pytest.raises(ModelError, match="12 moves from 'a' to 'c' are too few for 2 columns"):
        cells.destination("c")
    with pytest.raises(ModelError, match=r"no move from 'a' to 'd' is in the model; it has \(stays\), b"):
        cells.destination("d")
    only = counts[counts["to_stage"] == "a"]
    with pytest.raises(ModelError, match=r"12 customer-months from 'a' to 'c' in 12 groups.*needs 10 in 20 groups"):
        move_cells(pd.concat([only, rare]), from_stage="a", covariates=["x"], moves=FREE)
    with pytest.raises(ModelError, match=r"'a' \(300 customer-months with all covariates known\) all did the same"):
        move_cells(only, from_stage="a", covariates=["x"], moves=FREE)


def test_a_level_that_too_few_groups_moved_at_joins_its_neighbour_and_the_reference_nobody() -> None:
    rows = {("0", "b"): 4, ("0", "a"): 1, ("1", "b"): 3, ("1", "a"): 2, ("2+", "a"): 3}
    counts = spread(rows, ["x"], "a")
    counts = pd.concat([counts, counts.iloc[:19].assign(x="2+", to_stage="b", n=1, replicate=range(19))])
    cells = move_cells(counts, from_stage="a", covariates=["x"], moves=FREE, reference={"x": "0"})
    assert cells.levels["x"] == ("0", "1 / 2+")
    assert cells.joined == (("x", "1 / 2+"),)
    assert cells.level("x", "2+") == "1 / 2+"
    assert cells.names == (INTERCEPT, "x[1 / 2+]")
    with pytest.raises(
        ModelError, match=r"level '2\+' of 'x' has some move .* in 19 groups of customers, fewer than 20"
    ):
        move_cells(counts[counts["x"] != "1"], from_stage="a", covariates=["x"], moves=FREE, reference={"x": "0"})
    # names have no neighbours: the thinnest other one is joined, wherever it stands
    renamed = counts.assign(x=counts["x"].map({"0": "east", "1": "north", "2+": "west"}))
    renamed = pd.concat([renamed, counts[counts["x"] == "0"].assign(x="south")])
    cells = move_cells(renamed, from_stage="a", covariates=["x"], moves=FREE, reference={"x": "north"})
    assert cells.levels["x"] == ("north", "east / west", "south")
    # one more group is enough
    more = counts.iloc[:1].assign(x="2+", to_stage="b", n=1, replicate=19)
    assert move_cells(pd.concat([counts, more]), from_stage="a", covariates=["x"], moves=FREE).joined == ()


def test_a_covariate_without_two_levels_is_left_out_and_named() -> None:
    counts = spread({("1", "b"): 4, ("1", "a"): 1, ("0", "b"): 3, ("0", "a"): 2}, ["x"], "a").assign(y="all")
    cells = move_cells(counts, from_stage="a", covariates=["x", "y"], moves=FREE)
    assert cells.constant == ("y",)
    with pytest.raises(ModelError, match=r"no covariate 'y' \(it has one level only\)"):
        cells.level("y", "all")
    with pytest.raises(ModelError, match="covariate 'y' has only one level with moves enough among customers in 'a'"):
        move_cells(counts, from_stage="a", covariates=["x", "y"], moves=FREE, reference={"y": "all"})
    with pytest.raises(ModelError, match="no covariate varies among customers in 'a'; came y"):
        move_cells(counts, from_stage="a", covariates=["y"], moves=FREE)


def test_columns_that_others_determine_are_refused_by_name() -> None:
    counts = spread({("1", "b"): 4, ("1", "a"): 1, ("0", "b"): 3, ("0", "a"): 2}, ["x"], "a")
    counts["y"] = np.where(counts["x"] == "1", "yes", "no")
    with pytest.raises(ModelError, match=r"column 'y\[.*\]' is collinear: '\(Intercept\)', 'x\[.*\]' determine it"):
        move_cells(counts, from_stage="a", covariates=["x", "y"], moves=FREE)


def test_levels_that_only_together_separate_are_refused() -> None:
    # who moved had x >= y, who stayed x <= y, so odds that grow with x - y without end fit best
    rows = {("1", "0", "b"): 2, ("0", "1", "a"): 2}
    rows |= {(v, v, to): 1 for v in "01" for to in "ab"}
    with pytest.raises(ModelError, match=r"the fit runs off: '[xy]\[[01]\]' separates those who move from 'a' to 'b'"):
        multinomial_logit(spread(rows, ["x", "y"], "a"), from_stage="a", covariates=["x", "y"], moves=FREE)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"covariates": []}, "at least one covariate; came none"),
        ({"covariates": ["z"]}, "no covariate 'z'"),
        ({"from_stage": "d"}, "no stage is named 'd'"),
        ({"reference": {"x": "9"}}, "covariate 'x' has no level '9'"),
    ],
)
def test_names_that_are_not_there_are_refused(choice: dict[str, object], message: str) -> None:
    counts = spread({("1", "b"): 4, ("1", "a"): 1, ("0", "b"): 3, ("0", "a"): 2}, ["x"], "a")
    asked = {"from_stage": "a", "covariates": ["x"], "moves": FREE} | choice
    with pytest.raises(ModelError, match=message):
        move_cells(counts, **asked)  # type: ignore[arg-type]


def test_a_move_that_the_scheme_rules_out_is_refused() -> None:
    counts = spread({("1", "new"): 4, ("0", "dormant"): 3}, ["x"], "dormant")
    with pytest.raises(ModelError, match="moves from 'dormant' to 'new' were counted, which the scheme rules out"):
        move_cells(counts, from_stage="dormant", covariates=["x"], moves=NADC)


def test_probabilities_sum_to_one_and_the_fit_gives_back_the_shares() -> None:
    counts = drawn(3000, 8)
    fit = multinomial_logit(counts, from_stage="a", covariates=["old", "size"], moves=FREE)
    share = probabilities_at(fit.cells.x, fit.without_each_group)
    assert share.shape == (N_GROUPS + 1, len(fit.cells.x), 3)
    np.testing.assert_allclose(share.sum(axis=-1), 1)
    made = fit.cells.n.sum(axis=(0, 1))
    np.testing.assert_allclose(fit.cells.weights[0] @ share[0], made, atol=1e-6)
