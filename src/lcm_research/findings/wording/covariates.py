"""
Sentences about who moves between stages: what a move goes along with, among customers alike in what is measured.

No sentence says that engaging brings anybody back: the comparison is adjusted, not randomised. Where the month after
the move tells as much as the month before, the sentence says so itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check, Tier
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Language,
    Sentence,
    both,
    count,
    interval,
    number,
    percent,
)
from lcm_research.transitions.covariate_path import PathChange
from lcm_research.transitions.move_cells import JOIN, MoveCells
from lcm_research.transitions.move_contrasts import MoveContrast, customers_at
from lcm_research.transitions.who_moves import MoveAnswer

__all__ = [
    "cells_sentence",
    "claim_tier",
    "contrast_alt",
    "contrast_check",
    "contrast_question",
    "contrast_sentence",
    "covariate_text",
    "lead_sentence",
    "level_text",
    "move_ratio_table",
    "no_engagements_sentence",
    "no_path_sentence",
    "path_sentence",
    "path_table",
]

Text = Mapping[str, str]
Labels = Mapping[str, Text]
"""What segments are called; the covariates of this module need no label."""

NAMES: Labels = {
    "engaged_before": both("days with engagement in the month before", "上月互动天数"),
    "engaged_during": both("days with engagement in the month of the move", "当月互动天数"),
    "engaged_after": both("days with engagement in the month after", "次月互动天数"),
    "touched_before": both("touchpoints in the month before", "上月触点数"),
    "bought_before": both("purchase days in the {months} months before", "此前 {months} 个月的购买天数"),
    "silent_before": both("months without a purchase", "连续无购买的月数"),
    "quarter": both("quarter", "季度"),
}


def covariate_text(covariate: str, *, bought_months: int, labels: Labels | None = None) -> Sentence:
    """
    What a covariate is called.

    >>> covariate_text("bought_before", bought_months=12)["en"]
    'purchase days in the 12 months before'
    """
    name = NAMES.get(covariate) or (labels or {}).get(covariate) or both(covariate, covariate)
    return both(*(name[language].format(months=bought_months) for language in LANGUAGES))


def level_text(level: str) -> Sentence:
    """
    Write a class of a count in words; a name stays as it is.

    >>> [level_text(level)["en"] for level in ("0", "1", "2-3", "4+", "1 / 2-3", "east")]
    ['0', '1', '2 to 3', '4 or more', '1 or 2 to 3', 'east']
    """
    parts = [_class_text(part) for part in level.split(JOIN)]
    return both(" or ".join(part["en"] for part in parts), " 或 ".join(part["zh"] for part in parts))


def _class_text(level: str) -> Sentence:
    if found := re.fullmatch(r"(\d+)-(\d+)", level):
        return both(f"{found.group(1)} to {found.group(2)}", f"{found.group(1)} 至 {found.group(2)}")
    if found := re.fullmatch(r"(\d+)\+", level):
        return both(f"{found.group(1)} or more", f"{found.group(1)} 及以上")
    return both(level, level)


def no_engagements_sentence() -> Sentence:
    """Why a page compares customers by past purchases only."""
    return both(
        "The study has no table of engagements: customers are compared by past purchases only.",
        "本研究没有互动数据表，因此仅按过往购买比较客户。",
    )


def contrast_question(found: MoveContrast, *, from_name: Text, to_name: Text) -> Sentence:
    """Ask whether a move goes along with the exposure."""
    if found.covariate == "engaged_before":
        return both(
            f"Are customers in the stage “{from_name['en']}” who engaged more often “{to_name['en']}” a month later?",
            f"“{from_name['zh']}”阶段的客户中，有互动者一个月后更常进入“{to_name['zh']}”阶段吗？",
        )
    return both(
        f"Are customers in the stage “{from_name['en']}” who bought more often “{to_name['en']}” a month later?",
        f"“{from_name['zh']}”阶段的客户中，购买较多者一个月后更常进入“{to_name['zh']}”阶段吗？",
    )


def contrast_sentence(
    answer: MoveAnswer, *, from_name: Text, to_name: Text, bought_months: int, labels: Labels | None = None
) -> Sentence:
    """
    Say how much more often a move is made at the highest level of the exposure, and how far the guard allows it.

    Parameters
    ----------
    answer : MoveAnswer
    from_name, to_name : mapping of language to str
        Names of the two stages.
    bought_months : int
        Months in which past purchases were counted.
    labels : mapping, optional
        What the segments that are held alike are called.
    """
    found, sign = answer.headline, answer.headline.adjusted.sign()
    own, against = (_who(found, level, bought_months) for level in (found.level, found.against))
    alike = _alike(answer.fit.cells, found.covariate, bought_months, labels)
    told = both(*(_points_told(found.adjusted, language) for language in LANGUAGES))
    naive, naive_more = f"{abs(found.naive.value):.1f}", _direction(found.naive.value)
    if not sign:
        said = both(
            f"Among customers in the stage “{from_name['en']}”{alike['en']} the data do not separate {own['en']} from "
            f"{against['en']} in how often they are “{to_name['en']}” a month later ({_signed(found.adjusted.value)} "
            f"percentage points, {told['en']}).",
            f"“{from_name['zh']}”阶段{alike['zh']}的客户中，数据未能区分{own['zh']}与{against['zh']}的客户一个月后进入"
            f"“{to_name['zh']}”阶段的频率（相差 {_signed(found.adjusted.value)} 个百分点，{told['zh']}）。",
        )
    else:
        more = _direction(found.adjusted.value)
        points = f"{abs(found.adjusted.value):.1f}"
        said = both(
            f"Among customers in the stage “{from_name['en']}”{alike['en']}, {own['en']} are “{to_name['en']}” a month "
            f"later {points} percentage points {more['en']} often than {against['en']} ({told['en']}).",
            f"“{from_name['zh']}”阶段{alike['zh']}的客户中，{own['zh']}的客户一个月后进入“{to_name['zh']}”阶段的比例"
            f"比{against['zh']}的客户{more['zh']} {points} 个百分点（{told['zh']}）。",
        )
    as_they_are = both(
        f"As they are, the difference is {naive} points {naive_more['en']}.",
        f"未调整的差异为{naive_more['zh']} {naive} 个百分点。",
    )
    last = _caution(answer, sign)
    return both(f"{said['en']} {as_they_are['en']} {last['en']}", f"{said['zh']}{as_they_are['zh']}{last['zh']}")


def contrast_alt(found: MoveContrast, *, names: Mapping[str, str]) -> Sentence:
    """Write the numbers of a contrast for those who do not see the figure."""
    move, level = f"{names[found.from_stage]} → {names[found.to_stage]}", level_text(found.level)
    en, zh = (_points_told(found.adjusted, language) for language in LANGUAGES)
    value, naive = _signed(found.adjusted.value), _signed(found.naive.value)
    return both(
        f"{move}, {level['en']}: {value} percentage points ({en}); as they are {naive}. ",
        f"{move}，{level['zh']}：{value} 个百分点（{zh}）；未调整 {naive}。",
    )


def _caution(answer: MoveAnswer, sign: int) -> Sentence:
    if answer.lead is not None and not answer.lead.separated:
        return both(
            "The month after tells as much as the month before, though it cannot have brought the move about: lasting "
            "activity or the move itself may stand behind both, and this is no estimate of what engaging does.",
            "而次月的互动与上月的互动同样“预示”该转移，次月却不可能促成它：持续的活跃程度或转移本身可能同时影响二者，"
            "因此这不是互动作用的估计。",
        )
    if answer.lead_refused:
        return both(
            "The negative control could not be made; this is adjusted, not randomised.",
            "阴性对照无法进行；这是经调整的观察性比较，并非随机试验。",
        )
    if not sign:
        return both("This is adjusted, not randomised.", "这是经调整的观察性比较，并非随机试验。")
    return both(
        "This is adjusted, not randomised: what was not measured is not held alike.",
        "这是经调整的观察性比较，并非随机试验；未测量的因素并未保持一致。",
    )


def _who(found: MoveContrast, level: str, bought_months: int) -> Sentence:
    """Those at a level, as part of a sentence."""
    days = _days_text(level)
    if found.covariate == "engaged_before":
        if level == "0":
            return both("those who had not engaged", "上月没有互动")
        if level == "1+":
            return both("those who had engaged in the month before", "上月有互动")
        return both(f"those who had engaged on {days['en']} of the month before", f"上月有 {days['zh']}互动")
    if level == "0":
        return both(
            f"those who had not bought in the {bought_months} months before", f"此前 {bought_months} 个月没有购买"
        )
    return both(
        f"those who had bought on {days['en']} of the {bought_months} months before",
        f"此前 {bought_months} 个月有 {days['zh']}购买",
    )


def _days_text(level: str) -> Sentence:
    """
    Write a class of a number of days.

    >>> [_days_text(level)["zh"] for level in ("1", "2-3", "4+", "1 / 2-3")]
    ['1 天', '2 至 3 天', '4 天及以上', '1 或 2 至 3 天']
    """
    words = level_text(level)
    if level.endswith("+"):
        return both(f"{words['en']} days", f"{words['zh'].removesuffix(' 及以上')} 天及以上")
    return both(f"{words['en']} {'day' if level == '1' else 'days'}", f"{words['zh']} 天")


def _alike(cells: MoveCells, exposure: str, bought_months: int, labels: Labels | None) -> Sentence:
    """What customers are alike in, as part of a sentence; empty where in nothing."""
    held = [
        covariate_text(name, bought_months=bought_months, labels=labels) for name in cells.levels if name != exposure
    ]
    if not held:
        return both("", "")
    en = [text["en"] for text in held]
    listed = en[0] if len(en) == 1 else ", ".join(en[:-1]) + " and " + en[-1]
    return both(f" alike in {listed}", f"{'、'.join(text['zh'] for text in held)}相近")


def _points_told(points: Estimate, language: Language) -> str:
    between = interval(points.lower, points.upper, language, lambda x: f"{x:.1f}".replace("-", "−"), points.level)
    return f"{between}{', ' if language == 'en' else '，'}n = {count(points.n)}"


def _signed(x: float) -> str:
    return f"{x:.1f}".replace("-", "−")


def _direction(x: float) -> Sentence:
    return both("more", "高") if x >= 0 else both("less", "低")


def lead_sentence(answer: MoveAnswer) -> Sentence:
    """What the month after the move says beside the month before."""
    if answer.lead is None:
        why = answer.lead_refused
        return both(f"Not answered: {why}.", f"未能检验：{why}。")
    found = answer.lead
    told = {language: [_ratio_told(each, language) for each in (found.lag, found.lead)] for language in LANGUAGES}
    en, zh = told["en"], told["zh"]
    said = both(
        f"In one model the odds of the move go with engagement of the month before ({en[0]}) and of the month after "
        f"({en[1]}).",
        f"在同一模型中，转移的优势比：上月互动为 {zh[0]}，次月互动为 {zh[1]}。",
    )
    if found.separated:
        end = both("The month after tells reliably less.", "次月的关联明显较弱。")
    else:
        end = both(
            "The month after tells as much or more: activity is not held alike, or engagement follows the move.",
            "次月的关联同样强或更强：活跃程度未能保持一致，或互动随转移而来。",
        )
    return both(f"{said['en']} {end['en']}", f"{said['zh']}{end['zh']}")


def claim_tier(answer: MoveAnswer) -> Tier:
    """Adjusted (C) only where the negative control was made and passed; otherwise a description (D)."""
    return "C" if answer.lead is not None and answer.lead.separated else "D"


def contrast_check(answer: MoveAnswer) -> Check:
    """Negative control: engagement after the move should tell less of it than engagement before."""
    return Check(
        name=both("Negative control: the month after the move tells less", "阴性对照：转移次月的互动关联较弱"),
        passed=answer.lead is not None and answer.lead.separated,
        note=lead_sentence(answer),
    )


def _ratio_told(ratio: Estimate, language: Language) -> str:
    to = "to" if language == "en" else "至"
    word = "odds ratio " if language == "en" else ""
    return f"{word}{number(ratio.value)}{', ' if language == 'en' else '，'}{number(ratio.lower)} {to} " + number(
        ratio.upper
    )


def cells_sentence(
    cells: MoveCells, *, name: Text, min_group: int, bought_months: int, labels: Labels | None = None
) -> Sentence:
    """What of a stage was fitted, and what was left out or joined for it; no number below ``min_group``."""
    few = 0 < cells.n_unknown < min_group
    months, out = count(cells.n.sum()), f"<{min_group}" if few else count(cells.n_unknown)
    share = (
        f"<{percent(min_group / cells.n.sum())}"
        if few
        else percent(cells.n_unknown / (cells.n_unknown + cells.n.sum()))
    )
    parts = [
        both(
            f"“{name['en']}”: {months} customer-months; {out} ({share}) left out because a covariate is not known",
            f"“{name['zh']}”：{months} 个客户月，另有 {out} 个（{share}）因协变量未知而剔除",
        )
    ]
    joined = [(covariate, level) for covariate, level in cells.joined if covariate not in cells.constant]
    if joined:
        texts = [
            both(
                *(
                    f"{covariate_text(covariate, bought_months=bought_months, labels=labels)[language]}"
                    f"{': ' if language == 'en' else '：'}{level_text(level)[language]}"
                    for language in LANGUAGES
                )
            )
            for covariate, level in joined
        ]
        parts.append(
            both(
                f"joined, being thin: {'; '.join(t['en'] for t in texts)}",
                f"因人数少而合并：{'；'.join(t['zh'] for t in texts)}",
            )
        )
    if cells.constant:
        texts = [covariate_text(each, bought_months=bought_months, labels=labels) for each in cells.constant]
        parts.append(
            both(
                f"the same for all, so left out: {', '.join(t['en'] for t in texts)}",
                f"取值单一而不纳入：{'、'.join(t['zh'] for t in texts)}",
            )
        )
    return both("; ".join(p["en"] for p in parts) + ".", "；".join(p["zh"] for p in parts) + "。")


def move_ratio_table(
    answers: Sequence[MoveAnswer],
    *,
    names: Mapping[str, str],
    customers: pd.DataFrame,
    bought_months: int,
    language: Language,
    labels: Labels | None = None,
    leave_out: Sequence[str] = ("quarter",),
) -> pd.DataFrame:
    """
    Return one row for each move and level: odds ratio and hazard ratio with their intervals.

    Columns: move, covariate, level, reference, odds_ratio, hazard_ratio, n_level and n_moved (different customers ever
    at the level, and at it when they moved).
    """
    rows = []
    for answer in answers:
        cells, move = answer.fit.cells, answer.headline
        for covariate, levels in cells.levels.items():
            if covariate in leave_out:
                continue
            for level in levels[1:]:
                odds = answer.fit.odds_ratio(move.to_stage, covariate, level)
                hazard = answer.hazard.ratios[f"{covariate}[{level}]"]
                heads = (customers_at(answer.fit, customers, covariate, level, to) for to in ("(any)", move.to_stage))
                named = covariate_text(covariate, bought_months=bought_months, labels=labels)[language]
                where = (f"{names[move.from_stage]} → {names[move.to_stage]}", named)
                compared = (level_text(level)[language], level_text(levels[0])[language])
                rows.append((*where, *compared, _cell(odds, language), _cell(hazard, language), *heads))
    columns = ["move", "covariate", "level", "reference", "odds_ratio", "hazard_ratio", "n_level", "n_moved"]
    return pd.DataFrame(rows, columns=columns)


def _cell(ratio: Estimate, language: Language) -> str:
    return f"{number(ratio.value)} ({number(ratio.lower)} {'至' if language == 'zh' else 'to'} {number(ratio.upper)})"


def path_sentence(found: PathChange, *, names: Mapping[str, Text]) -> Sentence:
    """What the calculation of a path assumes; it is made only of moves that passed their negative control."""
    share, months = percent(found.share, 0), found.n_months
    stages = both(
        ", ".join(f"“{names[stage]['en']}”" for stage in found.moved_from),
        "、".join(f"“{names[stage]['zh']}”" for stage in found.moved_from),
    )
    return both(
        f"A calculation, not a forecast: if in the stages {stages['en']} {share} of those who do not engage in a month "
        f"moved as those do who engage and are alike otherwise, month after month for {months} months, and nobody "
        "joined. It would hold only if those who engage differ in nothing but what is measured.",
        f"这是推算而非预测：假设{stages['zh']}阶段每月没有互动的客户中有 {share} 像其他方面相近、有互动的客户那样转移，"
        f"持续 {months} 个月，且没有新客户加入。仅当有互动者除已测量因素外别无差异时才成立。",
    )


def no_path_sentence() -> Sentence:
    """Why there is no calculation of what more engagement would go along with."""
    return both(
        "No calculation of the stages with more engagement is made: no move passed its negative control, so those who "
        "engage differ in what was not measured.",
        "不推算互动增加时的阶段构成：没有转移通过阴性对照，说明有互动者在未测量方面确有差异。",
    )


def path_table(found: PathChange, *, names: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a stage: stage, as_is and changed (percent of today's customers), difference in points."""
    rows = []
    for place, stage in enumerate(found.stages):
        points = found.differences[stage]
        ends = f"{_signed(points.value)} ({_signed(points.lower)} – {_signed(points.upper)})"
        rows.append((names[stage], percent(found.as_is[place]), percent(found.changed[place]), ends))
    return pd.DataFrame(rows, columns=["stage", "as_is", "changed", "points"])
