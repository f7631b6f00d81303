"""Groups beside each other: weighted log-rank tests, pairs, restricted means, and the test from groups of customers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.statistics import multivariate_logrank_test
from scipy import stats
from statsmodels.duration.survfunc import survdiff

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, holm, wald
from lcm_research.survival.comparison import (
    LogRankWeights,
    compare_groups,
    log_rank,
    pairwise_differences,
    pairwise_log_rank,
)
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.gray import gray_test
from lcm_research.survival.replicate_test import difference_p_value, replicate_test
from lcm_research.survival.restricted import (
    restricted_mean,
    restricted_mean_difference,
    restricted_mean_ratio,
    standardised_difference,
)

# day 1: a lapses, 1 of (2 a, 2 b): expected in a 1/2, variance 1/4; day 2: b lapses, 1 of (1 a, 2 b): 1/3, 2/9
FOUR = pd.DataFrame(
    {
        "duration_days": [1, 3, 2, 3],
        "event_observed": [True, False, True, False],
        "n": 1,
        "group": ["a", "a", "b", "b"],
    }
)


def spells(n: int, seed: int, slower: float = 1.0) -> pd.DataFrame:
    """Spells of three groups of like size in two towns, without a difference unless c is ``slower``."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], n, p=[0.4, 0.35, 0.25])
    life = np.ceil(rng.exponential(np.where(group == "c", 15 * slower, 15), n)).astype(int)
    seen = rng.integers(5, 40, n)
    table = pd.DataFrame({"duration_days": np.minimum(life, seen), "event_observed": life <= seen, "n": 1})
    return table.assign(group=group, town=rng.choice(["x", "y"], n), replicate=rng.integers(0, 100, n))


@pytest.mark.parametrize(
    ("choice", "weights"),
    [
        # rho=1: S just before day 1 is 1, before day 2 3/4; gamma=1: 1 - S
        ({"rho": 1}, (1, 3 / 4)),
        ({"rho": 0, "gamma": 1}, (0, 1 / 4)),
        ({"rho": 1, "gamma": 1}, (0, 3 / 16)),
        ({"weights": "gehan-breslow"}, (4, 3)),
        ({"weights": "tarone-ware"}, (2, np.sqrt(3))),
        # Peto and Peto: 1 - 1/5, then times 1 - 1/4
        ({"weights": "peto-peto"}, (4 / 5, 3 / 5)),
    ],
)
def test_a_day_counts_by_its_weight(choice: dict[str, object], weights: tuple[float, float]) -> None:
    first, second = weights
    found = log_rank(FOUR, by="group", **choice)  # type: ignore[arg-type]
    excess = first * (1 - 1 / 2) + second * (0 - 1 / 3)
    assert found.observed == pytest.approx([first, second])
    assert found.chi_square == pytest.approx(excess**2 / (first**2 / 4 + second**2 * 2 / 9))


@pytest.mark.parametrize(("weights", "theirs"), [("gehan-breslow", "gb"), ("tarone-ware", "tw"), (None, "fh")])
def test_strata_and_weights_agree_with_statsmodels(weights: LogRankWeights | None, theirs: str) -> None:
    table = spells(400, 1)
    found = log_rank(table, by="group", weights=weights, rho=None if weights else 0.5, strata="town")
    more = {} if weights else {"fh_p": 0.5}
    expected = survdiff(
        table["duration_days"], table["event_observed"], table["group"], theirs, strata=table["town"], **more
    )
    assert (found.chi_square, found.p_value) == pytest.approx(expected)
    assert found.strata == "town"


@pytest.mark.parametrize(("rho", "gamma"), [(0, 1), (1, 1), (0.5, 2)])
def test_late_weights_agree_with_lifelines(rho: float, gamma: float) -> None:
    table = spells(300, 2)
    theirs = multivariate_logrank_test(
        table["duration_days"], table["group"], table["event_observed"], weightings="fleming-harrington", p=rho, q=gamma
    )
    assert log_rank(table, by="group", rho=rho, gamma=gamma).chi_square == pytest.approx(theirs.test_statistic)


def test_late_weights_see_a_late_difference_better_than_early_ones() -> None:
    # both groups lapse alike until day 10, then only a does
    rng = np.random.default_rng(3)
    early, late = rng.geometric(0.03, 600), 10 + rng.geometric(0.2, 600)
    life = np.where(early <= 10, early, np.where(np.arange(600) < 300, late, 60))
    table = pd.DataFrame({"duration_days": np.minimum(life, 40), "event_observed": life <= 40, "n": 1})
    table["group"] = np.where(np.arange(600) < 300, "a", "b")
    assert log_rank(table, by="group", rho=0, gamma=1).chi_square > log_rank(table, by="group", rho=1).chi_square


