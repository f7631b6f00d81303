"""Sentences about the time to a lapse along the chain, about coming back before it, and about which move matters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.estimate import Estimate, hotelling, jackknife
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
from lcm_research.stages.rules import StageRules
from lcm_research.survival.declared import DeclaredCurve, months_to_declaration
from lcm_research.transitions.absorbing import StageOutcomes
from lcm_research.transitions.newcomers import NewcomerOutcomes

__all__ = [
    "Agreement",
    "agreement",
    "agreement_checks",
    "back_sentence",
    "change_sentence",
    "curve_caption",
    "elasticity_bars",
    "elasticity_table",
    "from_each_stage",
    "lapse_sentence",
    "move_name",
    "newcomer_table",
    "risk_stages",
    "sensitivity_sentence",
    "stage_note",
]

Text = Mapping[Language, str]
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """
    The chain held against the same customers, as months' ends show them and as their spells do.

    Attributes
    ----------
    chain, read, curve : Estimate
        Months until the lapse within the horizon: by the chain; until a month's end finds it, with no chain between;
        by the survival curve of the spells, moved by the window.
    memory : Estimate
        The chain's less what months' ends show: what the chain forgets.
    reading : Estimate
        What months' ends show less the curve: lapses that a purchase undoes before the month is over.
    largest : float
        The largest gap between chain and months' ends, a share; ``month`` says where.
    p_value : float
        Of the test that the two agree at up to eight months' ends.
    naive, naive_largest : Estimate and float
        The time, and the largest gap, of a chain that forgets how long the silence lasted.
    """

    horizon_months: int
    chain: Estimate
    read: Estimate
    curve: Estimate
    memory: Estimate
    reading: Estimate
    largest: float
    month: int
    p_value: float
    naive: Estimate
    naive_largest: float


def agreement(
    chain: NewcomerOutcomes, curve: DeclaredCurve, *, read: DeclaredCurve, naive: NewcomerOutcomes
) -> Agreement:
    """
    Hold the chain's outcomes against what months' ends show and against the curve of spells.

    Parameters
    ----------
    chain, naive : NewcomerOutcomes
        Of the chain split by recency, and of the one that is not.
    curve, read : DeclaredCurve
        From ``declared_spells`` and ``read_at_month_ends``; at least as long as the chain's horizon.
    """
    horizon = chain.horizon_months
    seen, shown = (months_to_declaration(each, horizon_months=horizon) for each in (curve, read))
    apart = chain.curve.waiting - read.waiting[: horizon + 1]
    without = chain.curve.without - read.without[:, : horizon + 1]
    # neighbouring months say almost the same: at most 8 of them are compared at once
    told = np.unique(np.linspace(0, horizon, 9).round().astype(int)[1:])
    return Agreement(
        horizon_months=horizon,
        chain=chain.months,
        read=shown,
        curve=seen,
        memory=_less(chain.months, shown),
        reading=_less(shown, seen),
        largest=float(apart[np.abs(apart).argmax()]),
        month=int(np.abs(apart).argmax()),
        p_value=hotelling(apart[told], without[:, told])[2],
        naive=naive.months,
        naive_largest=float(np.abs(naive.curve.waiting - read.waiting[: horizon + 1]).max()),
    )


def _less(first: Estimate, second: Estimate) -> Estimate:
    pieces = [each.leave_one_out for each in (first, second) if each.leave_one_out is not None]
    value, n = first.value - second.value, min(first.n, second.n)
    return jackknife(value, pieces[0] - pieces[1], unit="months difference", n=n, level=second.level)


def agreement_checks(found: Agreement) -> list[Check]:
    """Turn the comparison into checks: the same time, and the same curve, within joint uncertainty."""
    gap, points = found.memory, number(100 * abs(found.largest))
    ends = {key: interval(gap.lower, gap.upper, key, level=gap.level) for key in LANGUAGES}
    time = both(
        f"the chain less what months' ends show: {number(gap.value)} months ({ends['en']})",
        f"链减月末所见：{number(gap.value)} 个月（{ends['zh']}）",
    )
    curve = both(
        f"at most {points} percentage points apart, after {found.month} months ({p_value(found.p_value)} that they "
        "agree at all of up to eight months' ends)",
        f"最大相差 {points} 个百分点，在第 {found.month} 个月（至多八个月末全部一致的检验 {p_value(found.p_value)}）",
    )
    return [
        Check(name=both("the chain has the right time", "链的时间与实际一致"), passed=gap.sign() == 0, note=time),
        Check(
            name=both("the chain is right month by month", "链逐月与实际一致"),
            passed=bool(np.isnan(found.p_value) or found.p_value >= ALPHA),
            note=curve,
        ),
    ]


def lapse_sentence(found: Agreement) -> Sentence:
    """Say how long newcomers go on by the chain, by months' ends and by the curve, and what lies between them."""
    chain, h = found.chain, found.horizon_months
    read, curve = ({key: _months(each, key, n=False) for key in LANGUAGES} for each in (found.read, found.curve))
    en = (
        f"Of the first {h} months after the month of their first purchase, customers go on for {_months(chain, 'en')} "
        f"until a month's end finds them lapsed, by the chain of stages and silence. The same customers, with no chain "
        f"between, went on for {read['en']}; the survival curve of their spells says {curve['en']}. "
    )
    zh = (
        f"按阶段与沉默时长构成的链，客户在首次购买当月之后的 {h} 个月内，"
        f"平均经过 {_months(chain, 'zh')}才在月末被判定流失。"
        f"同一批客户不经链推算的实际值为 {read['zh']}，其活跃期的生存曲线给出 {curve['zh']}。"
    )
    return both(
        en + _memory(found)["en"] + _reading(found)["en"] + _naive(found)["en"],
        zh + _memory(found)["zh"] + _reading(found)["zh"] + _naive(found)["zh"],
    )


