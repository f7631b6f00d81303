"""What a headline hangs on: the churn window, the censored, and who the groups are made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spell_oracle import make_tables

from lcm_research.errors import ModelError
from lcm_research.survival.censoring_bounds import censoring_bounds
from lcm_research.survival.curves import incidence_at, kaplan_meier, survival_at
from lcm_research.survival.restricted import restricted_mean
from lcm_research.survival.simpson import simpson_scan
from lcm_research.survival.spells import return_counts
from lcm_research.survival.window_choice import recommend_window, return_shares

Row = tuple[int, bool, int]


def spread(rows: list[Row], groups: int = 100) -> pd.DataFrame:
    """The same (duration_days, event_observed, n) in each group of customers."""
    table = pd.DataFrame(rows, columns=["duration_days", "event_observed", "n"])
    return table.merge(pd.DataFrame({"replicate": range(groups)}), how="cross")


def returning(share: float, days: int = 200) -> pd.DataFrame:
    """Ten lapses a group, of which a share returns on day 50, a little unevenly between groups."""
    rows = spread([(50, True, 0), (days, False, 0)])
    rng = np.random.default_rng(8)
    back = rng.binomial(10, share, 100)
    rows["n"] = np.where(rows["event_observed"], back[rows["replicate"]], 10 - back[rows["replicate"]])
    return rows


CHOICE = {"return_days": 180, "most_return": 0.2, "n_resamples": 999}


def choose(returns: dict[int, pd.DataFrame], **changed: float) -> object:
    return recommend_window(returns, **(CHOICE | changed), rng=np.random.default_rng(1))  # type: ignore[arg-type]


def test_the_shortest_window_with_few_enough_returns_is_recommended() -> None:
    grid = {30: returning(0.6), 60: returning(0.4), 90: returning(0.1), 120: returning(0.12)}
    found = recommend_window(grid, return_days=180, most_return=0.2, rng=np.random.default_rng(1), n_resamples=999)
    assert (found.recommended, found.lower, found.upper, found.share_agreeing) == (90, 90, 90, 1.0)
    assert found.table()["window_days"].tolist() == [30, 60, 90, 120]
    assert found.table()["n_lapses"].tolist() == [1000] * 4
    # at most: a window that is exactly at the limit is short enough
    limit = found.shares[60].value
    at_limit = recommend_window(grid, return_days=180, most_return=limit, rng=np.random.default_rng(1), n_resamples=999)
    assert at_limit.recommended == 60
    strict = recommend_window(grid, return_days=180, most_return=0.05, rng=np.random.default_rng(1), n_resamples=999)
    assert (strict.recommended, strict.lower, strict.upper) == (None, None, None)


def test_near_the_limit_the_interval_reaches_over_several_windows() -> None:
    grid = {30: returning(0.6), 60: returning(0.21), 90: returning(0.2), 120: returning(0.18), 150: returning(0.05)}
    found = recommend_window(grid, return_days=180, most_return=0.2, rng=np.random.default_rng(1), n_resamples=999)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < found.upper <= 150
    assert 0.1 < found.share_agreeing < 0.95
    beyond = {window: counts for window, counts in grid.items() if window < 120}
    open_ended = recommend_window(
        beyond, return_days=180, most_return=0.2, rng=np.random.default_rng(1), n_resamples=999
    )
    assert open_ended.upper is None


def test_shares_are_those_of_the_curve_and_short_follow_up_is_left_out() -> None:
    grid = {90: returning(0.3), 60: returning(0.4), 120: returning(0.2, days=179)}
    shares, n_lapses = return_shares(grid, return_days=180)
    assert list(shares) == [60, 90]
    assert list(n_lapses) == [60, 90, 120]
    assert shares[60] == incidence_at(kaplan_meier(grid[60], interval="replicate"), 180)
    with pytest.raises(ModelError, match=r"return_days=300 .*the longest is 200 days"):
        choose(grid, return_days=300)


def test_the_reference_period_alone_decides() -> None:
    # bought on day 0 and again on day 70: with a window of 30 it returned within the first 200 days of observation
    purchases = {f"c{i}": [0, 70] for i in range(40)}
    choices = {"observation_start_day": 0, "history": "complete", "by": []}
    for until, returned in ((200, 40), (60, 0)):
        table = return_counts.execute(make_tables(purchases), window_days=30, as_of_day=until, **choices)
        assert table.loc[table["event_observed"], "n"].sum() == returned


def test_a_window_is_not_chosen_from_one_nor_by_few_resamples() -> None:
    grid = {30: returning(0.6), 60: returning(0.1)}
    with pytest.raises(ModelError, match=r"at least two; came \[30\]"):
        choose({30: grid[30]})
    with pytest.raises(ModelError, match="n_resamples must be at least 999; came 998"):
        choose(grid, n_resamples=998)
    with pytest.raises(ModelError, match=r"most_return must be a share.*came 20"):
        choose(grid, most_return=20)


SPELLS: list[Row] = [(10, True, 2), (20, False, 4), (30, True, 1), (40, False, 3)]


def test_bounds_by_hand() -> None:
    found = censoring_bounds(spread(SPELLS), horizon_days=40, hazard_factors=[1])
    worst, usual, best = found.stays
    # of ten: 3 go on past day 40; the 4 lost on day 20 lapse at once or not at all
    assert (worst.value, best.value) == (pytest.approx(0.3), pytest.approx(0.7))
    # .8 until day 30, then of four at risk one lapses
    assert usual.value == pytest.approx(0.6)
    # days: 2 * 10 + 4 * 20 + 1 * 30 + 3 * 40 = 250 of ten spells; best: 4 * 20 more; the curve: 10 + 20 * .8 + 10 * .6
    assert [mean.value for mean in found.restricted_mean] == pytest.approx([25.0, 32.0, 33.0])
    assert found.share_censored.value == pytest.approx(0.4)
    assert found.hazard_factors == (np.inf, 1.0, 0.0)
    assert found.at(1.0) == (usual, found.restricted_mean[1])
    assert worst.n == 1000
    # the lapse of day 30 itself has happened by then
    assert [e.value for e in censoring_bounds(spread(SPELLS), horizon_days=30, hazard_factors=[1]).stays] == (
        pytest.approx([0.3, 0.6, 0.7])
    )


def test_a_factor_moves_the_censored_alone() -> None:
    # hazard of day 30 is 1/4; the 4 of 10 lost before it go on with probability (3/4)^2
    found = censoring_bounds(spread(SPELLS), horizon_days=40, hazard_factors=[2]).at(2.0)[0]
    assert found.value == pytest.approx(0.3 + 0.4 * 0.75**2)


DURATIONS = st.lists(
    st.tuples(st.integers(1, 30), st.booleans(), st.integers(1, 5), st.integers(0, 99)), min_size=5, max_size=25
)


@settings(max_examples=25, deadline=None)
@given(rows=DURATIONS, horizon=st.integers(2, 20))
def test_an_equal_hazard_gives_the_curve_and_factors_are_in_order(
    rows: list[tuple[int, bool, int, int]], horizon: int
) -> None:
    drawn = pd.DataFrame(rows, columns=["duration_days", "event_observed", "n", "replicate"])
    anchors = spread([(1, True, 1), (horizon, False, 1), (31, False, 1)])
    table = pd.concat([drawn, anchors], ignore_index=True)
    found = censoring_bounds(table, horizon_days=horizon, hazard_factors=[3, 1, 0.4])
    curve = kaplan_meier(table, interval="replicate")
    stays, mean = found.at(1.0)
    assert stays.value == pytest.approx(survival_at(curve, horizon).value, abs=1e-12)
    usual = restricted_mean(curve, horizon_days=horizon)
    assert (mean.value, mean.lower, mean.upper) == pytest.approx((usual.value, usual.lower, usual.upper), abs=1e-9)
    for estimates in (found.stays, found.restricted_mean):
        assert (np.diff([e.value for e in estimates]) >= -1e-12).all()


def test_bounds_refuse_what_they_cannot_bound() -> None:
    table = spread(SPELLS)
    with pytest.raises(ModelError, match="horizon_days=41 is outside the follow-up of 40 days"):
        censoring_bounds(table, horizon_days=41, hazard_factors=[])
    with pytest.raises(ModelError, match="late entry"):
        censoring_bounds(table.assign(entry_days=5), horizon_days=40, hazard_factors=[])
    with pytest.raises(ModelError, match="came -1"):
        censoring_bounds(table, horizon_days=40, hazard_factors=[2, -1])
    with pytest.raises(ModelError, match="19 groups of customers, fewer than 20"):
        censoring_bounds(spread(SPELLS, groups=19), horizon_days=40, hazard_factors=[])
    with pytest.raises(ModelError, match="factor 3 was not asked for"):
        censoring_bounds(table, horizon_days=40, hazard_factors=[]).at(3.0)


def crossed(sizes: dict[tuple[str, str], int], lapse_by_day_30: dict[tuple[str, str], float]) -> pd.DataFrame:
    """Customers by (group, place) a group of customers, of whom a share lapses about day 30."""
    parts = []
    for (group, place), n in sizes.items():
        early = round(n * lapse_by_day_30[group, place])
        part = spread([(30, True, early), (90, False, n - early)]).assign(group=group, place=place)
        part["duration_days"] -= part["replicate"] % 7  # some spread between groups of customers
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


# in the town all lapse more, and "new" is mostly there; within either place "new" lapses less
SIZES = {("new", "town"): 40, ("new", "land"): 10, ("old", "town"): 10, ("old", "land"): 50}
SHARES = {("new", "town"): 0.6, ("new", "land"): 0.1, ("old", "town"): 0.8, ("old", "land"): 0.2}
SCAN = {"contrasts": {"group": ("new", "old")}, "horizon_days": 80, "min_at_risk": 50}


def test_a_difference_that_turns_around_is_found() -> None:
    (found,) = simpson_scan(crossed(SIZES, SHARES), segments=["group", "place"], **SCAN)  # type: ignore[arg-type]
    assert (found.by, found.within, found.n_levels, found.n_opposite) == ("group", "place", 2, 2)
    # pooled: 25 of 50 lapse against 18 of 60; in the town 60 against 80%, in the country 10 against 20%
    assert found.pooled.upper < 0 < found.standardised.lower
    assert found.reversed
    assert found.turns
    assert found.share_covered == 1.0


def test_a_difference_that_holds_within_is_no_reversal() -> None:
    shares = SHARES | {("new", "town"): 0.9, ("new", "land"): 0.4}
    (found,) = simpson_scan(crossed(SIZES, shares), segments=["group", "place"], **SCAN)  # type: ignore[arg-type]
    assert found.n_opposite == 0
    assert not found.turns


def test_pairs_without_two_levels_to_compare_are_left_out() -> None:
    sizes = SIZES | {("old", "town"): 0}
    shares = SHARES | {("old", "town"): 0.0}
    assert simpson_scan(crossed(sizes, shares), segments=["group", "place"], **SCAN) == []  # type: ignore[arg-type]
    # 10 * .9 * 100 = 900 of "new" in the country are followed to day 80
    many = SCAN | {"min_at_risk": 901}
    assert simpson_scan(crossed(SIZES, SHARES), segments=["group", "place"], **many) == []  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"two segments to cross; came \['group'\]"):
        simpson_scan(crossed(SIZES, SHARES), segments=["group"], **SCAN)  # type: ignore[arg-type]
