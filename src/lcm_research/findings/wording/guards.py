"""Sentences about what a headline hangs on: the churn window, those lost sight of, and who the groups are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Language,
    Sentence,
    both,
    in_words,
    interval,
    number,
    percent,
)
from lcm_research.survival.censoring_bounds import CensoringBounds
from lcm_research.survival.simpson import Reversal
from lcm_research.survival.window_choice import WindowChoice

__all__ = [
    "censoring_check",
    "censoring_sentence",
    "factor_text",
    "reversal_check",
    "reversal_headings",
    "reversal_sentence",
    "reversal_table",
    "window_check",
    "window_headings",
    "window_sentence",
]


def window_sentence(choice: WindowChoice, *, window_days: int, reference_days: int) -> Sentence:
    """Which window the rule picks, how surely, and that the study's own stays."""
    most, longest = percent(choice.most_return, 0), max(choice.shares)
    rule = both(
        f"at most {most} of the lapses are followed by a purchase within {choice.return_days} days of being declared",
        f"判定流失后 {choice.return_days} 天内再次购买的比例不超过 {most}",
    )
    kept = both(f"The study's window of {window_days} days stays.", f"本研究仍采用 {window_days} 天的窗口。")
    if choice.recommended is None:
        return both(
            f"In the first {reference_days} days of observation no window up to {longest} days is long enough that "
            f"{rule['en']}{_agreeing(choice)['en']}. {kept['en']}",
            f"在观察期的前 {reference_days} 天中，{longest} 天以内没有哪个窗口能使{rule['zh']}"
            f"{_agreeing(choice)['zh']}。{kept['zh']}",
        )
    ends = [
        both(f"{end} days", f" {end} 天") if end else both(f"beyond {longest} days", f"超过 {longest} 天")
        for end in (choice.lower, choice.upper)
    ]
    level = f"{100 * choice.level:g}%"
    return both(
        f"In the first {reference_days} days of observation {choice.recommended} days is the shortest window looked at "
        f"after which {rule['en']} ({level} interval {ends[0]['en']} to {ends[1]['en']}{_agreeing(choice)['en']}). "
        f"{kept['en']}",
        f"在观察期的前 {reference_days} 天中，所考察的窗口里 {choice.recommended} 天是使{rule['zh']} 的最短窗口"
        f"（{level} 置信区间{ends[0]['zh']}至{ends[1]['zh']}{_agreeing(choice)['zh']}）。{kept['zh']}",
    )


def _agreeing(choice: WindowChoice) -> Sentence:
    share, n = percent(choice.share_agreeing, 0), f"{choice.n_resamples:,}"
    return both(f"; the same in {share} of {n} resamples", f"；{n} 次重抽样中有 {share} 结果相同")


def window_headings(language: Language) -> dict[str, str]:
    """Return the headings of the table of a ``WindowChoice``, but for the share, whose days the page knows."""
    return {
        "window_days": {"en": "window (days)", "zh": "流失窗口（天）"}[language],
        "n_lapses": {"en": "lapses", "zh": "流失数"}[language],
    }


def window_check(choice: WindowChoice, *, window_days: int, reference_days: int) -> Check:
    """Whether the study's window lies within the interval of the recommended one."""
    lower, upper = (np.inf if end is None else end for end in (choice.lower, choice.upper))
    return Check(
        name=both("The churn window is one that the reference period supports", "参照期支持所用的流失窗口"),
        passed=bool(lower <= window_days <= upper),
        note=window_sentence(choice, window_days=window_days, reference_days=reference_days),
    )


def factor_text(factor: float) -> Sentence:
    """What a factor on the hazard of the censored means."""
    if factor == np.inf:
        return both("all lapse at once", "全部立即流失")
    if factor == 0:
        return both("none lapses within the horizon", "期限内均不流失")
    if factor == 1:
        return both("as the others (the curve)", "与其他客户相同（留存曲线）")
    return both(f"hazard times {number(factor, 2)}", f"风险为其他客户的 {number(factor, 2)} 倍")


def censoring_sentence(bounds: CensoringBounds) -> Sentence:
    """What the headline would be if those lost sight of were not like the others."""
    day, lost = bounds.horizon_days, bounds.share_censored
    if lost.value == 0:
        return both(
            f"No spell is lost sight of before day {day}: censoring hides nothing.",
            f"第 {day} 天之前没有活跃期被删失，删失不影响结果。",
        )
    worst, best = bounds.restricted_mean[0], bounds.restricted_mean[-1]
    stays = percent(bounds.stays[0].value), percent(bounds.stays[-1].value)
    ends = [[interval(e.lower, e.upper, lang, level=e.level) for lang in LANGUAGES] for e in (worst, best)]
    share = percent(lost.value)
    return both(
        f"{share} of the spells ({interval(lost.lower, lost.upper, 'en', percent, lost.level)}) are lost sight of "
        f"before day {day}. Whatever became of them, the mean lies between {number(worst.value)} days ({ends[0][0]}) "
        f"and {number(best.value)} days ({ends[1][0]}), and between {stays[0]} and {stays[1]} stay.",
        f"{share} 的活跃期（{interval(lost.lower, lost.upper, 'zh', percent, lost.level)}）在第 {day} 天之前被删失。"
        f"无论其结局如何，平均天数都在 {number(worst.value)} 天（{ends[0][1]}）与 {number(best.value)} 天（"
        f"{ends[1][1]}）之间，留存比例在 {stays[0]} 与 {stays[1]} 之间。",
    )


