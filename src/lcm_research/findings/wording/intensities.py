"""Sentences about rates of moving in continuous time; where they do not fit the stages seen, they say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Language,
    Sentence,
    both,
    count,
    evidence,
    number,
    p_value,
    percent,
)
from lcm_research.findings.wording.transitions import ALPHA, period_text
from lcm_research.stages.panel import ANY
from lcm_research.transitions.chain import TransitionMatrix
from lcm_research.transitions.intensities_panel import FitComparison
from lcm_research.transitions.moving_rates import MovingRates
from lcm_research.transitions.prevalence import Prevalence

__all__ = [
    "MOST_GAP",
    "first_stay",
    "mean_stay_question",
    "mean_stay_sentence",
    "prevalence_check",
    "rate_table",
    "ratio_question",
    "ratio_sentence",
    "same_rates_check",
    "shown_ratios",
    "stay_table",
    "through_others_note",
]

Text = Mapping[Language, str]

MOST_GAP = 0.05
"""A stage further than this share from where the rates expect it means that they do not fit."""


def mean_stay_question(name: Text) -> Sentence:
    """Ask how long one stay in a stage lasts."""
    return both(
        f"How long does a stay in the stage “{name['en']}” last?",
        f"客户每次进入“{name['zh']}”阶段会停留多久？",
    )


def mean_stay_sentence(stay: Estimate, *, name: Text, fits: Check) -> Sentence:
    """
    Say how long one stay in a stage lasts at constant rates; a summary only where the rates do not fit.

    Parameters
    ----------
    stay : Estimate
        From ``MovingRates.mean_stay``.
    name : mapping of language to str
    fits : Check
        From ``prevalence_check``.
    """
    said = both(
        f"At constant rates, a stay in the stage “{name['en']}” lasts {number(stay.value)} months on average "
        f"({evidence(stay, 'en')}).",
        f"按恒定速率计，客户每次在“{name['zh']}”阶段平均停留 {number(stay.value)} 个月（{evidence(stay, 'zh')}）。",
    )
    if fits.passed:
        return said
    return both(
        f"{said['en']} Customers are not where these rates expect them, so it sums up the moves and is no forecast.",
        f"{said['zh']}客户的实际分布与按此速率推算的不符，因此该数只概括已发生的转移，不宜用于预测。",
    )


def ratio_question(*, from_name: Text, to_name: Text, segment: Text) -> Sentence:
    """Ask whether a move is made at different rates in the groups of a segment."""
    return both(
        f"Does the rate of moving from “{from_name['en']}” to “{to_name['en']}” differ by {segment['en']}?",
        f"由“{from_name['zh']}”转入“{to_name['zh']}”的速率因{segment['zh']}而异吗？",
    )


def ratio_sentence(
    ratio: Estimate, *, from_name: Text, to_name: Text, segment: Text, groups: tuple[str, str]
) -> Sentence:
    """
    Say by what the rate of a move differs between two groups of customers, nothing held equal.

    Parameters
    ----------
    ratio : Estimate
        From ``rate_ratios``.
    from_name, to_name, segment : mapping of language to str
    groups : tuple of str
        The denominator, and the one held against it.
    """
    base, other = groups
    value = number(ratio.value)
    start_en = f"{segment['en']}, “{other}” against “{base}”:"
    start_zh = f"{segment['zh']}为“{other}”与“{base}”的客户相比，"
    move_en = f"the rate of moving from “{from_name['en']}” to “{to_name['en']}”"
    move_zh = f"由“{from_name['zh']}”转入“{to_name['zh']}”的速率"
    if not ratio.sign(1.0):
        return both(
            f"{start_en} the data do not show that {move_en} differs ({value} times, {evidence(ratio, 'en')}).",
            f"{start_zh}数据未显示{move_zh}有差异（{value} 倍，{evidence(ratio, 'zh')}）。",
        )
    more_en, more_zh = ("higher", "更高") if ratio.sign(1.0) > 0 else ("lower", "更低")
    return both(
        f"{start_en} {move_en} is {more_en}, {value} times ({evidence(ratio, 'en')}); nothing is held equal.",
        f"{start_zh}{move_zh}{more_zh}，为后者的 {value} 倍（{evidence(ratio, 'zh')}）；未作任何调整。",
    )


def prevalence_check(found: Prevalence, *, names: Mapping[str, Text], min_group: int) -> Check:
    """Whether newcomers are where the rates expect them, month by month: no stage further off than 5 points."""
    worst = found.worst(min_group=min_group)
    gap, observed, name = abs(worst["gap"]), worst["observed"], names[worst["stage"]]
    points, month, n = number(100 * gap), int(worst["months"]), count(worst["n_followed"])
    after = f"{month} month after" if month == 1 else f"{month} months after"
    seen, expected, most = percent(observed.value), percent(worst["share_expected"]), f"{100 * MOST_GAP:g}"
    return Check(
        name=both("Customers are where the rates expect them", "客户的实际分布与按速率推算的一致"),
        passed=gap <= MOST_GAP,
        note=both(
            f"Off by at most {points} percentage points: {after} the first contact {seen} were in the "
            f"stage “{name['en']}”, where {expected} were expected (n = {n}); at most {most} are asked for.",
            f"最多相差 {points} 个百分点：首次接触 {month} 个月后，{seen} 的客户处于“{name['zh']}”阶段，"
            f"推算值为 {expected}（n = {n}）；要求不超过 {most} 个百分点。",
        ),
    )


def same_rates_check(change: str, found: FitComparison) -> Check:
    """Whether the rates are the same before and after a month."""
    wald = found.replicate
    if wald is not None and wald.applies:
        first, second = wald.degrees_of_freedom
        p, told = wald.p_value, f"F({first}, {second}) = {number(wald.statistic)}"
    else:
        p, told = found.p_value, f"χ²({found.degrees_of_freedom}) = {number(found.likelihood_ratio)}"
    return Check(
        name=both(
            f"The rates are the same before {period_text(change, 'en')} and from then on",
            f"{period_text(change, 'zh')}前后的速率相同",
        ),
        passed=p >= ALPHA,
        note=both(f"{told}, {p_value(p)}", f"{told}，{p_value(p)}"),
    )


def rate_table(
    rates: MovingRates,
    matrix: TransitionMatrix,
    *,
    names: Mapping[str, str],
    ratios: Mapping[tuple[str, str], Estimate],
    min_group: int,
) -> pd.DataFrame:
    """
    Return the rate of each direct move a month, and what it is multiplied by in a group of customers.

    Columns: from, to, rate_monthly (Estimate), rate_ratio (Estimate; only where there are ``ratios``), n_customers
    (ever in the stage). Numbers are None where they would give away fewer than ``min_group`` customers, and a ratio
    where the data do not tell it.
    """
    shown = set(matrix.publishable(rates.moves, min_group=min_group))
    heads = dict(zip(matrix.stages, matrix.customers_from, strict=True))
    rows = []
    for move in rates.moves:
        n = int(heads[move[0]])
        found = rates.rate(*move, n=n) if move in shown else None
        row = {"from": names[move[0]], "to": names[move[1]], "rate_monthly": found}
        row |= {"rate_ratio": ratios.get(move) if move in shown else None} if ratios else {}
        rows.append(row | {"n_customers": n})
    return pd.DataFrame(rows, dtype=object)


def through_others_note(rates: MovingRates, *, names: Mapping[str, Text]) -> Sentence:
    """Say which moves seen from month end to month end are taken to pass through another stage."""
    if not rates.through_others:
        return both("Every move seen is direct.", "观察到的转移均为直接转移。")
    told = {
        language: [f"{names[a][language]} → {names[b][language]}" for a, b in rates.through_others]
        for language in LANGUAGES
    }
    return both(
        f"Taken to pass through another stage within the month: {', '.join(told['en'])}.",
        f"视为在当月经由其他阶段到达：{'，'.join(told['zh'])}。",
    )


def stay_table(times: pd.DataFrame, *, names: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of ``time_in_stages`` by the names of the stages."""
    return times.assign(stage=[names[stage] for stage in times["stage"]])