def test_within_strata_a_difference_between_strata_is_no_difference() -> None:
    # all of town x lapse on day 1, half of town y on day 9: group a is mostly in x
    rows = [("a", "x", 1, 30), ("b", "x", 1, 10), ("a", "y", 9, 10), ("b", "y", 9, 30)]
    table = pd.DataFrame(rows, columns=["group", "town", "duration_days", "n"]).assign(event_observed=True)
    table = pd.concat([table, table[table["town"] == "y"].assign(event_observed=False)])
    assert log_rank(table, by="group", rho=0).p_value < 0.001
    within = log_rank(table, by="group", rho=0, strata="town")
    assert within.chi_square == pytest.approx(0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.sampled_from("abc"), st.integers(1, 3)), min_size=2),
    scale=st.integers(2, 5),
)
def test_counts_are_rows_and_names_do_not_matter(rows: list[tuple[int, bool, str, int]], scale: int) -> None:
    table = pd.DataFrame(rows, columns=["duration_days", "event_observed", "group", "n"])
    if table["group"].nunique() < 2:
        return
    exploded = table.loc[table.index.repeat(table["n"])].assign(n=1)
    renamed = table.assign(group=table["group"].map({"a": "z", "b": "a", "c": "m"}))
    found = [log_rank(each, by="group", weights="peto-peto") for each in (table, exploded, renamed)]
    assert [each.chi_square for each in found] == pytest.approx([found[0].chi_square] * 3, abs=1e-9)
    assert found[0].observed.sum() == pytest.approx(found[0].expected.sum())


def test_a_group_that_is_never_at_risk_with_another_takes_no_degree_of_freedom() -> None:
    alone = pd.DataFrame({"duration_days": [9, 9], "event_observed": [True, False], "n": 1, "group": "late"})
    table = pd.concat([FOUR.assign(entry_days=0), alone.assign(entry_days=5)])
    assert log_rank(table, by="group", rho=0).degrees_of_freedom == 1
    assert log_rank(table, by="group", rho=0).chi_square == pytest.approx(1 / 17)


def test_by_customers_the_excess_is_refitted_without_each_group() -> None:
    table = spells(800, 4)
    found = log_rank(table, by="group", rho=1).by_customers

    def excess(part: pd.DataFrame) -> np.ndarray:
        test = log_rank(part, by="group", rho=1)
        return (test.observed - test.expected)[:2] / test.observed.sum()

    left = np.stack([excess(table[table["replicate"] != g]) for g in range(100)]) - excess(table)
    t_square = excess(table) @ np.linalg.inv(0.99 * left.T @ left) @ excess(table)
    assert found is not None
    assert found.degrees_of_freedom == (2, 98)
    assert found.f_statistic == pytest.approx(t_square * 98 / (99 * 2))
    assert found.p_value == pytest.approx(stats.f.sf(found.f_statistic, 2, 98))


def test_spells_of_one_customer_do_not_count_as_several_customers() -> None:
    # three like spells a customer, no difference: the model's test rejects far too often, also Gray's
    rejected, repeats = np.zeros(4), 120
    for seed in range(repeats):
        table = spells(300, 1000 + seed).assign(n=3)
        by_x = np.random.default_rng(seed).random(300) < 0.5
        table["cause"] = np.where(table["event_observed"], np.where(by_x, "x", "y"), "")
        tests = log_rank(table, by="group", rho=0), gray_test(table, by="group", cause="x")
        p_values = [p for test in tests for p in (test.p_value, test.by_customers.p_value)]  # type: ignore[union-attr]
        rejected += np.array(p_values) < 0.05
    assert (rejected[[0, 2]] / repeats > 0.2).all()
    assert (rejected[[1, 3]] / repeats < 0.11).all()  # two standard errors above 5% and a little


def test_grays_test_by_customers_sees_a_difference_and_honours_strata() -> None:
    table = spells(3000, 6, slower=2.0)
    table["cause"] = np.where(table["event_observed"], np.where(table["replicate"] % 2, "x", "y"), "")
    table["replicate"] = np.random.default_rng(1).integers(0, 100, len(table))
    found = gray_test(table, by="group", cause="x", strata="town")
    assert found.by_customers is not None
    assert max(found.p_value, found.by_customers.p_value) < 0.001
    assert found.strata == "town"
    twice = pd.concat([table.assign(town="x"), table.assign(town="y")])
    one = gray_test(table, by="group", cause="x")
    both = gray_test(twice, by="group", cause="x", strata="town")
    assert both.chi_square == pytest.approx(2 * one.chi_square)
    assert both.by_customers.f_statistic == pytest.approx(one.by_customers.f_statistic)  # type: ignore[union-attr]