def _memory(found: Agreement) -> Sentence:
    gap, points = found.memory, number(100 * abs(found.largest))
    where = both(f"month by month they are up to {points} percentage points apart", f"逐月相差最大为 {points} 个百分点")
    if gap.sign() == 0:
        return both(
            f"The data do not tell the chain's time from the one seen at months' ends; {where['en']}.",
            f"数据不能区分链的时间与月末所见的时间；{where['zh']}。",
        )
    longer = both("too long", "偏长") if gap.value > 0 else both("too short", "偏短")
    between = {key: interval(gap.lower, gap.upper, key, level=gap.level) for key in LANGUAGES}
    return both(
        f"The chain's time is {longer['en']} by {number(abs(gap.value))} months ({between['en']} for the difference), "
        f"and {where['en']}: customers of one stage and one silence are not all alike.",
        f"链给出的时间{longer['zh']} {number(abs(gap.value))} 个月（差值的 {between['zh']}），{where['zh']}："
        "同一阶段、同样沉默时长的客户并不相同。",
    )


def _reading(found: Agreement) -> Sentence:
    """Say what reading at months' ends alone does: lapses undone within a month are not seen."""
    gap = found.reading
    if gap.sign() <= 0:
        return both("", "")
    between = {key: interval(gap.lower, gap.upper, key, level=gap.level) for key in LANGUAGES}
    return both(
        f" Months' ends miss lapses that a purchase undoes before the month is over, which the curve counts: "
        f"{number(gap.value)} months ({between['en']}).",
        "在当月内又因购买而解除的流失在月末看不到，而生存曲线将其计入，由此相差 "
        f"{number(gap.value)} 个月（{between['zh']}）。",
    )


def _naive(found: Agreement) -> Sentence:
    points = number(100 * found.naive_largest)
    return both(
        f" A chain that forgets how long a silence has lasted says {number(found.naive.value)} months and is up to "
        f"{points} percentage points away.",
        f"若链不记得沉默已有多久，则给出 {number(found.naive.value)} 个月，逐月最大相差 {points} 个百分点。",
    )


def _months(estimate: Estimate, language: Language, *, n: bool = True) -> str:
    told = interval(estimate.lower, estimate.upper, language, level=estimate.level)
    if language == "zh":
        return f"{number(estimate.value)} 个月（{told}{f'，n = {count(estimate.n)}' if n else ''}）"
    return f"{number(estimate.value)} months ({told}{f', n = {count(estimate.n)}' if n else ''})"