def first_stay(rates: MovingRates, stages: Sequence[str]) -> str | None:
    """Return the first of some stages that customers were seen leaving, or of all; None where nobody left any."""
    left = [stage for stage in rates.stages if any(move[0] == stage for move in rates.moves)]
    return next((stage for stage in stages if stage in left), next(iter(left), None))


def shown_ratios(
    ratios: Mapping[tuple[str, str], Estimate],
    customers: pd.DataFrame,
    *,
    segment: str,
    groups: tuple[str, str],
    min_group: int,
) -> dict[tuple[str, str], Estimate]:
    """
    Return the ratios that may be published, with the customers of both groups who were ever in the stage.

    Left out are moves that fewer than ``min_group`` customers of either group made.

    Parameters
    ----------
    ratios : mapping of (from, to) to Estimate
        From ``rate_ratios``.
    customers : DataFrame
        As ``customers_by_move`` returns them ``by`` the segment.
    """
    heads = customers.groupby([segment, "from_stage", "to_stage"])["n_customers"].sum()
    found = {}
    for (start, end), ratio in ratios.items():
        if min(heads.get((group, start, end), 0) for group in groups) >= min_group:
            found[start, end] = replace(ratio, n=int(sum(heads.get((group, start, ANY), 0) for group in groups)))
    return found
