"""Sentences about how long customers stay; the verb follows the interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from lcm_research.estimate import FEW_GROUPS, Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.churn import activity_words, silence_words
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Sentence,
    both,
    count,
    evidence,
    in_words,
    number,
    p_value,
    percent,
)
from lcm_research.study import Churn, KnownSince
from lcm_research.survival.comparison import LogRank
from lcm_research.survival.curves import SurvivalCurve, at_risk_at

__all__ = [
    "baseline_check",
    "bought_once_sentence",
    "curve_checks",
    "hazard_question",
    "hazard_ratio_sentence",
    "late_entry_sentence",
    "log_rank_sentence",
    "proportionality_check",
    "proportionality_sentence",
    "restricted_mean_sentence",
    "retention_sentence",
    "return_sentence",
    "status_text",
    "stay_question",
    "stay_sentence",
    "width_sentence",
]


STATUS: Mapping[str, Sentence] = {
    "used": both("used here", "纳入分析"),
    "known_before": both("customer known before observation started", "观察期之前已是客户"),
    "start_not_seen": both("may have started before observation did", "起点可能早于观察期"),
    "later_spell": both("not the customer's first spell", "不是客户的首个活跃期"),
    "over_before_entry": both("over before late entry opens", "在延迟进入之前已结束"),
    "starts_after_cut": both("too young for a lapse to be seen", "开始过晚，尚无法观察到流失"),
    "no_purchase": both("never bought", "从未购买"),
    "no_contract": both("no contract", "没有合同"),
}


def status_text(status: str) -> Sentence:
    """What became of a spell, as ``spell_reconciliation`` names it."""
    return STATUS[status]


def retention_sentence(
    estimate: Estimate, *, day: int, window_days: int | None = None, churn: Churn | None = None
) -> Sentence:
    """
    Share of new customers that goes on past ``day``.

    What going on means is said by ``churn``, the study's, or by ``window_days`` for purchases and one window for all.
    """
    churn = churn or Churn(window_days=window_days)
    en, zh = (evidence(estimate, language, of_share=True) for language in LANGUAGES)
    share = percent(estimate.value)
    if churn.kind == "contract":
        return both(
            f"{share} of new contracts are still running {day} days after their first day ({en}).",
            f"合同开始 {day} 天后，{share} 的新合同仍未终止（{zh}）。",
        )
    words, silence = activity_words(churn), silence_words(churn, "their own")
    return both(
        f"{share} of new customers are still {words['doing']} {day} days after their first {words['act']}, without a "
        f"{silence['en']} until then ({en}).",
        f"首次{words['行为']} {day} 天后，{share} 的新客户仍{words['仍在']}，其间{words['行为']}间隔从未{silence['zh']}"
        f"（{zh}）。",
    )


def restricted_mean_sentence(estimate: Estimate, *, horizon_days: int, churn: Churn | None = None) -> Sentence:
    """Mean days until the lapse within the horizon; ``churn`` is the study's, purchases where absent."""
    value = number(estimate.value)
    if churn is not None and churn.kind == "contract":
        return both(
            f"Within {horizon_days} days of their first day new contracts run for {value} days on average "
            f"({evidence(estimate, 'en')}).",
            f"合同开始后 {horizon_days} 天内，新合同平均存续 {value} 天（{evidence(estimate, 'zh')}）。",
        )
    if churn is not None and churn.activity != ("purchases",):
        return both(
            f"Within {horizon_days} days of their first activity new customers stay active for {value} days on average "
            f"({evidence(estimate, 'en')}).",
            f"首次活动后 {horizon_days} 天内，新客户平均持续活跃 {value} 天（{evidence(estimate, 'zh')}）。",
        )
    return both(
        f"Within {horizon_days} days of their first purchase new customers keep buying for {value} days on average "
        f"({evidence(estimate, 'en')}).",
        f"首次购买后 {horizon_days} 天内，新客户平均持续购买 {value} 天（{evidence(estimate, 'zh')}）。",
    )


def stay_question(group: str, other: str, *, by: Mapping[str, str] | str) -> Sentence:
    """Ask who stays longer; ``by`` is the segment's label, by language."""
    return both(
        f"By {in_words(by, 'en')}: do customers in “{group}” stay longer than those in “{other}”?",
        f"按{in_words(by, 'zh')}：“{group}”的客户比“{other}”的客户留存更久吗？",
    )


