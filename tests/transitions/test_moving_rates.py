"""Rates of moving from stages read at month ends: chains of known rates, and what follows from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS
from lcm_research.transitions.continuous import passage_probability, total_length_of_stay
from lcm_research.transitions.moving_rates import (
    direct_moves,
    largest_groups,
    moving_rates,
    rate_ratios,
    rates_over_time,
    time_in_stages,
)

STAGES = ["new", "active", "gone"]
RATES = np.array([[-1.2, 1.2, 0.0], [0.0, -0.3, 0.3], [0.0, 0.1, -0.1]])
DIRECT = (("new", "active"), ("active", "gone"), ("gone", "active"))


def months(rates: np.ndarray, *, n: float = 1e5, stages: list[str] = STAGES, **more: object) -> pd.DataFrame:
    """The moves of a month that so many customers in each stage are expected to make, over the groups in turn."""
    probability = expm(rates)
    rows = [
        (stages[i], stages[j], group, n / N_GROUPS * probability[i, j] * (1 + 0.1 * ((7 * group + i + 3 * j) % 5 - 2)))
        for i in range(len(stages))
        for j in range(len(stages))
        for group in range(N_GROUPS)
    ]
    return pd.DataFrame(rows, columns=["from_stage", "to_stage", "replicate", "n"]).assign(**more)


def test_moves_that_need_a_stage_in_between_have_no_rate() -> None:
    counts = months(RATES)
    assert counts[(counts["from_stage"] == "new") & (counts["to_stage"] == "gone")]["n"].sum() > 0
    assert tuple(direct_moves(counts, stages=STAGES)[:3]) == DIRECT
    found = moving_rates(counts, stages=["prospect", *STAGES], level=0.95)
    assert found.stages == tuple(STAGES)  # nobody was a prospect
    assert found.through_others == (("new", "gone"),)
    np.testing.assert_allclose(found.fit.intensity(), RATES, rtol=1e-6, atol=1e-9)


def test_a_stage_that_everybody_leaves_within_a_month_does_not_stop_the_choice() -> None:
    rows = [("new", "active", 0, 50), ("active", "active", 0, 30), ("active", "gone", 0, 20), ("gone", "gone", 0, 9)]
    counts = pd.DataFrame(rows, columns=["from_stage", "to_stage", "replicate", "n"])
    assert direct_moves(counts, stages=STAGES) == [("new", "active"), ("active", "gone")]


def test_a_rate_and_a_stay_carry_their_customers() -> None:
    found = moving_rates(months(RATES), stages=STAGES, level=0.9)
    rate, stay = found.rate("active", "gone", n=77), found.mean_stay("active", n=55)
    assert rate.value == pytest.approx(0.3, rel=1e-6)
    assert (rate.unit, rate.n, rate.level) == ("per month", 77, 0.9)
    assert stay.value == pytest.approx(1 / 0.3, rel=1e-6)
    assert (stay.unit, stay.n) == ("months", 55)
    assert rate.lower < rate.value < rate.upper
    assert 1 / stay.upper == pytest.approx(rate.lower)  # the only way out


def test_nobody_moving_or_leaving_is_refused() -> None:
    rows = [("new", "new", 0, 5), ("gone", "gone", 0, 5)]
    still = pd.DataFrame(rows, columns=["from_stage", "to_stage", "replicate", "n"])
    with pytest.raises(ModelError, match="nobody moved between the stages new, gone"):
        moving_rates(still, stages=STAGES, level=0.95)
    with pytest.raises(ModelError, match="nobody moved between the stages of the scheme"):
        moving_rates(still[:0], stages=STAGES, level=0.95)
    ends = moving_rates(months(RATES * np.array([[1], [1], [0]])), stages=STAGES, level=0.95)
    with pytest.raises(ModelError, match="nobody was seen leaving 'gone'"):
        ends.mean_stay("gone", n=5)


def test_times_are_those_of_the_rates_and_certain_ones_have_no_interval() -> None:
    found = moving_rates(months(RATES), stages=STAGES, level=0.95)
    heads = {"new": 30, "active": 20, "gone": 10}
    table = time_in_stages(found, horizon_months=12, target="gone", customers=heads).set_index("stage")
    assert table.loc["active", "stay_months"].value == pytest.approx(1 / 0.3, rel=1e-6)
    ahead = total_length_of_stay(RATES, horizon=12)
    assert [e.value for e in table["months_ahead"]] == pytest.approx(list(np.diag(ahead)), rel=1e-6)
    reached = passage_probability(RATES, 2, time=12)
    assert table.loc["new", "reaches"].value == pytest.approx(reached[0], rel=1e-6)
    assert table.loc["gone", "reaches"] is None  # already there
    assert table.loc["new", "reaches"].n == 30
    assert table["n_customers"].tolist() == [30, 20, 10]
    assert "reaches" not in time_in_stages(found, horizon_months=12, target=None, customers=heads)
    ends = moving_rates(months(RATES * np.array([[1], [1], [0]])), stages=STAGES, level=0.95)
    table = time_in_stages(ends, horizon_months=12, target="new", customers={}).set_index("stage")
    assert table.loc["gone", ["stay_months", "months_ahead", "reaches"]].tolist() == [None, None, None]
    assert table.loc["active", "reaches"] is None  # no way back to new
    with pytest.raises(ModelError, match="horizon_months=0 is no horizon"):
        time_in_stages(found, horizon_months=0, target=None, customers={})


def test_a_ratio_is_of_the_second_group_to_the_first() -> None:
    faster = RATES.copy()
    faster[1] = [0.0, -0.6, 0.6]
    counts = pd.concat([months(RATES, member="no"), months(faster, member="yes"), months(RATES * 3, member="x")])
    all_of_them = moving_rates(counts, stages=STAGES, level=0.95)
    ratios = rate_ratios(counts, all_of_them, segment="member", groups=("no", "yes"))
    assert {move: round(ratio.value, 5) for move, ratio in ratios.items()} == {
        ("new", "active"): 1.0,
        ("active", "gone"): 2.0,
        ("gone", "active"): 1.0,
    }
    assert ratios["active", "gone"].sign(1.0) == 1
    back = rate_ratios(counts, all_of_them, segment="member", groups=("yes", "no"))
    assert back["active", "gone"].value == pytest.approx(0.5, rel=1e-5)
    with pytest.raises(ModelError, match="no moves of the group 'maybe' of 'member'; there are no, x, yes"):
        rate_ratios(counts, all_of_them, segment="member", groups=("no", "maybe"))


def test_rates_before_and_after_the_middle_month_are_compared() -> None:
    starts = ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]
    same = pd.concat([months(RATES, n=5e3, period_start=start) for start in starts])
    change, test = rates_over_time(same, moving_rates(same, stages=STAGES, level=0.95))
    assert change == "2024-03-01"
    assert test.degrees_of_freedom == 3
    assert test.likelihood_ratio == pytest.approx(0.0, abs=1e-6)
    later = pd.concat([months(RATES * (1 + k // 2), n=5e3, period_start=start) for k, start in enumerate(starts)])
    _, test = rates_over_time(later, moving_rates(later, stages=STAGES, level=0.95))
    assert test.p_value < 1e-6
    assert test.replicate is not None
    assert test.replicate.p_value < 1e-6
    two = later[later["period_start"].isin(starts[1:3])]  # one month a half
    assert rates_over_time(two, moving_rates(two, stages=STAGES, level=0.95))[1].degrees_of_freedom == 3
    # a stage that nobody is in in one half cannot be compared: its moves are left out
    gone = later[~((later["period_start"] > "2024-02-01") & (later["from_stage"] == "new"))]
    assert rates_over_time(gone, moving_rates(gone, stages=STAGES, level=0.95))[1].degrees_of_freedom == 2
    with pytest.raises(ModelError, match="2 months or more; came 1"):
        rates_over_time(same[:900], moving_rates(same, stages=STAGES, level=0.95))


def test_the_two_groups_with_most_customers_are_compared() -> None:
    rows = [("a", "new", "(any)", 40), ("b", "new", "(any)", 90), ("c", "active", "(any)", 60), ("b", "new", "new", 90)]
    customers = pd.DataFrame(rows, columns=["region", "from_stage", "to_stage", "n_customers"])
    assert largest_groups(customers, segment="region", fewest=50) == ("b", "c")
    with pytest.raises(ModelError, match="two groups of 70 customers or more; the second largest has 60"):
        largest_groups(customers, segment="region", fewest=70)
    with pytest.raises(ModelError, match="the second largest has 0"):
        largest_groups(customers[:1], segment="region", fewest=10)
