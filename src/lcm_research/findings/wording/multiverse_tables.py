"""Tables of conclusions under other definitions, and how far a definition moves a plain level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import LANGUAGES, Language, Sentence, both, evidence, number, p_value, percent
from lcm_research.findings.wording.multiverse import SHORT, definition_text, whose_text
from lcm_research.specification.curve import SpecificationCurve, flips, spread, tally
from lcm_research.specification.joint import JointTest, MedianTest
from lcm_research.transitions.multiverse import NO_CHOICE, NO_SUCH_STAGE

__all__ = [
    "answer_table",
    "flip_table",
    "joint_table",
    "level_sentence",
    "level_table",
    "level_text",
    "spread_check",
    "unanswered_table",
]

MOST_ROWS = 40
"""Rows of a table of flips."""


LEVEL_TEXTS: Mapping[str, Sentence] = {
    "established": both("customer-months called established", "被称为“稳定”的客户月占比"),
    "lapsed": both("customer-months called lapsed", "被称为“流失”的客户月占比"),
    "stays-active": both("established customers who stay active for another month", "稳定客户下月仍活跃的比例"),
    "returns": both("customers at risk who come back within a month", "有流失风险的客户一个月内回来的比例"),
    "lapsed-returns": both("lapsed customers who come back within a month", "流失客户一个月内回来的比例"),
}

CHANGES: Mapping[str, Sentence] = {
    "reversed": both("reversed", "结论相反"),
    "other side": both("on the other side, interval holds the null", "方向相反，区间含零假设值"),
    "lost": both("interval holds the null", "区间含零假设值"),
    "gained": both("interval leaves out the null", "区间不含零假设值"),
}

REASONS: Mapping[str, Sentence] = {
    NO_SUCH_STAGE: both("no customer is ever in the stage that is asked about", "没有客户处于所问的阶段"),
    NO_CHOICE: both(
        "everybody in the stage that is asked about does the same: the definition leaves no choice",
        "所问阶段的客户全都相同：定义本身已决定结果",
    ),
}
"""Reasons of ``transitions.multiverse`` in both languages; others are told as they came."""

METHODS: Mapping[str, Sentence] = {
    "hotelling": both("Hotelling, F", "Hotelling F 检验"),
    "bootstrap": both("bootstrap of groups", "客户组自助法"),
    "none": both("–", "–"),
}


def answer_table(curves: Mapping[str, SpecificationCurve], language: Language) -> pd.DataFrame:
    """
    Return one row a question: what the study's own definition gives and how many definitions keep it.

    Columns: question, own (Estimate), n_tried, n_distinct, n_same_side, n_beyond, n_reversed, same_answer.
    """
    rows = []
    for name, curve in curves.items():
        counted = tally(curve)
        numbers = (counted.n_tried, counted.n_distinct, counted.n_same_side, counted.n_beyond, counted.n_opposite)
        rows.append((SHORT[name][language], curve.reference.estimate, *numbers, not flips(curve)))
    columns = ["question", "own", "n_tried", "n_distinct", "n_same_side", "n_beyond", "n_reversed", "same_answer"]
    return pd.DataFrame(rows, columns=columns)


def unanswered_table(curves: Mapping[str, SpecificationCurve], language: Language) -> pd.DataFrame:
    """
    Return one row a question: the definitions that answer it, those that differ, those that cannot, and why.

    Columns: question, n_tried, n_distinct, n_unanswered, why (the commonest reason).
    """
    rows = []
    for name, curve in curves.items():
        told = Counter(curve.unanswered.values()).most_common(1)
        short = {**SHORT, **LEVEL_TEXTS}[name][language]
        why = REASONS.get(told[0][0], both(told[0][0], told[0][0]))[language] if told else ""
        rows.append((short, len(curve.tried), len(curve.distinct), len(curve.unanswered), why))
    return pd.DataFrame(rows, columns=["question", "n_tried", "n_distinct", "n_unanswered", "why"])


def spread_check(curve: SpecificationCurve) -> Check:
    """Check that the choice of a definition moves a level less than the width of the interval of the study's own."""
    times = spread(curve).times_sampling
    return Check(
        name=both("about the same under every definition", "各定义下大致相同"),
        passed=times <= 1,
        note=both(
            f"from lowest to highest {number(times, 2)} times the width of the interval",
            f"最低与最高相差为区间宽度的 {number(times, 2)} 倍",
        ),
    )


