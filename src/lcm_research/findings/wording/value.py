"""Sentences about what a customer of each stage is worth on the chain, with the currency beside every amount."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lcm_research.estimate import Estimate, jackknife
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import LANGUAGES, Language, Sentence, both, count, interval, number, percent
from lcm_research.findings.wording.outcomes import move_name

__all__ = [
    "axis_label",
    "endless_note",
    "headings",
    "held_against",
    "point_table",
    "spent_check",
    "terms",
    "value_sentence",
    "value_table",
]

Text = Mapping[Language, str]


def terms(*, currency: str, horizon_months: int, discount_rate: float) -> Sentence:
    """Say what an amount is: spend before costs, over how many months, discounted by how much a year."""
    rate = f"{100 * discount_rate:g}%"
    return both(
        f"Spend in {currency}, before costs and net of returns, in the next {horizon_months} months, discounted at "
        f"{rate} a year.",
        f"此后 {horizon_months} 个月内以 {currency} 计的消费额（未扣除成本，已扣退货），年贴现率 {rate}。",
    )


def endless_note() -> Sentence:
    """Say what the amounts without a horizon assume, as a sentence after others."""
    return both(
        " Without a horizon it holds only if rates stay as they are and customers do not differ.",
        "不设期限的一列仅在各转移率保持不变且客户之间没有差异时成立。",
    )


def axis_label(*, currency: str, horizon_months: int) -> Sentence:
    """Name the axis of what a customer will spend."""
    return both(
        f"{currency} in the next {horizon_months} months, before costs",
        f"此后 {horizon_months} 个月的消费额（{currency}，未扣除成本）",
    )


def headings(*, currency: str, horizon_months: int, language: Language) -> dict[str, str]:
    """Return the headings of the columns of money, with the currency."""
    told = {
        "value_within": both(f"next {horizon_months} months, {currency}", f"此后 {horizon_months} 个月（{currency}）"),
        "by_chain": both(f"by the chain, {currency}", f"链的推算（{currency}）"),
        "spent": both(f"spent, {currency}", f"实际消费（{currency}）"),
        "gap": both(f"chain less spent, {currency}", f"链减实际（{currency}）"),
        "value_endless": both(f"all months to come, {currency}", f"此后所有月份（{currency}）"),
        "value_per_point": both(f"one point more, {currency}", f"多一个百分点（{currency}）"),
    }
    return {column: text[language] for column, text in told.items()}


def value_table(
    within: Mapping[str, Estimate], endless: Mapping[str, Estimate] | None, *, names: Mapping[str, str]
) -> pd.DataFrame:
    """
    Return what a customer of each stage will spend.

    Columns: stage, value_within and value_endless (Estimates; None where there is none), n_customers (who were ever
    in the stage).
    """
    rows = [
        (names[stage], worth, None if endless is None else endless.get(stage), worth.n)
        for stage, worth in within.items()
    ]
    return pd.DataFrame(rows, columns=["stage", "value_within", "value_endless", "n_customers"], dtype=object)


def held_against(
    chain: Mapping[str, Estimate], spent: Mapping[str, Estimate], *, names: Mapping[str, str]
) -> pd.DataFrame:
    """
    Return the chain's amounts beside what customers found in each stage went on to spend, over the same months.

    Columns: stage, by_chain, spent, gap (Estimates; the chain's less what was spent), n_customers.
    """
    rows = [
        (names[stage], chain[stage], found, _gap(chain[stage], found), found.n)
        for stage, found in spent.items()
        if stage in chain
    ]
    return pd.DataFrame(rows, columns=["stage", "by_chain", "spent", "gap", "n_customers"], dtype=object)


def spent_check(chain: Estimate, spent: Estimate, *, currency: str, n_months: int) -> Check:
    """Turn the comparison for a stage into a check."""
    gap = _gap(chain, spent)
    ends = {key: interval(gap.lower, gap.upper, key, level=gap.level) for key in LANGUAGES}
    note = both(
        f"over {n_months} months, not discounted, the chain gives {number(chain.value)} {currency}; customers found in "
        f"the stage spent {number(spent.value)} {currency} (the chain less that: {number(gap.value)}, {ends['en']})",
        f"{n_months} 个月内（不贴现），链给出 {number(chain.value)} {currency}，处于该阶段的客户实际消费 "
        f"{number(spent.value)} {currency}（链减实际：{number(gap.value)}，{ends['zh']}）",
    )
    return Check(name=both("same as was spent", "与实际消费一致"), passed=gap.sign() == 0, note=note)


def _gap(chain: Estimate, spent: Estimate) -> Estimate:
    pairs = [each.leave_one_out for each in (chain, spent) if each.leave_one_out is not None]
    value = chain.value - spent.value
    return jackknife(value, pairs[0] - pairs[1], unit="money difference", n=spent.n, level=spent.level)


def point_table(
    points: Mapping[tuple[str, str], tuple[float, Estimate]],
    *,
    n_customers: Mapping[str, int],
    names: Mapping[str, str],
) -> pd.DataFrame:
    """
    Return what one percentage point more of each move is worth for each customer of the stage it leaves.

    Columns: move, probability (within a month), value_per_point (Estimate), n_customers (who were in the stage).
    """
    rows = [
        (move_name(pair, names=names), percent(happens), worth, n_customers.get(pair[0], 0))
        for pair, (happens, worth) in points.items()
    ]
    return pd.DataFrame(rows, columns=["move", "probability", "value_per_point", "n_customers"], dtype=object)


def value_sentence(
    within: Mapping[str, Estimate],
    *,
    top: str,
    low: str,
    held: tuple[Estimate, Estimate] | None,
    held_months: int,
    texts: Mapping[str, Text],
    currency: str,
    horizon_months: int,
    discount_rate: float,
) -> Sentence:
    """
    Say what a customer of a stage will spend by the chain, how another compares, and what was spent in fact.

    Parameters
    ----------
    within : mapping of stage to Estimate
        All with their values without each group of customers.
    top, low : str
        The stage that the sentence is about, and the one to compare with it.
    held : tuple of Estimate or None
        What the chain says, and what customers of ``top`` spent, in ``held_months`` months and not discounted.
    """
    worth, rate = within[top], f"{100 * discount_rate:g}%"
    ends = {key: interval(worth.lower, worth.upper, key, level=worth.level) for key in LANGUAGES}
    en = (
        f"By the chain, a customer in the stage “{texts[top]['en']}” spends {number(worth.value)} {currency} in the "
        f"next {horizon_months} months, before costs and discounted at {rate} a year ({ends['en']}, "
        f"n = {count(worth.n)} customers ever in the stage)"
    )
    zh = (
        f"按链推算，处于“{texts[top]['zh']}”阶段的客户在此后 {horizon_months} 个月内消费 "
        f"{number(worth.value)} {currency}（未扣除成本，年贴现率 {rate}，{ends['zh']}，"
        f"曾处于该阶段的客户 n = {count(worth.n)}）"
    )
    other = _compared(worth, within[low], texts[low], currency) if low != top else None
    fact = _in_fact(*held, currency=currency, n_months=held_months) if held else both("", "")
    return both(
        en + (f"; {other['en']}" if other else "") + "." + fact["en"],
        zh + (f"；{other['zh']}" if other else "") + "。" + fact["zh"],
    )


def _in_fact(chain: Estimate, spent: Estimate, *, currency: str, n_months: int) -> Sentence:
    gap = _gap(chain, spent)
    ends = {key: interval(spent.lower, spent.upper, key, level=spent.level) for key in LANGUAGES}
    away = {
        0: both("the data do not tell the two apart", "数据不能区分二者"),
        1: both("the chain promises too much", "链的推算偏高"),
        -1: both("the chain promises too little", "链的推算偏低"),
    }[gap.sign()]
    return both(
        f" In the {n_months} months after being found in it, customers spent {number(spent.value)} {currency} "
        f"({ends['en']}) where the chain says {number(chain.value)}, both not discounted: {away['en']}.",
        f"处于该阶段的客户在随后 {n_months} 个月内实际消费 {number(spent.value)} {currency}（{ends['zh']}），"
        f"链的推算为 {number(chain.value)}（均不贴现）：{away['zh']}。",
    )


def _compared(worth: Estimate, other: Estimate, name: Text, currency: str) -> Sentence:
    gap = _gap(worth, other)
    ends = {key: interval(gap.lower, gap.upper, key, level=gap.level) for key in LANGUAGES}
    if gap.sign() == 0:
        return both(
            f"the data do not tell it from “{name['en']}” ({number(other.value)} {currency})",
            f"数据不能将其与“{name['zh']}”（{number(other.value)} {currency}）区分",
        )
    less = both("less", "少") if gap.value > 0 else both("more", "多")
    return both(
        f"one in “{name['en']}” spends {number(other.value)} {currency}, {number(abs(gap.value))} {less['en']} "
        f"({ends['en']} for the difference)",
        f"处于“{name['zh']}”的为 {number(other.value)} {currency}，{less['zh']} {number(abs(gap.value))}"
        f"（差值的 {ends['zh']}）",
    )
