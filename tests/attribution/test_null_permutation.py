"""The law under exchanged outcomes: exact in small cases, as solving every draw, and against the jackknife."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_credit import Truth, simulate

from lcm_research.attribution.edges import CONVERSION, NULL
from lcm_research.attribution.null import credit_beyond_null, null_credit
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.attribution.permutation import permutation_law
from lcm_research.attribution.removal import markov_credit
from lcm_research.errors import ModelError
from lcm_research.estimate import jackknife_se


def from_paths(*rows: tuple) -> pd.DataFrame:
    return edges_from_paths(pd.DataFrame(list(rows), columns=["path", "conversions", "value", "nulls"]), separator=">")


def test_law_worked_by_hand() -> None:
    # 2 of 4 journeys convert, 2 end with each channel: 0, 1 or 2 of the conversions after a in 1, 4 and 1 of 6 ways.
    # Its share is half that number: mean 1/2, variance (1/6 + 1/6) / 4 = 1/12
    law = permutation_law(
        from_paths(("a", 2, 0, 0), ("b", 0, 0, 2)), ends=None, n_draws=6000, rng=np.random.default_rng(0)
    )
    assert law.expected == pytest.approx([0.5, 0.5])
    assert law.covariance == pytest.approx(np.array([[1, -1], [-1, 1]]) / 12)
    share, count = np.unique(law.draws[:, 0].round(12), return_counts=True)
    assert share.tolist() == [0, 0.5, 1]
    assert count / 6000 == pytest.approx([1 / 6, 4 / 6, 1 / 6], abs=0.02)
    # as far from 1/2 as the data are 2 of the 6 ways
    assert law.p_values() == pytest.approx([1 / 3, 1 / 3], abs=0.02)
    assert law.p_value() == pytest.approx(1 / 3, abs=0.02)


def test_standard_error_by_formula_worked_by_hand() -> None:
    # with x of 100 conversions after a, which loses them alone, and 100 - x after b, which loses them with c and d,
    # a's share is x / (300 - 2x): 1/4 at x = 50, with slope 300 / 200^2 = .0075. Of 200 journeys 100 end with each and
    # 100 convert: x has variance 100 / 4 * 100 / 199
    law = permutation_law(
        from_paths(("a", 50, 0, 50), ("c > d > b", 50, 0, 50)), ends=None, n_draws=99, rng=np.random.default_rng(0)
    )
    assert law.expected[0] == pytest.approx(0.25)
    assert law.se[0] == pytest.approx(0.0075 * np.sqrt(2500 / 199), rel=1e-12)


def test_no_p_value_is_smaller_than_the_draws_can_tell() -> None:
    # all 50 conversions after a: none of 99 draws is as far
    law = permutation_law(
        from_paths(("a", 50, 0, 0), ("b", 0, 0, 50)), ends=None, n_draws=99, rng=np.random.default_rng(0)
    )
    assert law.p_values().tolist() == [0.01, 0.01]
    assert law.p_value() == 0.01


def test_each_draw_is_what_solving_it_gives() -> None:
    # journeys end 5 times with a and 6 times with b; 4 convert
    paths = [("a > b", 3, 0, 1), ("b > a", 0, 0, 3), ("b > b > a", 1, 0, 1), ("b", 0, 0, 2)]
    edges = from_paths(*paths)
    possible = []
    for after_a in range(5):
        counts = {("a", CONVERSION): after_a, ("a", NULL): 5 - after_a}
        counts |= {("b", CONVERSION): 4 - after_a, ("b", NULL): 2 + after_a}
        moved = edges[~edges["to_channel"].isin([CONVERSION, NULL])]
        last = [(at, to, 0, n, 0) for (at, to), n in counts.items() if n]
        moved = pd.concat([moved, pd.DataFrame(last, columns=list(edges))], ignore_index=True)
        possible.append(markov_credit(moved, of="conversions").share[0])
    draws = permutation_law(edges, ends=None, n_draws=4000, rng=np.random.default_rng(1)).draws[:, 0]
    nearest = np.abs(draws[:, None] - np.array(possible)).argmin(axis=1)
    assert draws == pytest.approx(np.array(possible)[nearest], abs=1e-12)
    ways = stats.hypergeom(11, 5, 4).pmf(range(5))
    assert np.bincount(nearest, minlength=5) / 4000 == pytest.approx(ways, abs=0.03)


def test_formula_and_draws_agree_within_strata() -> None:
    made = simulate(Truth(n_customers=2_000, journeys=0), np.random.default_rng(2))
    edges, ends = made.edges(), made.ends()
    law = permutation_law(edges, ends=ends, n_draws=4000, rng=np.random.default_rng(3))
    assert law.expected == pytest.approx(null_credit(edges, of="conversions", ends=ends).share, rel=1e-12)
    assert law.draws.mean(axis=0) == pytest.approx(law.expected, abs=4 * law.se.max() / np.sqrt(4000))
    assert law.draws.std(axis=0) == pytest.approx(law.se, rel=0.06)
    assert np.corrcoef(law.draws.T)[0, 1] == pytest.approx(law.covariance[0, 1] / law.se[0] / law.se[1], abs=0.05)


def test_strata_narrow_the_law() -> None:
    # where a stratum's channel converts always and the other's never, nothing can be exchanged
    edges = from_paths(("a", 4, 0, 0), ("b", 0, 0, 4))
    ends = pd.DataFrame(
        [("x", "a", 0, 4, 4, 0), ("y", "b", 0, 4, 0, 0)],
        columns=["stratum", "history", "replicate", "n", "n_conversions", "value_minor"],
    )
    law = permutation_law(edges, ends=ends, n_draws=99, rng=np.random.default_rng(0))
    assert law.se.tolist() == [0, 0]
    assert (law.draws == [1, 0]).all()
    assert law.p_values().tolist() == [1, 1]


def test_where_each_customer_has_one_journey_the_jackknife_sees_the_same_spread() -> None:
    made = simulate(Truth(n_customers=6_000, journeys=0, spread=0), np.random.default_rng(4))
    edges, ends = made.edges(), made.ends()
    excess = credit_beyond_null(edges, of="conversions", ends=ends)
    law = permutation_law(edges, ends=ends, n_draws=99, rng=np.random.default_rng(0))
    ratio = jackknife_se(excess.difference, excess.difference_without) / law.se
    # a jackknife of 100 groups knows a standard error to 7%
    assert ratio == pytest.approx(np.ones(5), abs=0.25)


def test_where_customers_have_many_journeys_the_law_is_too_narrow() -> None:
    made = simulate(Truth(n_customers=800, journeys=14, keeps=1.5, spread=1), np.random.default_rng(5))
    edges, ends = made.edges(), made.ends()
    excess = credit_beyond_null(edges, of="conversions", ends=ends)
    law = permutation_law(edges, ends=ends, n_draws=99, rng=np.random.default_rng(0))
    ratio = jackknife_se(excess.difference, excess.difference_without) / law.se
    assert ratio.mean() > 1.3


def test_what_cannot_be_drawn_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ModelError, match="n_draws must be at least 99; came 50"):
        permutation_law(from_paths(("a", 1, 0, 1)), ends=None, n_draws=50, rng=rng)
    with pytest.raises(ModelError, match="needs journeys that convert; came none"):
        permutation_law(from_paths(("a", 0, 0, 1)), ends=None, n_draws=99, rng=rng)


def test_channels_that_no_journey_ends_with_are_no_matter() -> None:
    edges = from_paths(("c > a", 2, 0, 1), ("b", 1, 0, 2))
    law = permutation_law(edges, ends=None, n_draws=99, rng=np.random.default_rng(0))
    assert law.share == pytest.approx(markov_credit(edges, of="conversions").share, rel=1e-12)
    assert np.isfinite(law.draws).all()
    assert law.table()["channel"].tolist() == ["a", "b", "c"]