def curve_caption(level: float) -> Sentence:
    """Say what the three lines of the picture are."""
    return both(
        f"Line and band: the chain with its {level:.0%} interval. Crosses: the same customers as months' ends found "
        "them. Circles: the survival curve of their first spells, moved by the churn window. Dotted: a chain that "
        "forgets how long the silence has lasted; it lets customers lapse before the window is over.",
        f"实线与带：链及其 {level:.0%} 置信区间。叉号：同一批客户在各月末的实际情况。"
        "圆圈：其首个活跃期的生存曲线，后移一个流失窗口。"
        "点线：不记得沉默已有多久的链，它会让客户在窗口结束之前就流失。",
    )


def stage_note(horizon_months: int) -> Sentence:
    """Say what holds the times by stage in: a horizon, or assumptions."""
    return both(
        f"Months count up to {horizon_months}; those of the column without a horizon hold only if rates stay as they "
        "are and customers do not differ. Customers: ever in the stage.",
        f"月数以 {horizon_months} 个月为限；不设期限的一列仅在转移率保持不变且客户之间没有差异时成立。"
        "客户数为曾处于该阶段的人数。",
    )


def risk_stages(rules: StageRules) -> list[str]:
    """Return the stages of customers at risk: dormant, in decline."""
    return [stage for stage in rules.stages if rules.scheme.stages[stage].coarse == "at_risk"]


def back_sentence(estimate: Estimate, *, name: Text, horizon_months: int) -> Sentence:
    """Say how many of those who enter a stage at risk come back before they lapse."""
    share = percent(estimate.value)
    ends = {key: interval(estimate.lower, estimate.upper, key, percent, estimate.level) for key in LANGUAGES}
    return both(
        f"Of customers who enter the stage “{name['en']}”, {share} come back from it before a lapse is declared, "
        f"within {horizon_months} months ({ends['en']}, n = {count(estimate.n)} customers ever in the stage).",
        f"进入“{name['zh']}”阶段的客户中，{share} 在 {horizon_months} 个月内、被判定流失之前离开该阶段并回归"
        f"（{ends['zh']}，曾处于该阶段的客户 n = {count(estimate.n)}）。",
    )


def newcomer_table(
    found: NewcomerOutcomes, *, names: Mapping[str, str], n_customers: Mapping[str, int]
) -> pd.DataFrame:
    """
    Return where newcomers spend their time before the lapse: stage, reached, months (Estimates), n_customers.

    Stages that newcomers never come to are not there.
    """
    rows = [
        (names[stage], found.reached.get(stage), months, n_customers.get(stage, 0))
        for stage, months in found.in_stages.items()
    ]
    return pd.DataFrame(rows, columns=["stage", "reached", "months", "n_customers"], dtype=object)


