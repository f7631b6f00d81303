"""Sentences about what churn means, why customers leave and who came back: the words follow the study."""

from __future__ import annotations

from datetime import date

import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.wording import endings, survival
from lcm_research.findings.wording.churn import exposure_refusal, window_text
from lcm_research.study import Churn, PersonalWindow

FIXED = Churn(window_days=180)
OWN = Churn(personal_window=PersonalWindow(kappa=3, shortest_days=60, longest_days=365))
CONTRACT = Churn(kind="contract", grace_days=30)
ACTIVE = Churn(window_days=90, activity=("purchases", "engagements"))


def share(value: float, lower: float, upper: float, n: int = 900) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="share", n=n)


@pytest.mark.parametrize(
    ("churn", "en", "zh"),
    [
        (FIXED, "a silence of more than 180 days", "超过 180 天没有购买"),
        (ACTIVE, "a silence of more than 90 days", "超过 90 天没有活动"),
        (
            OWN,
            "a silence longer than 3 times the customer's own usual gap (at least 60 and at most 365 days)",
            "超过客户自身惯常间隔的 3 倍没有购买（不少于 60 天，不多于 365 天）",
        ),
        (CONTRACT, "the end of the contract, without a renewal within 30 days", "合同到期且 30 天内未续约"),
        (Churn(kind="contract", grace_days=0), "the end of the contract", "合同到期"),
    ],
)
def test_a_lapse_is_told_as_the_study_means_it(churn: Churn, en: str, zh: str) -> None:
    assert window_text(churn) == {"en": en, "zh": zh}


def test_staying_is_told_by_what_customers_do() -> None:
    stays = share(0.25, 0.2, 0.3)
    told = [survival.retention_sentence(stays, day=90, churn=churn) for churn in (FIXED, OWN, CONTRACT, ACTIVE)]
    assert told[0] == survival.retention_sentence(stays, day=90, window_days=180)
    assert (
        "still buying 90 days after their first purchase, without a silence longer than 3 times their own"
        in (told[1]["en"])
    )
    assert "其间购买间隔从未超过客户自身惯常间隔的 3 倍" in told[1]["zh"]
    assert told[2]["en"].startswith("25.0% of new contracts are still running 90 days after their first day (95%")
    assert told[2]["zh"].startswith("合同开始 90 天后，25.0% 的新合同仍未终止（95%")
    assert "still active 90 days after their first activity, without a silence of more than 90" in told[3]["en"]
    assert "首次活动 90 天后，25.0% 的新客户仍活跃，其间活动间隔从未超过 90 天" in told[3]["zh"]


def test_means_once_and_returns_follow_the_activity() -> None:
    mean = Estimate(value=51.7, lower=50.5, upper=52.8, unit="days", n=900)
    assert survival.restricted_mean_sentence(mean, horizon_days=270, churn=FIXED) == (
        survival.restricted_mean_sentence(mean, horizon_days=270)
    )
    assert (
        "new contracts run for 51.7 days"
        in (survival.restricted_mean_sentence(mean, horizon_days=270, churn=CONTRACT)["en"])
    )
    assert "平均持续活跃 51.7 天" in survival.restricted_mean_sentence(mean, horizon_days=270, churn=ACTIVE)["zh"]
    once = survival.bought_once_sentence(share(0.6, 0.5, 0.7), churn=OWN)
    assert "bought on one day and then not again for longer than 3 times their own usual gap (95%" in once["en"]
    assert "此后超过客户自身惯常间隔的 3 倍未再购买" in once["zh"]
    back = survival.return_sentence(share(0.2, 0.1, 0.3), day=90, churn=ACTIVE)
    assert "20.0% were active again within 90 days" in back["en"]


@pytest.mark.parametrize(
    ("churn", "has", "words"),
    [
        (FIXED, False, "no table of engagements"),
        (ACTIVE, True, "engaging is activity in this study"),
        (OWN, True, "a window that is the same for everybody"),
        (CONTRACT, True, "a window that is the same for everybody"),
    ],
)
def test_engaging_is_no_question_where_it_cannot_be_one(churn: Churn, has: bool, words: str) -> None:
    refusal = exposure_refusal(churn, has_engagements=has)
    assert refusal is not None
    assert words in refusal["en"]
    assert refusal["zh"].startswith("本节略去")
    assert exposure_refusal(FIXED, has_engagements=True) is None


@pytest.mark.parametrize(
    ("since", "passed", "words"),
    [
        ("first_purchase", True, "read off the first purchase"),
        ("recorded", True, "compared with the customer's first day"),
        ("first_contact", True, "declares that the value was known at the first contact"),
        ("not_said", False, "does not say when the value was recorded"),
    ],
)
def test_groups_are_in_doubt_unless_told_apart_at_the_start(since: str, passed: bool, words: str) -> None:
    check = survival.baseline_check(known_since=since)  # type: ignore[arg-type]
    assert check.passed is passed
    assert words in check.note["en"]  # type: ignore[index]


def test_causes_keep_the_study_s_word_where_there_is_no_other() -> None:
    assert endings.cause_text("lapsed: not told") == {
        "en": "fell silent: reason not told",
        "zh": "沉默流失：未说明原因",
    }
    assert endings.cause_text("moved") == {"en": "moved", "zh": "moved"}


def test_causes_are_told_the_largest_first() -> None:
    shares = {"death": share(0.02, 0.01, 0.03), "lapsed": share(0.4, 0.35, 0.45)}
    told = endings.causes_sentence(shares, day=270, churn=FIXED)
    assert told["en"] == (
        "Share of new customers whose time had ended by 270 days after their first purchase, by cause: fell silent "
        "40.0% (95% interval 35.0% to 45.0%), death 2.0% (95% interval 1.0% to 3.0%); n = 900."
    )
    assert told["zh"] == (
        "首次购买 270 天内，新客户按终止原因的累计占比：沉默流失 40.0%（95% 置信区间 35.0% 至 45.0%），"
        "去世 2.0%（95% 置信区间 1.0% 至 3.0%）；n = 900。"
    )
    contracts = endings.causes_sentence(shares, day=270, churn=CONTRACT)
    assert contracts["en"].startswith("Share of new contracts whose time had ended by 270 days after their first day")
    assert contracts["zh"].startswith("合同开始 270 天内，新合同按终止原因")


def test_a_second_time_is_of_those_who_returned() -> None:
    told = endings.second_lifetime_sentence(
        share(0.34, 0.3, 0.38, n=809),
        share(0.22, 0.21, 0.23, n=23570),
        day=90,
        n_returned=4968,
        returned_by=date(1997, 10, 3),
        as_of=date(1998, 6, 30),
        churn=FIXED,
    )
    assert told["en"].startswith(
        "Among customers who returned by 1998-06-30 (4,968; the 809 who did by 1997-10-03 are followed here), 34.0% "
        "are still buying 90 days after their return (95% interval 30.0% to 38.0%); of new customers 22.0% are"
    )
    assert "截至 1998-06-30 已有 4,968 位客户回归；其中 1997-10-03 及之前回归的 809 人中" in told["zh"]
    assert "回归 90 天后仍在购买的占 34.0%" in told["zh"]
