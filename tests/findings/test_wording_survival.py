"""Sentences about staying: the verb turns with the interval, and the numbers are the estimate's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.wording import survival as wording
from lcm_research.survival.comparison import log_rank
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.spells import STATUSES

BY = {"en": "Membership", "zh": "会员身份"}


def days(value: float, lower: float, upper: float, n: int = 4120) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="days", n=n)


def share(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="share", n=23570)


def test_an_interval_above_zero_earns_the_verb() -> None:
    told = wording.stay_sentence(days(12.4, 8.1, 16.9), "members", "others", by=BY, horizon_days=360)
    assert told["en"] == (
        "By Membership: customers in “members” stay longer than those in “others” "
        "(12.4 days within the first 360, 95% interval 8.10 to 16.9, n = 4,120)."
    )
    assert told["zh"] == (
        "按会员身份：“members”的客户比“others”的客户留存更久"
        "（前 360 天内相差 12.4 天，95% 置信区间 8.10 至 16.9，n = 4,120）。"
    )


def test_an_interval_below_zero_turns_the_groups_and_the_signs() -> None:
    turned = wording.stay_sentence(days(-12.4, -16.9, -8.1), "others", "members", by=BY, horizon_days=360)
    assert turned == wording.stay_sentence(days(12.4, 8.1, 16.9), "members", "others", by=BY, horizon_days=360)


def test_an_interval_around_zero_says_that_the_data_do_not_separate() -> None:
    told = wording.stay_sentence(days(4, -1, 9, n=120), "members", "others", by="Membership", horizon_days=360)
    assert told["en"].startswith(
        "By Membership: the data do not separate how long customers in “members” and in “others”"
    )
    assert "“members” less “others”: 4.00 days within the first 360, 95% interval −1.00 to 9.00" in told["en"]
    assert "“members”减“others”为 4.00 天" in told["zh"]  # the sign of a difference has a direction
    assert "数据未能区分“members”与“others”" in told["zh"]


@pytest.mark.parametrize(
    ("lower", "upper", "en", "zh"),
    [
        (0.5, 0.8, "lapse at a lower rate than", "“south”的流失风险低于“east”"),
        (1.2, 1.9, "lapse at a higher rate than", "“south”的流失风险高于“east”"),
        (0.8, 1.3, "do not separate the rates", "未能区分"),
    ],
)
def test_a_hazard_ratio_is_read_against_one(lower: float, upper: float, en: str, zh: str) -> None:
    ratio = Estimate(value=np.sqrt(lower * upper), lower=lower, upper=upper, unit="ratio", n=900)
    told = wording.hazard_ratio_sentence(ratio, "south", "east", by="Region")
    assert en in told["en"]
    assert zh in told["zh"]
    assert "n = 900" in told["en"]


def test_shares_are_percentages_with_their_interval() -> None:
    once = wording.bought_once_sentence(share(0.625, 0.62, 0.631), window_days=180)
    assert once["en"] == (
        "62.5% of new customers bought on one day and then not again for more than 180 days "
        "(95% interval 62.0% to 63.1%, n = 23,570)."
    )
    assert "62.5% 的新客户只在一天购买过，此后超过 180 天未再购买" in once["zh"]
    stays = wording.retention_sentence(share(0.092, 0.088, 0.096), day=270, window_days=180)
    assert stays["en"].startswith("9.2% of new customers are still buying 270 days after their first purchase")
    back = wording.return_sentence(share(0.188, 0.18, 0.19), day=90)
    assert "18.8% bought again within 90 days" in back["en"]
    assert "90 天内再次购买" in back["zh"]
    mean = wording.restricted_mean_sentence(days(51.7, 50.5, 52.8), horizon_days=270)
    assert "keep buying for 51.7 days on average (95% interval 50.5 to 52.8" in mean["en"]


def test_a_log_rank_test_is_told_by_its_p_value() -> None:
    rows = pd.DataFrame({"duration_days": np.arange(1, 41), "event_observed": True, "n": 1})
    apart = rows.assign(group=np.where(rows["duration_days"] > 20, "a", "b"))
    mixed = rows.assign(group=np.where(rows["duration_days"] % 2, "a", "b"))
    assert (
        "The curves of the 2 groups differ"
        in wording.log_rank_sentence(log_rank(apart, by="group", rho=0), alpha=0.05)["en"]
    )
    told = wording.log_rank_sentence(log_rank(mixed, by="group", rho=0), alpha=0.05)
    assert "do not separate the curves of the 2 groups (log-rank χ² = " in told["en"]
    assert "，df = 1，p = " in told["zh"]


@pytest.mark.parametrize(("p", "passed", "words"), [(0.01, False, "change over"), (0.4, True, "No change of")])
def test_proportionality_is_a_check_that_p_decides(p: float, passed: bool, words: str) -> None:
    table = pd.DataFrame(
        {"covariate": ["region", "GLOBAL"], "chi_square": [1.0, 7.5], "degrees_of_freedom": [1, 2], "p_value": [0.9, p]}
    )
    check = wording.proportionality_check(table, alpha=0.05)
    assert check.passed is passed
    assert words in check.note["en"]  # type: ignore[index]
    assert "χ² = 7.50，df = 2" in check.note["zh"]  # type: ignore[index]


def test_late_entry_is_compared_by_whether_the_intervals_meet() -> None:
    apart = wording.late_entry_sentence(share(0.09, 0.08, 0.10), share(0.14, 0.12, 0.15), day=270)
    assert "14.0% go on past day 270 (95% interval 12.0% to 15.0%, n = 23,570), of those of new" in apart["en"]
    assert "new customers 9.0% (95%" in apart["en"]
    assert apart["en"].endswith("the intervals do not overlap.")
    assert apart["zh"].endswith("区间不重叠。")
    near = wording.late_entry_sentence(share(0.09, 0.08, 0.13), share(0.14, 0.12, 0.15), day=270)
    assert near["en"].endswith("the intervals overlap, which does not make the two equal.")
    assert near["zh"].endswith("区间重叠，但不能据此认为相同。")


def test_a_group_whose_value_may_be_taken_on_later_is_in_doubt() -> None:
    assert wording.baseline_check(of_first_purchase=True).passed
    undated = wording.baseline_check(of_first_purchase=False)
    assert not undated.passed
    assert "does not say when the value was recorded" in undated.note["en"]  # type: ignore[index]
    assert "未说明该取值何时记录" in undated.note["zh"]  # type: ignore[index]


def test_the_width_of_intervals_is_a_ratio() -> None:
    assert "1.50 times as wide" in wording.width_sentence(days(0, -3, 3), days(0, -2, 2))["en"]


def test_curve_checks_compare_with_what_is_asked_for() -> None:
    rows = pd.DataFrame({"duration_days": np.repeat([5, 30], 30), "n": 1, "replicate": np.tile(np.arange(30), 2)})
    rows = rows.assign(event_observed=rows["duration_days"] == 5)
    curve = kaplan_meier(rows, interval="replicate")
    followed, grouped = wording.curve_checks(curve, horizon_days=30, min_at_risk=30)
    assert (followed.passed, grouped.passed) == (True, True)
    assert "30 customers are at risk on day 30; at least 30" in followed.note["en"]  # type: ignore[index]
    followed, grouped = wording.curve_checks(
        kaplan_meier(rows[rows["replicate"] < 19], interval="replicate"), horizon_days=30, min_at_risk=30
    )
    assert (followed.passed, grouped.passed) == (False, False)
    assert "19 of 100 groups" in grouped.note["en"]  # type: ignore[index]


def test_every_status_of_a_spell_has_words_in_both_languages() -> None:
    told = [wording.status_text(status) for status in STATUSES]
    assert len({t["en"] for t in told}) == len({t["zh"] for t in told}) == len(STATUSES)


def test_questions_name_the_segment_in_its_language() -> None:
    assert wording.stay_question("a", "b", by=BY)["en"].startswith("By Membership: do customers in “a” stay longer")
    assert wording.hazard_question("a", "b", by=BY)["zh"].startswith("按会员身份：再次购买的客户中，“a”比“b”")
    # a label in one language serves both
    assert wording.stay_question("a", "b", by={"zh": "会员身份"})["en"].startswith("By 会员身份: do")
