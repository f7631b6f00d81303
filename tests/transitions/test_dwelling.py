"""How long stays last against the geometric law: by hand, its size, and a clock that is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.stages.moves import Moves
from lcm_research.transitions.dwelling import customers_at_risk, dwell_times, stage_dwells

KEYS = ["stage", "next_stage", "dwell_periods", "start_observed", "replicate", "n"]


def simulated(rng: np.random.Generator, chances: list[float], *, spread: float = 0.0) -> pd.DataFrame:
    """400 customers with five stays each; the chance of leaving by length, apart for each customer by ``spread``."""
    rows = []
    for customer in range(400):
        apart = rng.normal(0, spread)
        for _ in range(5):
            length = 1
            while length < 8:
                chance = chances[min(length, len(chances)) - 1]
                if rng.random() < 1 / (1 + (1 / chance - 1) * np.exp(-apart)):
                    break
                length += 1
            rows.append(("a", "b" if length < 8 else "(open)", length, True, customer % 100, 1))
    return pd.DataFrame(rows, columns=KEYS)


def test_leaving_by_hand() -> None:
    rows = [("a", "b", 1, True, 0, 20), ("a", "(open)", 1, True, 0, 10), ("a", "b", 2, True, 0, 40)]
    rows += [("a", "(open)", 3, True, 0, 30), ("a", "b", 2, False, 0, 7), ("b", "a", 9, True, 0, 1)]
    found = dwell_times(pd.DataFrame(rows, columns=KEYS), stage="a", moves=None, horizon_periods=6)
    # of 100 stays 10 could not be seen ending after their first period: 20 of 90; then 40 of 70; then nobody at risk
    assert found.rows[["n_at_risk", "n_left"]].to_numpy().tolist() == [[90, 20], [70, 40]]
    assert found.rows["staying"].tolist() == pytest.approx([70 / 90, 70 / 90 * 30 / 70])
    assert found.rows["geometric"].tolist() == pytest.approx([100 / 160, (100 / 160) ** 2])
    assert found.n_left_out == 7
    # a table of 20 and 70, 40 and 30
    assert found.classical.degrees_of_freedom == 1
    assert found.classical.pearson == pytest.approx(160 * (20 * 30 - 70 * 40) ** 2 / (90 * 70 * 60 * 100))


def test_stays_without_memory_are_not_called_otherwise() -> None:
    rng, alarms = np.random.default_rng(2), 0
    for _ in range(40):
        alarms += dwell_times(simulated(rng, [0.3]), stage="a", moves=None, horizon_periods=8).replicate.p_value < 0.05
    assert alarms <= 7  # 2 expected; binomial(40, .05) is above in 1 of 1,000 runs


def test_a_clock_and_customers_who_differ_are_both_found() -> None:
    clock = dwell_times(simulated(np.random.default_rng(3), [0.1, 0.1, 0.7]), stage="a", moves=None, horizon_periods=8)
    assert clock.replicate.p_value < 1e-6
    assert clock.rows["leaving"].is_monotonic_increasing or clock.rows["leaving"].iloc[2] > 0.5
    differ = dwell_times(
        simulated(np.random.default_rng(3), [0.3], spread=1.5), stage="a", moves=None, horizon_periods=8
    )
    assert differ.replicate.p_value < 0.01
    assert differ.rows["leaving"].iloc[0] > differ.rows["leaving"].iloc[4]


def test_a_stage_without_stays_is_refused() -> None:
    table = pd.DataFrame([("a", "b", 1, False, 0, 20)], columns=KEYS)
    with pytest.raises(ModelError, match="no stay in 'a' was seen to begin; stays were counted in a"):
        dwell_times(table, stage="a", moves=None, horizon_periods=3)
    with pytest.raises(ModelError, match="horizon_periods=0"):
        dwell_times(table, stage="a", moves=None, horizon_periods=0)


def clocked() -> Moves:
    """From a time alone leads to c, and a purchase to b; from b time alone leads to c and nothing else leaves."""
    stages, none = ("a", "b", "c"), np.zeros((3, 3), dtype=bool)
    clock, purchase = none.copy(), none.copy()
    clock[0, 2] = clock[1, 2] = purchase[0, 1] = purchase[2, 1] = True
    return Moves(stages=stages, possible=clock | purchase | np.eye(3, dtype=bool), clock=clock, purchase=purchase)


def even(rows: list[tuple[str, str, int, int]]) -> pd.DataFrame:
    """Each row of (stage, next stage, length, stays) in every one of the 100 groups of customers."""
    made = [(a, b, length, True, group, n) for a, b, length, n in rows for group in range(100)]
    return pd.DataFrame(made, columns=KEYS)


def test_stays_that_the_clock_ends_are_ones_on_which_nobody_acted() -> None:
    # of 10 stays 2 end by a purchase in the first period, 2 in the second, and the clock ends the other 6 then
    rows = [("a", "b", 1, 2), ("a", "b", 2, 2), ("a", "c", 2, 6)]
    found = dwell_times(even(rows), stage="a", moves=clocked(), horizon_periods=6)
    assert (found.own_doing, found.by_clock, found.bounded, found.comparable) == (True, ("c",), True, True)
    assert found.first.value == pytest.approx(2 / 10)
    assert found.later.value == pytest.approx(2 / 8)
    assert found.difference.value == pytest.approx(20 - 25)
    # the curve counts every end
    assert found.rows["staying"].tolist() == pytest.approx([0.8, 0.0])
    assert found.median_periods == 2
    # table of 200 and 800, 200 and 600: chi-square 1800 (200 x 600 - 800 x 200)^2 / (1000 x 800 x 400 x 1400)
    assert found.classical.pearson == pytest.approx(1800 * 40000**2 / (1000 * 800 * 400 * 1400))
    plain = dwell_times(even(rows), stage="a", moves=None, horizon_periods=6)
    assert (plain.own_doing, plain.by_clock, plain.bounded) == (False, (), False)
    assert plain.later.value == 1.0


def test_where_only_the_clock_leads_out_leaving_shows_what_customers_did_not_do() -> None:
    rows = [("b", "c", 1, 2), ("b", "c", 2, 2), ("b", "(open)", 3, 6)]
    found = dwell_times(even(rows), stage="b", moves=clocked(), horizon_periods=6)
    assert (found.own_doing, found.by_clock, found.bounded) == (False, ("c",), False)
    assert found.first.value == pytest.approx(0.2)
    assert not found.comparable
    assert found.median_periods is None


def test_the_interval_of_staying_is_that_of_a_proportion_where_nobody_is_censored() -> None:
    # everybody is followed: after two periods 1000 of 1000 could have left, and the curve is a plain share
    rng, rows = np.random.default_rng(9), []
    for group in range(100):
        lengths = np.minimum(rng.geometric(0.3, 10), 4)
        rows += [("a", "b" if k < 4 else "(open)", int(k), True, group, 1) for k in lengths]
    found = dwell_times(pd.DataFrame(rows, columns=KEYS), stage="a", moves=None, horizon_periods=3).rows
    share = (pd.DataFrame(rows, columns=KEYS)["dwell_periods"] > 2).mean()
    assert found["staying"].iloc[1] == pytest.approx(share)
    half = 1.96 * np.sqrt(share * (1 - share) / 1000)
    assert found["staying_upper"].iloc[1] - share == pytest.approx(half, rel=0.35)
    assert share - found["staying_lower"].iloc[1] == pytest.approx(half, rel=0.35)


def test_with_few_groups_the_interval_of_staying_is_exact() -> None:
    rows = [("a", "b", 1, True, 0, 4), ("a", "(open)", 2, True, 1, 6)]
    found = dwell_times(pd.DataFrame(rows, columns=KEYS), stage="a", moves=None, horizon_periods=3).rows
    # 6 of 10: Clopper and Pearson's 26.2% to 87.8%
    assert found["staying_lower"].iloc[0] == pytest.approx(0.2624, abs=1e-4)
    assert found["staying_upper"].iloc[0] == pytest.approx(0.8784, abs=1e-4)
    # 6 of 10, then 3 of the 6 at risk, which stand for 10: 3 of 10, 6.7% to 65.2%
    rows = [("a", "b", 1, True, 0, 4), ("a", "b", 2, True, 1, 3), ("a", "(open)", 3, True, 1, 3)]
    found = dwell_times(pd.DataFrame(rows, columns=KEYS), stage="a", moves=None, horizon_periods=3).rows
    assert found["staying"].iloc[1] == pytest.approx(0.3)
    assert found["staying_lower"].iloc[1] == pytest.approx(0.0667, abs=1e-4)
    assert found["staying_upper"].iloc[1] == pytest.approx(0.6525, abs=1e-4)


def test_differences_of_several_stages_hold_at_once() -> None:
    rng = np.random.default_rng(4)
    alone = simulated(rng, [0.4, 0.2])
    both = pd.concat([alone, simulated(rng, [0.3]).replace({"stage": {"a": "b"}, "next_stage": {"b": "a"}})])
    asked = {"stages": ["a", "b"], "moves": None, "horizon_periods": 8}
    one, two = (stage_dwells(counts, **asked)["a"].difference for counts in (alone, both))
    assert one.value == pytest.approx(two.value)
    # Student's t with 99 degrees of freedom: 2.2767 for two at once, 1.9842 for one
    assert (two.upper - two.value) / (one.upper - one.value) == pytest.approx(2.2765 / 1.9842, rel=2e-3)
    assert two.level == 0.95


def test_stages_without_a_stay_that_could_end_are_left_out() -> None:
    counts = pd.DataFrame([("a", "(open)", 1, True, 0, 5), ("b", "a", 2, True, 0, 5)], columns=KEYS)
    assert list(stage_dwells(counts, stages=["a", "b"], moves=None, horizon_periods=4)) == ["b"]
    with pytest.raises(ModelError, match="could be seen to end; none were counted"):
        stage_dwells(counts[:1], stages=["a", "b"], moves=None, horizon_periods=4)
    with pytest.raises(ModelError, match="no stay in 'a' could be seen to end"):
        dwell_times(counts, stage="a", moves=None, horizon_periods=4)


def test_customers_at_risk_are_those_with_a_stay_at_least_as_long() -> None:
    rows = [("a", 0, 0, 9), ("a", 1, 0, 4), ("a", 3, 1, 2), ("b", 5, 0, 1)]
    table = pd.DataFrame(rows, columns=["stage", "longest_periods", "replicate", "n_customers"])
    assert customers_at_risk(table, stage="a").tolist() == [6, 2, 2]
    assert customers_at_risk(table, stage="c").tolist() == []


def test_the_rarer_answer_is_counted_in_groups_and_stays() -> None:
    rows = [("a", "b", 1, True, 0, 4), ("a", "b", 1, True, 1, 4), ("a", "b", 2, True, 2, 50)]
    found = dwell_times(pd.DataFrame(rows, columns=KEYS), stage="a", moves=None, horizon_periods=3)
    assert found.fewest_first == (1, 8)
    assert found.fewest_later == (1, 50)
    assert found.difference is None
