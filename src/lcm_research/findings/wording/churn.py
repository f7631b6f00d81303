"""What churn means in a study, in words that fit into sentences."""

from __future__ import annotations

from collections.abc import Mapping

from lcm_research.findings.wording.common import Sentence, both
from lcm_research.study import Churn

__all__ = ["activity", "activity_words", "exposure_refusal", "silence_words", "window_text"]


def window_text(churn: Churn) -> Sentence:
    """
    What a lapse is, as part of a sentence.

    >>> window_text(Churn(window_days=180))["en"]
    'a silence of more than 180 days'
    """
    if churn.kind == "contract" and not churn.grace_days:
        return both("the end of the contract", "合同到期")
    if churn.kind == "contract":
        return both(
            f"the end of the contract, without a renewal within {churn.grace_days} days",
            f"合同到期且 {churn.grace_days} 天内未续约",
        )
    words, silence = activity_words(churn), silence_words(churn, "the customer's own")
    limits, limits_zh = "", ""
    if own := churn.personal_window:
        limits = f" (at least {own.shortest_days} and at most {own.longest_days} days)"
        limits_zh = f"（不少于 {own.shortest_days} 天，不多于 {own.longest_days} 天）"
    return both(f"a {silence['en']}{limits}", f"{silence['zh']}没有{words['行为']}{limits_zh}")


def exposure_refusal(churn: Churn, *, has_engagements: bool) -> Sentence | None:
    """Why engaging cannot be asked about as a cause of staying in a study; None where it can."""
    if not has_engagements:
        return both("Left out: the study has no table of engagements.", "本节略去：该研究没有互动数据。")
    if "engagements" in churn.activity:
        return both(
            "Left out: engaging is activity in this study, so that whoever engages has by that not lapsed.",
            "本节略去：在本研究中互动本身即视为活动，有互动者按定义即未流失。",
        )
    if churn.window_days is None:
        return both(
            "Left out: periods before and after engaging are compared up to one cut, which needs a window that is the "
            "same for everybody (churn.window_days).",
            "本节略去：各时段须以同一截止点比较，需要对所有客户相同的流失窗口（churn.window_days）。",
        )
    return None


def silence_words(churn: Churn, whose: str) -> Sentence:
    """How long a silence is a lapse, as part of a sentence."""
    if own := churn.personal_window:
        return both(
            f"silence longer than {own.kappa} times {whose} usual gap", f"超过客户自身惯常间隔的 {own.kappa} 倍"
        )
    return both(f"silence of more than {churn.window_days} days", f"超过 {churn.window_days} 天")


def activity(churn: Churn) -> Sentence:
    """What counts as being there, as a definition."""
    if churn.kind == "contract":
        return both("a contract that runs", "合同有效")
    kinds = {
        "purchases": both("purchases, without returns", "购买（不含退货）"),
        "engagements": both("engagements", "互动"),
    }
    chosen = [kinds[kind] for kind in churn.activity]
    return both("; ".join(each["en"] for each in chosen), "；".join(each["zh"] for each in chosen))


def activity_words(churn: Churn | None) -> Mapping[str, str]:
    """What customers do who have not lapsed: buy, or be active in more ways than one."""
    if churn is None or churn.activity == ("purchases",):
        return {
            "doing": "buying",
            "did": "bought",
            "act": "purchase",
            "行为": "购买",
            "仍在": "在购买",
            "有过": "购买过",
        }
    return {
        "doing": "active",
        "did": "were active",
        "act": "activity",
        "行为": "活动",
        "仍在": "活跃",
        "有过": "活动过",
    }