def joint_table(
    tests: Mapping[str, tuple[JointTest, JointTest, MedianTest | None]], language: Language
) -> pd.DataFrame:
    """
    Return one row a question: is the null tenable under every definition, do they agree, is the median beyond it?

    Columns: question, p_null, p_agreement, p_median (texts), directions, method.
    """
    rows = []
    for name, (null, same, middle) in tests.items():
        told = [p_value(each.p_value) if each.applies else "–" for each in (null, same)]
        median = p_value(middle.p_median) if middle else "–"
        rows.append((SHORT[name][language], *told, median, null.degrees_of_freedom[0], METHODS[null.method][language]))
    return pd.DataFrame(rows, columns=["question", "p_null", "p_agreement", "p_median", "directions", "method"])


def flip_table(curves: Mapping[str, SpecificationCurve], language: Language) -> tuple[pd.DataFrame, str]:
    """
    Return the definitions that answer otherwise than the study's own, and a note where not all are shown.

    Columns: question, definition, estimate (Estimate), change.
    """
    rows = [
        (
            SHORT[name][language],
            definition_text(flip.specification.choices, language),
            flip.specification.estimate,
            CHANGES[flip.change][language],
        )
        for name, curve in curves.items()
        for flip in flips(curve)
    ]
    more = len(rows) - MOST_ROWS
    note = {"en": f"{more} more are not shown.", "zh": f"另有 {more} 种未列出。"}[language] if more > 0 else ""
    return pd.DataFrame(rows[:MOST_ROWS], columns=["question", "definition", "estimate", "change"]), note


def level_text(name: str) -> Sentence:
    """Name a plain level."""
    return LEVEL_TEXTS[name]


def level_table(curves: Mapping[str, SpecificationCurve], language: Language) -> pd.DataFrame:
    """
    Return one row a level: the study's own, the lowest and highest of any definition, and which those are.

    Columns: level, own, lowest, lowest_definition, highest, highest_definition, times_sampling.
    """
    rows = []
    for name, curve in curves.items():
        found = spread(curve)
        ends = [
            part
            for each in (found.lowest, found.highest)
            for part in (each.estimate, definition_text(each.choices, language))
        ]
        rows.append((LEVEL_TEXTS[name][language], found.reference.estimate, *ends, found.times_sampling))
    columns = ["level", "own", "lowest", "lowest_definition", "highest", "highest_definition", "times_sampling"]
    return pd.DataFrame(rows, columns=columns)


def level_sentence(curve: SpecificationCurve, name: str) -> Sentence:
    """Say how far the choice of a definition moves a level, beside how far sampling does."""
    found, what = spread(curve), LEVEL_TEXTS[name]
    own = found.reference
    low, high = (percent(each.estimate.value) for each in (found.lowest, found.highest))
    en_ends, zh_ends = (
        [definition_text(each.choices, language) for each in (found.lowest, found.highest)] for language in LANGUAGES
    )
    mine = whose_text(own.own, definition_text(own.choices, "en"), definition_text(own.choices, "zh"))
    en = f"The share of {what['en']} runs from {low} ({en_ends[0]}) to {high} ({en_ends[1]})."
    zh = f"{what['zh']}从 {low}（{zh_ends[0]}）到 {high}（{zh_ends[1]}）不等。"
    en += f" {mine['en']}: {percent(own.estimate.value)} ({evidence(own.estimate, 'en', of_share=True)})."
    zh += f"{mine['zh']}：{percent(own.estimate.value)}（{evidence(own.estimate, 'zh', of_share=True)}）。"
    times = number(found.times_sampling, 2)
    en += f" The choice of a definition moves it {times} times as far as that interval is wide."
    zh += f"定义的选择使其变动的幅度是该区间宽度的 {times} 倍。"
    return both(en, zh)
