"""Sentences about which groups' curves differ, when in their life they do, and when customers lapse."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from lcm_research.findings.wording.common import Language, Sentence, both, count, interval, number, p_value
from lcm_research.survival.comparison import LogRank
from lcm_research.survival.proportionality import SchoenfeldResiduals
from lcm_research.survival.smoothed import SmoothedHazard

__all__ = ["drift_sentence", "hazard_shape_sentence", "pairs_sentence", "tested", "timing_sentence"]


def pairs_sentence(pairs: pd.DataFrame, *, alpha: float) -> Sentence:
    """How many pairs of groups differ in their restricted means once Holm's rule has counted the pairs."""
    shown = pairs["p_value_holm"].dropna()
    apart, n = int((shown < alpha).sum()), len(shown)
    if not n:
        return both("No two groups are followed to the horizon.", "没有两个组都被观察到期限末。")
    if apart == 0:
        return both(
            f"Of {n} {'pairs' if n > 1 else 'pair'} of groups the data separate none, after Holm's correction.",
            f"经 Holm 校正后，{n} 对组中没有一对能由数据区分。",
        )
    smallest = p_value(float(shown.min()))
    return both(
        f"Of {n} {'pairs' if n > 1 else 'pair'} of groups the data separate {apart} after Holm's correction "
        f"(smallest {smallest}).",
        f"经 Holm 校正后，数据能区分 {n} 对组中的 {apart} 对（最小 {smallest}）。",
    )


def timing_sentence(tests: Mapping[str, LogRank], *, alpha: float) -> Sentence:
    """
    Whether a difference between curves sits early or late in a customer's life.

    Parameters
    ----------
    tests : mapping with ``even``, ``early`` and ``late``
        Log-rank tests with ``rho=0``, with ``rho=1``, and with ``rho=0, gamma=1``. Three looks at one question: the
        test named beforehand is ``even``; each of the others must pass at half of ``alpha``.
    """
    p = {name: tested(test) for name, test in tests.items()}
    told = ", ".join(f"{name} {p_value(p[name])}" for name in ("even", "early", "late"))
    words = {"even": "等权", "early": "偏早期", "late": "偏晚期"}
    told_zh = "，".join(f"{words[name]} {p_value(p[name])}" for name in ("even", "early", "late"))
    seen = {name: p[name] < (alpha if name == "even" else alpha / 2) for name in p}
    if not any(seen.values()):
        en, zh = (
            "The data do not separate the curves, whichever days weigh more",
            "无论加大哪一段的权重，数据均未能区分各条曲线",
        )
    elif seen["early"] and seen["late"]:
        en, zh = "The curves differ whichever days weigh more", "无论加大哪一段的权重，曲线均存在差异"
    elif seen["early"] or seen["late"]:
        when, when_zh = ("early", "早期") if seen["early"] else ("late", "晚期")
        en, zh = f"The curves differ where {when} days weigh more, only there", f"仅在加大{when_zh}权重时曲线存在差异"
        if seen["even"]:
            en, zh = f"The curves differ, most clearly on {when} days", f"曲线存在差异，以{when_zh}最为明显"
    else:
        en = "The curves differ; the data do not say whether early or late in a customer's life"
        zh = "曲线存在差异，但数据不足以说明差异出现在早期还是晚期"
    return both(f"{en} (log-rank by weight: {told}).", f"{zh}（加权对数秩检验：{told_zh}）。")


def tested(test: LogRank) -> float:
    """P-value of a test: from groups of customers where that applies, otherwise of the model."""
    grouped = test.by_customers
    return test.p_value if grouped is None or math.isnan(grouped.p_value) else grouped.p_value


def hazard_shape_sentence(hazard: SmoothedHazard) -> Sentence:
    """On which days of a spell the rate of lapsing is highest and lowest; or that the data do not tell days apart."""
    top, low = int(np.argmax(hazard.lower)), int(np.argmin(hazard.upper))
    n = count(hazard.n_events)
    if hazard.lower[top] <= hazard.upper[low]:
        rate = number(1000 * hazard.n_events / float(hazard.at_risk.sum()))
        return both(
            f"Between day {hazard.from_day + 1} and day {hazard.until_day} no stretch of days stands out: of 1,000 "
            f"customers at risk about {rate} lapse on a day ({n} lapses).",
            f"第 {hazard.from_day + 1} 天至第 {hazard.until_day} 天之间，没有明显突出的时段："
            f"每 1,000 名风险集客户每天约有 {rate} 人流失（流失 {n} 次）。",
        )
    en, zh = ([_rate(hazard, day, language) for day in (top, low)] for language in ("en", "zh"))
    return both(
        f"Customers lapse fastest around day {hazard.days[top]} ({en[0]}) and slowest around day {hazard.days[low]} "
        f"({en[1]}); n = {n} lapses.",
        f"流失在第 {hazard.days[top]} 天前后最快（{zh[0]}），"
        f"在第 {hazard.days[low]} 天前后最慢（{zh[1]}）；流失 n = {n}。",
    )


def _rate(hazard: SmoothedHazard, day: int, language: Language) -> str:
    value, lower, upper = (1000 * float(each[day]) for each in (hazard.hazard, hazard.lower, hazard.upper))
    between = interval(lower, upper, language, level=hazard.level)
    if language == "zh":
        return f"每 1,000 名风险集客户每天 {number(value)} 人，{between}"
    return f"{number(value)} a day of 1,000 at risk, {between}"


def drift_sentence(residuals: SchoenfeldResiduals, column: str, group: str) -> Sentence:
    """How a hazard ratio moves from the first to the last day with a lapse, by the smooth curve's ends."""
    place = residuals.names.index(column)
    first, last = (int(residuals.days[end]) for end in (0, -1))
    ends = [[float(np.exp(each[end, place])) for each in _curves(residuals)] for end in (0, -1)]
    told = [f"{number(value)}, {interval(lower, upper, 'en', level=residuals.level)}" for lower, value, upper in ends]
    told_zh = [f"{number(v)}，{interval(low, up, 'zh', level=residuals.level)}" for low, v, up in ends]
    apart = ends[0][0] > ends[1][2] or ends[1][0] > ends[0][2]
    verb, verb_zh = ("falls", "下降") if ends[1][1] < ends[0][1] else ("rises", "上升")
    if apart:
        return both(
            f"The hazard ratio of “{group}” {verb} from {told[0]} (day {first}) to {told[1]} (day {last}).",
            f"“{group}”的风险比由 {told_zh[0]}（第 {first} 天）{verb_zh}至 {told_zh[1]}（第 {last} 天）。",
        )
    return both(
        f"The ends of the curve of “{group}” are not told apart: {told[0]} (day {first}) and {told[1]} (day {last}).",
        f"“{group}”的曲线两端未能区分：{told_zh[0]}（第 {first} 天）与 {told_zh[1]}（第 {last} 天）。",
    )


def _curves(residuals: SchoenfeldResiduals) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return residuals.lower, residuals.smooth, residuals.upper
