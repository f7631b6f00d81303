"""What is said about the mix ahead: the share, how good forecasts were, and what the intervals do not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.findings.wording import forecast as wording
from lcm_research.transitions.backtest import Backtest, StageForecast, backtest, stage_forecast
from lcm_research.transitions.forecast import FlowCounts, balanced_mix, closed_mix

NAME = {"en": "churned", "zh": "流失"}


def flows(n_periods: int = 14) -> FlowCounts:
    """1,000 in each of two stages; 30% of a and 20% of b change, and 100 new customers come into a."""
    moves, entries = np.zeros((n_periods, 100, 2, 2)), np.zeros((n_periods, 100, 2))
    entries[0], entries[1:, :, 0] = 10, 1
    stock = entries[0]
    for t in range(1, n_periods):
        leave = stock * [0.3, 0.2]
        moves[t, :, 0, 1], moves[t, :, 1, 0] = leave.T
        moves[t, :, 0, 0], moves[t, :, 1, 1] = (stock - leave).T
        stock = moves[t].sum(axis=1) + entries[t]
    names = tuple(str(p.start_time.date()) for p in pd.period_range("2023-03", periods=n_periods, freq="M"))
    return FlowCounts(stages=("a", "b"), periods=names, moves=moves, entries=entries)


def forecast() -> StageForecast:
    rows = [("2024-05-01", 1, "a", 0.25, 0.2, 0.31, 500, 0.01, 0.01, 0.02)]
    rows += [("2024-10-01", 6, "a", 0.3, 0.2, 0.4, 600, 0.01, 0.01, 0.02)]
    columns = ["period_start", "ahead", "stage", "share", "lower", "upper", "n_expected"]
    frame = pd.DataFrame(rows, columns=[*columns, "replicate_sd", "binomial_sd", "between_sd"])
    return StageForecast(rows=frame, season="missing: not asked for", between_reason="", carried_from=None)


def tried(ahead: int = 6, n_periods: int = 9, coverage: float = 0.9) -> Backtest:
    rows = pd.DataFrame({"ahead": [ahead] * 2, "share": [0.3, 0.4], "observed": [0.32, 0.4], "persistence": [0.2, 0.5]})
    scores = {"ahead": ahead, "n_periods": n_periods, "brier": 0.75, "brier_persistence": 0.76, "coverage": coverage}
    scores |= {"log_score": 1.4, "log_score_persistence": 1.5}
    return Backtest(rows=rows, scores=pd.DataFrame([scores]), between=np.zeros((ahead, 1)))


def test_a_forecast_is_told_with_its_month_its_interval_and_its_record() -> None:
    found = wording.forecast_estimate(forecast(), flows(), stage="a", ahead=6, level=0.95)
    assert (found.value, found.lower, found.upper) == (0.3, 0.2, 0.4)
    assert found.n == 3300  # 2,000 and 13 times 100
    said = wording.forecast_sentence(found, forecast(), tried(), name=NAME, now=0.22, ahead=6)
    # errors .02 and 0, of the other .12 and .10
    assert said["en"] == (
        "At the end of October 2024, 30.0% of customers whose stage is known are expected in the stage “churned” (95% "
        "interval 20.0% to 40.0%, n = 3,300 now), after 22.0% at the last month's end. Made 6 months ahead for 9 past "
        "months, such forecasts have a Brier score of 0.750, against 0.760 for a mix that stays as it is; a share was "
        "off by 1.0 percentage points on average, against 11."
    )
    assert said["zh"].startswith("预计 2024 年 10 月末，阶段已知的客户中有 30.0% 处于“流失”阶段")
    assert "平均偏差 1.0 个百分点，后者为 11 个百分点" in said["zh"]
    silent = wording.forecast_sentence(found, forecast(), None, name=NAME, now=0.22, ahead=6)
    assert silent["en"].endswith("There were too few months to hold such forecasts against what came.")
    assert wording.forecast_question(name=NAME, ahead=1)["en"].endswith("in a month?")


def test_a_record_of_a_shorter_horizon_is_told_as_such() -> None:
    said = wording.forecast_sentence(
        wording.forecast_estimate(forecast(), flows(), stage="a", ahead=6, level=0.95),
        forecast(),
        tried(ahead=2),
        name=NAME,
        now=0.2,
        ahead=6,
    )
    assert "Made 2 months ahead" in said["en"]
    assert "提前 2 个月" in said["zh"]


def test_a_forecast_that_does_not_beat_persistence_fails_its_check() -> None:
    good = wording.persistence_check(tried(), ahead=6)
    assert good.passed
    assert "Brier score 0.750 against 0.760, log score 1.40 against 1.50" in good.note["en"]
    worse = tried()
    worse.scores["brier"] = 0.77
    assert not wording.persistence_check(worse, ahead=6).passed
    assert not wording.persistence_check(None, ahead=6).passed


def test_coverage_counts_against_a_forecast_when_it_falls_short() -> None:
    assert wording.coverage_check(tried(coverage=0.8), ahead=6, level=0.95).passed
    short = wording.coverage_check(tried(coverage=0.79), ahead=6, level=0.95)
    assert not short.passed
    assert short.note["en"] == "79% of the intervals for 9 held-out months, 6 ahead, held what came (level 95%)"
    assert not wording.coverage_check(tried(coverage=np.nan), ahead=6, level=0.95).passed
    assert not wording.coverage_check(None, ahead=6, level=0.95).passed


def test_intervals_that_do_not_know_how_months_differ_say_so() -> None:
    assert wording.between_check(forecast(), ahead=6).passed
    carried = wording.between_check(replace(forecast(), carried_from=2), ahead=6)
    assert not carried.passed
    assert carried.note["en"].startswith("measured up to 2 months ahead; beyond")
    assert wording.between_check(replace(forecast(), carried_from=6), ahead=6).passed
    blind = wording.between_check(replace(forecast(), between_reason="too few"), ahead=6)
    assert not blind.passed
    assert "区间偏窄" in blind.note["zh"]


@pytest.mark.parametrize(
    ("n_periods", "told"), [(8, "seen not at all"), (14, "seen once"), (26, "it was not asked for")]
)
def test_a_missing_season_is_named_with_its_reason(n_periods: int, told: str) -> None:
    assert told in wording.season_sentence(flows(n_periods), forecast())["en"]


def test_a_season_in_the_model_is_told() -> None:
    seasonal = stage_forecast(flows(26), None, horizon_periods=1, season="calendar_month")
    assert wording.season_sentence(flows(26), seasonal)["zh"] == "每个自然月份各有一个转移矩阵。"


def test_tables_hold_the_mix_now_ahead_and_balanced() -> None:
    given = flows()
    record = backtest(given, horizon_periods=2, min_train_periods=3, season="none")
    coming = stage_forecast(given, record, horizon_periods=2, season="none")
    table = wording.forecast_table(coming, given, names={"a": "A", "b": "B"}, ahead=2, level=0.9)
    assert table["n_customers"].sum() == 3300
    assert table["share_ahead"][0].level == 0.9
    scores = wording.score_table(record)
    assert scores["ahead_months"].tolist() == [1, 2]
    assert scores["n_months"].tolist() == [10, 9]
    assert (scores["error_points"] < 0.01).all()  # every month is like every other
    # of a 30% leave and of b 20%: two fifths settle in a when nobody comes
    balance = wording.balance_table(given, closed_mix(given), None, names={"a": "A", "b": "B"})
    assert balance["closed_mix"][0].value == pytest.approx(0.4)
    assert balance["open_mix"].isna().all()
    only_b = {"b": replace(balance["closed_mix"][0], value=1.0)}
    assert wording.balance_table(given, only_b, None, names={"a": "A", "b": "B"})["closed_mix"][0] == "0%"
    opened = wording.balance_table(given, None, balanced_mix(given), names={"a": "A", "b": "B"})["open_mix"]
    assert opened[0].value + opened[1].value == pytest.approx(1)


def test_the_note_says_what_each_mix_assumes() -> None:
    given = flows(3)
    # 2,000 and 2,100 moved, 100 and 100 came
    assert "(4.7% of customers in a month)" in wording.balance_note(given)["en"]
    closed = FlowCounts(stages=given.stages, periods=given.periods, moves=given.moves, entries=given.entries * 0)
    assert wording.balance_note(closed)["zh"].endswith("这些月份没有新客户进入。")


def test_the_lapsed_and_the_established_are_told_first() -> None:
    assert wording.told_stages({"n": "new", "e": "established", "l": "lapsed"}) == ["l", "e"]
    assert wording.told_stages({"early": None, "late": None}) == ["late"]
