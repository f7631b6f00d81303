"""What is claimed of credit beyond volume: one test first, Holm's rule, one side only, and how much it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_credit import Simulated, Truth, simulate

from lcm_research.attribution.against_null import joint_test, p_values
from lcm_research.attribution.negative_control import negative_control_test
from lcm_research.attribution.null import Excess, credit_beyond_null
from lcm_research.attribution.null_power import conversions_needed
from lcm_research.attribution.permutation import permutation_law
from lcm_research.errors import ModelError
from lcm_research.estimate import holm, hotelling, jackknife_se


@pytest.fixture(scope="module")
def effective() -> Simulated:
    return simulate(Truth(effect={"c": 2.5}), np.random.default_rng(1))


@pytest.fixture(scope="module")
def excess(effective: Simulated) -> Excess:
    return credit_beyond_null(effective.edges(), of="conversions", ends=effective.ends())


def test_an_effective_channel_is_claimed_and_those_it_pushes_below_are_not(
    effective: Simulated, excess: Excess
) -> None:
    assert excess.test().rejects(0.95)
    assert excess.credited_beyond(control=negative_control_test(effective.ends())) == ("c",)
    # others fall below their null, and their p-values say so, but nothing is claimed of them
    table = excess.table().set_index("channel")
    pushed = table[(table["difference"] < 0) & (table["p_value_holm"] < 0.05)]
    assert len(pushed) > 0


def test_nothing_is_claimed_where_activity_is_not_separated(effective: Simulated) -> None:
    unseen = effective.ends(by_activity=False)
    excess, control = credit_beyond_null(effective.edges(), of="conversions"), negative_control_test(unseen)
    assert len(excess.credited_beyond(control=None)) > 0
    assert excess.credited_beyond(control=control) == ()


def test_nothing_is_claimed_where_the_test_of_all_channels_does_not_reject() -> None:
    # f has a p-value of .007, .04 by Holm's rule; all six together more than .05
    rng = np.random.default_rng(0)
    moved = rng.normal(size=(100, 6))
    moved = (moved - moved.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(moved.T))).T / 100
    lone = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 2.75]) * 0.1
    excess = _excess(lone, moved)
    assert holm(excess.p_values())[5] < 0.05
    assert excess.test().p_value > 0.05
    assert excess.credited_beyond(control=None) == ()
    assert _excess(2 * lone, moved).credited_beyond(control=None) == ("f",)
    # beside f, e lies 2.2 standard errors off: .03 alone, .15 by Holm's rule
    two = 2 * lone + np.array([0.0, 0.0, 0.0, 0.0, 0.22, 0.0])
    assert _excess(two, moved).p_values()[4] < 0.05
    assert _excess(two, moved).credited_beyond(control=None) == ("f",)


def test_the_joint_test_is_hotellings_over_all_channels_but_one(excess: Excess) -> None:
    test = excess.test()
    free = hotelling(excess.difference[:4], excess.difference_without[:, :4])
    assert test.degrees_of_freedom == (4, 96)
    assert (test.f_statistic, test.p_value) == pytest.approx((free[0], free[2]), rel=1e-6)


def test_p_values_worked_by_hand() -> None:
    # 50 groups move it up and 50 down by .01: se = sqrt(.99 * 100 * .0001) = .0995
    without = np.where(np.arange(100) < 50, 0.01, -0.01)[:, None] + np.array([[0.2, 0.0, 0.0]])
    p = p_values(np.array([0.2, 0.0, 0.0]), without, np.array([100, 100, 19]))
    assert p[0] == pytest.approx(2 * stats.t.sf(0.2 / 0.09949874, 99))
    assert p[1] == 1
    assert np.isnan(p[2])
    # Holm: .01 * 3, .011 * 2 but not below that, .5; what is missing does not count
    assert holm(np.array([0.011, np.nan, 0.01, 0.5])) == pytest.approx([0.03, np.nan, 0.03, 0.5], nan_ok=True)


def test_there_is_no_test_without_enough_and_it_says_why() -> None:
    rng = np.random.default_rng(0)
    k = 40
    without, met = 0.01 * rng.normal(size=(100, k)), np.full(k, 100)
    assert joint_test(np.zeros(k), without, met).reason == "many_channels"
    assert joint_test(np.zeros(k), without, np.where(np.arange(k) < 5, 100, 19)).n_channels == 5
    assert joint_test(np.zeros(k), without, np.full(k, 19)).reason == "few_groups"
    assert joint_test(np.zeros(k), np.full((100, k), np.nan), met).reason == "few_groups"
    assert joint_test(np.zeros(k), np.zeros((100, k)), met).reason == "nothing_varies"
    none = joint_test(np.zeros(k), np.zeros((100, k)), met)
    assert not none.rejects(0.95)
    assert np.isnan(none.p_value)


def test_names_and_order_of_strata_do_not_matter(effective: Simulated, excess: Excess) -> None:
    ends = effective.ends()
    other = ends.assign(stratum=ends["stratum"].map({s: s[::-1] for s in ends["stratum"]})).iloc[::-1]
    again = credit_beyond_null(effective.edges(), of="conversions", ends=other)
    assert again.difference == pytest.approx(excess.difference, abs=1e-14)
    assert again.test().p_value == pytest.approx(excess.test().p_value, rel=1e-6)


def test_conversions_needed_are_those_of_the_formula(excess: Excess) -> None:
    needed = conversions_needed(excess, law=None, points=5.0, power=0.8).set_index("channel")
    se = jackknife_se(excess.difference, excess.difference_without)[0]
    # t with 99 df at 1 - .05 / 10 is 2.6264; 80% power adds .8416
    assert stats.t.ppf(0.995, 99) == pytest.approx(2.6264, abs=1e-4)
    assert needed.loc["a", "n_conversions_needed"] == np.ceil(
        excess.credit.total * ((2.6264055 + 0.8416212) * se / 0.05) ** 2
    )
    assert set(needed["se_from"]) == {"replicate"}


def test_with_four_times_the_conversions_half_the_difference_shows() -> None:
    small, large = (
        credit_beyond_null(made.edges(), of="conversions", ends=made.ends())
        for made in (simulate(Truth(n_customers=n), np.random.default_rng(3)) for n in (1_000, 4_000))
    )
    one, four = (conversions_needed(each, law=None, points=4.0, power=0.8) for each in (small, large))
    # what is needed is a property of the customers, not of how many were seen
    assert four["n_conversions_needed"].sum() == pytest.approx(one["n_conversions_needed"].sum(), rel=0.35)
    assert four["n_conversions"][0] > 3 * one["n_conversions"][0]


def test_where_customers_are_too_few_the_permutation_law_gives_the_number() -> None:
    made = simulate(Truth(n_customers=30, journeys=0), np.random.default_rng(6))
    edges, ends = made.edges(), made.ends()
    excess = credit_beyond_null(edges, of="conversions", ends=ends)
    assert excess.test().reason == "few_groups"
    law = permutation_law(edges, ends=ends, n_draws=99, rng=np.random.default_rng(0))
    without, given = (conversions_needed(excess, law=each, points=10, power=0.8) for each in (None, law))
    assert without["n_conversions_needed"].isna().all()
    assert set(without["se_from"]) == {"none"}
    assert (given["se_from"] == "permutation").any()
    assert given["n_conversions_needed"].max() > given["n_conversions"].max()


def test_what_cannot_be_needed_is_refused(effective: Simulated, excess: Excess) -> None:
    with pytest.raises(ModelError, match="points must be above zero, in percentage points of credit; came -1"):
        conversions_needed(excess, law=None, points=-1, power=0.8)
    with pytest.raises(ModelError, match="power must lie between 0 and 1; came 80"):
        conversions_needed(excess, law=None, points=1, power=80)
    value = credit_beyond_null(effective.edges(), of="value", ends=effective.ends())
    with pytest.raises(ModelError, match="came credit of value"):
        conversions_needed(value, law=None, points=1, power=0.8)


def _excess(difference: np.ndarray, moved: np.ndarray) -> Excess:
    """Channels a to f with these differences, which move so without each group."""
    made = simulate(Truth(n_customers=200), np.random.default_rng(0))
    credit = credit_beyond_null(made.edges(), of="conversions").credit
    k = len(difference)
    null = np.full(k, 1 / k)
    names = tuple("abcdef"[:k])
    shape = {"channels": names, "n_groups": np.full(k, 100), "removal_effect": None, "removal_effect_without": None}
    observed = replace(credit, share=null + difference, share_without=null + difference + moved, **shape)
    return Excess(
        credit=observed, null=replace(observed, model="null", share=null, share_without=np.tile(null, (100, 1)))
    )


def test_table_has_one_row_a_channel_furthest_first(excess: Excess) -> None:
    table = excess.table()
    assert table["difference"].is_monotonic_decreasing
    assert isinstance(table, pd.DataFrame)
    assert table["p_value_holm"].ge(table["p_value"]).all()
