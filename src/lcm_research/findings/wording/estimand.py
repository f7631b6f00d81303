"""What a comparison is about, item by item, as a page shows it before any number."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lcm_research.findings.wording.common import Language, Sentence, both, in_words
from lcm_research.survival.estimand import Estimand
from lcm_research.survival.exposure import activity_classes

__all__ = ["estimand_table", "lag_text"]

ITEMS: Mapping[str, Sentence] = {
    "population": both("population", "研究对象"),
    "time_zero": both("time zero", "时间零点"),
    "exposure": both("exposure", "暴露"),
    "outcome": both("outcome and its date", "结局及其日期"),
    "horizon": both("horizon", "期限"),
    "contrast": both("contrast", "对比"),
    "tier": both("design", "设计等级"),
}

TIERS: Mapping[str, Sentence] = {
    "A": both("A, randomised", "A，随机化"),
    "B": both("B, quasi-experimental", "B，准实验"),
    "C": both("C, adjusted observation: not randomised", "C，经调整的观察性比较，未随机化"),
    "D": both("D, descriptive", "D，描述性"),
}


def estimand_table(
    estimand: Estimand, *, language: Language, labels: Mapping[str, Mapping[str, str] | str]
) -> pd.DataFrame:
    """
    Return the estimand as a table of ``item`` and ``value`` in one language.

    Parameters
    ----------
    labels : mapping
        What the study calls the segments of ``alike_in``, by language.
    """
    values = _estimand_values(estimand, labels)
    return pd.DataFrame(
        {
            "item": [text[language] for text in ITEMS.values()],
            "value": [values[item][language] for item in ITEMS],
        }
    )


def _estimand_values(e: Estimand, labels: Mapping[str, Mapping[str, str] | str]) -> dict[str, Sentence]:
    classes = ", ".join(activity_classes(e.activity_breaks))
    more_en = "".join(f" and {in_words(labels.get(name, name), 'en')}" for name in e.alike_in)
    more_zh = "".join(f"、{in_words(labels.get(name, name), 'zh')}" for name in e.alike_in)
    acts_en = ", ".join(e.actions) if e.actions else "any act"
    acts_zh = "、".join(e.actions) if e.actions else "任一互动行为"
    lag, start, cut = lag_text(e.lag_periods, e.period_days), e.observation_start, e.cut
    return {
        "population": both(
            f"new customers: first spell begun from {start} on and before {cut}, still going on day "
            f"{e.first_day_compared}",
            f"新客户：首个活跃期起于 {start} 或之后、{cut} 之前，且持续到第 {e.first_day_compared} 天",
        ),
        "time_zero": both("day of the first purchase (day 1 of the spell)", "首次购买当日（活跃期第 1 天）"),
        "exposure": both(
            f"engaged at least once ({acts_en}) {lag['en']}, period by period",
            f"{lag['zh']}至少互动一次（{acts_zh}），逐期判定",
        ),
        "outcome": both(
            f"lapse: a silence of more than {e.window_days} days, dated at the last purchase before it; seen up to "
            f"{cut}",
            f"流失：超过 {e.window_days} 天没有购买，日期记为此前最后一次购买；可观察至 {cut}",
        ),
        "horizon": both(
            f"day {e.first_day_compared} to day {e.horizon_days} of the spell",
            f"活跃期第 {e.first_day_compared} 天至第 {e.horizon_days} 天",
        ),
        "contrast": both(
            f"ratio of the hazards of lapsing, engaged against not, among spells in the same period of "
            f"{e.period_days} days and class of past purchase days ({classes}){more_en}",
            f"有互动与无互动的流失风险之比，限于期数（每期 {e.period_days} 天）、过往购买天数类别（{classes}）{more_zh}"
            "均相同的活跃期之间",
        ),
        "tier": TIERS[e.tier],
    }


def lag_text(lag_periods: int, period_days: int) -> Sentence:
    """When the exposure lies, seen from the period of the outcome."""
    between = (lag_periods - 1) * period_days
    if not between:
        return both(f"in the {period_days} days before", f"前 {period_days} 天内")
    return both(
        f"in {period_days} days that ended {between} days before", f"（相隔 {between} 天）更早的 {period_days} 天内"
    )
