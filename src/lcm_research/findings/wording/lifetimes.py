"""Sentences about lifetimes beyond what was seen: each says where the data end and the distribution goes on alone."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Sentence,
    both,
    count,
    interval,
    number,
    percent,
)
from lcm_research.survival.cure import MixtureCureFit
from lcm_research.survival.distribution_choice import Agreement
from lcm_research.survival.follow_up import TOO_SHORT, FollowUpCheck

__all__ = [
    "agreement_check",
    "alive_assumption_check",
    "alive_sentence",
    "closest_sentence",
    "cured_share_check",
    "distribution_text",
    "fit_caption",
    "follow_up_reach_check",
    "lifetime_quantile_sentence",
    "lifetime_question",
]


DISTRIBUTION: Mapping[str, Sentence] = {
    "weibull": both("Weibull", "韦布尔分布"),
    "lognormal": both("log-normal", "对数正态分布"),
    "loglogistic": both("log-logistic", "对数逻辑斯谛分布"),
    "exponential": both("exponential", "指数分布"),
    "gengamma": both("generalised gamma", "广义伽马分布"),
}

CLOSE = 2.0
"""Differences of Akaike's criterion below this do not separate two distributions."""

MOSTLY = 0.9
"""Share of days on which a fitted curve must lie within the interval of the one seen."""


def distribution_text(distribution: str, *, cured_share: bool = False) -> Sentence:
    """Name a distribution; ``cured_share`` says that it is mixed with customers who never lapse."""
    name = DISTRIBUTION[distribution]
    if not cured_share:
        return name
    return both(f"{name['en']} with a share that never lapses", f"{name['zh']}（含永不流失者）")


def closest_sentence(ranked: pd.DataFrame, *, n: int) -> Sentence:
    """Which distribution is closest by Akaike's criterion, and whether the next one is told apart from it."""
    names = [
        distribution_text(str(row.distribution), cured_share=bool(row.cured_share))
        for row in ranked.head(2).itertuples()
    ]
    en, zh = f"n = {count(n)}", f"n = {count(n)}"
    if len(names) < 2:
        return both(f"Only the {names[0]['en']} could be fitted ({en}).", f"只有{names[0]['zh']}能够拟合（{zh}）。")
    gap = float(ranked["aic_difference"].iloc[1])
    if gap < CLOSE:
        return both(
            f"Of the distributions compared the {names[0]['en']} is closest; the data do not separate it from the "
            f"{names[1]['en']} (AIC {number(gap)} apart, {en}).",
            f"在所比较的分布中，{names[0]['zh']}最接近；数据未能将其与{names[1]['zh']}区分开"
            f"（AIC 相差 {number(gap)}，{zh}）。",
        )
    return both(
        f"Of the distributions compared the {names[0]['en']} is closest; next comes the {names[1]['en']} "
        f"(AIC {number(gap)} apart, {en}).",
        f"在所比较的分布中，{names[0]['zh']}最接近，其次为{names[1]['zh']}（AIC 相差 {number(gap)}，{zh}）。",
    )


def lifetime_quantile_sentence(
    day: Estimate, *, share: float, distribution: str, follow_up_days: float, others: Mapping[str, Estimate]
) -> Sentence:
    """
    Day by which a share of those who bought again has lapsed, by the fitted distribution.

    Beyond the follow-up the sentence says that the day is an assumption, and what the ``others`` compared give.
    """
    name, whole = DISTRIBUTION[distribution], f"{100 * share:g}%"
    en, zh = (interval(day.lower, day.upper, language, level=day.level) for language in LANGUAGES)
    said = both(
        f"By the {name['en']} distribution, {whole} of the customers who bought again will have lapsed by day "
        f"{number(day.value)} ({en}, n = {count(day.n)})",
        f"按{name['zh']}推算，再次购买的客户中将有 {whole} 在第 {number(day.value)} 天前流失"
        f"（{zh}，n = {count(day.n)}）",
    )
    if day.value <= follow_up_days:
        return both(
            f"{said['en']}, within the {number(follow_up_days)} days of follow-up.",
            f"{said['zh']}，在 {number(follow_up_days)} 天的观察时间之内。",
        )
    first, last = (number(end([each.value for each in [day, *others.values()]])) for end in (min, max))
    return both(
        f"{said['en']}. Nobody was followed beyond day {number(follow_up_days)}: from there on this is the "
        f"distribution's assumption, and those compared here range from day {first} to day {last}.",
        f"{said['zh']}。没有客户被观察到第 {number(follow_up_days)} 天之后：此后只是分布的假定，"
        f"所比较的各分布给出的结果从第 {first} 天到第 {last} 天不等。",
    )


