"""Sentences about associated credit: who is credited, how far models differ, what volume alone would earn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.disagreement import Disagreement
from lcm_research.attribution.null import Excess
from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import LANGUAGES, Language, Sentence, both, count, interval, percent

__all__ = [
    "alike_activity_check",
    "beyond_volume_sentence",
    "credit_checks",
    "disagreement_sentence",
    "excess_sentence",
    "in_points",
    "model_text",
    "points",
    "raw_effects_sentence",
    "reconciliation_sentence",
    "status_text",
    "subject_text",
    "top_credit_sentence",
    "untouched_sentence",
]


MODELS: Mapping[str, Sentence] = {
    "first": both("first touch", "首次触点"),
    "last": both("last touch", "末次触点"),
    "last_non_direct": both("last touch that is not direct", "末次非直接触点"),
    "linear": both("linear", "线性平均"),
    "position": both("by position", "按位置加权"),
    "time_decay": both("time decay", "时间衰减"),
    "markov": both("Markov removal effect", "马尔可夫移除效应"),
    "shapley": both("Shapley value", "Shapley 值"),
    "null": both("volume and place alone", "仅凭触达量与位置"),
}
OUTCOMES: Mapping[str, Sentence] = {
    "conversions": both("conversions", "转化"),
    "value": both("conversion value", "转化金额"),
}
SUBJECTS: Mapping[str, Sentence] = {
    "customer": both("customers", "客户"),
    "touch": both("touches", "触点"),
    "conversion": both("conversions", "转化"),
    "converted_journey": both("journeys that converted", "已转化路径"),
    "unconverted_journey": both("journeys that did not", "未转化路径"),
}
STATUSES: Mapping[str, Sentence] = {
    "used": both("used here", "纳入分析"),
    "with_touch": both("with a touch within the lookback", "回溯期内有触点"),
    "without_touch": both("without one; credited to nobody", "回溯期内无触点，不归因"),
    "repeated": both("same channel as the touch before; made one", "与前一触点渠道相同，已合并"),
    "outside_observation": both("outside the observation window", "在观察期之外"),
    "other_touch_type": both("of a type that is not looked at", "触点类型不在分析范围"),
    "starts_too_early": both("too early: what came before is not known", "过早：此前的触点未知"),
    "ends_too_late": both("too late: the outcome is not known yet", "过晚：结果尚未可知"),
    "no_journey": both("without a journey that is used", "没有可用的路径"),
}


def model_text(model: str) -> Sentence:
    """Name a model of credit."""
    return MODELS[model]


def subject_text(subject: str) -> Sentence:
    """What ``journey_reconciliation`` accounts for."""
    return SUBJECTS[subject]


def status_text(status: str) -> Sentence:
    """What became of it."""
    return STATUSES[status]


def top_credit_sentence(credit: Credit, *, n_customers: int) -> Sentence:
    """Which channel has the most associated credit, and whether the data separate it from the next."""
    top, *rivals = credit.leading()
    share = credit.estimate(top, n=n_customers)
    en, zh = (_told(share, language) for language in LANGUAGES)
    of, model = OUTCOMES[credit.of], MODELS[credit.model]
    if rivals:
        return both(
            f"{_opens(model['en'])} gives {top} the largest share of associated credit for {of['en']}, "
            f"{percent(share.value)} ({en}), but the data do not separate it from {_list(rivals, 'en')}.",
            f"按{model['zh']}，{top} 的{of['zh']}关联归因份额最大，为 {percent(share.value)}（{zh}），"
            f"但数据未能将其与 {_list(rivals, 'zh')} 区分开。",
        )
    return both(
        f"{_opens(model['en'])} gives {top} more associated credit for {of['en']} than any other channel: "
        f"{percent(share.value)} ({en}).",
        f"按{model['zh']}，{top} 的{of['zh']}关联归因份额高于其他所有渠道，为 {percent(share.value)}（{zh}）。",
    )


def raw_effects_sentence(credit: Credit) -> Sentence:
    """What the raw removal effects sum to: shares that are scaled to one hide it."""
    if credit.removal_effect is None:
        raise ModelError(f"model '{credit.model}' has no removal effects; give the credit of the model 'markov'")
    total = percent(float(credit.removal_effect.sum()), 0)
    return both(
        f"The raw removal effects sum to {total}; credit is scaled so that it sums to 100%.",
        f"原始移除效应之和为 {total}；归因份额经归一化，合计为 100%。",
    )


def excess_sentence(excess: Excess, channel: str, *, n_customers: int) -> Sentence:
    """Whether one channel is credited with more than its volume and place alone would earn, or with less."""
    difference = excess.estimate(channel, n=n_customers)
    place = excess.channels.index(channel)
    share, null = percent(excess.credit.share[place]), percent(excess.null.share[place])
    en, zh = (_told(difference, language, fmt=points, joint=True) for language in LANGUAGES)
    of = OUTCOMES[excess.credit.of]
    size = points(abs(difference.value))
    start = both(
        f"Of the associated credit for {of['en']}, {channel} has {share}; its volume and place in journeys alone would "
        f"earn it {null}",
        f"{channel} 占{of['zh']}关联归因份额的 {share}，仅凭触达量与路径位置即可得 {null}",
    )
    if difference.sign() > 0:
        return both(
            f"{start['en']}, so that {size} points go beyond it ({en}). The customers whom it reaches may be "
            "likelier to buy anyway.",
            f"{start['zh']}，超出 {size} 个百分点（{zh}）。它触达的客户也可能本来就更倾向于购买。",
        )
    if difference.sign() < 0:
        return both(
            f"{start['en']}: it is credited with {size} points less than that ({en}). The customers whom it reaches "
            "may be less likely to buy anyway.",
            f"{start['zh']}，实际归因低 {size} 个百分点（{zh}）。它触达的客户也可能本来就较少购买。",
        )
    return both(
        f"{start['en']}. The data do not show that it is credited with more or less than that "
        f"({points(difference.value)} points, {en}).",
        f"{start['zh']}。数据未显示其归因高于或低于这一水平（相差 {points(difference.value)} 个百分点，{zh}）。",
    )


def beyond_volume_sentence(excess: Excess, *, n_customers: int) -> Sentence:
    """Which channels are credited beyond their volume and place, and which below; jointly for all channels."""
    order = np.argsort(-excess.difference, kind="stable")
    sign, names = excess.sign()[order], np.array(excess.channels, dtype=object)[order]
    above, below, neither = list(names[sign > 0]), list(names[sign < 0][::-1]), int((sign == 0).sum())
    en, zh = [], []
    if above:
        furthest = excess.estimate(above[0], n=n_customers)
        told = {language: _told(furthest, language, fmt=points, joint=True) for language in LANGUAGES}
        size = points(furthest.value)
        name = both(f"furthest {above[0]} ", f"超出最多的是 {above[0]}，达") if len(above) > 1 else both("", "超出")
        en.append(
            f"credited with more than volume and place alone would earn: {_list(above, 'en')}, {name['en']}by {size} "
            f"points ({told['en']})"
        )
        zh.append(
            f"归因高于触达量与位置应得水平的渠道：{_list(above, 'zh')}，{name['zh']} {size} 个百分点（{told['zh']}）"
        )
    if below:
        en.append(f"credited with less: {_list(below, 'en')}")
        zh.append(f"低于该水平的渠道：{_list(below, 'zh')}")
    if not above and not below:
        return both(
            f"The data do not show that any of {len(names)} channels is credited with more or less than its volume "
            "and place alone would earn (95% for all channels together).",
            f"数据未显示 {len(names)} 个渠道中有任何一个的归因高于或低于其触达量与位置应得的水平"
            "（全部渠道联合 95% 置信）。",
        )
    if neither:
        en.append(f"not separated from it: {neither} of {len(names)}")
        zh.append(f"未能区分的渠道：{neither} 个（共 {len(names)} 个）")
    caveat = both(
        "Neither side need be the channel's doing: it may reach customers who would buy more, or less, without it.",
        "高于或低于该水平都未必是渠道的作用：它触达的客户可能本来就买得更多或更少。",
    )
    return both(
        f"{_opens('; '.join(en))} (95% for all channels together). {caveat['en']}",
        f"{'；'.join(zh)}（全部渠道联合 95% 置信）。{caveat['zh']}",
    )


def disagreement_sentence(found: Disagreement, credits: Sequence[Credit]) -> Sentence:
    """On which channel models differ most, by how much, and whether they agree on who has the most."""
    high, low = found.higher, found.lower
    place = high.channels.index(found.channel)
    shares = percent(high.share[place]), percent(low.share[place])
    en, zh = (_told(found.difference, language, fmt=points, joint=True) for language in LANGUAGES)
    size = points(found.difference.value)
    tops = {c.model: c.channels[int(np.argmax(c.share))] for c in credits}
    if len(set(tops.values())) == 1:
        top = next(iter(tops.values()))
        last = both(f"All {len(tops)} models put {top} first.", f"{len(tops)} 种模型都把 {top} 排在首位。")
    else:
        last = both(
            "Who comes first depends on the model: "
            + "; ".join(f"{MODELS[m]['en']} {channel}" for m, channel in tops.items())
            + ".",
            "首位渠道因模型而异：" + "；".join(f"{MODELS[m]['zh']}为 {channel}" for m, channel in tops.items()) + "。",
        )
    if found.difference.sign() > 0:
        verb = both("Models differ most on", "各模型分歧最大的渠道是")
    else:
        verb = both(
            "The data do not separate the models; they lie furthest apart on", "数据未能区分各模型；相差最远的渠道是"
        )
    return both(
        f"{verb['en']} {found.channel}: {shares[0]} by {MODELS[high.model]['en']}, {shares[1]} by "
        f"{MODELS[low.model]['en']}, {size} points apart ({en}). {last['en']}",
        f"{verb['zh']} {found.channel}：{MODELS[high.model]['zh']}给出 {shares[0]}，{MODELS[low.model]['zh']}给出 "
        f"{shares[1]}，相差 {size} 个百分点（{zh}）。{last['zh']}",
    )


def reconciliation_sentence(reconciliation: pd.DataFrame) -> Sentence:
    """Who is in: touches, journeys and customers that are counted, and what was left out at the edges."""
    told = reconciliation.groupby(["subject", "status"])["n"].sum()

    def n(subject: str, *statuses: str) -> int:
        return int(sum(told.get((subject, status), 0) for status in statuses))

    touches, used = int(told.get("touch", pd.Series(dtype=int)).sum()), n("touch", "used", "repeated")
    journeys = n("converted_journey", "used") + n("unconverted_journey", "used")
    edges = ("starts_too_early", "ends_too_late")
    left_out = n("converted_journey", *edges) + n("unconverted_journey", *edges)
    share = percent(used / touches) if touches else percent(0)
    converted = percent(n("converted_journey", "used") / journeys) if journeys else percent(0)
    return both(
        f"{count(used)} of {count(touches)} touches ({share}) make {count(journeys)} journeys of "
        f"{count(n('customer', 'used'))} customers; {converted} of the journeys converted. {count(left_out)} journeys "
        "at the edges of the window are left out, converted or not, because they could not be seen whole.",
        f"{count(touches)} 个触点中有 {count(used)} 个（{share}）构成 {count(n('customer', 'used'))} 位客户的 "
        f"{count(journeys)} 条路径，其中 {converted} 转化。另有 {count(left_out)} 条路径位于观察期边缘，"
        "无法完整观察，无论转化与否均已剔除。",
    )


def untouched_sentence(share: Estimate, *, lookback_days: int) -> Sentence:
    """How many conversions no touch precedes: what attribution is silent about."""
    en, zh = (interval(share.lower, share.upper, language, percent, share.level) for language in LANGUAGES)
    return both(
        f"{percent(share.value)} of conversions ({en}, n = {count(share.n)} conversions) had no touch in the "
        f"{lookback_days} days before; nobody is credited for them.",
        f"{percent(share.value)} 的转化（{zh}，n = {count(share.n)} 次转化）在此前 {lookback_days} 天内没有触点，"
        "不归因于任何渠道。",
    )


def credit_checks(
    chain: pd.DataFrame,
    untouched: Estimate,
    excess: Excess,
    credits: Sequence[Credit],
    *,
    lookback_days: int,
    n_customers: int,
) -> list[Check]:
    """
    What a reader of credit must know to hold: about the counts, about the models, and about what was not done.

    Parameters
    ----------
    chain : DataFrame
        Of ``Edges.table``.
    untouched : Estimate
        Of ``untouched_share``.
    excess : Excess
        Its most credited channel is the one that a page names.
    credits : list of Credit
        All models of the page.
    """
    top = int(np.argmax(excess.credit.share))
    whole = bool((chain["touches"] == chain["left"]).all() and chain["reached"].all() and chain["ends"].all())
    leaders = {int(np.argmax(credit.share)) for credit in credits}
    return [
        Check(
            name=both("every journey is counted from its start to its outcome", "每条路径都从起点计数到结果"),
            passed=whole,
        ),
        Check(
            name=both("most conversions had a touch", "多数转化之前有触点"),
            passed=untouched.upper < 0.5,
            note=untouched_sentence(untouched, lookback_days=lookback_days),
        ),
        Check(name=both("all models put the same channel first", "各模型的首位渠道一致"), passed=len(leaders) == 1),
        Check(
            name=both(
                "the most credited channel has more than volume and place alone would earn",
                "首位渠道的归因高于仅凭触达量与位置应得的水平",
            ),
            passed=bool(excess.sign()[top] > 0),
            note=excess_sentence(excess, excess.channels[top], n_customers=n_customers),
        ),
        alike_activity_check(),
    ]


def alike_activity_check() -> Check:
    """Say that journeys are compared whatever the activity of their customers."""
    return Check(
        name=both("customers of like activity are compared", "在活跃度相近的客户之间比较"),
        passed=False,
        note=both(
            "Not done here: what active customers use is credited for their activity.",
            "此处未做：活跃客户常用的渠道会因客户的活跃而获得归因。",
        ),
    )


def _told(estimate: Estimate, language: Language, *, fmt: Callable[[float], str] = percent, joint: bool = False) -> str:
    """What stands in brackets: the interval, or that there is none, and the number of customers."""
    n = f"n = {count(estimate.n)}"
    if not np.isfinite([estimate.lower, estimate.upper]).all():
        none = both("no interval: met by too few groups of customers", "客户组过少，无法给出区间")
        return f"{none[language]}{both(', ', '，')[language]}{n}"
    between = interval(estimate.lower, estimate.upper, language, fmt, estimate.level)
    if joint:
        between = both(f"joint {between}", f"联合 {between}")[language]
    return f"{between}{both(', ', '，')[language]}{n}"


def points(share: float) -> str:
    """
    Write a difference of shares in percentage points.

    >>> points(0.0123), points(-0.0004)
    ('1.23', '−0.04')
    """
    return f"{100 * share:.2f}".replace("-", "−")


def in_points(difference: Estimate) -> Estimate:
    """
    Return a difference of shares in percentage points, as a card and a table write it.

    >>> in_points(Estimate(value=0.01, lower=-0.01, upper=0.03, unit="share", n=9)).upper
    3.0
    """
    without = None if difference.leave_one_out is None else 100 * difference.leave_one_out
    value, lower, upper = (100 * end for end in (difference.value, difference.lower, difference.upper))
    return replace(difference, value=value, lower=lower, upper=upper, unit="percentage points", leave_one_out=without)


def _list(names: Sequence[str], language: Language) -> str:
    if language == "zh":
        return "、".join(names)
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _opens(text: str) -> str:
    return text[:1].upper() + text[1:]
