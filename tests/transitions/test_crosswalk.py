"""Agreement of schemes on tables worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lcm_research.errors import ModelError
from lcm_research.stages.scheme import COARSE
from lcm_research.transitions.crosswalk import agreements, cohens_kappa


def crosswalk(cells: dict[tuple[str, str], int], *, first: str = "a", second: str = "b") -> pd.DataFrame:
    """Return the same counts in each of the 100 groups of customers."""
    rows = [(first, second, one, two, group, n) for (one, two), n in cells.items() for group in range(100)]
    return pd.DataFrame(rows, columns=["first", "second", "first_stage", "second_stage", "replicate", "n"])


def test_kappa_of_cohens_own_example() -> None:
    # Cohen (1960), table 1: proportions .25 .13 .12 / .12 .02 .16 / .03 .15 .02
    table = np.array([[25, 13, 12], [12, 2, 16], [3, 15, 2]])
    # observed .29; margins .50 .30 .20 by .40 .30 .30, so expected .20 + .09 + .06 = .35
    assert cohens_kappa(table) == pytest.approx((0.29 - 0.35) / 0.65)


@settings(max_examples=30, deadline=None)
@given(arrays(np.int64, 6, elements=st.integers(1, 50)), arrays(np.int64, 6, elements=st.integers(1, 50)))
def test_codings_that_know_nothing_of_each_other_have_kappa_0(one: np.ndarray, other: np.ndarray) -> None:
    assert cohens_kappa(np.outer(one, other)) == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(arrays(np.int64, 6, elements=st.integers(1, 50)))
def test_identical_codings_have_kappa_1(sizes: np.ndarray) -> None:
    assert cohens_kappa(np.diag(sizes)) == pytest.approx(1)


def test_kappa_of_one_category_is_not_defined() -> None:
    assert np.isnan(cohens_kappa(np.diag([5, 0, 0])))


def test_shares_and_agreement_are_of_the_months_that_both_know() -> None:
    cells = {("established", "established"): 6, ("established", "at_risk"): 2, ("at_risk", "at_risk"): 2}
    found, unanswered = agreements(crosswalk(cells), names=["a", "b"], n_customers=300)
    assert unanswered == {}
    (only,) = found
    # 8 of 10 agree; a calls 8 established, b calls 6; by chance .8 * .6 + .2 * .4 = .56
    assert only.agreed.value == pytest.approx(0.8)
    assert only.kappa.value == pytest.approx((0.8 - 0.56) / 0.44)
    assert only.first_established.value == pytest.approx(0.8)
    assert only.second_established.value == pytest.approx(0.6)
    assert only.kappa.n == only.agreed.n == 300


def test_the_order_in_which_a_pair_is_told_only_turns_it() -> None:
    cells = {("established", "established"): 6, ("established", "at_risk"): 2, ("at_risk", "at_risk"): 2}
    turned = agreements(crosswalk(cells), names=["b", "a"], n_customers=9)[0][0]
    straight = agreements(crosswalk(cells), names=["a", "b"], n_customers=9)[0][0]
    assert (turned.first, turned.second) == ("b", "a")
    assert turned.kappa.value == pytest.approx(straight.kappa.value)
    assert turned.first_established.value == straight.second_established.value


def test_the_interval_comes_from_the_groups_of_customers() -> None:
    draws = np.random.default_rng(2)
    rows = [
        ("a", "b", COARSE[i], COARSE[j], group, int(draws.poisson(20 if i == j else 4)))
        for i in (2, 3)
        for j in (2, 3)
        for group in range(100)
    ]
    counts = pd.DataFrame(rows, columns=["first", "second", "first_stage", "second_stage", "replicate", "n"])
    kappa = agreements(counts, names=["a", "b"], n_customers=9)[0][0].kappa
    total = counts.groupby(["first_stage", "second_stage"])["n"].sum().unstack().to_numpy()
    assert kappa.value == pytest.approx(float(cohens_kappa(total)))
    assert kappa.lower < kappa.value < kappa.upper
    # the asymptotic standard error of kappa for 4,800 codings is sqrt(po (1 - po) / n) / (1 - pe)
    observed = np.trace(total) / total.sum()
    error = np.sqrt(observed * (1 - observed) / total.sum()) / 0.5
    assert (kappa.upper - kappa.lower) / 2 / 1.98 == pytest.approx(error, rel=0.25)


def test_pairs_are_told_from_the_highest_kappa_to_the_lowest() -> None:
    apart = crosswalk({("new", "lapsed"): 1, ("lapsed", "new"): 1, ("new", "new"): 1})
    same = crosswalk({("new", "new"): 1, ("lapsed", "lapsed"): 1}, second="c")
    found, _ = agreements(pd.concat([apart, same]), names=["a", "b", "c"], n_customers=9)
    assert [each.second for each in found] == ["c", "b"]
    assert found[0].kappa.value == pytest.approx(1)
    assert found[0].kappa.lower == pytest.approx(1)


def test_a_pair_without_variety_or_customers_is_not_answered() -> None:
    one = crosswalk({("new", "new"): 3})
    few = crosswalk({("new", "new"): 3, ("lapsed", "lapsed"): 2}, second="c").query("replicate < 19")
    found, unanswered = agreements(pd.concat([one, few]), names=["a", "b", "c"], n_customers=9)
    assert found == []
    assert "one and the same stage" in unanswered["a", "b"]
    assert "fewer than 20 groups" in unanswered["a", "c"]


def test_a_scheme_that_was_not_named_is_refused() -> None:
    with pytest.raises(ModelError, match="the crosswalk names 'b', which is not among a"):
        agreements(crosswalk({("new", "new"): 1}), names=["a"], n_customers=9)
