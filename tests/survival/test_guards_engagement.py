"""Guards of the engagement comparison: what could be found, who can be compared, what the past says."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from guard_brand import BREAKS, fine_counts

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, jackknife_se
from lcm_research.survival.detectable import detectable_difference, detectable_ratio
from lcm_research.survival.engagement import lag_profile, lagged_ratio
from lcm_research.survival.estimand import Estimand
from lcm_research.survival.negative_control import past_activity
from lcm_research.survival.positivity import exposure_by_activity, past_days_of
from lcm_research.survival.prodrome import lag_fading
from lcm_research.survival.strata import exposure_strata

Cell = tuple[int, bool, str, int, int]


def counts(cells: list[Cell]) -> pd.DataFrame:
    """The same (period, engaged, activity, at risk, events) in each of 100 groups of customers."""
    rows = pd.DataFrame(cells, columns=["period", "engaged", "activity", "n_at_risk", "n_events"])
    return rows.merge(pd.DataFrame({"replicate": range(100)}), how="cross")


def estimand(**changed: object) -> Estimand:
    made = {
        "observation_start": date(2023, 1, 1),
        "as_of": date(2024, 12, 31),
        "window_days": 180,
        "period_days": 30,
        "lag_periods": 1,
        "actions": (),
        "activity_breaks": (2, 4, 8),
        "alike_in": (),
        "tier": "C",
    }
    return Estimand(**(made | changed))  # type: ignore[arg-type]


def test_an_estimand_follows_from_the_parameters() -> None:
    asked = estimand()
    assert asked.cut == date(2024, 7, 4)  # 180 days before the last of December 2024
    # 1 January 2023 to 4 July 2024 are 550 days: 18 periods of 30, 540 days
    assert (asked.n_periods, asked.horizon_days, asked.first_day_compared) == (18, 540, 31)
    with pytest.raises(ModelError, match=r"2 periods of 200 days .* \(2024-07-04\), not more than the lag of 2"):
        estimand(period_days=200, lag_periods=2)


def test_strata_without_both_kinds_are_left_out() -> None:
    cells: list[Cell] = [(1, False, "1", 9, 1), (2, False, "1", 9, 1), (2, True, "1", 9, 1), (3, True, "1", 9, 1)]
    kept = exposure_strata(counts(cells), lag_periods=1, within=["activity"])
    assert kept["period"].unique().tolist() == [2]
    assert set(kept["stratum"]) == {0}
    with pytest.raises(ModelError, match=r"no stratum holds both .*\(900 spell-periods in all\)"):
        exposure_strata(counts(cells), lag_periods=2, within=["activity"])
    with pytest.raises(ModelError, match="did you mean 'activity'"):
        exposure_strata(counts(cells), lag_periods=1, within=["activty"])


def test_the_smallest_ratio_is_schoenfelds_where_there_is_one_stratum() -> None:
    # 100 groups of 30 engaged and 10 others, one lapse in each: 100 lapses, three quarters engaged
    found = detectable_ratio(
        counts([(2, True, "1", 30, 1), (2, False, "1", 10, 0)]), lag_periods=1, adjust_for=[], power=0.8, level=0.95
    )
    assert (found.n_events, found.share_engaged, found.design_effect) == (100, 0.75, 1.0)
    # (1.959964 + 0.841621) / sqrt(100 * 0.75 * 0.25) = 0.646998
    assert np.log(found.above) == pytest.approx(0.646998, abs=1e-6)
    assert found.below == pytest.approx(1 / found.above)
    # every group shows the same large difference: that is no spread between groups
    alike = counts([(2, True, "1", 30, 0), (2, False, "1", 10, 4)])
    assert detectable_ratio(alike, lag_periods=1, adjust_for=[], power=0.8, level=0.95).design_effect == 1.0


def test_a_design_effect_widens_what_could_be_found() -> None:
    # 4 lapses in each of 25 groups and none in the others, all engaged or all not by turns
    rows = counts([(2, True, "1", 100, 0), (2, False, "1", 100, 0)])
    lapsing = (rows["replicate"] < 26) & (rows["engaged"] == (rows["replicate"] % 2 == 0))
    rows.loc[lapsing, "n_events"] = 4
    found = detectable_ratio(rows, lag_periods=1, adjust_for=[], power=0.8, level=0.95)
    # each of those groups adds 4 * (1 or 0) - 4 / 2 = +-2 to the score, expected parts cancel: 26 * 4 = 104;
    # 104 lapses, half engaged: information 26; spread 100 / 99 * 104
    assert found.design_effect == pytest.approx(100 / 99 * 104 / 26)
    alone = np.log(found.above) / np.sqrt(found.design_effect)
    assert alone == pytest.approx((1.959964 + 0.841621) / np.sqrt(26), abs=1e-6)


def test_strata_add_their_information() -> None:
    # period 2: 100 lapses at one half; period 3: 100 lapses at one quarter
    cells: list[Cell] = [(2, True, "1", 20, 1), (2, False, "1", 20, 0), (3, True, "1", 10, 0), (3, False, "1", 30, 1)]
    found = detectable_ratio(counts(cells), lag_periods=1, adjust_for=["activity"], power=0.9, level=0.95)
    assert np.log(found.above) == pytest.approx((1.959964 + 1.281552) / np.sqrt(25 + 18.75), abs=1e-6)
    assert found.share_engaged == pytest.approx(30 / 80)


def test_a_ratio_at_the_edge_is_found_as_often_as_was_promised() -> None:
    rng = np.random.default_rng(4)
    rows = counts([(2, True, "1", 60, 0), (2, False, "1", 60, 0), (3, True, "1", 50, 0), (3, False, "1", 50, 0)])
    hazard = -np.log(1 - 0.04)

    def drawn(ratio: float) -> pd.DataFrame:
        risk = 1 - np.exp(-hazard * np.where(rows["engaged"], ratio, 1.0))
        return rows.assign(n_events=rng.binomial(rows["n_at_risk"], risk))

    edge = detectable_ratio(drawn(1.0), lag_periods=1, adjust_for=[], power=0.8, level=0.95).above
    fits = [lagged_ratio(drawn(edge), lag_periods=1, adjust_for=[], ties="efron") for _ in range(60)]
    # more lapses come with the ratio than without, so a little more often than .8; 60 draws: standard error .05
    assert 0.7 < np.mean([fit.sign(1.0) == 1 for fit in fits]) <= 0.95


def test_a_difference_is_found_by_its_standard_error() -> None:
    wide = Estimate(value=3.0, lower=3.0 - 19.59964, upper=3.0 + 19.59964, unit="days", n=500)
    assert detectable_difference(wide, power=0.8) == pytest.approx(10 * (1.959964 + 0.841621), abs=1e-4)
    without = np.tile([2.9, 3.1], 50)
    grouped = Estimate(value=3.0, lower=1.0, upper=5.0, unit="days", n=500, leave_one_out=without)
    # t with 99 degrees of freedom: 1.984217 and 0.845267
    error = float(jackknife_se(3.0, without))
    assert detectable_difference(grouped, power=0.8) == pytest.approx(error * (1.984217 + 0.845267), rel=1e-5)
    with pytest.raises(ModelError, match=r"power must lie between 0.5 and 1.*came 0.2"):
        detectable_difference(wide, power=0.2)


def test_nothing_can_be_found_without_a_lapse() -> None:
    with pytest.raises(ModelError, match="no lapse lies where both"):
        detectable_ratio(
            counts([(2, True, "1", 9, 0), (2, False, "1", 9, 0)]), lag_periods=1, adjust_for=[], power=0.8, level=0.95
        )


def levels() -> pd.DataFrame:
    """40% of spell-periods at 1 purchase day, 20% at 2, 40% spread over 3 to 6; engaged more the more they bought."""
    shares = {"1": 0.25, "2": 0.5, "3": 0.5, "4": 0.5, "5": 0.9, "6+": 1.0}
    sizes = {"1": 40, "2": 20, "3": 10, "4": 10, "5": 10, "6+": 10}
    cells = [(2, True, a, int(sizes[a] * shares[a]), 1) for a in sizes]
    return counts([*cells, *((2, False, a, sizes[a] - int(sizes[a] * shares[a]), 1) for a in sizes)])


def test_exposure_is_told_by_level_of_activity_and_heaped_numbers_stay_together() -> None:
    found = exposure_by_activity(levels(), lag_periods=1, n_groups=5, min_share=0.05)
    # middles of the cumulative shares: .2, .5, .65, .75, .85, .95; fifths 1, 2, 3, 3, 4, 4
    assert found.activity == ("1", "2", "3-4", "5+")
    assert [share.value for share in found.share_engaged] == pytest.approx([0.25, 0.5, 0.5, 0.95])
    assert found.n_engaged.tolist() == [1000, 1000, 1000, 1900]
    assert found.n_not_engaged.tolist() == [3000, 1000, 1000, 100]
    assert [share.n for share in found.share_engaged] == [4000, 2000, 2000, 2000]
    assert found.holds
    # two halves: only the middle of the first lies below one half
    assert exposure_by_activity(levels(), lag_periods=1, n_groups=2, min_share=0.05).activity == ("1", "2+")
    assert past_days_of(pd.Series(found.activity)).tolist() == [1, 2, 3, 5]


def test_a_level_with_one_kind_only_breaks_positivity() -> None:
    found = exposure_by_activity(levels(), lag_periods=1, n_groups=20, min_share=0.05)
    assert found.activity[-1] == "6+"
    assert found.has_both.tolist() == [True, True, True, True, True, False]
    assert not found.holds
    assert found.share_with_both == pytest.approx(0.9)
    assert found.table()["has_both"].tolist() == found.has_both.tolist()


def test_customers_behind_a_level_are_at_least_those_of_its_fullest_period() -> None:
    cells: list[Cell] = [(p, e, "1", n, 1) for p, n in ((2, 10), (3, 30), (4, 20)) for e in (True, False)]
    found = exposure_by_activity(counts(cells), lag_periods=1, n_groups=2, min_share=0.05)
    assert found.share_engaged[0].n == 6000  # of 12,000 spell-periods; one customer may stand in three


def test_positivity_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ModelError, match=r"min_share must lie between 0 and 0\.5.*came 0.6"):
        exposure_by_activity(levels(), lag_periods=1, n_groups=5, min_share=0.6)
    with pytest.raises(ModelError, match=r"n_groups must be at least 2.*came 1"):
        exposure_by_activity(levels(), lag_periods=1, n_groups=1, min_share=0.05)
    with pytest.raises(ModelError, match="nobody is at risk after a lag of 2 periods"):
        exposure_by_activity(levels(), lag_periods=2, n_groups=5, min_share=0.05)


def test_past_days_are_compared_within_period_and_class() -> None:
    cells: list[Cell] = [
        (2, True, "2", 10, 0),
        (2, True, "3", 30, 0),  # class 2-3: engaged 2.75 days on average
        (2, False, "2", 30, 0),
        (2, False, "3", 10, 0),  # others 2.25
        (3, True, "1", 40, 0),
        (3, False, "1", 10, 0),  # class 1: no difference possible
    ]
    found = past_activity(counts(cells), lag_periods=1, activity_breaks=[2, 4], within=[])
    # weights 4000 * 4000 / 8000 = 2000 and 4000 * 1000 / 5000 = 800: 2000 * .5 / 2800
    assert found.difference is not None
    assert found.difference.value == pytest.approx(0.5 * 2000 / 2800)
    assert found.n_strata == 2
    # within class 2-3 half are at 2 and half at 3: .25 * 8000 of 13,000
    assert found.within_class_sd == pytest.approx(np.sqrt(0.25 * 8000 / 13_000))
    assert found.difference.n == 8000  # period 2
    assert not found.separated


def test_classes_that_hold_every_number_apart_leave_the_control_nothing_to_see() -> None:
    cells: list[Cell] = [
        (2, e, a, n, 0) for e, a, n in ((True, "1", 5), (False, "1", 9), (True, "2", 9), (False, "2", 5))
    ]
    found = past_activity(counts(cells), lag_periods=1, activity_breaks=[2], within=[])
    assert found.difference is None
    assert not found.separated


def test_the_control_refuses_classes_that_hide_numbers_and_too_few_groups() -> None:
    cells: list[Cell] = [(2, True, "2-3", 9, 0), (2, False, "2-3", 9, 0)]
    with pytest.raises(ModelError, match="came the class '2-3'"):
        past_activity(counts(cells), lag_periods=1, activity_breaks=[2], within=[])
    few = counts([(2, True, "1", 9, 0), (2, False, "1", 9, 0)])[lambda t: t["replicate"] < 19]
    with pytest.raises(ModelError, match="engaged customers in 19 groups, fewer than 20"):
        past_activity(few, lag_periods=1, activity_breaks=[2], within=[])


def test_the_control_rejects_where_engaging_follows_activity_that_purchases_tell_only_roughly() -> None:
    found = past_activity(fine_counts(3000, 1, by_latent=True), lag_periods=1, activity_breaks=BREAKS, within=[])
    assert found.difference is not None
    assert found.difference.lower > 0.2
    assert not found.separated


def test_the_control_passes_where_past_purchases_carry_all_that_engaging_depends_on() -> None:
    # 60 other seeds: none rejected, deviates with mean -.03 and standard deviation .94
    found = past_activity(fine_counts(3000, 1, by_latent=False), lag_periods=1, activity_breaks=BREAKS, within=[])
    assert found.difference is not None
    assert found.separated
    assert abs(found.difference.value) < 0.1 * found.within_class_sd


def lagged_cells(engaged_events: int) -> pd.DataFrame:
    cells: list[Cell] = [(p, e, "1", 200, engaged_events if e else 20) for p in (2, 3, 4, 5, 6) for e in (True, False)]
    rows = counts(cells)
    # a little noise between groups, the same at each lag
    rows["n_events"] += np.where(rows["engaged"], rows["replicate"] % 3, -(rows["replicate"] % 2))
    return rows


def test_fading_is_the_ratio_of_the_far_ratio_to_the_near_one_in_the_same_periods() -> None:
    by_lag = {1: lagged_cells(10), 2: lagged_cells(14), 3: lagged_cells(18)}
    # period 2, which only the shortest lag can tell of, is not compared
    by_lag[1].loc[(by_lag[1]["period"] == 2) & by_lag[1]["engaged"], "n_events"] *= 4
    choice = {"adjust_for": ["activity"], "ties": "efron"}
    profile = lag_profile(by_lag, **choice)  # type: ignore[arg-type]
    fading = lag_fading(by_lag, **choice)  # type: ignore[arg-type]
    near, far = profile["hazard_ratio"].iloc[[0, -1]]
    assert fading.value == pytest.approx(far / near)
    assert fading.n == profile["n_customers"].iloc[0]
    assert fading.sign(1.0) == 1
    # what moves one moves the other: far narrower than of two independent ratios
    apart = sum(np.log(row.upper / row.lower) ** 2 for row in profile.iloc[[0, 2]].itertuples()) ** 0.5
    assert np.log(fading.upper / fading.lower) < 0.8 * apart
    with pytest.raises(ModelError, match=r"at least two lags; came \[1\]"):
        lag_fading({1: lagged_cells(10)}, adjust_for=[], ties="efron")
