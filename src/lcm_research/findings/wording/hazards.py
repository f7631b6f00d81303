"""Sentences about hazard ratios that change over a customer's life; the verb follows the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lcm_research.findings.wording.common import LANGUAGES, Sentence, both, count, number, p_value
from lcm_research.survival.changing_ratios import StepRatios

__all__ = ["no_steps_sentence", "step_sentence", "stretch_text"]


def stretch_text(found: StepRatios, place: int) -> Sentence:
    """Name a stretch of tenure: the first by its end, the last by its start."""
    start, stop = (int(days[place]) for days in (found.from_day, found.until_day))
    if place == 0:
        return both(f"until day {stop}", f"第 {stop} 天及以前")
    if place == len(found.from_day) - 1:
        return both(f"from day {start}", f"第 {start} 天及以后")
    return both(f"days {start} to {stop}", f"第 {start} 至 {stop} 天")


def step_sentence(found: StepRatios, *, by: Mapping[str, str] | str, alpha: float) -> Sentence:
    """Whether the ratios of a segment differ between stretches of tenure, and whom a later stretch compares."""
    label = {
        language: by if isinstance(by, str) else by.get(language, next(iter(by.values()))) for language in LANGUAGES
    }
    parts = [f"χ² = {number(found.chi_square)}", f"df = {found.degrees_of_freedom}", p_value(found.p_value)]
    en, zh = (mark.join([*parts, f"n = {count(found.fit.n)}"]) for mark in (", ", "，"))
    left = both(
        f"{count(found.n[-1])} customers are left at the start of the last stretch, and it compares only them.",
        f"最后一段开始时仅剩 {count(found.n[-1])} 位客户，该段只在他们之间比较。",
    )
    if found.p_value < alpha:
        return both(
            f"By {label['en']}: the hazard ratios differ between the stretches ({en}). {left['en']}",
            f"按{label['zh']}：各时段的风险比不同（{zh}）。{left['zh']}",
        )
    return both(
        f"By {label['en']}: the data do not separate the hazard ratios of the stretches ({en}), although the test over "
        f"all days speaks against one ratio. {left['en']}",
        f"按{label['zh']}：数据未能区分各时段的风险比（{zh}），尽管对全部时间的检验不支持单一风险比。{left['zh']}",
    )


def no_steps_sentence(days: Sequence[int], *, by: Mapping[str, str] | str) -> Sentence:
    """Say that a segment's ratios were not cut, because no stretch would hold enough lapses."""
    label = {
        language: by if isinstance(by, str) else by.get(language, next(iter(by.values()))) for language in LANGUAGES
    }
    en, zh = ", ".join(str(day) for day in days), "、".join(str(day) for day in days)
    return both(
        f"By {label['en']}: too few lapses on one side of each of the days {en} for ratios of their own.",
        f"按{label['zh']}：在第 {zh} 天中的任何一天切分，都有一侧流失过少，无法分段估计风险比。",
    )