def stay_sentence(
    difference: Estimate, group: str, other: str, *, by: Mapping[str, str] | str, horizon_days: int
) -> Sentence:
    """Who stays longer, by a difference of restricted means (``group`` less ``other``); or that the data do not say."""
    sign = difference.sign()
    if sign < 0:
        turned = replace(
            difference, value=-difference.value, lower=-difference.upper, upper=-difference.lower, leave_one_out=None
        )
        return stay_sentence(turned, other, group, by=by, horizon_days=horizon_days)
    en, zh = (evidence(difference, language) for language in LANGUAGES)
    days, by_en, by_zh = number(difference.value), in_words(by, "en"), in_words(by, "zh")
    if sign > 0:
        return both(
            f"By {by_en}: customers in “{group}” stay longer than those in “{other}” "
            f"({days} days within the first {horizon_days}, {en}).",
            f"按{by_zh}：“{group}”的客户比“{other}”的客户留存更久（前 {horizon_days} 天内相差 {days} 天，{zh}）。",
        )
    return both(
        f"By {by_en}: the data do not separate how long customers in “{group}” and in “{other}” stay "
        f"(“{group}” less “{other}”: {days} days within the first {horizon_days}, {en}).",
        f"按{by_zh}：数据未能区分“{group}”与“{other}”的客户的留存时间"
        f"（前 {horizon_days} 天内“{group}”减“{other}”为 {days} 天，{zh}）。",
    )


def hazard_question(group: str, other: str, *, by: Mapping[str, str] | str) -> Sentence:
    """Ask who lapses at the higher rate after the first day."""
    return both(
        f"By {in_words(by, 'en')}: of those who bought again, do those in “{group}” lapse faster than in “{other}”?",
        f"按{in_words(by, 'zh')}：再次购买的客户中，“{group}”比“{other}”流失更快吗？",
    )


def hazard_ratio_sentence(ratio: Estimate, group: str, other: str, *, by: Mapping[str, str] | str) -> Sentence:
    """Who lapses at the higher daily rate, among those who go on past their first day."""
    sign = ratio.sign(1.0)
    en = f"(hazard ratio {number(ratio.value)}, {evidence(ratio, 'en')})"
    zh = f"（风险比 {number(ratio.value)}，{evidence(ratio, 'zh')}）"
    by_en, by_zh = f"By {in_words(by, 'en')}, among customers who bought again:", f"按{in_words(by, 'zh')}"
    if sign:
        rate_en, rate_zh = ("higher", "高于") if sign > 0 else ("lower", "低于")
        return both(
            f"{by_en} those in “{group}” lapse at a {rate_en} rate than those in “{other}” {en}.",
            f"{by_zh}：再次购买的客户中，“{group}”的流失风险{rate_zh}“{other}”{zh}。",
        )
    return both(
        f"{by_en} the data do not separate the rates at which those in “{group}” and in “{other}” lapse {en}.",
        f"{by_zh}：再次购买的客户中，数据未能区分“{group}”与“{other}”的流失风险{zh}。",
    )


def bought_once_sentence(share: Estimate, *, window_days: int | None = None, churn: Churn | None = None) -> Sentence:
    """Share of new customers who bought (or were active) on one day and never within the window again."""
    churn = churn or Churn(window_days=window_days)
    en, zh = (evidence(share, language, of_share=True) for language in LANGUAGES)
    value, words, silence = percent(share.value), activity_words(churn), silence_words(churn, "their own")
    longer = silence["en"].removeprefix("silence of ").removeprefix("silence ")
    return both(
        f"{value} of new customers {words['did']} on one day and then not again for {longer} ({en}).",
        f"{value} 的新客户只在一天{words['有过']}，此后{silence['zh']}未再{words['行为']}（{zh}）。",
    )


def return_sentence(share: Estimate, *, day: int, churn: Churn | None = None) -> Sentence:
    """Share of lapsed customers who buy (or are active) again within ``day`` days of the declared lapse."""
    en, zh = (evidence(share, language, of_share=True) for language in LANGUAGES)
    value, words = percent(share.value), activity_words(churn)
    return both(
        f"Of the customers who lapsed, {value} {words['did']} again within {day} days after the lapse was declared "
        f"({en}).",
        f"流失客户中，{value} 在判定流失后的 {day} 天内再次{words['行为']}（{zh}）。",
    )


def log_rank_sentence(test: LogRank, *, alpha: float) -> Sentence:
    """Whether the curves of the groups differ at level ``alpha``."""
    k, n = len(test.groups), count(int(test.n.sum()))
    parts = f"χ² = {number(test.chi_square)}", f"df = {test.degrees_of_freedom}", p_value(test.p_value), f"n = {n}"
    en, zh = ", ".join(parts), "，".join(parts)
    if test.p_value < alpha:
        return both(
            f"The curves of the {k} groups differ (log-rank {en}).",
            f"{k} 个组的留存曲线存在差异（对数秩检验 {zh}）。",
        )
    return both(
        f"The data do not separate the curves of the {k} groups (log-rank {en}).",
        f"数据未能区分 {k} 个组的留存曲线（对数秩检验 {zh}）。",
    )


def proportionality_sentence(test: pd.DataFrame, *, alpha: float) -> Sentence:
    """Whether the hazard ratios hold over a customer's life, by the global row of the test."""
    row = test[test["covariate"] == "GLOBAL"]
    chi_square, df, p = (float(row[c].iloc[0]) for c in ("chi_square", "degrees_of_freedom", "p_value"))
    parts = f"χ² = {number(chi_square)}", f"df = {df:.0f}", p_value(p)
    en, zh = ", ".join(parts), "，".join(parts)
    if p < alpha:
        return both(
            f"The hazard ratios change over a customer's life ({en}): read them as averages, and the restricted "
            "means first.",
            f"风险比随时间变化（{zh}）：应将其视为平均值，以限制平均留存时间为准。",
        )
    return both(
        f"No change of the hazard ratios over a customer's life was seen ({en}).",
        f"未见风险比随时间变化（{zh}）。",
    )


