"""
Sentences about engaging and staying, and about what stands between the two.

No sentence says that engaging keeps anybody: the comparison is adjusted, not randomised. Where a check failed, one
goes with the other, and the failed checks are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Sentence,
    both,
    count,
    evidence,
    in_words,
    interval,
    number,
    percent,
)
from lcm_research.findings.wording.estimand import lag_text
from lcm_research.survival.detectable import DetectableRatio
from lcm_research.survival.engagement import BiasPanel, EValue
from lcm_research.survival.negative_control import PastActivity
from lcm_research.survival.positivity import Positivity

__all__ = [
    "analysis_text",
    "detectable_days_sentence",
    "detectable_sentence",
    "e_value_check",
    "e_value_sentence",
    "engaged_question",
    "fading_check",
    "fading_sentence",
    "gap_sentence",
    "harmless_check",
    "harmless_sentence",
    "no_claim_sentence",
    "no_engagements_sentence",
    "overlap_check",
    "overlap_sentence",
    "panel_sentence",
    "past_activity_check",
    "past_activity_sentence",
]

ANALYSES: Mapping[str, Sentence] = {
    "naive": both("naive: ever engaged", "直接比较：曾有互动"),
    "landmark": both("landmark", "里程碑（landmark）"),
    "lagged": both("lagged, adjusted", "滞后并调整"),
}


def analysis_text(analysis: str) -> Sentence:
    """What an analysis of a ``BiasPanel`` is called."""
    return ANALYSES[analysis]


def no_engagements_sentence() -> Sentence:
    """Why a page says nothing about engaging."""
    return both(
        "The study has no table of engagements: whether engaging goes with staying is not looked at.",
        "本研究没有互动数据表，因此未考察互动与留存的关系。",
    )


def detectable_sentence(found: DetectableRatio) -> Sentence:
    """How far from 1 a hazard ratio has to be to be seen, before one is looked at."""
    below, above, effect = number(found.below), number(found.above), number(found.design_effect)
    power, level = percent(found.power, 0), f"{100 * found.level:g}%"
    events, share = count(found.n_events), percent(found.share_engaged, 0)
    return both(
        f"With {events} lapses, {share} of the time at risk engaged and a design effect of {effect}, a {level} "
        f"interval leaves out 1 with a probability of {power} only where the true hazard ratio is at most {below} or "
        f"at least {above}.",
        f"在 {events} 次流失、互动占风险时间 {share}、设计效应为 {effect} 的条件下，真实风险比不高于 {below} 或不低于 "
        f"{above} 时，{level} 置信区间才有 {power} 的概率排除 1。",
    )


def detectable_days_sentence(
    days: float, *, by: Mapping[str, str] | str, horizon_days: int, power: float, level: float
) -> Sentence:
    """How large a difference of restricted means has to be to be seen."""
    share, confidence = percent(power, 0), f"{100 * level:g}%"
    return both(
        f"By {in_words(by, 'en')}: a difference of {number(days)} days within {horizon_days} is found with a "
        f"probability of {share} ({confidence} interval).",
        f"按{in_words(by, 'zh')}：前 {horizon_days} 天内相差 {number(days)} 天时，有 {share} 的概率被检出"
        f"（{confidence} 置信区间）。",
    )


def overlap_sentence(found: Positivity) -> Sentence:
    """Whether engaged and other customers are found at every level of past purchases."""
    shares = [share.value for share in found.share_engaged]
    low, high, groups = percent(min(shares), 0), percent(max(shares), 0), len(shares)
    least = percent(found.min_share, 0)
    if found.holds:
        return both(
            f"From the least to the most active of {groups} groups between {low} and {high} of the time at risk is "
            f"engaged: every group has at least {least} of both.",
            f"按过往购买天数分为 {groups} 组，各组互动占风险时间的 {low} 至 {high}；每组中两种情况均不少于 {least}。",
        )
    lacking = [name for name, has in zip(found.activity, found.has_both, strict=True) if not has]
    covered = percent(found.share_with_both, 0)
    return both(
        f"Of {groups} groups by past purchase days, {len(lacking)} ({', '.join(lacking)}) have less than {least} "
        f"engaged or less than {least} not; the others hold {covered} of the time at risk.",
        f"按过往购买天数分为 {groups} 组，其中 {len(lacking)} 组（{'、'.join(lacking)} 天）互动或未互动不足 {least}；"
        f"其余各组占风险时间的 {covered}。",
    )


def overlap_check(found: Positivity) -> Check:
    """Positivity: both levels of exposure at every level of activity; without it no adjusted claim is made."""
    return Check(
        name=both("Engaged and other customers at every level of activity", "各活跃程度均有互动与未互动的客户"),
        passed=found.holds,
        note=overlap_sentence(found),
    )


def no_claim_sentence(reason: str = "") -> Sentence:
    """
    Why no adjusted comparison stands on the page.

    Parameters
    ----------
    reason : str
        What refused it; without one, that engaged and other customers are not found at every level of activity.
    """
    if reason:
        return both(f"No adjusted comparison is made: {reason}.", f"不作经调整的比较：{reason}。")
    return both(
        "No adjusted comparison is made: at some levels of activity there is hardly anybody to compare with.",
        "不作经调整的比较：在部分活跃程度上几乎没有可供比较的客户。",
    )


def engaged_question() -> Sentence:
    """Ask what the lagged ratio answers."""
    return both(
        "Do customers who engage lapse less than others who bought as often?",
        "购买次数相近时，有互动的客户比没有互动的客户流失更少吗？",
    )


def panel_sentence(panel: BiasPanel, checks: Sequence[Check], *, lag_periods: int, period_days: int) -> Sentence:
    """What the lagged ratio says, in words that its checks allow, and how far the naive one is from it."""
    main, gap = _lagged_sentence(panel.lagged, checks, lag_text(lag_periods, period_days)), gap_sentence(panel)
    return both(f"{main['en']} {gap['en']}", f"{main['zh']}{gap['zh']}")


def _lagged_sentence(ratio: Estimate, checks: Sequence[Check], lag: Sentence) -> Sentence:
    sign, told = ratio.sign(1.0), _ratio_told(ratio)
    if not sign:
        return both(
            "Among spells of the same age and class of past purchases the data do not separate the rates at which "
            f"customers who had engaged {lag['en']} and others lapse ({told['en']}).",
            f"在同龄且过往购买同类的活跃期之间，数据未能区分{lag['zh']}有互动与无互动的客户的流失风险（{told['zh']}）"
            "。",
        )
    rate_en, rate_zh = ("higher", "较高") if sign > 0 else ("lower", "较低")
    failed = [_both_languages(check.name) for check in checks if not check.passed]
    if not failed:
        return both(
            f"Among spells of the same age and class of past purchases, customers who had engaged {lag['en']} lapse "
            f"at a {rate_en} rate ({told['en']}); this is adjusted, not randomised.",
            f"在同龄且过往购买同类的活跃期之间，{lag['zh']}有互动的客户流失风险{rate_zh}（{told['zh']}）；"
            "这是经调整的观察性比较，并非随机试验。",
        )
    names_en, names_zh = ("; ".join(name["en"] for name in failed), "；".join(name["zh"] for name in failed))
    return both(
        f"Among spells of the same age and class of past purchases, having engaged {lag['en']} goes with a {rate_en} "
        f"rate of lapsing ({told['en']}). That engaging is the reason is not shown; not passed: {names_en}.",
        f"在同龄且过往购买同类的活跃期之间，{lag['zh']}有互动与流失风险{rate_zh}相伴（{told['zh']}），"
        f"但不能说明互动就是原因；未通过的检查：{names_zh}。",
    )


def days_question(landmark_days: int) -> Sentence:
    """Ask what engaging goes with, in days."""
    return both(
        f"Among customers with as many purchases by day {landmark_days}, do those who engaged stay longer?",
        f"到第 {landmark_days} 天购买次数相近的客户中，有互动的留存更久吗？",
    )


def days_sentence(
    difference: Estimate, checks: Sequence[Check], *, landmark_days: int, exposure_days: int, horizon_days: int
) -> Sentence:
    """Days that spells go on longer from the landmark after engaging, past purchases held equal."""
    en, zh = (evidence(difference, language) for language in LANGUAGES)
    who_en = f"Of spells that reach day {landmark_days}, past purchases held equal,"
    who_zh = f"在持续到第 {landmark_days} 天、过往购买同类的活跃期中"
    days = number(abs(difference.value))
    if not difference.sign():
        return both(
            f"{who_en} the data do not separate those with an act in the {exposure_days} days before from the others "
            f"({number(difference.value)} days within the next {horizon_days}, {en}).",
            f"{who_zh}，数据未能区分此前 {exposure_days} 天内有无互动者（此后 {horizon_days} 天内相差 "
            f"{number(difference.value)} 天，{zh}）。",
        )
    more_en, more_zh = ("longer", "更久") if difference.sign() > 0 else ("shorter", "更短")
    doubt_en, doubt_zh = "this is adjusted, not randomised", "这是经调整的观察性比较，并非随机试验"
    if not all(check.passed for check in checks):
        doubt_en = "checks failed: it goes with engaging, and is not shown to come from it"
        doubt_zh = "检查未全部通过：两者相伴，但不能说明源于互动"
    return both(
        f"{who_en} those with an act in the {exposure_days} days before go on {more_en} than the others ({days} days "
        f"within the next {horizon_days}, {en}); {doubt_en}.",
        f"{who_zh}，此前 {exposure_days} 天内有互动者留存{more_zh}（此后 {horizon_days} 天内相差 {days} 天，{zh}）；"
        f"{doubt_zh}。",
    )


def gap_sentence(panel: BiasPanel) -> Sentence:
    """How far the naive ratio is from the corrected one, and whether it alone would have claimed something."""
    naive, told = panel.naive, _ratio_told(panel.naive, of_what=False)
    value = number(naive.value)
    start_en = f"By whether they ever engaged the ratio is {value} ({told['en']})"
    start_zh = f"若按是否曾有互动直接比较，风险比为 {value}（{told['zh']}）"
    if naive.sign(1.0) and not panel.lagged.sign(1.0):
        return both(
            f"{start_en}, which leaves out 1 where the corrected one does not: a claim from it would rest on the time "
            "that engaging takes and on what active customers do anyway.",
            f"{start_zh}，其区间排除 1，而校正后的区间不排除：由此得出的结论源于互动需要时间、活跃客户本就留存更久。",
        )
    gap = number(panel.gap.value)
    en, zh = (interval(panel.gap.lower, panel.gap.upper, lang, level=panel.gap.level) for lang in LANGUAGES)
    if panel.gap.sign(1.0):
        return both(
            f"{start_en}, {gap} times the corrected one ({en}): so much "
            "comes of the time that engaging takes and of what active customers do anyway.",
            f"{start_zh}，是校正后的 {gap} 倍（{zh}）：这一差距源于互动需要时间、活跃客户本就留存更久。",
        )
    return both(
        f"{start_en}; the data do not separate it from the corrected one ({gap} times, {en}).",
        f"{start_zh}；数据未能将其与校正后的结果区分（{gap} 倍，{zh}）。",
    )


def fading_sentence(fading: Estimate, *, shortest: Estimate, lags: tuple[int, int], period_days: int) -> Sentence:
    """
    Whether the ratio moves as the exposure lies further back.

    Parameters
    ----------
    fading : Estimate
        Of ``lag_fading``.
    shortest : Estimate
        The hazard ratio at the shortest lag, which says where 1 lies.
    lags : tuple of int
        Shortest and longest, in periods.
    """
    near, far = (lag * period_days for lag in lags)
    value = number(fading.value)
    en, zh = (interval(fading.lower, fading.upper, lang, level=fading.level) for lang in LANGUAGES)
    start = both(
        f"Moved back from {near} to {far} days the hazard ratio is {value} times what it was ({en}, "
        f"n = {count(fading.n)})",
        f"滞后由 {near} 天增至 {far} 天时，风险比变为原来的 {value} 倍（{zh}，n = {count(fading.n)}）",
    )
    if _fades(fading, shortest):
        return both(
            f"{start['en']}: it fades. Customers about to leave who first fall silent would look like this; so would "
            "an effect that wears off.",
            f"{start['zh']}，即逐渐减弱：将要离开的客户先停止互动会呈现这种情形，作用逐渐消退也会如此。",
        )
    if fading.sign(1.0):
        return both(f"{start['en']}: it does not fade, it grows.", f"{start['zh']}，并未减弱，反而增强。")
    return both(
        f"{start['en']}: no fading was seen, which does not rule it out.", f"{start['zh']}：未见减弱，但不能排除。"
    )


def fading_check(fading: Estimate, *, shortest: Estimate, lags: tuple[int, int], period_days: int) -> Check:
    """Prodrome: the ratio should not fade as the exposure lies further back."""
    return Check(
        name=both("The ratio does not fade as engaging lies further back", "风险比不随互动时间前移而减弱"),
        passed=not _fades(fading, shortest),
        note=fading_sentence(fading, shortest=shortest, lags=lags, period_days=period_days),
    )


def _fades(fading: Estimate, shortest: Estimate) -> bool:
    """Whether the move from the shortest to the longest lag leads towards 1, and beyond chance."""
    return fading.sign(1.0) == (1 if shortest.value < 1 else -1)


def past_activity_sentence(found: PastActivity) -> Sentence:
    """Whether engaging "explains" purchases that came before it, within the classes compared."""
    if found.difference is None:
        return both(
            "The classes hold every number of past purchase days apart, so that past purchases cannot show whether "
            "activity is held equal.",
            "各类别恰好对应一个过往购买天数，因此无法用过往购买检验活跃程度是否得到控制。",
        )
    difference, sd = found.difference, number(found.within_class_sd)
    value = number(abs(difference.value))
    en, zh = (interval(difference.lower, difference.upper, lang, level=difference.level) for lang in LANGUAGES)
    rest_en = f"{en}; standard deviation within classes {sd}; n = {count(difference.n)}"
    rest_zh = f"{zh}；类内标准差 {sd}；n = {count(difference.n)}"
    if not difference.sign():
        return both(
            "Within the same age and class the data do not separate how many purchase days engaged and other customers "
            f"had before ({number(difference.value)} days, {rest_en}).",
            "在同龄同类之内，数据未能区分有互动与无互动的客户此前的购买天数"
            f"（{number(difference.value)} 天，{rest_zh}）。",
        )
    more_en, more_zh = ("more", "多") if difference.sign() > 0 else ("fewer", "少")
    return both(
        f"Engaged customers had bought on {value} days {more_en} before they engaged than others of the same age and "
        f"class ({rest_en}). Engaging cannot have changed the past: activity is not separated.",
        f"与同龄同类的客户相比，有互动者在互动之前的购买天数{more_zh} {value} 天（{rest_zh}）。"
        "互动不可能改变过去：活跃程度未被分离。",
    )


def past_activity_check(found: PastActivity) -> Check:
    """Negative-control outcome: engaging should not go with purchases made before it."""
    return Check(
        name=both("Negative control: engaging does not go with earlier purchases", "阴性对照：互动与此前的购买无关"),
        passed=found.separated,
        note=past_activity_sentence(found),
    )


def harmless_sentence(ratio: Estimate, actions: Sequence[str]) -> Sentence:
    """Whether acts that can keep nobody go with lapsing all the same."""
    told, en, zh = _ratio_told(ratio), ", ".join(actions), "、".join(actions)
    if ratio.sign(1.0):
        return both(
            f"Acts declared to keep nobody ({en}) go with lapsing all the same ({told['en']}): what stands behind them "
            "stands behind the comparison too.",
            f"被声明为不影响留存的行为（{zh}）同样与流失相关（{told['zh']}）：其背后的因素也在影响本比较。",
        )
    return both(
        f"The data do not separate acts declared to keep nobody ({en}) from none ({told['en']}).",
        f"对于被声明为不影响留存的行为（{zh}），数据未见其与流失相关（{told['zh']}）。",
    )


def harmless_check(ratio: Estimate, actions: Sequence[str]) -> Check:
    """Negative-control exposure: acts of the same activity that can keep nobody should go with nothing."""
    return Check(
        name=both(
            "Negative control: acts that can keep nobody go with nothing", "阴性对照：不影响留存的行为与流失无关"
        ),
        passed=ratio.sign(1.0) == 0,
        note=harmless_sentence(ratio, actions),
    )


def e_value_sentence(found: EValue) -> Sentence:
    """How strong a missed cause would have to be."""
    form = {
        "common": both("form for common outcomes", "采用结局常见时的形式"),
        "rare": both("form for rare outcomes", "采用结局罕见时的形式"),
    }[found.outcome]
    if found.interval_end == 1:
        return both(
            f"The interval holds 1: no missed cause is needed to explain it (E-value of the estimate "
            f"{number(found.estimate)}, {form['en']}).",
            f"区间包含 1：无需遗漏因素即可解释（点估计的 E 值为 {number(found.estimate)}，{form['zh']}）。",
        )
    return both(
        f"To explain the ratio away, a cause that was not measured would have to go with engaging and with lapsing by "
        f"risk ratios of {number(found.estimate)} each, beyond what is held equal; {number(found.interval_end)} would "
        f"move the interval to 1 (E-value, {form['en']}).",
        f"若要完全解释该风险比，某个未测量因素与互动、与流失的相对危险度须各达 {number(found.estimate)}（"
        f"在已控制因素之外）；达 {number(found.interval_end)} 即可使区间触及 1（E 值，{form['zh']}）。",
    )


def e_value_check(found: EValue, *, least: float) -> Check:
    """Whether a missed cause weaker than a risk ratio of ``least`` could move the interval to 1."""
    asked = both(f"At least {number(least)} is asked for.", f"要求不低于 {number(least)}。")
    told = e_value_sentence(found)
    return Check(
        name=both("A weak missed cause could not explain it", "较弱的遗漏因素不足以解释"),
        passed=found.interval_end >= least,
        note=both(f"{told['en']} {asked['en']}", f"{told['zh']}{asked['zh']}"),
    )


def _ratio_told(ratio: Estimate, *, of_what: bool = True) -> Sentence:
    """What stands in brackets behind a hazard ratio."""
    n = f"n = {count(ratio.n)}"
    en, zh = (interval(ratio.lower, ratio.upper, lang, level=ratio.level) for lang in LANGUAGES)
    if not of_what:
        return both(f"{en}, {n}", f"{zh}，{n}")
    value = number(ratio.value)
    return both(f"hazard ratio {value}, {en}, {n}", f"风险比 {value}，{zh}，{n}")


def _both_languages(text: Mapping[str, str] | str) -> Mapping[str, str]:
    return both(text, text) if isinstance(text, str) else text
