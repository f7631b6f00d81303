"""
Sentences about the stage before, and about differences between customers that look like memory.

A chain that is rejected has memory, or its customers differ; no sentence says the one without the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lcm_research.estimate import Estimate, holm
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Language,
    Sentence,
    both,
    evidence,
    in_words,
    interval,
    number,
    p_value,
    percent,
)
from lcm_research.transitions.memory import COHORT, OVER_TIME, STAYERS, MemoryChecks
from lcm_research.transitions.mover_stayer import MoverStayer
from lcm_research.transitions.past import PastContrast

__all__ = [
    "alike_check",
    "holm_p_values",
    "memory_sentence",
    "memory_table",
    "order_check",
    "p_text",
    "past_question",
    "publishable_stayers",
    "stayer_question",
    "stayer_sentence",
    "stayer_table",
]

Text = Mapping[Language, str]

ALPHA = 0.05
COHORTS: Mapping[str, Sentence] = {
    "month": both("month of first contact", "首次接触月份"),
    "quarter": both("quarter of first contact", "首次接触季度"),
    "year": both("year of first contact", "首次接触年份"),
}


def holm_p_values(checks: MemoryChecks) -> dict[str, float]:
    """P-values between groups of customers, corrected for the number of tests; NaN where there is no test."""
    found = checks.on_groups
    adjusted = holm([test.p_value for test in found.values()])
    return dict(zip(found, adjusted.tolist(), strict=True))


def memory_table(checks: MemoryChecks, *, labels: Mapping[str, str], cohort: str, language: Language) -> pd.DataFrame:
    """
    Return the tests of the order and of what could explain a rejected one, one row each.

    Parameters
    ----------
    checks : MemoryChecks
    labels : mapping of segment to what a page calls it
    cohort : {"month", "quarter", "year"}
    language : {"en", "zh"}

    Returns
    -------
    DataFrame
        test, statistic (G²), degrees_of_freedom, p_value (as if every move were another customer's), f_statistic,
        f_degrees_of_freedom, p_value_groups (between groups of customers) and p_value_holm. p-values are texts.
    """
    corrected, rows = holm_p_values(checks), []
    for key, test in checks.on_groups.items():
        found = checks.alike.get(key) or (checks.orders[int(key)].classical if key.isdigit() else None)
        freedom = found.degrees_of_freedom if found is not None else 0
        ratio = getattr(found, "statistic", getattr(found, "likelihood_ratio", np.nan)) if freedom else np.nan
        name = _test_name(key, checks, labels, cohort)[language]
        classical = (ratio, str(freedom) if freedom else "–", p_text(found.p_value if found is not None else np.nan))
        freedoms = "–" if not test.applies else ", ".join(map(str, test.degrees_of_freedom))
        if test.method == "bootstrap":
            freedoms = both("bootstrap", "自助法")[language]
        rows.append((name, *classical, test.statistic, freedoms, p_text(test.p_value), p_text(corrected[key])))
    columns = ["test", "statistic", "degrees_of_freedom", "p_value", "f_statistic", "f_degrees_of_freedom"]
    return pd.DataFrame(rows, columns=[*columns, "p_value_groups", "p_value_holm"])


def p_text(p: float) -> str:
    """Write a p-value for a column that is headed by its name."""
    return "–" if not np.isfinite(p) else p_value(p).removeprefix("p ").removeprefix("= ")


def _test_name(key: str, checks: MemoryChecks, labels: Mapping[str, str], cohort: str) -> Sentence:
    if key == STAYERS and checks.stayers is not None:
        k = checks.stayers.n_periods
        return both(f"as many stay for {k} months as a chain expects", f"连续停留 {k} 个月的人数与马尔可夫链的预期一致")
    if key == COHORT:
        return both(f"the same for every {COHORTS[cohort]['en']}", f"不同{COHORTS[cohort]['zh']}一致")
    named = {
        "1": both("the stage now does not matter (order 0 against 1)", "当前阶段无关（0 阶对 1 阶）"),
        "2": both("the stage before does not matter (order 1 against 2)", "前一阶段无关（1 阶对 2 阶）"),
        OVER_TIME: both("the same in every month", "各月一致"),
    }
    return named[key] if key in named else both(f"the same by {labels.get(key, key)}", f"按{labels.get(key, key)}一致")


def past_question(contrast: PastContrast, *, names: Mapping[str, Text]) -> Sentence:
    """Ask whether the stage before changes the chance of a move."""
    start, end = names[contrast.start], names[contrast.end]
    return both(
        f"Does the chance of going from “{start['en']}” to “{end['en']}” depend on the stage before?",
        f"从“{start['zh']}”到“{end['zh']}”的概率与之前所处的阶段有关吗？",
    )


def memory_sentence(
    contrast: PastContrast,
    checks: MemoryChecks,
    *,
    within: Estimate | None,
    names: Mapping[str, Text],
    labels: Mapping[str, Mapping[str, str]],
) -> Sentence:
    """
    Say how much the stage before changes a move, and what that may be.

    Parameters
    ----------
    contrast : PastContrast
    checks : MemoryChecks
    within : Estimate or None
        The same difference among customers of the same segments (``contrast_within``); None where there are none.
    names : mapping of stage to its name by language
    labels : mapping of segment to its label by language
    """
    first, second = _contrast_text(contrast, names), _reading(contrast, checks, within, names, labels)
    return both(f"{first['en']} {second['en']}", first["zh"] + second["zh"])


def _contrast_text(contrast: PastContrast, names: Mapping[str, Text]) -> Sentence:
    came, had = contrast.probability_came, contrast.probability_had
    gap = contrast.difference
    share, other, points = percent(came.value), percent(had.value), number(abs(gap.value))
    start, end, before, was = (names[s] for s in (contrast.start, contrast.end, contrast.came, contrast.had))
    already, already_zh = (" already", "已") if contrast.had == contrast.start else ("", "")
    en = (
        f"Of customers in “{start['en']}” at the end of a month, {share} of those who were in “{before['en']}” a month "
        f"before are in “{end['en']}” a month later, and {other} of those who were in “{was['en']}”{already}"
    )
    zh = (
        f"月末处于“{start['zh']}”的客户中，上月末处于“{before['zh']}”的，一个月后有 {share} 处于“{end['zh']}”；"
        f"上月末{already_zh}处于“{was['zh']}”的为 {other}"
    )
    told, told_zh = evidence(gap, "en"), evidence(gap, "zh")
    if not gap.sign():
        return both(
            f"{en}; the data do not separate the two (difference {number(gap.value)} percentage points, {told}).",
            f"{zh}；数据未能区分两者（相差 {number(gap.value)} 个百分点，{told_zh}）。",
        )
    more, more_zh = ("more", "高出") if gap.value > 0 else ("less", "低")
    return both(
        f"{en}: {points} percentage points {more} (difference: {told}).",
        f"{zh}，前者{more_zh} {points} 个百分点（差值：{told_zh}）。",
    )


def _reading(
    contrast: PastContrast,
    checks: MemoryChecks,
    within: Estimate | None,
    names: Mapping[str, Text],
    labels: Mapping[str, Mapping[str, str]],
) -> Sentence:
    """Say what a rejected order may be, and which of the two the checks speak for."""
    order, p = checks.orders[2].replicate, holm_p_values(checks)["2"]
    if not order.applies:
        return both(
            "There are too few of these moves to test whether the stage before matters in general.",
            "此类转移过少，无法检验前一阶段总体上是否有关。",
        )
    if p >= ALPHA:
        return both(
            f"Over all moves the data do not show that the stage before matters ({p_value(p)}, Holm).",
            f"就全部转移而言，数据未显示前一阶段有关（{p_value(p)}，Holm 校正）。",
        )
    found = _differences(checks, names, labels)
    rejected = both(
        f"That the stage before does not matter is rejected over all moves ({p_value(p)}, Holm): memory or differences "
        "between customers.",
        f"就全部转移而言，“前一阶段无关”被拒绝（{p_value(p)}，Holm 校正）：这是记忆性，或是客户之间的差异。",
    )
    speak = _speak_for(found, checks)
    rest = _left(contrast, within, checks, labels) if within is not None else both("", "")
    return both(
        f"{rejected['en']} {speak['en']}{' ' if rest['en'] else ''}{rest['en']}",
        rejected["zh"] + speak["zh"] + rest["zh"],
    )


def _differences(
    checks: MemoryChecks, names: Mapping[str, Text], labels: Mapping[str, Mapping[str, str]]
) -> list[Sentence]:
    """Return the differences between customers that the checks find: between segments, and stayers."""
    corrected, found = holm_p_values(checks), []
    for segment in checks.segments:
        if corrected.get(segment, np.nan) < ALPHA:
            en, zh = (in_words(labels.get(segment, segment), language) for language in LANGUAGES)
            found.append(both(f"moves differ by {en}", f"转移因{zh}而异"))
    if checks.stayers is not None and corrected.get(STAYERS, np.nan) < ALPHA:
        kept = [names[stage] for stage, excess in checks.stayers.excess.items() if excess.sign() > 0]
        if kept:
            en, zh = " and ".join(f"“{name['en']}”" for name in kept), "、".join(f"“{name['zh']}”" for name in kept)
            found.append(
                both(
                    f"more customers stay in {en} throughout than a chain expects",
                    f"始终停留在{zh}的客户多于马尔可夫链的预期",
                )
            )
    return found


def _speak_for(found: Sequence[Sentence], checks: MemoryChecks) -> Sentence:
    if found:
        return both(
            f"The checks speak for differences between customers: {'; '.join(f['en'] for f in found)}.",
            f"各项检查支持客户之间存在差异：{'；'.join(f['zh'] for f in found)}。",
        )
    if _looked(checks):
        return both(
            "The checks of segments and stayers find no differences between customers, which speaks for neither: "
            "differences that no segment records stay possible.",
            "分组与停留者的检查未发现客户之间的差异，但据此无法判断是哪一种：分组未记录的差异仍有可能。",
        )
    return both(
        "Without segments to compare or customers followed for long enough, nothing speaks for the one or the other.",
        "没有可比较的分组，也没有跟踪足够久的客户，无从判断是哪一种。",
    )


def _looked(checks: MemoryChecks) -> bool:
    """Whether differences between customers were tested at all."""
    return any(checks.on_groups[key].applies for key in (*checks.segments, STAYERS) if key in checks.on_groups)


def _left(
    contrast: PastContrast, within: Estimate, checks: MemoryChecks, labels: Mapping[str, Mapping[str, str]]
) -> Sentence:
    """Say what of the difference is left among customers alike in the segments."""
    if not contrast.difference.sign():
        return both("", "")
    alike = ", ".join(in_words(labels.get(segment, segment), "en") for segment in checks.segments)
    alike_zh = "、".join(in_words(labels.get(segment, segment), "zh") for segment in checks.segments)
    value, said, said_zh = number(within.value), *(_between(within, language) for language in LANGUAGES)
    if within.sign() == contrast.difference.sign():
        return both(
            f"Among customers alike in {alike} the difference is {value} percentage points ({said}), so these segments "
            "do not account for all of it.",
            f"在{alike_zh}相同的客户之间，差值为 {value} 个百分点（{said_zh}），可见这些分组不足以完全解释它。",
        )
    return both(
        f"Among customers alike in {alike} the data show no such difference ({value} percentage points, {said}), "
        "which speaks for differences between customers.",
        f"在{alike_zh}相同的客户之间，数据未显示这一差别（{value} 个百分点，{said_zh}），这支持客户之间存在差异。",
    )


def _between(estimate: Estimate, language: Language) -> str:
    return interval(estimate.lower, estimate.upper, language, level=estimate.level)


def order_check(checks: MemoryChecks) -> Check:
    """Turn the test of order 2 into a check: a chain of order 1 forgets what came before the stage now."""
    order, p = checks.orders[2].replicate, holm_p_values(checks)["2"]
    name = both("The stage before does not matter", "前一阶段无关")
    if not order.applies:
        note = both(f"not tested: {order.reason}", "数据过少，未作检验")
        return Check(name=name, passed=False, note=note)
    found = checks.orders[2].classical
    told = f"G² = {number(found.likelihood_ratio)}", f"df = {found.degrees_of_freedom}"
    told_groups = f"{'F' if order.method == 'hotelling' else 'T'} = {number(order.statistic)}", p_value(p)
    note = both(
        f"{', '.join(told)}; between groups of customers {', '.join(told_groups)} (Holm)",
        f"{'，'.join(told)}；按客户组 {'，'.join(told_groups)}（Holm 校正）",
    )
    return Check(name=name, passed=p >= ALPHA, note=note)


def alike_check(checks: MemoryChecks, *, names: Mapping[str, Text], labels: Mapping[str, Mapping[str, str]]) -> Check:
    """Check that segments and stayers show no differences between customers in one stage."""
    found = _differences(checks, names, labels)
    name = both("Customers in a stage are alike", "同一阶段的客户彼此相似")
    if not _looked(checks):
        return Check(name=name, passed=False, note=both("not tested: nothing to compare", "无可比较，未作检验"))
    none = both("no difference found by segment or by stayers", "按分组与停留者均未发现差异")
    note = both("; ".join(f["en"] for f in found), "；".join(f["zh"] for f in found)) if found else none
    return Check(name=name, passed=not found, note=note)


def stayer_table(stayers: MoverStayer, *, names: Mapping[str, str], min_group: int) -> pd.DataFrame:
    """
    Return the mover-stayer model, one row a stage that customers may stay in.

    Columns: stage, n_customers, always_observed, always_expected, stayers (Estimate) and p_value (a text). Numbers of
    a stage that fewer than ``min_group`` customers stayed in throughout, or did not, are None.
    """
    rows, told = [], publishable_stayers(stayers, min_group=min_group)
    for row in stayers.rows.to_dict("records"):
        n = row["n_customers"]
        cells: tuple[object, ...] = (None, None, None, None)
        if row["stage"] in told:
            shares = (percent(row["always_observed"]), percent(row["always_expected"]))
            cells = (*shares, stayers.stayers[row["stage"]], p_text(row["p_value"]))
        rows.append((names[row["stage"]], n, *cells))
    columns = ["stage", "n_customers", "always_observed", "always_expected", "stayers", "p_value"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def publishable_stayers(stayers: MoverStayer, *, min_group: int) -> list[str]:
    """Return the stages that at least ``min_group`` customers stayed in throughout, and at least as many did not."""
    rows = stayers.rows
    n = rows["n_customers"].to_numpy(float)
    always = np.round(rows["always_observed"].to_numpy(float) * n)
    enough = (always >= min_group) & (n - always >= min_group)
    return [str(stage) for stage in rows.loc[enough, "stage"]]


def stayer_question(name: Text) -> Sentence:
    """Ask how many customers never leave a stage."""
    return both(
        f"How many customers never leave the stage “{name['en']}”?", f"有多少客户始终不会离开“{name['zh']}”阶段？"
    )


def stayer_sentence(stayers: MoverStayer, stage: str, *, name: Text) -> Sentence:
    """Say which share of those who began in a stage look as if they never left it."""
    found, excess, k = stayers.stayers[stage], stayers.excess[stage], stayers.n_periods
    row = stayers.rows[stayers.rows["stage"] == stage].iloc[0]
    seen, expected = percent(float(row["always_observed"])), percent(float(row["always_expected"]))
    en = (
        f"Of customers in “{name['en']}” {k} months before the end, {seen} were in it at every month end since, where "
        f"a chain expects {expected}"
    )
    zh = f"在末月之前 {k} 个月处于“{name['zh']}”的客户中，{seen} 此后每个月末都在该阶段，而马尔可夫链预期为 {expected}"
    share, told, told_zh = (
        percent(found.value),
        evidence(found, "en", of_share=True),
        evidence(found, "zh", of_share=True),
    )
    if excess.sign() <= 0:
        return both(
            f"{en}: the data do not show that any never leave it. A mover-stayer model puts them at {share} ({told}).",
            f"{zh}：数据未显示存在始终不离开的客户。移动者－停留者模型的估计为 {share}（{told_zh}）。",
        )
    return both(
        f"{en}. A mover-stayer model explains it by {share} who never leave ({told}); a chance of leaving that falls "
        "with time would look alike.",
        f"{zh}。移动者－停留者模型将其解释为有 {share} 的客户始终不离开（{told_zh}）；"
        "离开概率随时间下降也会呈现同样的结果。",
    )