def late_entry_sentence(headline: Estimate, late: Estimate, *, day: int) -> Sentence:
    """The share that goes on past ``day``, from every spell under observation and from new customers."""
    apart = headline.lower > late.upper or late.lower > headline.upper
    every, new = percent(late.value), percent(headline.value)
    en, zh = ([evidence(e, language, of_share=True) for e in (late, headline)] for language in LANGUAGES)
    seen = both(
        "the intervals do not overlap" if apart else "the intervals overlap, which does not make the two equal",
        "两者的置信区间不重叠" if apart else "两者的置信区间重叠，但不能据此认为相同",
    )
    return both(
        f"Of all spells under observation {every} go on past day {day} ({en[0]}), of those of new customers {new} "
        f"({en[1]}): {seen['en']}.",
        f"第 {day} 天之后仍留存的比例，全部观察到的活跃期为 {every}（{zh[0]}），新客户为 {new}（{zh[1]}）；"
        f"{seen['zh']}。",
    )


def width_sentence(grouped: Estimate, model: Estimate) -> Sentence:
    """How much wider the interval by groups of customers is than the one for independent spells."""
    ratio = number((grouped.upper - grouped.lower) / (model.upper - model.lower))
    return both(
        f"The interval by groups of customers is {ratio} times as wide as the one that takes spells as independent.",
        f"按客户组计算的区间宽度是假定各活跃期相互独立时的 {ratio} 倍。",
    )


BASELINE: Mapping[KnownSince, Sentence] = {
    "first_purchase": both("The groups are read off the first purchase.", "分组取自首次购买。"),
    "recorded": both(
        "The day on which each value was recorded was compared with the customer's first day; no value recorded later "
        "is used.",
        "已将每个取值的记录日期与客户的起始日比较，未使用起始日之后记录的取值。",
    ),
    "first_contact": both(
        "The study declares that the value was known at the first contact.", "研究说明该取值在首次接触时即已确定。"
    ),
    "not_said": both(
        "The table of customers does not say when the value was recorded. One that is taken on later, such as a "
        "membership, goes to those who stayed long enough to get it.",
        "客户表未说明该取值何时记录。若在首次购买之后才取得（例如后来加入的会员），留存更久的人更可能取得该值。",
    ),
}
"""Whether groups were told apart before anybody could stay or leave, by ``Segment.known_since``."""


def baseline_check(*, of_first_purchase: bool = False, known_since: KnownSince | None = None) -> Check:
    """
    Whether the groups are known to have been told apart on the first day, before anybody could stay or leave.

    ``known_since`` is the segment's; ``of_first_purchase`` is for groups that are no segment of the study.
    """
    since = known_since or ("first_purchase" if of_first_purchase else "not_said")
    return Check(
        name=both("Groups told apart at the first purchase", "分组在首次购买时已确定"),
        passed=since != "not_said",
        note=BASELINE[since],
    )


def curve_checks(curve: SurvivalCurve, *, horizon_days: int, min_at_risk: int) -> list[Check]:
    """What a number read off a curve at ``horizon_days`` rests on: customers still at risk, and groups with a lapse."""
    at_risk = at_risk_at(curve, horizon_days)
    groups = 0 if curve.groups_with_event is None else int(curve.groups_with_event[-1])
    return [
        Check(
            name=both("Enough customers followed to the horizon", "观察到该时点的客户足够多"),
            passed=at_risk >= min_at_risk,
            note=both(
                f"{count(at_risk)} customers are at risk on day {horizon_days}; at least {min_at_risk} are asked for.",
                f"第 {horizon_days} 天的风险集有 {count(at_risk)} 人；要求至少 {min_at_risk} 人。",
            ),
        ),
        Check(
            name=both("Enough groups of customers for the interval", "客户组数足以计算区间"),
            passed=groups >= FEW_GROUPS,
            note=both(
                f"{groups} of 100 groups of customers hold a lapse; at least {FEW_GROUPS} are asked for.",
                f"100 个客户组中有 {groups} 个出现流失；要求至少 {FEW_GROUPS} 个。",
            ),
        ),
    ]


def proportionality_check(test: pd.DataFrame, *, alpha: float) -> Check:
    """Whether the hazard ratios hold over a customer's life, as a check beside a ratio."""
    p = float(test.loc[test["covariate"] == "GLOBAL", "p_value"].iloc[0])
    return Check(
        name=both("Hazard ratios constant over a customer's life", "风险比不随时间变化"),
        passed=p >= alpha,
        note=proportionality_sentence(test, alpha=alpha),
    )
