"""Sentences about moves between stages; what the clock does is said to be the clock's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Language,
    Sentence,
    both,
    count,
    interval,
    number,
    p_value,
    percent,
)
from lcm_research.transitions.chain import TransitionMatrix
from lcm_research.transitions.homogeneity import Homogeneity

__all__ = [
    "declared_sentence",
    "exit_sentence",
    "exit_table",
    "homogeneity_check",
    "homogeneity_sentence",
    "known_stage_check",
    "move_question",
    "move_sentence",
    "move_table",
    "nothing_to_say_sentence",
    "panel_sentence",
    "period_text",
    "retention_sentence",
    "sensitivity_table",
    "stock_sentence",
    "too_few_sentence",
    "use_text",
]

Text = Mapping[Language, str]

ALPHA = 0.05
MOST_UNKNOWN = 0.5
"""With more customer-months than this left out, the rest hardly speaks for all."""

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def period_text(period_start: str, language: Language) -> str:
    """
    Name the month that starts on a day.

    >>> period_text("2024-06-01", "en"), period_text("2024-06-01", "zh")
    ('June 2024', '2024 年 6 月')
    """
    day = date.fromisoformat(period_start)
    return f"{MONTHS[day.month - 1]} {day.year}" if language == "en" else f"{day.year} 年 {day.month} 月"


def _told(estimate: Estimate, language: Language) -> str:
    """Return the interval and the customers behind an estimate, in brackets."""
    within = interval(estimate.lower, estimate.upper, language, percent, estimate.level)
    return f" ({within}, n = {count(estimate.n)})" if language == "en" else f"（{within}，n = {count(estimate.n)}）"


def move_sentence(estimate: Estimate, *, from_name: Text, to_name: Text, clock: bool) -> Sentence:
    """
    Say how likely a customer in one stage is in another a month later.

    Parameters
    ----------
    estimate : Estimate
        From ``TransitionMatrix.estimate``.
    from_name, to_name : mapping of language to str
        Names of the two stages.
    clock : bool
        Whether the move is made by the passing of time alone, which the sentence then says.
    """
    share = percent(estimate.value)
    said = both(
        f"Of customers in the stage “{from_name['en']}” at the end of a month, {share} are in the stage "
        f"“{to_name['en']}” a month later{_told(estimate, 'en')}.",
        f"月末处于“{from_name['zh']}”阶段的客户，一个月后有 {share} 处于“{to_name['zh']}”阶段{_told(estimate, 'zh')}。",
    )
    return _with_clock(said) if clock else said


def move_question(*, from_name: Text, to_name: Text, stays: bool) -> Sentence:
    """Ask how likely a move is, or staying."""
    if stays:
        return both(
            f"How many customers stay in the stage “{from_name['en']}” for another month?",
            f"有多少客户下个月仍处于“{from_name['zh']}”阶段？",
        )
    return both(
        f"How many customers in the stage “{from_name['en']}” are “{to_name['en']}” a month later?",
        f"“{from_name['zh']}”阶段的客户中，有多少一个月后处于“{to_name['zh']}”阶段？",
    )


def retention_sentence(estimate: Estimate, *, name: Text) -> Sentence:
    """Say how likely a customer is still in the same stage a month later."""
    share = percent(estimate.value)
    return both(
        f"Of customers in the stage “{name['en']}” at the end of a month, {share} are still in it a month later"
        f"{_told(estimate, 'en')}.",
        f"月末处于“{name['zh']}”阶段的客户，一个月后仍有 {share} 留在该阶段{_told(estimate, 'zh')}。",
    )


def exit_sentence(estimate: Estimate, *, from_name: Text, to_name: Text, clock: bool) -> Sentence:
    """Say which move out of a stage is made most often, and how often in a month."""
    share = percent(estimate.value)
    said = both(
        f"Customers leave the stage “{from_name['en']}” most often for “{to_name['en']}”: {share} do so within a month"
        f"{_told(estimate, 'en')}.",
        f"客户离开“{from_name['zh']}”阶段后最常进入“{to_name['zh']}”："
        f"一个月内的比例为 {share}{_told(estimate, 'zh')}。",
    )
    return _with_clock(said) if clock else said


def _with_clock(said: Sentence) -> Sentence:
    return both(
        said["en"] + " Time alone makes this move: it follows from days without a purchase, as the scheme counts them.",
        said["zh"] + "这一转移仅由时间推移造成：它取决于方案所规定的未购买天数。",
    )


def declared_sentence(window_days: int) -> Sentence:
    """Say when churn is dated in a scheme that declares it."""
    return both(
        f"Churn is declared here: more than {window_days} days after the last purchase, and a purchase after that ends "
        "it. Analyses of survival date the same lapse at the last purchase.",
        f"这里的流失按判定日计：最后一次购买之后超过 {window_days} 天才判定为流失，此后再次购买即解除。"
        "生存分析则将同一次流失记在最后一次购买当日。",
    )


def stock_sentence(estimate: Estimate, *, name: Text, period_start: str) -> Sentence:
    """Say which share of the customers whose stage is known was in a stage at the end of a month."""
    share = percent(estimate.value)
    return both(
        f"At the end of {period_text(period_start, 'en')}, {share} of customers whose stage is known were in the stage "
        f"“{name['en']}”{_told(estimate, 'en')}.",
        f"{period_text(period_start, 'zh')}末，阶段已知的客户中有 {share} 处于“{name['zh']}”阶段"
        f"{_told(estimate, 'zh')}。",
    )


USE: Mapping[str, Sentence] = {
    "used": both("used: stage known in two months in a row", "纳入分析：连续两个月末阶段已知"),
    "not_twice": both("followed, but never known in two months in a row", "有跟踪，但没有连续两个月末阶段已知"),
    "not_seen": both("no contact by the end of the last whole month", "至最后一个完整月末尚无接触"),
}


def use_text(status: str) -> Sentence:
    """Say what the panel makes of a customer, by the status of ``customers_by_use``."""
    return USE[status]


def panel_sentence(*, n_customers: int, n_periods: int, n_known: int, n_unknown: int) -> Sentence:
    """Say how many customers are followed, for how many months, and how many customer-months are left out."""
    en = (
        f"The panel follows {count(n_customers)} customers over {n_periods} whole months: {count(n_known)} "
        "customer-months with a known stage"
    )
    zh = (
        f"面板在 {n_periods} 个完整的月份内跟踪 {count(n_customers)} 名客户，其中阶段已知的客户月为 {count(n_known)} 个"
    )
    if not n_unknown:
        return both(f"{en}, and none that had to be left out.", f"{zh}，没有需要剔除的客户月。")
    share = percent(n_unknown / (n_known + n_unknown))
    return both(
        f"{en}; {count(n_unknown)} more ({share}) are left out because the data begin too late to tell the stage.",
        f"{zh}；另有 {count(n_unknown)} 个（{share}）因数据起点过晚、无法判断阶段而剔除。",
    )


def nothing_to_say_sentence(stage: Text) -> Sentence:
    """Say that a question about a stage has no answer in these data."""
    return both(
        f"No customer with a known stage started a month in the stage “{stage['en']}”, so nothing can be said about "
        "moves out of it.",
        f"没有阶段已知的客户在月初处于“{stage['zh']}”阶段，因此无法说明该阶段的转移情况。",
    )


def too_few_sentence(*, from_name: Text, to_name: Text, min_group: int) -> Sentence:
    """Say that a move is not published because too few customers made it."""
    return both(
        f"Fewer than {min_group} customers moved from “{from_name['en']}” to “{to_name['en']}”, or the number would "
        "give away such a group; it is not published.",
        f"从“{from_name['zh']}”到“{to_name['zh']}”的客户少于 {min_group} 人，或公布后可推算出此类小组，故不予公布。",
    )


def homogeneity_sentence(test: Homogeneity, *, names: Mapping[str, Text], min_group: int) -> Sentence:
    """
    Say whether customers bought their way out of a stage equally often in every month.

    Parameters
    ----------
    test : Homogeneity
    names : mapping of stage to its name by language
    min_group : int
        The range of a stage is left out where it rests on fewer in some month.
    """
    if not test.applies:
        return both(
            "There are too few purchases out of any stage to compare one month with another.",
            "各阶段的购买次数过少，无法逐月比较。",
        )
    parts = f"G² = {number(test.statistic)}", f"df = {test.degrees_of_freedom}", p_value(test.p_value)
    told, told_zh = ", ".join(parts), "，".join(parts)
    en, zh = (_ranges(test, names, min_group, language) for language in LANGUAGES)
    if test.p_value < ALPHA:
        return both(
            f"The probability of buying was not the same in all months ({told}){en}.",
            f"各月的购买概率并不相同（{told_zh}）{zh}。",
        )
    return both(
        f"The data do not show that the probability of buying changed from month to month ({told}){en}.",
        f"数据未显示各月的购买概率有所变化（{told_zh}）{zh}。",
    )


def _ranges(test: Homogeneity, names: Mapping[str, Text], min_group: int, language: Language) -> str:
    compared = test.by_stage[(test.by_stage["degrees_of_freedom"] > 0) & (test.by_stage["fewest"] >= min_group)]
    parts = []
    for row in compared.to_dict("records"):
        name, low, high = names[str(row["stage"])][language], percent(row["lowest"]), percent(row["highest"])
        parts.append(f"from {low} to {high} for “{name}”" if language == "en" else f"“{name}”为 {low} 至 {high}")
    if not parts:
        return ""
    return "; it ranged " + ", ".join(parts) if language == "en" else "；其取值范围为：" + "，".join(parts)


MADE_BY: Mapping[str, Sentence] = {
    "clock": both("time alone", "仅由时间"),
    "purchase": both("a purchase", "购买"),
    "either": both("time or a purchase", "时间或购买"),
    "stay": both("", ""),
}


def move_table(
    matrix: TransitionMatrix, *, names: Mapping[str, str], min_group: int, language: Language
) -> pd.DataFrame:
    """
    Return the moves of a matrix as a page shows them: names for stages, one column for an estimate.

    Columns: from, to, made_by (what the scheme lets the move happen by), probability (Estimate), n_moves
    (customer-periods), n_customers (who were ever in the stage). Probability and n_moves are None where nobody was
    in the stage and where they would give away fewer than ``min_group`` customers.
    """
    table = matrix.table()
    pairs = list(zip(table["from"], table["to"], strict=True))
    shown = matrix.publishable(pairs, min_group=min_group)
    rows = []
    for pair, row in zip(pairs, table.to_dict("records"), strict=True):
        kind = "clock" if row["clock"] else "purchase" if row["purchase"] else "either"
        made_by = MADE_BY["stay" if pair[0] == pair[1] else kind][language]
        found = (matrix.estimates[pair], row["n_moves"]) if pair in shown else (None, None)
        rows.append((names[pair[0]], names[pair[1]], made_by, *found, row["n_customers_from"]))
    return pd.DataFrame(rows, columns=["from", "to", "made_by", "probability", "n_moves", "n_customers"], dtype=object)


def exit_table(matrix: TransitionMatrix, *, names: Mapping[str, str], min_group: int) -> pd.DataFrame:
    """
    Return how likely customers stay in each stage, and where those who leave it go most often.

    Columns: stage, stays (Estimate), exit, leaves (Estimate). An entry that would give away fewer than
    ``min_group`` customers is None; a stage that nobody left is not there.
    """
    rows = []
    for stage in matrix.stages:
        to = matrix.likeliest_exit(stage)
        if to is not None:
            shown = matrix.publishable([(stage, stage), (stage, to)], min_group=min_group)
            stays, leaves = (matrix.estimates[p] if p in shown else None for p in ((stage, stage), (stage, to)))
            rows.append((names[stage], stays, names[to] if leaves is not None else None, leaves))
    return pd.DataFrame(rows, columns=["stage", "stays", "exit", "leaves"])


def sensitivity_table(
    tried: Sequence[tuple[str, str, TransitionMatrix]],
    pairs: Sequence[tuple[str, str]],
    *,
    names: Mapping[str, str],
    min_group: int,
) -> pd.DataFrame:
    """
    Return the probabilities of some moves under several sets of thresholds.

    Parameters
    ----------
    tried : list of (threshold, value, matrix)
        What was changed, to what, and the matrix that came out.
    pairs : list of (from, to)
        One column each, named by ``names``.
    min_group : int
        A probability that fewer customers stand behind is left out.

    Returns
    -------
    DataFrame
        threshold, value and a column of Estimate (None where there is none to show) for each move.
    """
    rows = []
    for threshold, value, matrix in tried:
        shown = matrix.publishable(pairs, min_group=min_group)
        cells = {f"{names[a]} → {names[b]}": matrix.estimates[a, b] if (a, b) in shown else None for a, b in pairs}
        rows.append({"threshold": threshold, "value": value, **cells})
    return pd.DataFrame(rows)


def homogeneity_check(test: Homogeneity, *, names: Mapping[str, Text], min_group: int) -> Check:
    """Turn the test into a check: one matrix for all months is an average where the months differ."""
    name = both("the same in every month", "各月一致")
    return Check(
        name=name,
        passed=test.applies and test.p_value >= ALPHA,
        note=homogeneity_sentence(test, names=names, min_group=min_group),
    )


def known_stage_check(*, n_known: int, n_unknown: int) -> Check:
    """Check that most customer-months have a known stage: the left edge costs some wherever a history begins."""
    share = n_unknown / max(n_known + n_unknown, 1)
    note = both(
        f"{percent(share)} of customer-months are left out because the data begin too late to tell the stage",
        f"因数据起点过晚、无法判断阶段而剔除的客户月占 {percent(share)}",
    )
    if not n_unknown:
        note = both("every customer-month has a known stage", "所有客户月的阶段均已知")
    return Check(name=both("stage known", "阶段已知"), passed=share <= MOST_UNKNOWN, note=note)
