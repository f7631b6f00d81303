"""Sentences on whether hidden stages, told by behaviour alone, match the stages of the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
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
    percent,
)
from lcm_research.privacy import small_rows
from lcm_research.stages.behaviour import MANY_PURCHASES
from lcm_research.transitions.hidden_agreement import Agreement, HiddenChoice

__all__ = [
    "LEAST_CERTAINTY",
    "MOST_RANGE",
    "agreement_note",
    "agreement_table",
    "certainty_check",
    "choice_note",
    "hidden_heading",
    "hidden_stage_table",
    "least_buying_question",
    "least_buying_sentence",
    "may_be_told",
    "number_of_stages_check",
    "separation_check",
]

Text = Mapping[Language, str]

LEAST_CERTAINTY = 0.8
"""Mean probability of the likeliest hidden stage below which behaviour does not tell the hidden stages apart."""

MOST_RANGE = 0.1
"""The share may vary by this much over the numbers of hidden stages tried."""


def least_buying_question(name: Text) -> Sentence:
    """Ask whether customers in a stage of the rules behave like those who hardly buy."""
    return both(
        f"Do customers whom the rules call “{name['en']}” behave like customers who hardly buy?",
        f"规则判定为“{name['zh']}”的客户，行为上是否也几乎不再购买？",
    )


def least_buying_sentence(share: Estimate, *, name: Text, buying: float, checks: Sequence[Check]) -> Sentence:
    """
    Say how many customers of a stage are most likely in the hidden stage that buys least.

    Parameters
    ----------
    share : Estimate
        From ``Agreement.share``.
    name : mapping of language to str
        Of the stage of the rules.
    buying : float
        Probability of a purchase in a month in that hidden stage.
    checks : list of Check
        One that failed is mentioned.
    """
    en, zh = (interval(share.lower, share.upper, language, percent, share.level) for language in LANGUAGES)
    value, rate, n = percent(share.value), _rarely(buying), count(share.n)
    said = both(
        f"Of customers whom the rules call “{name['en']}”, {value} are most likely in the hidden stage that buys "
        f"least, in {rate} of months ({en} given the fitted model, n = {n}).",
        f"规则判定为“{name['zh']}”的客户中，{value} 最可能处于购买最少的隐藏阶段，该阶段的月购买概率为 {rate}"
        f"（拟合模型给定时的 {zh}，n = {n}）。",
    )
    if all(check.passed for check in checks):
        return said
    return both(
        f"{said['en']} A check of the hidden stages failed: they describe, and do not confirm the rules.",
        f"{said['zh']}隐藏阶段有检查未通过，因此只作描述，不足以印证规则。",
    )


def certainty_check(certainty: Estimate) -> Check:
    """Whether behaviour tells hidden stages apart."""
    value, least = percent(certainty.value), percent(LEAST_CERTAINTY, 0)
    return Check(
        name=both("Behaviour tells the hidden stages apart", "行为足以区分各隐藏阶段"),
        passed=certainty.value >= LEAST_CERTAINTY,
        note=both(
            f"The likeliest hidden stage of a customer has a probability of {value} on average; {least} is asked for.",
            f"客户最可能的隐藏阶段，其概率平均为 {value}；要求不低于 {least}。",
        ),
    )


def number_of_stages_check(shares: Mapping[int, Estimate]) -> Check:
    """
    Whether the share is about the same however many hidden stages there are taken to be.

    Parameters
    ----------
    shares : mapping of int to Estimate
        By number of hidden stages.
    """
    values, sizes = [found.value for found in shares.values()], sorted(shares)
    low, high = percent(min(values)), percent(max(values))
    most = f"{100 * MOST_RANGE:g}"
    return Check(
        name=both("The share holds for other numbers of hidden stages", "隐藏阶段数不同时结果相近"),
        passed=max(values) - min(values) <= MOST_RANGE,
        note=both(
            f"From {low} to {high} with {sizes[0]} to {sizes[-1]} hidden stages; at most {most} percentage points "
            "apart are asked for.",
            f"隐藏阶段数取 {sizes[0]} 至 {sizes[-1]} 时，比例为 {low} 至 {high}；要求相差不超过 {most} 个百分点。",
        ),
    )


def separation_check(difference: Estimate, *, name: Text, other: Text) -> Check:
    """Whether customers of another stage are less often in the hidden stage that buys least."""
    points = number(100 * difference.value)
    en, zh = (
        interval(100 * difference.lower, 100 * difference.upper, language, level=difference.level)
        for language in LANGUAGES
    )
    return Check(
        name=both(
            f"Customers called “{other['en']}” are there less often", f"判定为“{other['zh']}”的客户处于该阶段的更少"
        ),
        passed=difference.sign() > 0,
        note=both(
            f"{points} percentage points between “{name['en']}” and “{other['en']}” ({en}, n = {count(difference.n)}).",
            f"“{name['zh']}”与“{other['zh']}”相差 {points} 个百分点（{zh}，n = {count(difference.n)}）。",
        ),
    )


def agreement_note(found: Agreement) -> Sentence:
    """Say how far both groupings agree as a whole."""
    index, mutual = found.adjusted_rand, found.mutual_information
    en, zh = (interval(index.lower, index.upper, language, level=index.level) for language in LANGUAGES)
    mutual_en, mutual_zh = (
        interval(mutual.lower, mutual.upper, language, level=mutual.level) for language in LANGUAGES
    )
    n = count(index.n)
    return both(
        f"Adjusted Rand index {number(index.value)} ({en}), normalised mutual information {number(mutual.value)} "
        f"({mutual_en}), given the fitted model, n = {n}: 0 is agreement by chance, or none; 1 is the same division.",
        f"调整兰德指数 {number(index.value)}（{zh}），归一化互信息 {number(mutual.value)}（{mutual_zh}），"
        f"均以拟合模型为给定，n = {n}：0 表示仅凭偶然或毫无关联，1 表示划分相同。",
    )


def choice_note(choice: HiddenChoice) -> Sentence:
    """Say how many hidden stages were chosen, among which, and whether more might have been."""
    best, sizes = choice.best, [model.n_states for model in choice.tried]
    told = [f"{model.n_states}: {number(model.bic - best.bic)}" for model in choice.tried if model is not best]
    n = count(best.n_customers)
    said = both(
        f"{best.n_states} hidden stages of {_listed(sizes, 'en')} tried have the smallest criterion (n = {n})",
        f"在试过的 {_listed(sizes, 'zh')} 个隐藏阶段中，{best.n_states} 个的准则值最小（n = {n}）",
    )
    end_en = f"; excess of the others: {', '.join(told)}" if told else ""
    end_zh = f"；其余超出：{'，'.join(told)}" if told else ""
    said = both(f"{said['en']}{end_en}.", f"{said['zh']}{end_zh}。")
    if not choice.at_the_edge or len(sizes) < 2:
        return said
    return both(
        f"{said['en']} It is the largest number tried, so there may be more.",
        f"{said['zh']}这是试过的最大个数，实际可能更多。",
    )


def may_be_told(found: Agreement, stage: str, state: int, *, min_group: int) -> bool:
    """Return whether the share of a hidden stage in a stage is one that ``agreement_table`` shows."""
    own = found.n[found.stages.index(stage)]
    return bool(own.sum() >= min_group and not small_rows(pd.Series(own), None, min_group=min_group)[state])


def hidden_heading(state: int, buying: float) -> Sentence:
    """Name a hidden stage by its number and how often customers in it buy."""
    rate = _rarely(buying)
    return both(f"{state + 1}: buys in {rate} of months", f"{state + 1}：月购买概率 {rate}")


def agreement_table(found: Agreement, *, names: Mapping[str, str], min_group: int) -> pd.DataFrame:
    """
    Return how customers in each stage of the rules are shared out among hidden stages.

    Columns: stage, ``hidden_1`` and so on (shares, as text), n_customers. A share that describes fewer than
    ``min_group`` customers is None, and so is a second one where the first could be had by subtraction.
    """
    rows = []
    for stage, n in zip(found.stages, found.n, strict=True):
        hidden = small_rows(pd.Series(n), None, min_group=min_group)
        shares = [None if blank else percent(share) for blank, share in zip(hidden, n / n.sum(), strict=True)]
        rows.append((names[stage], *shares, int(n.sum())))
    columns = ["stage", *(f"hidden_{state + 1}" for state in range(found.n.shape[1])), "n_customers"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def hidden_stage_table(choice: HiddenChoice) -> pd.DataFrame:
    """
    Return what customers do in each hidden stage in a month, as the model has it.

    Columns: hidden_stage (from the one that buys least), buys, buys_again (two purchases or more), engages (an act;
    only where acts were counted), stays (still in it a month later). Probabilities, as text.
    """
    model = choice.best
    kinds = np.arange(model.emission.shape[1])
    table = pd.DataFrame({"hidden_stage": range(1, model.n_states + 1)})
    table["buys"] = [_rarely(p) for p in choice.buying]
    table["buys_again"] = [_rarely(p) for p in model.emission @ (kinds % (MANY_PURCHASES + 1) == MANY_PURCHASES)]
    if len(kinds) > MANY_PURCHASES + 1:
        table["engages"] = [_rarely(p) for p in model.emission @ (kinds > MANY_PURCHASES)]
    table["stays"] = [_rarely(p) for p in np.diag(model.transition)]
    return table.astype(object)


def _rarely(share: float) -> str:
    """Write a share; one that would round to nothing is said to be below what is written."""
    return "< 0.1%" if 0 < share < 0.0005 else percent(share)


def _listed(numbers: Sequence[int], language: Language) -> str:
    *first, last = map(str, numbers)
    if not first:
        return last
    return f"{', '.join(first)} and {last}" if language == "en" else f"{'、'.join(first)}、{last}"