def test_a_test_by_customers_that_does_not_apply_says_why() -> None:
    table = spells(400, 7)
    table.loc[(table["group"] == "c") & (table["replicate"] >= 19), "event_observed"] = False
    found = log_rank(table, by="group", rho=0).by_customers
    assert found is not None
    assert np.isnan(found.p_value)
    assert found.reason.startswith("'c' has events in 1")
    assert "fewer than 20; merge it with another" in found.reason
    many = np.eye(31)[np.arange(100) % 31] + np.linspace(0, 1, 31)
    names = [str(i) for i in range(31)]
    too_many = replicate_test(np.zeros(31), many, groups_with_event=[50] * 31, names=names)
    assert too_many.reason == "31 differences at once, more than 30; merge groups"
    none = replicate_test(np.zeros(1), np.zeros((100, 1)), groups_with_event=[50, 50], names=["a", "b"])
    assert none.reason == "the groups never differ from what is expected of them"
    assert log_rank(FOUR, by="group", rho=0).by_customers is None


def test_pairs_are_the_tests_of_two_groups_with_holms_correction() -> None:
    table = spells(900, 8, slower=1.6)
    for inference in ("model", "replicate"):
        found = pairwise_log_rank(table, by="group", rho=0, inference=inference)  # type: ignore[arg-type]
        assert list(zip(found["group"], found["other"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
        pair = log_rank(table[table["group"] != "b"], by="group", rho=0)
        expected = pair.p_value if inference == "model" else pair.by_customers.p_value  # type: ignore[union-attr]
        assert found["p_value"][1] == pytest.approx(expected)
        assert found["n"][1] == (table["group"] != "b").sum()
        assert found["p_value_holm"].to_numpy() == pytest.approx(holm(found["p_value"].to_numpy()))


def test_holm_by_hand() -> None:
    # 0.01 * 4, 0.02 * 3, 0.03 * 2 (not below 0.06), 0.9
    assert holm([0.03, 0.9, 0.01, 0.02]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    # 0.01 * 2 = 0.02, and the other no less
    assert holm([0.011, 0.01]) == pytest.approx([0.02, 0.02])
    assert holm([0.5, np.nan, 0.6]).tolist()[0] == 1
    assert np.isnan(holm([0.5, np.nan, 0.6])[1])


def test_wald_leaves_out_directions_without_variance() -> None:
    assert wald(np.array([1.0, 2.0]), np.diag([4.0, 0.0])) == pytest.approx((0.25, 1))
    assert wald(np.zeros(1), np.zeros((1, 1))) == (0, 0)


def test_the_p_value_of_a_difference_is_that_of_its_interval() -> None:
    # an interval that ends at the null has p = 0.05
    t, z = stats.t.ppf(0.975, 99), stats.norm.ppf(0.975)
    jackknifed = Estimate(value=t, lower=0, upper=2 * t, unit="days", n=9, leave_one_out=np.zeros(100))
    assert difference_p_value(jackknifed) == pytest.approx(0.05)
    assert difference_p_value(Estimate(value=z, lower=0, upper=2 * z, unit="days", n=9)) == pytest.approx(0.05)
    assert difference_p_value(Estimate(value=3, lower=3, upper=3, unit="days", n=9)) == 0


def test_ratios_of_restricted_means_stand_beside_their_differences() -> None:
    table = spells(1500, 9, slower=1.5)
    found = compare_groups(table, by="group", horizon_days=20, interval="replicate")
    ratio = found.ratios["c"]
    assert ratio.value == pytest.approx(found.means["c"].value / found.means["a"].value)
    left = [
        np.log(restricted_mean_ratio(*pair, horizon_days=20).value)
        for g in range(100)
        if (
            pair := tuple(
                kaplan_meier(table.query(f"replicate != {g} and group == '{k}'"), interval="log") for k in "ca"
            )
        )
    ]
    spread = np.sqrt(0.99 * ((np.array(left) - np.log(ratio.value)) ** 2).sum())
    assert np.log(ratio.upper / ratio.value) == pytest.approx(stats.t.ppf(0.975, 99) * spread, rel=1e-6)
    assert found.table()["restricted_mean_ratio"][0] is None

    pairs = pairwise_differences(found)
    assert pairs["difference"][0].value == pytest.approx(found.means["a"].value - found.means["b"].value)
    assert pairs["p_value_holm"].to_numpy() == pytest.approx(holm(pairs["p_value"].to_numpy()))


def test_without_groups_of_customers_a_ratio_has_the_delta_interval() -> None:
    # 5 + 5/2 days of 10 against 10: (half of four leave on day 5): variance of the area 25 * 2 / (4 * 2) * (1/2)^2
    half = pd.DataFrame({"duration_days": [5, 10], "event_observed": [True, False], "n": 2})
    whole = pd.DataFrame({"duration_days": [10], "event_observed": [False], "n": [4]})
    ratio = restricted_mean_ratio(*(kaplan_meier(c, interval="log") for c in (half, whole)), horizon_days=10)
    error = np.sqrt(25 * 2 / (4 * 2) / 4) / 7.5
    assert ratio.value == pytest.approx(0.75)
    assert ratio.upper == pytest.approx(0.75 * np.exp(stats.norm.ppf(0.975) * error))


def test_a_standardised_difference_is_free_of_the_mix_of_strata() -> None:
    # within each town a and b are alike; a is mostly in x, where spells are short
    rng = np.random.default_rng(12)
    town = np.array(["x", "y"])[(rng.random(4000) < np.repeat([0.2, 0.8], 2000)).astype(int)]
    life = rng.geometric(np.where(town == "x", 0.2, 0.03))
    table = pd.DataFrame({"duration_days": np.minimum(life, 30), "event_observed": life <= 30, "n": 1, "town": town})
    table = table.assign(group=np.repeat(["a", "b"], 2000), replicate=rng.integers(0, 100, 4000))

    def curves(part: pd.DataFrame) -> tuple:
        return tuple(kaplan_meier(part[part["group"] == g], interval="replicate") for g in "ab")

    crude = restricted_mean_difference(*curves(table), horizon_days=25)
    strata = {name: curves(part) for name, part in table.groupby("town")}
    within = standardised_difference(strata, horizon_days=25)  # type: ignore[arg-type]
    assert crude.sign() == -1
    assert within.sign() == 0
    parts = [restricted_mean_difference(*pair, horizon_days=25) for pair in strata.values()]
    share = np.array([part.n for part in parts]) / 4000
    assert within.value == pytest.approx(share @ [part.value for part in parts])
    analytic = {
        k: tuple(kaplan_meier(table[(table["town"] == k) & (table["group"] == g)], interval="log") for g in "ab")
        for k in "xy"
    }
    model = standardised_difference(analytic, horizon_days=25)  # type: ignore[arg-type]
    assert (model.upper - model.lower) / (within.upper - within.lower) == pytest.approx(1, abs=0.2)
    errors = [sum(_half(c) ** 2 for c in pair) for pair in analytic.values()]
    assert (model.upper - model.lower) / 2 == pytest.approx(np.sqrt(share**2 @ errors))
    with pytest.raises(ModelError, match=r"in stratum 'x' a group is followed for 26 days only; .* \(0, 26\]"):
        standardised_difference(strata, horizon_days=31)  # type: ignore[arg-type]


def _half(curve: object) -> float:
    mean = restricted_mean(curve, horizon_days=25)  # type: ignore[arg-type]
    return (mean.upper - mean.lower) / 2


def test_choices_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ModelError, match="one choice of weights, rho or weights; came neither"):
        log_rank(FOUR, by="group")
    with pytest.raises(ModelError, match="came rho=0 and weights='tarone-ware'"):
        log_rank(FOUR, by="group", rho=0, weights="tarone-ware")
    with pytest.raises(ModelError, match="powers of at least 0; came rho=-1, gamma=0"):
        log_rank(FOUR, by="group", rho=-1)
    with pytest.raises(ModelError, match="gamma=1 goes with rho, not with weights='tarone-ware'"):
        log_rank(FOUR, by="group", gamma=1, weights="tarone-ware")
    with pytest.raises(ModelError, match=r"weights must be one of gehan-breslow, .*; came 'wilcoxon'"):
        log_rank(FOUR, by="group", weights="wilcoxon")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="1 of 4 rows have no value in 'town'"):
        log_rank(FOUR.assign(town=["x", None, "x", "x"]), by="group", rho=0, strata="town")
    with pytest.raises(ModelError, match="inference must be 'replicate' or 'model'; came 'both'"):
        pairwise_log_rank(FOUR, by="group", rho=0, inference="both")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="needs the column 'replicate' in the counts; choose 'model'"):
        pairwise_log_rank(FOUR, by="group", rho=0, inference="replicate")
    with pytest.raises(ModelError, match="at least one stratum; came none"):
        standardised_difference({}, horizon_days=5)
