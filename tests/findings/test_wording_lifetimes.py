"""Sentences about lifetimes: where they stop being what was seen, and what they hang on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.wording import lifetimes as wording
from lcm_research.survival.cure import cured_share, mixture_cure
from lcm_research.survival.distribution_choice import Agreement
from lcm_research.survival.follow_up import FollowUpCheck


def days(value: float, half: float = 40) -> Estimate:
    return Estimate(value=value, lower=value - half, upper=value + half, unit="days", n=1437)


def share(value: float, half: float = 0.03, n: int = 930) -> Estimate:
    return Estimate(value=value, lower=value - half, upper=value + half, unit="probability", n=n)


def ranking(gap: float, cured: bool = False) -> pd.DataFrame:
    return pd.DataFrame(
        {"distribution": ["gengamma", "weibull"], "cured_share": [cured, False], "aic_difference": [0.0, gap]}
    )


def test_the_closest_distribution_is_told_apart_only_by_two_points() -> None:
    apart, close = (wording.closest_sentence(ranking(gap), n=8827) for gap in (20.66, 1.99))
    assert "the generalised gamma is closest; next comes the Weibull (AIC 20.7 apart, n = 8,827)" in apart["en"]
    assert "广义伽马分布最接近，其次为韦布尔分布（AIC 相差 20.7" in apart["zh"]
    assert "do not separate it from the Weibull (AIC 1.99 apart" in close["en"]
    assert "未能将其与韦布尔分布区分开" in close["zh"]
    mixed = wording.closest_sentence(ranking(20, cured=True), n=10)
    assert "generalised gamma with a share that never lapses" in mixed["en"]
    assert "含永不流失者" in mixed["zh"]
    alone = wording.closest_sentence(ranking(0).head(1), n=10)
    assert alone["en"] == "Only the generalised gamma could be fitted (n = 10)."


def test_a_day_beyond_the_follow_up_is_said_to_be_an_assumption() -> None:
    others = {"exponential": days(689), "weibull": days(691), "lognormal": days(1223)}
    told = {"share": 0.9, "distribution": "exponential", "others": others}
    beyond = wording.lifetime_quantile_sentence(days(689), follow_up_days=546, **told)
    assert beyond["en"].startswith(
        "By the exponential distribution, 90% of the customers who bought again will have lapsed by day 689 "
        "(95% interval 649 to 729, n = 1,437). Nobody was followed beyond day 546"
    )
    assert "the distribution's assumption, and those compared here range from day 689 to day 1,223" in beyond["en"]
    assert "只是分布的假定" in beyond["zh"]
    assert "从第 689 天到第 1,223 天不等" in beyond["zh"]
    within = wording.lifetime_quantile_sentence(days(689), follow_up_days=900, **told)
    assert within["en"].endswith("within the 900 days of follow-up.")
    assert "assumption" not in within["en"]
    assert "假定" not in within["zh"]
    assert "90%" in wording.lifetime_question(0.9)["en"]
    assert "90%" in wording.lifetime_question(0.9)["zh"]


def test_reach_is_judged_by_the_end_of_the_interval() -> None:
    assert wording.follow_up_reach_check(days(500), follow_up_days=540).passed
    check = wording.follow_up_reach_check(days(501), follow_up_days=540)
    assert not check.passed
    assert check.note["en"] == "The interval ends on day 541; customers were followed for at most 540 days."


@pytest.mark.parametrize(("inside", "gap", "passed", "word"), [(0.9, 0.023, True, "high"), (0.89, -0.03, False, "low")])
def test_agreement_names_its_largest_gap(inside: float, gap: float, passed: bool, word: str) -> None:
    found = Agreement(largest_gap=gap, on_day=182, share_inside=inside, n_days=349, level=0.95)
    check = wording.agreement_check(found)
    assert check.passed == passed
    assert f"{100 * abs(gap):.1f} points too {word}, on day 182" in check.note["en"]
    assert f"{100 * inside:.0f}% of 349 days" in check.note["en"]
    assert ("偏高" if gap > 0 else "偏低") in check.note["zh"]


def follow_up(alpha: float) -> FollowUpCheck:
    return FollowUpCheck(last_event_days=506, last_spell_days=546, n=1437, n_events=752, n_events_before=5, alpha=alpha)


def test_why_no_share_is_given() -> None:
    no_plateau, unsettled = (wording.cured_share_check(follow_up(alpha), None, None) for alpha in (0.4, 0.006))
    assert no_plateau.passed
    assert "day 506 of a follow-up of 546 days, so the curve has not levelled off" in no_plateau.note["en"]
    assert "but no mixture with a share that never lapses settles there" in unsettled.note["en"]
    assert "曲线尚未趋于平稳" in no_plateau.note["zh"]
    assert "混合模型均未稳定" in unsettled.note["zh"]


def test_a_share_that_never_lapses_fails_the_check_and_is_named() -> None:
    rng = np.random.default_rng(1)
    life = np.where(rng.random(1500) < 0.3, 1e9, 20 * rng.weibull(1.5, 1500))
    table = pd.DataFrame({"duration_days": np.minimum(life, 200), "event_observed": life < 200, "n": 1})
    fit = mixture_cure(table, distribution="weibull", covariates=[], cured_covariates=[], intervals="information")
    never = cured_share(fit, {})
    check = wording.cured_share_check(fit.follow_up, fit, never)
    assert not check.passed
    assert f"{100 * never.value:.1f}% of the customers who bought again would never lapse" in check.note["en"]
    assert "of those on the plateau 0.0% would still lapse" in check.note["en"]
    assert f"{100 * never.value:.1f}%" in check.note["zh"]


def test_the_silent_are_read_twice() -> None:
    told = wording.alive_sentence(share(0.13), share(0.203, n=1103), window_days=180, return_days=120)
    assert "now silent for more than 180 days, 13.0% are still customers" in told["en"]
    assert "(95% interval 10.0% to 16.0%, n = 930)" in told["en"]
    assert "20.3% bought again within 120 days (95% interval 17.3% to 23.3%, n = 1,103)" in told["en"]
    assert "平均有 13.0% 仍是客户" in told["zh"]
    assert "20.3% 在 120 天内再次购买" in told["zh"]


def test_an_answer_that_hangs_on_those_who_bought_once_is_said_to() -> None:
    hangs = wording.alive_assumption_check(share(0.13), share(0.41), gain=86.4)
    assert not hangs.passed
    assert "13.0% where customers may leave after any purchase, 41.0% where not after their first" in hangs.note["en"]
    assert "86.4 higher with the former" in hangs.note["en"]
    assert "高 86.4" in hangs.note["zh"]
    holds = wording.alive_assumption_check(share(0.13), share(0.15), gain=-2)
    assert holds.passed
    assert "2.00 lower" in holds.note["en"]


def test_the_caption_tells_the_seen_from_the_assumed() -> None:
    caption = wording.fit_caption(lapse_known_past_day=1)
    assert "dashed beyond the follow-up, where they are assumptions" in caption["en"]
    assert "虚线" in caption["zh"]