def censoring_check(bounds: CensoringBounds) -> Check:
    """Whether what censoring could hide is smaller than what chance could: both bounds inside the usual interval."""
    usual = bounds.at(1.0)[1]
    worst, best = bounds.restricted_mean[0], bounds.restricted_mean[-1]
    return Check(
        name=both("Censoring could not move the mean beyond its interval", "删失不足以使平均天数超出其区间"),
        passed=bool(usual.lower <= worst.value and best.value <= usual.upper),
        note=censoring_sentence(bounds),
    )


REVERSALS: Mapping[str, Sentence] = {
    "segment": both("segment", "分组变量"),
    "contrast": both("groups", "对比的两组"),
    "within": both("within", "在其内比较的分组变量"),
    "n_customers": both("customers", "客户数"),
    "difference_days": both("days longer, in all", "总体相差天数"),
    "standardised_difference_days": both("days longer, made up alike", "构成一致时相差天数"),
    "n_levels": both("levels compared", "比较的水平数"),
    "n_opposite": both("levels with the other sign", "符号相反的水平数"),
}


def reversal_headings(language: Language) -> dict[str, str]:
    """Return the headings of ``reversal_table``."""
    return {column: text[language] for column, text in REVERSALS.items()}


def reversal_table(
    found: Sequence[Reversal], *, language: Language, labels: Mapping[str, Mapping[str, str] | str]
) -> pd.DataFrame:
    """Return one row a pair of segments: the contrast pooled, and with both groups made up alike."""
    against = {"en": "against", "zh": "对"}[language]
    return pd.DataFrame(
        {
            "segment": [in_words(labels.get(r.by, r.by), language) for r in found],
            "contrast": [f"{r.group} {against} {r.reference}" for r in found],
            "within": [in_words(labels.get(r.within, r.within), language) for r in found],
            "n_customers": [r.pooled.n for r in found],
            "difference_days": [r.pooled for r in found],
            "standardised_difference_days": [r.standardised for r in found],
            "n_levels": [r.n_levels for r in found],
            "n_opposite": [r.n_opposite for r in found],
        }
    )


def reversal_sentence(found: Sequence[Reversal], *, labels: Mapping[str, Mapping[str, str] | str]) -> Sentence:
    """Whether a contrast between groups turns around within another segment."""
    if not found:
        return both(
            "No pair of segments has enough customers in two levels to look for a reversal.",
            "没有哪一对分组变量有足够多的客户可供检查方向是否逆转。",
        )
    pairs = len(found)
    turned = [r for r in found if r.reversed]
    unsure = sum(r.turns and not r.reversed for r in found)
    if not turned:
        also = both(
            f" In {unsure} the sign changes within what chance allows." if unsure else "",
            f"其中 {unsure} 对符号改变，但未超出抽样误差。" if unsure else "",
        )
        return both(
            f"Of {pairs} pairs of segments with enough customers none turns around once the groups are made up alike."
            f"{also['en']}",
            f"在客户数足够的 {pairs} 对分组变量中，将各组构成调整一致后均未发生逆转。{also['zh']}",
        )
    told = [_turned_text(r, labels) for r in turned]
    return both(
        f"Of {pairs} pairs of segments with enough customers, turned around: {len(turned)}: "
        + "; ".join(t["en"] for t in told)
        + ".",
        f"在客户数足够的 {pairs} 对分组变量中，有 {len(turned)} 对发生逆转：" + "；".join(t["zh"] for t in told) + "。",
    )


def _turned_text(r: Reversal, labels: Mapping[str, Mapping[str, str] | str]) -> Sentence:
    by, within = labels.get(r.by, r.by), labels.get(r.within, r.within)
    en, zh = (
        [
            f"{number(e.value)} {unit} ({interval(e.lower, e.upper, lang, level=e.level)})"
            for e in (r.pooled, r.standardised)
        ]
        for lang, unit in zip(LANGUAGES, ("days", "天"), strict=True)
    )
    return both(
        f"by {in_words(by, 'en')}, “{r.group}” less “{r.reference}” is {en[0]} in all and {en[1]} with both made up "
        f"alike by {in_words(within, 'en')}",
        f"按{in_words(by, 'zh')}，“{r.group}”减“{r.reference}”总体为 {zh[0]}，{in_words(within, 'zh')}构成一致时为 "
        f"{zh[1]}",
    )


def reversal_check(found: Sequence[Reversal], *, labels: Mapping[str, Mapping[str, str] | str]) -> Check:
    """Simpson's paradox: no contrast should turn around within another segment; not passed where none was looked at."""
    return Check(
        name=both("No difference turns around within another segment", "没有差异在其他分组变量内发生逆转"),
        passed=bool(found) and not any(r.reversed for r in found),
        note=reversal_sentence(found, labels=labels),
    )
