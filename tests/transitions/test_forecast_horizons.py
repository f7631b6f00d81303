"""Longer horizons: how much overlapping forecasts know, what is carried on, where to begin, and where it settles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.transitions.backtest import backtest, effective_periods, stage_forecast
from lcm_research.transitions.forecast import FlowCounts, closed_mix, settled_from

STAGES = ("a", "b")


def made(n_periods: int, *, seed: int = 1, stages: tuple[str, ...] = STAGES) -> FlowCounts:
    """2,000 customers, of whom about a fifth leaves a, and a tenth b, in each period."""
    rng = np.random.default_rng(seed)
    size = len(stages)
    stock = np.zeros((100, size))
    stock[:, :2] = 10
    moves, entries = np.zeros((n_periods, 100, size, size)), np.zeros((n_periods, 100, size))
    entries[0] = stock
    for t in range(1, n_periods):
        leave = [rng.binomial(stock[:, k].astype(int), p * rng.uniform(0.5, 1.5)) for k, p in ((0, 0.2), (1, 0.1))]
        moves[t, :, 0, 1], moves[t, :, 1, 0] = leave
        moves[t, :, 0, 0], moves[t, :, 1, 1] = stock[:, 0] - leave[0], stock[:, 1] - leave[1]
        stock = moves[t].sum(axis=1)
    names = tuple(str(p.start_time.date()) for p in pd.period_range("2021-01", periods=n_periods, freq="M"))
    return FlowCounts(stages=stages, periods=names, moves=moves, entries=entries)


def test_overlapping_forecasts_count_for_fewer_periods() -> None:
    # three ahead: squares correlate by (2/3)^2 and (1/3)^2, so 9 / (1 + 2 * 5/9) = 81 / 19
    assert effective_periods(9, 3) == pytest.approx(81 / 19)
    assert effective_periods(2, 12) == 1.0


def test_beyond_the_longest_horizon_with_eight_periods_the_variance_grows_with_its_square() -> None:
    flows = made(14)
    tried = backtest(flows, horizon_periods=6, min_train_periods=3, season="none")
    assert tried.scores["n_periods"].tolist() == [10, 9, 8, 7, 6, 5]
    told = stage_forecast(flows, tried, horizon_periods=6, season="none")
    assert told.carried_from == 3
    sd = told.rows[told.rows["stage"] == "a"].set_index("ahead")["between_sd"]
    assert sd[3] == pytest.approx(np.sqrt(tried.between[2, 0]))
    assert sd[6] == pytest.approx(2 * sd[3])
    assert told.between_reason == ""
    long = made(30)
    full = backtest(long, horizon_periods=6, min_train_periods=3, season="none")
    assert stage_forecast(long, full, horizon_periods=6, season="none").carried_from is None


def test_the_mean_error_and_an_infinite_score_by_hand() -> None:
    tried = backtest(made(14), horizon_periods=1, min_train_periods=3, season="none")
    rows = tried.rows
    expected = (rows["share"] - rows["observed"]).abs().mean(), (rows["persistence"] - rows["observed"]).abs().mean()
    assert tried.mean_error(ahead=1) == pytest.approx(expected)
    scores = tried.scores.assign(brier=0.4, brier_persistence=0.5, log_score=np.inf, log_score_persistence=np.inf)
    assert replace(tried, scores=scores).beats_persistence(ahead=1)
    assert not replace(tried, scores=scores.assign(log_score_persistence=1.0, log_score=1.1)).beats_persistence(ahead=1)
    assert not replace(tried, scores=scores.assign(brier=0.5)).beats_persistence(ahead=1)


def test_a_forecast_begins_once_a_whole_churn_window_was_observed() -> None:
    flows = made(6)
    # 2021-01-01 is day 18628; 90 days end on 2021-03-31, 91 on 2021-04-01
    assert settled_from(flows, observation_start_day=18628, window_days=90) == "2021-03-01"
    assert settled_from(flows, observation_start_day=18628, window_days=91) == "2021-04-01"
    with pytest.raises(ModelError, match=r"a whole churn window of 400 days .* the last period, 2021-06-01"):
        settled_from(flows, observation_start_day=18628, window_days=400)


def test_flows_since_a_period_keep_its_stock() -> None:
    flows = made(6)
    later = flows.since("2021-03-01")
    assert later.periods == flows.periods[2:]
    assert later.stock(0).tolist() == flows.stock(2).tolist()
    with pytest.raises(ModelError, match="from 2021-05-01 on there are 1"):
        flows.since("2021-05-01")
    with pytest.raises(ModelError, match="there are 0"):
        flows.since("2022-01-01")


def test_a_closed_mix_is_the_stationary_distribution_whatever_stages_nobody_visits() -> None:
    flows = made(3, stages=("a", "b", "c"))
    moves = np.zeros_like(flows.moves)
    # of a 1 in 10 leaves, of b 3 in 10: three are in a for each in b
    moves[1:] = [[9, 1, 0], [3, 7, 0], [0, 0, 0]]
    moves[2, 0] = [[0, 8, 0], [4, 0, 0], [0, 0, 0]]
    moves[2, 1] = [[18, -6, 0], [2, 14, 0], [0, 0, 0]]
    found = closed_mix(replace(flows, moves=moves))
    assert found["a"].value == pytest.approx(0.75)
    assert set(found) == {"a", "b"}
    assert found["a"].lower < 0.75 < found["a"].upper


def test_a_stage_that_one_group_alone_left_is_left_alike_without_it() -> None:
    flows = made(4)
    moves = flows.moves.copy()
    moves[1:, 1:, 1] = 0
    moves[1:, 0, 1] = [5, 5]  # nobody else is in b, and half of them return each time
    found = closed_mix(replace(flows, moves=moves))
    leave = moves[1:, :, 0, 1].sum() / moves[1:, :, 0].sum()
    assert found["a"].value == pytest.approx(0.5 / (0.5 + leave))


def test_a_closed_mix_has_an_interval_that_holds_and_refuses_two_ends() -> None:
    found = closed_mix(made(20))
    # 20% and 10% leave on average: a third ends in a
    assert found["a"].lower < 1 / 3 < found["a"].upper
    assert found["a"].value + found["b"].value == pytest.approx(1)
    flows = made(3)
    with pytest.raises(ModelError, match="customers end in"):
        closed_mix(replace(flows, moves=flows.moves * np.eye(2)))