def from_each_stage(
    times: StageOutcomes,
    lapsed: StageOutcomes | None,
    endless: StageOutcomes | None,
    *,
    names: Mapping[str, str],
    n_customers: Mapping[str, int],
) -> pd.DataFrame:
    """
    Return what lies ahead of customers who enter each stage.

    Columns: stage, months_to_lapse and lapses (Estimates within the horizon), months_endless (None where not
    everybody lapses on the chain), n_customers (who were ever in the stage).
    """
    share, whole = ({} if each is None else each.estimates for each in (lapsed, endless))
    rows = [
        (names[stage], months, share.get(stage), whole.get(stage), n_customers.get(stage, 0))
        for stage, months in times.estimates.items()
    ]
    columns = ["stage", "months_to_lapse", "lapses", "months_endless", "n_customers"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def move_name(pair: tuple[str, str], *, names: Mapping[str, str]) -> str:
    """
    Name a move.

    >>> move_name(("a", "d"), names={"a": "active", "d": "dormant"})
    'active → dormant'
    """
    return f"{names[pair[0]]} → {names[pair[1]]}"


def elasticity_bars(moves: pd.DataFrame, *, names: Mapping[str, str]) -> dict[str, Estimate]:
    """Return the elasticities of ``levers`` by the name of the move, for a picture."""
    pairs = zip(moves["from"], moves["to"], moves["estimate"], strict=True)
    return {move_name((a, b), names=names): found for a, b, found in pairs}


def elasticity_table(moves: pd.DataFrame, *, names: Mapping[str, str]) -> pd.DataFrame:
    """
    Return the moves of ``levers`` for a page.

    Columns: move, probability (within a month), elasticity (Estimate), months_per_point (change of the time for one
    percentage point more), n_customers (who were in the stage that is left).
    """
    rows = [
        (
            move_name((row["from"], row["to"]), names=names),
            percent(row["probability"]),
            row["estimate"],
            row["change_per_point"],
            row["estimate"].n,
        )
        for row in moves.to_dict("records")
    ]
    columns = ["move", "probability", "elasticity", "months_per_point", "n_customers"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def sensitivity_sentence(
    moves: pd.DataFrame,
    same: Collection[tuple[str, str]],
    *,
    texts: Mapping[str, Text],
    horizon_months: int,
    tenth: Estimate | None = None,
) -> Sentence:
    """
    Say which move the time to the lapse answers to most, and which others cannot be told from it.

    Parameters
    ----------
    moves : DataFrame
        Of ``levers``, the largest first.
    same : pairs
        Of ``alike``.
    tenth : Estimate, optional
        Change of the time in months when the first move becomes a tenth likelier.
    """
    top = moves["estimate"].iloc[0]
    pair = (moves["from"].iloc[0], moves["to"].iloc[0])
    named, others = (
        {key: words(key) for key in LANGUAGES}
        for words in (lambda key: _quoted([pair], texts, key), lambda key: _quoted(sorted(same), texts, key))
    )
    longer = both("longer", "延长") if top.value > 0 else both("shorter", "缩短")
    told = {key: _tenths(top, key) for key in LANGUAGES}
    said = both(
        f"Of the moves that time alone does not make, the time to the lapse within {horizon_months} months answers "
        f"most to {named['en']}: made 1% likelier, and the other moves out of the stage giving way, the time would be "
        f"{longer['en']} by {told['en']}.",
        f"在并非仅由时间造成的转移中，{horizon_months} 个月内的流失前时间对{named['zh']}最敏感："
        f"该转移的概率相对提高 1%、同一阶段的其他转移按比例让位时，时间将{longer['zh']} {told['zh']}。",
    )
    apart = both("", "")
    if same:
        apart = both(f" The data do not tell it from {others['en']}.", f"数据不能将其与{others['zh']}区分。")
    elif len(moves) > 1:
        apart = both(" It answers less to each other move.", "对其他各转移的敏感程度都更低。")
    more = (
        both("", "") if tenth is None else change_sentence(tenth, move=pair, texts=texts, horizon_months=horizon_months)
    )
    return both(said["en"] + apart["en"] + (" " if tenth else "") + more["en"], said["zh"] + apart["zh"] + more["zh"])


def _tenths(elasticity: Estimate, language: Language) -> str:
    """Write an elasticity as percent for one percent."""
    sign = -1 if elasticity.value < 0 else 1
    ends = sorted((sign * elasticity.lower, sign * elasticity.upper))
    between = interval(ends[0], ends[1], language, lambda x: f"{number(x)}%", elasticity.level)
    size = f"{number(abs(elasticity.value))}%"
    tail = f"n = {count(elasticity.n)}"
    return f"{size} ({between}, {tail})" if language == "en" else f"{size}（{between}，{tail}）"


def _quoted(pairs: Sequence[tuple[str, str]], texts: Mapping[str, Text], language: Language) -> str:
    names = {stage: text[language] for stage, text in texts.items()}
    told = [move_name(pair, names=names) for pair in pairs]
    return ", ".join(f"“{name}”" for name in told) if language == "en" else "".join(f"“{name}”" for name in told)


def change_sentence(
    change: Estimate, *, move: tuple[str, str], texts: Mapping[str, Text], horizon_months: int
) -> Sentence:
    """Say what a tenth more of a move would do to the time, as a calculation."""
    named = {key: _quoted([move], texts, key) for key in LANGUAGES}
    ends = {key: interval(change.lower, change.upper, key, level=change.level) for key in LANGUAGES}
    more = both("more", "增加") if change.value > 0 else both("less", "减少")
    return both(
        f"On the chain, {named['en']} a tenth likelier (at most certain) makes {number(abs(change.value))} months "
        f"{more['en']} of the first {horizon_months} ({ends['en']} for the change). That is a calculation: nothing "
        "here shows that anything moves it.",
        f"在链上把{named['zh']}的概率提高十分之一（至多为必然），前 {horizon_months} 个月中的未流失时间{more['zh']} "
        f"{number(abs(change.value))} 个月（变化的 {ends['zh']}）。这只是推算：数据并未说明有什么能够改变它。",
    )
