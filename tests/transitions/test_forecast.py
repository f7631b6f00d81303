"""Forecasts of the stage mix: by hand, held against what came, and honest about how periods differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.transitions.backtest import backtest, stage_forecast
from lcm_research.transitions.forecast import FlowCounts, balanced_mix, flow_counts, project

STAGES = ("a", "b")


def flows(moves: list, entries: list, *, first: str = "2021-01") -> FlowCounts:
    """Flows by period, spread evenly over the 100 groups; ``moves[0]`` is ignored."""
    names = tuple(str(p.start_time.date()) for p in pd.period_range(first, periods=len(moves), freq="M"))
    everybody = np.ones((1, 100, 1)) / 100
    return FlowCounts(
        stages=STAGES,
        periods=names,
        moves=np.array(moves, float)[:, None] * everybody[..., None],
        entries=np.array(entries, float)[:, None] * everybody,
    )


def simulate(rng: np.random.Generator, n_periods: int, between: float, first: float = 0.5) -> FlowCounts:
    """2,000 customers whose chance of going from a to b varies from period to period (sd on the logit scale)."""
    stock = np.tile([round(20 * first), round(20 * (1 - first))], (100, 1))
    moves, names = [np.zeros((100, 2, 2))], pd.period_range("2019-01", periods=n_periods, freq="M")
    for _ in range(1, n_periods):
        shift = rng.normal(0, between)
        chance = [1 / (1 + np.exp(-logit)) for logit in (-1.5 + shift, -1.0 - shift)]
        leave = np.stack([rng.binomial(stock[:, k].astype(int), chance[k]) for k in (0, 1)], axis=1)
        made = np.zeros((100, 2, 2))
        made[:, 0, 1], made[:, 1, 0] = leave[:, 0], leave[:, 1]
        made[:, 0, 0], made[:, 1, 1] = stock[:, 0] - leave[:, 0], stock[:, 1] - leave[:, 1]
        moves.append(made)
        stock = made.sum(axis=1)
    entries = np.zeros((n_periods, 100, 2))
    entries[0] = [round(20 * first), round(20 * (1 - first))]
    return FlowCounts(
        stages=STAGES,
        periods=tuple(str(p.start_time.date()) for p in names),
        moves=np.stack(moves),
        entries=entries,
    )


# -- worked by hand ---------------------------------------------------------------------------------------------------


def test_the_stock_is_moved_on_and_newcomers_join() -> None:
    # 100 in a; 80 stay and 20 go to b, 50 enter in a. Then of 130 in a 104 stay, of 20 in b 10 return; 50 enter in a
    steps = [np.zeros((2, 2)), [[80, 20], [0, 0]], [[104, 26], [10, 10]]]
    given = flows(steps, [[100, 0], [50, 0], [50, 0]])
    found = project(given, horizon_periods=2, season="none")
    # P: a 184 / 230 = .8 and .2, b .5 and .5; stock a 164, b 36: a = .8 * 164 + .5 * 36 + 50 = 199.2, b = 50.8
    assert found.n.tolist() == pytest.approx([250.0, 300.0])
    assert found.share[0].tolist() == pytest.approx([199.2 / 250, 50.8 / 250])
    assert found.share[1].tolist() == pytest.approx(
        [(0.8 * 199.2 + 0.5 * 50.8 + 50) / 300, (0.2 * 199.2 + 0.5 * 50.8) / 300]
    )
    # chance: 164 * .8 * .2 + 36 * .5 * .5 = 35.24 customers squared
    assert found.binomial_variance[0].tolist() == pytest.approx([35.24 / 250**2] * 2)
    # every group of customers is the same
    assert found.replicate_variance == pytest.approx(np.zeros((2, 2)))
    assert found.season == "missing: some calendar month was seen 0 times, fewer than 2"


def test_a_seasonal_forecast_uses_the_same_calendar_month_of_earlier_years() -> None:
    steady, busy = np.array([[90, 10], [10, 90]]), np.array([[50, 50], [10, 90]])
    moves = [busy if month % 12 == 11 else steady for month in range(35)]  # December: half of a goes to b
    stocked = [m.sum(axis=0) for m in moves]
    given = flows(moves, [np.zeros(2)] * 35)
    plain = project(given, horizon_periods=1, season="none")
    seasonal = project(given, horizon_periods=1, season="calendar_month")  # the 36th month is a December
    a, b = stocked[-1]
    assert seasonal.share[0, 0] * (a + b) == pytest.approx(0.5 * a + 0.1 * b)
    assert plain.share[0, 0] > seasonal.share[0, 0]
    assert seasonal.season == "in the model: each calendar month has its own matrix"
    assert plain.season == "missing: not asked for"
    with pytest.raises(ModelError, match="calendar month 2 was seen 0 times, fewer than 2; choose season='none'"):
        project(flows(moves[:12], [np.zeros(2)] * 12, first="2021-02"), horizon_periods=1, season="calendar_month")


def test_scores_of_a_forecast_by_hand() -> None:
    # always half of a goes to b and half of b to a: after one period the mix is even, whatever it was
    moves = [np.zeros((2, 2)), [[40, 40], [10, 10]], [[25, 25], [25, 25]], [[25, 25], [25, 25]]]
    tried = backtest(
        flows(moves, [[80, 20], [0, 0], [0, 0], [0, 0]]), horizon_periods=1, min_train_periods=1, season="none"
    )
    assert tried.scores["n_periods"].tolist() == [2]
    # 1 - 2 * (.5 * .5 + .5 * .5) + .25 + .25 and log 2; persistence is the same mix here
    assert tried.scores.loc[0, ["brier", "log_score"]].tolist() == pytest.approx([0.5, np.log(2)])
    assert np.isnan(tried.scores.loc[0, "coverage"])
    assert not tried.beats_persistence(ahead=1)


# -- intervals --------------------------------------------------------------------------------------------------------


def test_intervals_hold_only_when_they_know_how_periods_differ() -> None:
    rng = np.random.default_rng(8)
    with_periods = customers_alone = 0
    told = []
    for _ in range(60):
        everything = simulate(rng, 25, between=0.4)
        known = everything.until(23)
        tried = backtest(known, horizon_periods=1, min_train_periods=6, season="none")
        told.append(tried.scores.loc[0, "coverage"])
        came = everything.stock(24).sum(axis=0)
        came = came[0] / came.sum()
        for trial, name in ((tried, "with"), (None, "without")):
            row = stage_forecast(known, trial, horizon_periods=1, season="none").rows.iloc[0]
            inside = row["lower"] <= came <= row["upper"]
            with_periods += inside * (name == "with")
            customers_alone += inside * (name == "without")
    assert with_periods >= 51  # 57 expected; binomial(60, .95) is below in 1 of 500 runs
    assert customers_alone <= 40
    assert 0.9 <= np.mean(told) <= 0.99  # what a back-test says of its own intervals


def test_a_chain_beats_a_mix_that_stays_and_its_coverage_is_told_from_eight_periods() -> None:
    # everybody begins in a, so the mix moves towards its balance for some periods
    moving = simulate(np.random.default_rng(2), 20, between=0.1, first=1.0)
    tried = backtest(moving, horizon_periods=2, min_train_periods=2, season="none")
    assert tried.scores["ahead"].tolist() == [1, 2]
    assert tried.scores["n_periods"].tolist() == [17, 16]
    assert 0.8 <= tried.scores.loc[0, "coverage"] <= 1.0
    assert tried.beats_persistence(ahead=1)
    few = backtest(moving.until(11), horizon_periods=1, min_train_periods=5, season="none")
    assert few.scores["n_periods"].tolist() == [6]
    told = stage_forecast(moving.until(11), few, horizon_periods=1, season="none")
    assert "6 periods were held out, and 8 are needed" in told.between_reason
    assert told.rows["between_sd"].isna().all()
    full = stage_forecast(moving, tried, horizon_periods=2, season="none")
    assert full.between_reason == ""
    assert (full.rows["between_sd"] > full.rows["replicate_sd"]).all()


# -- laws and refusals ------------------------------------------------------------------------------------------------


def test_shares_sum_to_one_and_intervals_hold_them() -> None:
    given = simulate(np.random.default_rng(4), 20, between=0.2)
    rows = stage_forecast(
        given, backtest(given, horizon_periods=3, min_train_periods=6, season="none"), horizon_periods=3, season="none"
    ).rows
    assert rows.groupby("ahead")["share"].sum().tolist() == pytest.approx([1.0] * 3)
    assert ((rows["lower"] < rows["share"]) & (rows["share"] < rows["upper"])).all()
    assert rows["period_start"].unique().tolist() == ["2020-09-01", "2020-10-01", "2020-11-01"]


def test_no_forecast_reads_what_came_later() -> None:
    given = simulate(np.random.default_rng(4), 20, between=0.2)
    changed = FlowCounts(
        stages=given.stages, periods=given.periods, moves=given.moves.copy(), entries=given.entries.copy()
    )
    changed.moves[15:] = changed.moves[15:, :, ::-1]
    first, second = (
        backtest(f, horizon_periods=1, min_train_periods=6, season="none").rows.query("origin < '2020-04'")
        for f in (given, changed)
    )
    pd.testing.assert_series_equal(first["share"], second["share"])


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    counts = pd.DataFrame(
        [(f"2021-0{m}-01", "a", to, g, 2) for m in (2, 3, 4) for to in "a" for g in range(100)],
        columns=["period_start", "from_stage", "to_stage", "replicate", "n"],
    )
    entries = pd.DataFrame({"period_start": "2021-01-01", "stage": "a", "replicate": range(100), "n": 2})
    return counts, entries


def test_flows_come_from_counts_and_must_add_up() -> None:
    counts, entries = tables()
    found = flow_counts(counts, entries, stages=STAGES)
    assert found.periods == ("2021-01-01", "2021-02-01", "2021-03-01", "2021-04-01")
    assert found.stock(3).sum(axis=0).tolist() == [200, 0]
    with pytest.raises(ModelError, match="200 customers were there at the end of 2021-01-01, and 100 moved or stayed"):
        flow_counts(counts.assign(n=1), entries, stages=STAGES)
    with pytest.raises(ModelError, match="nobody was counted in 2021-03, though before and after"):
        flow_counts(counts[counts["period_start"] != "2021-03-01"], entries, stages=STAGES)
    with pytest.raises(ModelError, match="two periods at least; came 1"):
        flow_counts(counts[counts["period_start"] == "2021-02-01"], entries, stages=STAGES)


def test_bad_choices_are_refused() -> None:
    found = flow_counts(*tables(), stages=STAGES)
    with pytest.raises(ModelError, match="horizon_periods=0"):
        project(found, horizon_periods=0, season="none")
    with pytest.raises(
        ModelError, match="3 periods of moves with min_train_periods=3 leave none to hold out; choose 2"
    ):
        backtest(found, horizon_periods=1, min_train_periods=3, season="none")


def test_a_stage_never_visited_keeps_a_share_of_zero() -> None:
    rows = stage_forecast(flow_counts(*tables(), stages=STAGES), None, horizon_periods=2, season="none").rows
    assert rows.set_index(["ahead", "stage"]).loc[(2, "b"), ["share", "lower", "upper"]].tolist() == [0.0, 0.0, 0.0]


def test_a_balanced_mix_stays_as_it_is_when_new_customers_come() -> None:
    # a: .8 stay, b: .5 stay; of 110 customers 10 are new in a: pi_a = 10/11 (.8 pi_a + .5 pi_b) + 1/11
    rng = np.random.default_rng(1)
    moves = [np.zeros((2, 2)), [[40, 10], [25, 25]]]
    given = flows(moves, [[50, 50], [10, 0]])
    found = balanced_mix(given)
    assert found["a"].value == pytest.approx((10 / 11 * 0.5 + 1 / 11) / (1 - 10 / 11 * 0.3))
    assert found["a"].value + found["b"].value == pytest.approx(1.0)
    noisy = FlowCounts(
        stages=STAGES, periods=given.periods, moves=rng.poisson(given.moves * 100), entries=given.entries * 100
    )
    assert balanced_mix(noisy)["a"].lower < found["a"].value < balanced_mix(noisy)["a"].upper
    entries = noisy.entries.copy()
    entries[1:, 19:] = 0
    few = FlowCounts(stages=STAGES, periods=given.periods, moves=noisy.moves, entries=entries)
    with pytest.raises(ModelError, match="newcomers in 20 of the 100 groups of customers; came 19"):
        balanced_mix(few)
    with pytest.raises(ModelError, match="nobody came in after the first period"):
        balanced_mix(flows(moves, [[50, 50], [0, 0]]))
