"""Sentences about how long customers stay in a stage, held against the geometric law that a chain implies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, holm
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import Language, Sentence, both, evidence, number, p_value, percent
from lcm_research.findings.wording.memory import p_text
from lcm_research.transitions.dwelling import DwellTimes

__all__ = [
    "dwell_alt",
    "dwell_check",
    "dwell_question",
    "dwell_sentence",
    "dwell_table",
    "furthest",
    "limit_text",
    "with_customers",
]

Text = Mapping[Language, str]

ALPHA = 0.05


def furthest(dwells: Mapping[str, DwellTimes], *, min_group: int) -> str | None:
    """
    Return the stage whose first month differs most from later ones, by what customers do; None where none is compared.

    Stages that only a clock leads out of are not compared: their lengths follow from the rules.
    """
    shown = {
        stage: abs(found.difference.value)
        for stage, found in dwells.items()
        if found.comparable and found.difference is not None and not _hidden(found, min_group)
    }
    return max(shown, key=lambda stage: shown[stage]) if shown else None


def _hidden(found: DwellTimes, min_group: int) -> bool:
    """Whether either probability would describe fewer than ``min_group`` customers."""
    return _few(found.fewest_first, min_group) or _few(found.fewest_later, min_group)


def _few(fewest: tuple[int, int], min_group: int) -> bool:
    """Whether the rarer answer may rest on too few: groups of customers are as many customers at least."""
    groups, stays = fewest
    return stays > 0 and (groups < min(min_group, 100) or stays < min_group)


def with_customers(found: DwellTimes, n_customers: int) -> Estimate:
    """Return the difference of the first month, with the customers behind it in place of their stays."""
    if found.difference is None:
        raise ModelError(
            f"a finding about stays in '{found.stage}' needs its first month compared with later ones; came none; "
            "leave it out"
        )
    return replace(found.difference, n=n_customers)


def dwell_question(name: Text) -> Sentence:
    """Ask whether the chance of leaving depends on how long a customer has stayed."""
    return both(
        f"Do customers leave the stage “{name['en']}” as readily later as in their first month in it?",
        f"客户在“{name['zh']}”阶段停留更久之后，离开的概率与第一个月相同吗？",
    )


def dwell_sentence(found: DwellTimes, *, name: Text, n_compared: int, n_customers: int) -> Sentence:
    """
    Say how far stays in a stage are from the geometric law of a chain.

    Parameters
    ----------
    found : DwellTimes
        Of the stage that departs most; its ``difference`` is there.
    name : mapping of language to str
    n_compared : int
        Stages among which it was picked; the interval holds for all of them at once.
    n_customers : int
        Different customers behind the stays.
    """
    gap = with_customers(found, n_customers)
    later = percent(found.later.value) if found.later is not None else "–"
    first, points = percent(found.first.value), number(abs(gap.value))
    own, own_zh = (" by the customer's own doing", "因客户自身行为") if found.own_doing else ("", "")
    at_once, at_once_zh = (f"for all {n_compared} stages at once, ", f"{n_compared} 个阶段同时成立，")
    at_once, at_once_zh = (at_once, at_once_zh) if n_compared > 1 else ("", "")
    en = (
        f"A stay in “{name['en']}” ends{own} in its first month with a probability of {first}, and in a later month "
        f"with one of {later}"
    )
    zh = f"在“{name['zh']}”的停留{own_zh}于第一个月结束的概率为 {first}，之后每月为 {later}"
    told, told_zh = at_once + evidence(gap, "en"), at_once_zh + evidence(gap, "zh")
    if not gap.sign():
        return both(
            f"{en}; the data do not separate the two (difference {number(gap.value)} percentage points; {told}). No "
            "stage that can be compared is further from the geometric law of a chain.",
            f"{zh}；数据未能区分两者（相差 {number(gap.value)} 个百分点；{told_zh}）。"
            "在可比较的阶段中，没有哪个偏离马尔可夫链的几何分布更远。",
        )
    more, more_zh = ("more", "高") if gap.value > 0 else ("less", "低")
    why = both(
        "customers differ, and those quick to leave are gone first, or they settle with time"
        if gap.value > 0
        else "customers become readier to leave with time, which differences between them would not do on their own",
        "客户之间存在差异、易离开者先离开，或客户随时间而稳定"
        if gap.value > 0
        else "客户随停留时间变得更易离开，仅凭客户之间的差异不会如此",
    )
    of = (
        both(
            f"Of the {n_compared} stages compared, it is the one furthest from the geometric law of a chain, in which "
            "both would be equal",
            f"在所比较的 {n_compared} 个阶段中，它偏离马尔可夫链的几何分布（两者应相等）最远",
        )
        if n_compared > 1
        else both("In the geometric law of a chain both would be equal", "按马尔可夫链的几何分布，两者应相等")
    )
    return both(
        f"{en}: {points} percentage points {more} in the first month ({told}). {of['en']}: {why['en']}.",
        f"{zh}，第一个月{more_zh} {points} 个百分点（{told_zh}）。{of['zh']}：{why['zh']}。",
    )


def limit_text(found: DwellTimes, *, names: Mapping[str, str], words: Mapping[str, str], language: Language) -> str:
    """
    Say how the rules end a stay: the stage that time alone leads to, and the rule in the scheme's words.

    Parameters
    ----------
    found : DwellTimes
    names, words : mapping of stage to its name, and to the rule that puts a customer in it
    language : {"en", "zh"}

    Returns
    -------
    str
        Empty where no clock runs.
    """
    if not found.by_clock:
        return ""
    to = {"en": " or ", "zh": "或"}[language].join(f"“{names[stage]}”" for stage in found.by_clock)
    longest = int(found.rows["dwell_periods"].iloc[-1])
    if language == "en":
        ends = f"time alone leads on to {to} ({words[found.stage]})"
        return ends + (f"; no stay went beyond {longest} month{'s' if longest > 1 else ''}" if found.bounded else "")
    ends = f"时间推移即转入{to}（{words[found.stage]}）"
    return ends + (f"；没有停留超过 {longest} 个月" if found.bounded else "")


def dwell_table(
    dwells: Mapping[str, DwellTimes],
    *,
    customers: Mapping[str, int],
    names: Mapping[str, str],
    words: Mapping[str, str],
    min_group: int,
    language: Language,
) -> pd.DataFrame:
    """
    Return stays in each stage beside what a chain implies, one row a stage.

    Parameters
    ----------
    dwells : mapping of stage to DwellTimes
    customers : mapping of stage to the different customers behind its stays
    names, words : mapping of stage to its name, and to the rule that puts a customer in it

    Returns
    -------
    DataFrame
        stage, n_customers, n_stays (that could be seen to end), median_months, first_month and later_months (Estimate:
        the chance of leaving, by the customer's own doing where the clock can be told apart), p_value_holm (of a
        constant chance, between groups of customers) and limit. Estimates that rest on fewer than ``min_group``
        customers are None.
    """
    corrected = holm([found.replicate.p_value for found in dwells.values()])
    rows = []
    for (stage, found), p in zip(dwells.items(), corrected, strict=True):
        longest = int(found.rows["dwell_periods"].iloc[-1])
        median = f"> {longest}" if found.median_periods is None else str(found.median_periods)
        first = None if _few(found.fewest_first, min_group) else found.first
        later = None if _few(found.fewest_later, min_group) else found.later
        limit = limit_text(found, names=names, words=words, language=language) or None
        n_stays = int(found.rows["n_at_risk"].iloc[0])
        rows.append((names[stage], customers[stage], n_stays, median, first, later, p_text(p), limit))
    columns = ["stage", "n_customers", "n_stays", "median_months", "first_month", "later_months"]
    return pd.DataFrame(rows, columns=[*columns, "p_value_holm", "limit"], dtype=object)


def dwell_check(dwells: Mapping[str, DwellTimes], stage: str) -> Check:
    """Turn the test of a constant chance of leaving into a check, corrected for the number of stages."""
    names, tests = list(dwells), [found.replicate for found in dwells.values()]
    p, test = float(holm([each.p_value for each in tests])[names.index(stage)]), dwells[stage].replicate
    name = both("The chance of leaving does not change with time", "离开的概率不随停留时间变化")
    if not test.applies:
        return Check(name=name, passed=False, note=both(f"not tested: {test.reason}", "数据过少，未作检验"))
    letter = "F" if test.method == "hotelling" else "T"
    note = both(
        f"between groups of customers {letter} = {number(test.statistic)}, {p_value(p)} (Holm)",
        f"按客户组 {letter} = {number(test.statistic)}，{p_value(p)}（Holm 校正）",
    )
    return Check(name=name, passed=p >= ALPHA, note=note)


def dwell_alt(dwells: Mapping[str, DwellTimes], *, names: Mapping[str, str], language: Language) -> str:
    """Say what the figure of stays shows to those who do not see it."""
    parts = []
    for stage, found in dwells.items():
        last = found.rows.iloc[-1]
        k, seen, expected = int(last["dwell_periods"]), percent(last["staying"]), percent(last["geometric"])
        parts.append(
            f"“{names[stage]}”: {seen} stay longer than {k} months, {expected} under the geometric law."
            if language == "en"
            else f"“{names[stage]}”：{seen} 停留超过 {k} 个月，几何分布为 {expected}。"
        )
    start = both(
        "A panel a stage: the share still in it by months, with intervals, against a geometric curve. ",
        "每个阶段一格：仍在该阶段的比例随月数的变化及其置信区间，并与几何分布曲线对照。",
    )[language]
    return start + (" " if language == "en" else "").join(parts)