def lifetime_question(share: float) -> Sentence:
    """Ask when a share of the customers who bought again will have lapsed."""
    whole = f"{100 * share:g}%"
    return both(
        f"By when will {whole} of the customers who bought again have lapsed?",
        f"再次购买的客户中有 {whole} 流失，要到什么时候？",
    )


def fit_caption(*, lapse_known_past_day: int) -> Sentence:
    """What stands in the picture of fitted curves over the one that was seen."""
    return both(
        f"Customers who bought again after day {lapse_known_past_day}. Steps with grey band: the curve that was seen, "
        "with its pointwise interval. Coloured: fitted distributions, dashed beyond the follow-up, where they are "
        "assumptions; the coloured band is the closest one's interval, were it true. Below: customers at risk.",
        f"第 {lapse_known_past_day} 天之后再次购买的客户。阶梯线与灰色带：实际曲线及其逐点置信区间；"
        "彩色线：拟合的分布，观察期之外（虚线）只是假定；彩色带为最接近的分布成立时的区间。下方为风险集人数。",
    )


def agreement_check(agreement: Agreement) -> Check:
    """Whether the fitted curve stays within the interval of the one that was seen."""
    share, gap = percent(agreement.share_inside, 0), number(100 * abs(agreement.largest_gap), 2)
    high = agreement.largest_gap > 0
    day = f"{agreement.on_day:g}"
    return Check(
        name=both("Fitted curve close to the one seen", "拟合曲线与实际曲线相近"),
        passed=agreement.share_inside >= MOSTLY,
        note=both(
            f"On {share} of {count(agreement.n_days)} days with a lapse it lies within the pointwise interval; at most "
            f"it is {gap} points too {'high' if high else 'low'}, on day {day}.",
            f"在 {count(agreement.n_days)} 个有流失的日子中，{share} 落在逐点置信区间之内；"
            f"最大偏差在第 {day} 天，偏{'高' if high else '低'} {gap} 个百分点。",
        ),
    )


def follow_up_reach_check(day: Estimate, *, follow_up_days: float) -> Check:
    """Whether the day, with its interval, lies where customers were followed."""
    upper, end = number(day.upper), number(follow_up_days)
    return Check(
        name=both("Within the follow-up", "在观察时间之内"),
        passed=day.upper <= follow_up_days,
        note=both(
            f"The interval ends on day {upper}; customers were followed for at most {end} days.",
            f"区间上端为第 {upper} 天；客户最长被观察 {end} 天。",
        ),
    )


