"""Sentences about predictions: the verb turns with the interval, and a risk is never an effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.wording import accuracy as wording
from lcm_research.survival.accuracy import BrierScore
from lcm_research.survival.accuracy_calibration import Calibration
from lcm_research.survival.warning import BaseRateDrift
from lcm_research.survival.warning_counts import DecisionDays
from lcm_research.survival.warning_value import DecisionCurve, TopShare


def made(value: float, lower: float, upper: float, unit: str = "share") -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit=unit, n=1555)


def top(lift: Estimate) -> TopShare:
    return TopShare(
        share=0.2,
        n_warned=311,
        precision=made(0.962, 0.93, 0.98),
        lift=lift,
        capture=made(0.328, 0.31, 0.34),
        lead_days=made(47.3, 41.1, 54.5, "days"),
        already_silent=made(0.974, 0.94, 0.99),
    )


def brier(index: Estimate) -> BrierScore:
    score, null = made(0.168, 0.16, 0.18), made(0.248, 0.24, 0.25)
    return BrierScore(
        days=np.array([30, 90]),
        score=(score, score),
        null=(null, null),
        index=(index, index),
        integrated=score,
        integrated_null=null,
        integrated_index=index,
    )


def matched(large: Estimate, slope: Estimate | None) -> Calibration:
    return Calibration(
        horizon_days=90, groups=(), predicted=0.596, observed=made(0.587, 0.56, 0.61), in_the_large=large, slope=slope
    )


RIGHT = made(-0.009, -0.032, 0.014)


def test_a_list_that_holds_more_lapses_says_so_and_that_it_is_no_list_of_whom_to_contact() -> None:
    told = wording.warning_sentence(top(made(1.64, 1.57, 1.71)), base_rate=made(0.587, 0.56, 0.61), horizon_days=90)
    assert told["en"] == (
        "Of the 20% of customers with the highest predicted risk 96.2% lapsed within 90 days, of all 58.7%: 1.64 times "
        "as many as in a list drawn by lot (95% interval 1.57 to 1.71, n = 1,555), and 32.8% of all lapses. A high "
        "risk says who will probably fall silent. It says nothing on whom a message would help (Ascarza 2018): that "
        "takes an experiment."
    )
    assert told["zh"].startswith("预测风险最高的 20% 客户中，96.2% 在 90 天内流失，全体为 58.7%：是随机名单的 1.64 倍")
    assert told["zh"].endswith(wording.SCOPE["zh"])


def test_a_list_like_one_drawn_by_lot_says_that_the_data_do_not_show_more() -> None:
    told = wording.warning_sentence(top(made(1.05, 0.96, 1.15)), base_rate=made(0.587, 0.56, 0.61), horizon_days=90)
    assert told["en"].startswith("The data do not show that the 20% of customers with the highest predicted risk hold")
    assert "1.05 times as many, 95% interval 0.960 to 1.15" in told["en"]
    assert told["zh"].startswith("数据未显示预测风险最高的 20% 客户")
    assert told["en"].endswith(wording.SCOPE["en"])


def test_lead_time_tells_how_many_had_stopped_buying_by_then() -> None:
    told = wording.lead_sentence(top(made(1.6, 1.5, 1.7)))
    assert "the warning came 47.3 days before the lapse was declared" in told["en"]
    assert "97.4% of them had made their last purchase by the day of the warning" in told["en"]
    assert "平均在判定流失前 47.3 天" in told["zh"]
    none = wording.lead_sentence(replace(top(made(1.6, 1.5, 1.7)), lead_days=None))
    assert none["en"].startswith("Nobody among the 20%")
    assert "无人流失" in none["zh"]


@pytest.mark.parametrize(
    ("ends", "en", "zh"),
    [
        (
            (0.79, 0.835),
            "In 81.5% of pairs the customer who lapsed within 90 days had been given a higher",
            "随机为 50%",
        ),
        ((0.48, 0.9), "The data do not show that predicted risks tell", "数据未显示预测风险能区分"),
        ((0.2, 0.4), "worse than by lot, 50%", "低于随机的 50%"),
    ],
)
def test_the_area_is_read_against_a_coin(ends: tuple[float, float], en: str, zh: str) -> None:
    value = 0.815 if ends[1] > 0.5 else 0.3
    told = wording.auc_sentence(made(value, *ends), horizon_days=90)
    assert en in told["en"]
    assert zh in told["zh"]


@pytest.mark.parametrize(
    ("index", "passed", "en", "zh"),
    [
        (made(0.321, 0.28, 0.361), True, "32.1% smaller than that of the base rate", "小 32.1%"),
        (made(0.02, -0.01, 0.05), False, "do not separate the predictions from the base rate", "未能区分"),
        (made(-0.1, -0.15, -0.05), False, "10.0% larger than that of the base rate", "大 10.0%"),
    ],
)
def test_a_prediction_passes_only_where_it_beats_the_base_rate(index: Estimate, passed: bool, en: str, zh: str) -> None:
    check = wording.better_than_base_rate_check(brier(index))
    assert check.passed is passed
    assert isinstance(check.note, dict)
    assert en in check.note["en"]
    assert zh in check.note["zh"]
    assert "0.168" in check.note["en"]
    assert "0.248" in check.note["zh"]


@pytest.mark.parametrize(
    ("large", "slope", "passed", "en", "zh"),
    [
        (RIGHT, made(1.01, 0.91, 1.11), True, "not seen to be too extreme or too timid", "未见过于极端"),
        (RIGHT, made(0.7, 0.6, 0.8), False, "they are too extreme", "预测过于极端"),
        (RIGHT, made(1.4, 1.2, 1.6), False, "they are too timid", "预测过于保守"),
        (made(0.05, 0.02, 0.08), made(1.0, 0.9, 1.1), False, "too low (difference 5.0%", "偏低（相差 5.0%"),
        (made(-0.05, -0.08, -0.02), None, False, "too high (difference −5.0%", "偏高（相差 −5.0%"),
        (RIGHT, None, True, "not seen to be too high or too low", "未见偏高或偏低"),
    ],
)
def test_calibration_passes_only_where_nothing_is_seen_to_be_off(
    large: Estimate, slope: Estimate | None, passed: bool, en: str, zh: str
) -> None:
    check = wording.calibration_check(matched(large, slope))
    assert check.passed is passed
    assert isinstance(check.note, dict)
    assert en in check.note["en"]
    assert zh in check.note["zh"]
    assert ("Calibration slope" in check.note["en"]) == (slope is not None)


def test_a_base_rate_that_moved_is_a_failed_check() -> None:
    ends = {"training": made(0.57, 0.54, 0.6), "judging": made(0.587, 0.56, 0.61)}
    steady = wording.base_rate_check(BaseRateDrift(**ends, difference=made(0.017, -0.023, 0.057)))
    moved = wording.base_rate_check(BaseRateDrift(**ends, difference=made(0.017, 0.003, 0.03)))
    assert (steady.passed, moved.passed) == (True, False)
    assert isinstance(steady.note, dict)
    assert "57.0% lapsed after the day of training, 58.7% after the day of judging" in steady.note["en"]
    assert "训练日之后流失 57.0%" in steady.note["zh"]


def curve(lower: list[float]) -> DecisionCurve:
    own = tuple(made(low + 0.1, low, low + 0.2) for low in lower)
    return DecisionCurve(
        thresholds=np.array([0.3, 0.4, 0.5]),
        net_benefit=own,
        warn_all=own,
        over_all=own,
        share_warned=np.array([0.5, 0.4, 0.3]),
    )


def test_the_thresholds_named_are_those_where_both_rivals_are_beaten() -> None:
    told = wording.decision_sentence(curve([-0.1, 0.1, 0.2]))
    assert "at thresholds between 40% and 50% (2 / 3 of those tried" in told["en"]
    assert "阈值在 40% 至 50% 之间" in told["zh"]
    nowhere = wording.decision_sentence(curve([-0.1, -0.1, -0.1]))
    assert nowhere["en"].startswith("At no threshold do the data show")
    assert "均未显示" in nowhere["zh"]


def test_what_is_missing_is_told_in_days_and_customers() -> None:
    days = DecisionDays(training_day=0, judging_day=270, needed_days=721, observed_days=546)
    told = wording.short_follow_up_sentence(days, horizon_days=90)
    assert "takes 721 days of observation; there are 546, so 175 more are needed" in told["en"]
    assert "共需 721 天的观察；现有 546 天，还差 175 天" in told["zh"]
    few = wording.too_few_sentence(1285, 12)
    assert "1,285 customers who lapsed and 12 who did not" in few["en"]
    assert "流失客户 1,285 人、未流失客户 12 人" in few["zh"]


def test_the_two_indices_are_told_apart_only_where_they_differ() -> None:
    harrell, uno = made(0.81, 0.79, 0.83), made(0.82, 0.8, 0.84)
    told = wording.concordance_sentence(harrell, uno, truncation_day=91)
    assert "in 81.0% of pairs (Harrell; 95% interval 79.0% to 83.0%" in told["en"]
    assert "in 82.0% (Uno; 95% interval 80.0% to 84.0%" in told["en"]
    assert "82.0%（Uno；" in told["zh"]
    same = wording.concordance_sentence(harrell, harrell, truncation_day=91)
    assert "nobody is lost sight of before day 91" in same["en"]
    assert "无人失访" in same["zh"]


@pytest.mark.parametrize(
    ("ends", "en", "zh"),
    [
        ((0.034, 0.058), "alone: the other predictors add to it (AUC higher by 0.0460", "其他预测变量有所改善（AUC"),
        ((-0.01, 0.1), "the data do not show that the other predictors add to it", "数据未显示其他预测变量有所改善"),
        ((-0.1, -0.01), "make the ranking worse", "使排序变差"),
    ],
)
def test_the_other_predictors_are_read_against_the_clock(ends: tuple[float, float], en: str, zh: str) -> None:
    told = wording.recency_sentence(made(0.046, *ends))
    assert en in told["en"]
    assert zh in told["zh"]


def test_precision_stands_beside_the_base_rate_and_a_list_beside_its_size() -> None:
    told = wording.precision_sentence(made(0.872, 0.851, 0.891), base_rate=made(0.587, 0.56, 0.61))
    assert "is 87.2% (95% interval 85.1% to 89.1%, n = 1,555); by lot it would be 58.7%" in told["en"]
    assert "随机名单为 58.7%" in told["zh"]
    listed = wording.list_sentence(25, 1853, "warning-demo.csv")
    assert listed["en"].startswith("25 of 1,853 customers stand on the list of today, under pseudonyms")
    assert "不在本页公布" in listed["zh"]


def test_classes_have_names_in_both_languages_and_a_segment_keeps_its_own() -> None:
    assert wording.class_text("recency") == {"en": "days since the last purchase", "zh": "距最近一次购买的天数"}
    assert wording.class_text("region") == {"en": "region", "zh": "region"}