def cured_share_check(follow_up: FollowUpCheck, mixture: MixtureCureFit | None, share: Estimate | None) -> Check:
    """
    Whether the curve levels off at customers who never lapse, which no distribution without such a share allows for.

    ``mixture`` and ``share`` are None where no share is identified; the note says why.
    """
    last, end = (f"{day:g}" for day in (follow_up.last_event_days, follow_up.last_spell_days))
    seen = both(
        f"The last of {count(follow_up.n_events)} lapses is on day {last} of a follow-up of {end} days",
        f"{count(follow_up.n_events)} 次流失中最后一次在第 {last} 天，观察时间为 {end} 天",
    )
    if mixture is not None and share is not None:
        note = _cured_share_note(mixture, share)
    elif follow_up.sufficient:
        note = both(
            f"{seen['en']}, but no mixture with a share that never lapses settles there: the share goes to 0, or more "
            f"than {TOO_SHORT:.0%} of those still buying would go on to lapse. No such share is given.",
            f"{seen['zh']}，但含永不流失者的混合模型均未稳定：该比例趋于 0，或期末仍在购买者中有超过 "
            f"{TOO_SHORT:.0%} 今后仍会流失。因此不给出这一比例。",
        )
    else:
        note = both(
            f"{seen['en']}, so the curve has not levelled off. A share that never lapses could not be told from a long "
            "tail and is not given.",
            f"{seen['zh']}，曲线尚未趋于平稳，无法将永不流失者与长尾区分开，因此不给出这一比例。",
        )
    return Check(name=both("Nobody seen to stay for good", "未见永不流失者"), passed=mixture is None, note=note)


def _cured_share_note(mixture: MixtureCureFit, share: Estimate) -> Sentence:
    en, zh = (interval(share.lower, share.upper, lang, percent, share.level) for lang in LANGUAGES)
    name, value, rest = DISTRIBUTION[mixture.distribution], percent(share.value), percent(mixture.still_to_lapse)
    return both(
        f"The curve levels off: {value} of the customers who bought again would never lapse if the days of the others "
        f"are {name['en']} ({en}); of those on the plateau {rest} would still lapse.",
        f"曲线趋于平稳：若其他人的天数服从{name['zh']}，则有 {value} 的再次购买者永不流失（{zh}）；"
        f"平台期上的客户中有 {rest} 今后仍会流失。",
    )


def alive_sentence(alive: Estimate, back: Estimate, *, window_days: int, return_days: int) -> Sentence:
    """Mean chance that customers declared lapsed are still customers, beside the share that came back."""
    (en, zh), (back_en, back_zh) = (
        [interval(each.lower, each.upper, lang, percent, each.level) for lang in LANGUAGES] for each in (alive, back)
    )
    value, returned = percent(alive.value), percent(back.value)
    return both(
        f"Of the customers now silent for more than {window_days} days, {value} are still customers by a model of "
        f"each customer's own buying rate ({en}, n = {count(alive.n)}); of all declared lapsed so far, {returned} "
        f"bought again within {return_days} days ({back_en}, n = {count(back.n)}).",
        f"目前沉默超过 {window_days} 天的客户中，按考虑各人购买频率的模型，平均有 {value} 仍是客户"
        f"（{zh}，n = {count(alive.n)}）；而迄今被判定流失的全部客户中，{returned} 在 {return_days} 天内再次购买"
        f"（{back_zh}，n = {count(back.n)}）。",
    )


def alive_assumption_check(after_any: Estimate, after_repeat: Estimate, *, gain: float) -> Check:
    """
    Whether the answer hangs on what is assumed of customers who bought once.

    ``gain`` is the log-likelihood of the model in which they may leave, less that of the one in which they cannot.
    """
    apart = after_any.upper < after_repeat.lower or after_repeat.upper < after_any.lower
    low, high = percent(after_any.value), percent(after_repeat.value)
    better = gain > 0
    return Check(
        name=both("Does not hang on those who bought once", "结果不取决于对只买过一次者的假定"),
        passed=not apart,
        note=both(
            f"{low} where customers may leave after any purchase, {high} where not after their first, which makes all "
            f"who bought once customers for ever; the log-likelihood is {number(abs(gain))} "
            f"{'higher' if better else 'lower'} with the former.",
            f"若任何一次购买后都可能离开，为 {low}；若首次购买后不会离开（只买过一次者便永远算作客户），为 {high}；"
            f"前者的对数似然{'高' if better else '低'} {number(abs(gain))}。",
        ),
    )
