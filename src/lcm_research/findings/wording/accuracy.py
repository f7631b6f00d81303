"""Sentences about predictions of a lapse: how good they are, what a list of warnings holds, and what it is not."""

from __future__ import annotations

from collections.abc import Mapping

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import LANGUAGES, Sentence, both, count, evidence, interval, number, percent
from lcm_research.survival.accuracy import BrierScore
from lcm_research.survival.accuracy_calibration import Calibration
from lcm_research.survival.warning import BaseRateDrift
from lcm_research.survival.warning_counts import DecisionDays
from lcm_research.survival.warning_value import DecisionCurve, TopShare

__all__ = [
    "SCOPE",
    "auc_sentence",
    "base_rate_check",
    "better_than_base_rate_check",
    "brier_sentence",
    "calibration_check",
    "calibration_sentence",
    "class_text",
    "concordance_sentence",
    "decision_sentence",
    "lead_sentence",
    "list_sentence",
    "precision_sentence",
    "recency_sentence",
    "short_follow_up_sentence",
    "too_few_sentence",
    "warning_sentence",
]


SCOPE: Sentence = both(
    "A high risk says who will probably fall silent. It says nothing on whom a message would help (Ascarza 2018): "
    "that takes an experiment.",
    "风险高只表示客户很可能流失，并不说明向谁发送信息会有效果（Ascarza 2018）；后者要靠实验回答。",
)

CLASSES: Mapping[str, Sentence] = {
    "recency": both("days since the last purchase", "距最近一次购买的天数"),
    "frequency": both("purchase days in the look-back", "回溯期内的购买天数"),
    "tenure": both("days since the first purchase in the look-back", "距回溯期内首次购买的天数"),
    "engagement": both("days since the last social act", "距最近一次社交互动的天数"),
}


def class_text(name: str) -> Sentence:
    """What a class of ``warning_counts`` is cut from; a segment keeps its name."""
    return CLASSES.get(name, both(name, name))


def short_follow_up_sentence(days: DecisionDays, *, horizon_days: int) -> Sentence:
    """Why warnings are left out, and how many more days of observation they would take."""
    needed, there, missing = (count(n) for n in (days.needed_days, days.observed_days, days.missing_days))
    return both(
        f"Left out: a warning {horizon_days} days ahead that is trained on one day and judged on a later one takes "
        f"{needed} days of observation; there are {there}, so {missing} more are needed.",
        f"本节略去：提前 {horizon_days} 天的预警须在一个时点训练、在更晚的时点检验，共需 {needed} 天的观察；"
        f"现有 {there} 天，还差 {missing} 天。",
    )


def too_few_sentence(lapsed: int, others: int) -> Sentence:
    """Why warnings are left out where customers are too few."""
    return both(
        f"Left out: {count(lapsed)} customers who lapsed and {count(others)} who did not, in the scarcer of the two "
        "samples, are too few to train and judge a warning.",
        f"本节略去：在人数较少的样本中，流失客户 {count(lapsed)} 人、未流失客户 {count(others)} 人，"
        "不足以训练和检验预警。",
    )


def warning_sentence(top: TopShare, *, base_rate: Estimate, horizon_days: int) -> Sentence:
    """What the list of the highest risks holds, against one drawn by lot; and that it is no list of whom to contact."""
    share, values = percent(top.share, 0), (top.precision.value, base_rate.value, top.capture.value)
    precision, base, capture = map(percent, values)
    en, zh = (evidence(top.lift, language) for language in LANGUAGES)
    lift = number(top.lift.value)
    if top.lift.sign(1.0) > 0:
        return both(
            f"Of the {share} of customers with the highest predicted risk {precision} lapsed within {horizon_days} "
            f"days, of all {base}: {lift} times as many as in a list drawn by lot ({en}), and {capture} of all lapses. "
            f"{SCOPE['en']}",
            f"预测风险最高的 {share} 客户中，{precision} 在 {horizon_days} 天内流失，全体为 {base}："
            f"是随机名单的 {lift} 倍（{zh}），占全部流失的 {capture}。{SCOPE['zh']}",
        )
    return both(
        f"The data do not show that the {share} of customers with the highest predicted risk hold more lapses than a "
        f"list drawn by lot ({precision} against {base} within {horizon_days} days, {lift} times as many, {en}). "
        f"{SCOPE['en']}",
        f"数据未显示预测风险最高的 {share} 客户比随机名单含有更多流失（{horizon_days} 天内 {precision} 对 {base}，"
        f"{lift} 倍，{zh}）。{SCOPE['zh']}",
    )


def lead_sentence(top: TopShare) -> Sentence:
    """How long before the declared lapse the warning comes, and how many had stopped buying by then."""
    share = percent(top.share, 0)
    if top.lead_days is None or top.already_silent is None:
        return both(
            f"Nobody among the {share} with the highest predicted risk lapsed: there is no lead time to tell.",
            f"预测风险最高的 {share} 客户中无人流失，因此没有提前量可言。",
        )
    days, silent = number(top.lead_days.value), percent(top.already_silent.value)
    en, zh = (evidence(top.lead_days, language) for language in LANGUAGES)
    return both(
        f"For those among the top {share} who lapsed the warning came {days} days before the lapse was declared, on "
        f"average ({en}); {silent} of them had made their last purchase by the day of the warning.",
        f"风险最高的 {share} 客户中，流失者平均在判定流失前 {days} 天收到预警（{zh}）；其中 {silent} 在预警当日之前"
        "（含当日）已完成最后一次购买。",
    )


def auc_sentence(auc: Estimate, *, horizon_days: int) -> Sentence:
    """How often one who lapsed had the higher risk, against a coin."""
    en, zh = (evidence(auc, language, of_share=True) for language in LANGUAGES)
    value, sign = percent(auc.value), auc.sign(0.5)
    if sign == 0:
        return both(
            f"The data do not show that predicted risks tell those who lapse within {horizon_days} days from the "
            f"others (the former had the higher risk in {value} of pairs, {en}; by lot 50%).",
            f"数据未显示预测风险能区分 {horizon_days} 天内流失者与其他客户"
            f"（前者风险较高的配对占 {value}，{zh}；随机为 50%）。",
        )
    verdict = both("by lot 50%", "随机为 50%") if sign > 0 else both("worse than by lot, 50%", "低于随机的 50%")
    return both(
        f"In {value} of pairs the customer who lapsed within {horizon_days} days had been given a higher risk than the "
        f"one who went on ({en}; {verdict['en']}).",
        f"在流失者与未流失者的配对中，{value} 的情形下 {horizon_days} 天内流失者的预测风险更高"
        f"（{zh}；{verdict['zh']}）。",
    )


def concordance_sentence(harrell: Estimate, uno: Estimate, *, truncation_day: int) -> Sentence:
    """The two indices of concordance side by side."""
    en, zh = ([evidence(e, language, of_share=True) for e in (harrell, uno)] for language in LANGUAGES)
    first, second = percent(harrell.value), percent(uno.value)
    if abs(harrell.value - uno.value) < 1e-9:
        return both(
            f"Of two customers the one who lapsed first had the higher risk in {first} of pairs ({en[0]}); nobody is "
            f"lost sight of before day {truncation_day}, so that Harrell's index and Uno's are one.",
            f"两位客户中先流失者风险更高的配对占 {first}（{zh[0]}）；第 {truncation_day} 天之前无人失访，"
            "因此 Harrell 与 Uno 的一致性指数相同。",
        )
    return both(
        f"Of two customers the one who lapsed first had the higher risk in {first} of pairs (Harrell; {en[0]}); "
        f"weighted for those lost sight of, before day {truncation_day}, in {second} (Uno; {en[1]}).",
        f"两位客户中先流失者风险更高的配对占 {first}（Harrell；{zh[0]}）；对失访加权、第 {truncation_day} 天之前"
        f"为 {second}（Uno；{zh[1]}）。",
    )


def recency_sentence(gain: Estimate) -> Sentence:
    """What the other predictors add to the time since the last purchase, in AUC."""
    en, zh = (evidence(gain, language) for language in LANGUAGES)
    told = {
        -1: both("the other predictors make the ranking worse", "其他预测变量使排序变差"),
        0: both("the data do not show that the other predictors add to it", "数据未显示其他预测变量有所改善"),
        1: both("the other predictors add to it", "其他预测变量有所改善"),
    }[gain.sign()]
    return both(
        f"Against the time since the last purchase alone: {told['en']} (AUC higher by {number(gain.value)}, {en}).",
        f"与只用距最近一次购买的时间相比：{told['zh']}（AUC 增加 {number(gain.value)}，{zh}）。",
    )


def precision_sentence(average: Estimate, *, base_rate: Estimate) -> Sentence:
    """Average precision beside the base rate."""
    en, zh = (evidence(average, language, of_share=True) for language in LANGUAGES)
    value, base = percent(average.value), percent(base_rate.value)
    return both(
        f"Precision averaged over all lengths of the list is {value} ({en}); by lot it would be {base}.",
        f"对各种名单长度平均的精确率为 {value}（{zh}）；随机名单为 {base}。",
    )


def brier_sentence(score: BrierScore) -> Sentence:
    """By how much the predictions come nearer to the outcomes than the base rate does."""
    index, days = score.integrated_index, score.days
    en, zh = (evidence(index, language, of_share=True) for language in LANGUAGES)
    share, own, null = percent(abs(index.value)), number(score.integrated.value), number(score.integrated_null.value)
    span = both(f"from day {days[0]} to {days[-1]}", f"第 {days[0]} 至 {days[-1]} 天")
    if index.sign() == 0:
        return both(
            f"The data do not separate the predictions from the base rate (Brier score {own} against {null} "
            f"{span['en']}; better by {percent(index.value)}, {en}).",
            f"数据未能区分预测与基准比率的优劣（{span['zh']} Brier 得分 {own} 对 {null}，"
            f"改善 {percent(index.value)}，{zh}）。",
        )
    than = both("smaller", "小") if index.sign() > 0 else both("larger", "大")
    turned = "" if index.sign() > 0 else "−"
    return both(
        f"The squared distance of the predictions from what happened is {share} {than['en']} than that of the base "
        f"rate (Brier score {own} against {null} {span['en']}; index of prediction accuracy {turned}{share}, {en}).",
        f"预测与结果的平方差距比基准比率{than['zh']} {share}（{span['zh']} Brier 得分 {own} 对 {null}；"
        f"预测准确度指数 {turned}{share}，{zh}）。",
    )


def calibration_sentence(found: Calibration) -> Sentence:
    """Whether predicted risks are right on average, and whether they differ as much as they should."""
    large = found.in_the_large
    predicted, observed = percent(found.predicted), percent(found.observed.value)
    en, zh = (interval(large.lower, large.upper, language, percent, large.level) for language in LANGUAGES)
    right = {
        -1: both("too high", "偏高"),
        0: both("not seen to be too high or too low", "未见偏高或偏低"),
        1: both("too low", "偏低"),
    }[large.sign()]
    told = both(
        f"Predicted {predicted} on average, seen {observed}: {right['en']} (difference {percent(large.value)}, {en}, "
        f"n = {count(large.n)}).",
        f"平均预测 {predicted}，实际 {observed}：{right['zh']}（相差 {percent(large.value)}，{zh}，"
        f"n = {count(large.n)}）。",
    )
    if found.slope is None:
        return told
    slope, ends = found.slope, [interval(found.slope.lower, found.slope.upper, language) for language in LANGUAGES]
    spread = {
        -1: both("they are too extreme", "预测过于极端"),
        0: both("they are not seen to be too extreme or too timid", "未见过于极端或过于保守"),
        1: both("they are too timid", "预测过于保守"),
    }[slope.sign(1.0)]
    return both(
        f"{told['en']} Calibration slope {number(slope.value)} ({ends[0]}): {spread['en']}.",
        f"{told['zh']}校准斜率 {number(slope.value)}（{ends[1]}）：{spread['zh']}。",
    )


def decision_sentence(curve: DecisionCurve) -> Sentence:
    """At which thresholds warning by risk beats warning everybody and nobody."""
    useful, n = curve.useful(), count(curve.net_benefit[0].n)
    if not len(useful):
        return both(
            f"At no threshold do the data show that warning by risk beats warning everybody and warning nobody "
            f"(net benefit, n = {n}).",
            f"在任何阈值上，数据均未显示按风险预警优于全部预警和全不预警（净收益，n = {n}）。",
        )
    low, high = percent(useful.min(), 0), percent(useful.max(), 0)
    of = f"{len(useful)} / {len(curve.thresholds)}"
    return both(
        f"Warning by risk has more net benefit than warning everybody and than warning nobody at thresholds between "
        f"{low} and {high} ({of} of those tried, by their intervals; n = {n}).",
        f"阈值在 {low} 至 {high} 之间时，按风险预警的净收益高于全部预警，也高于全不预警（按置信区间判断，占所试阈值的 "
        f"{of}；n = {n}）。",
    )


def list_sentence(n_listed: int, n_open: int, file: str) -> Sentence:
    """Where the list of pseudonyms is, and that it is no part of the page."""
    return both(
        f"{count(n_listed)} of {count(n_open)} customers stand on the list of today, under pseudonyms, in “{file}” in "
        "the study's cache; it is for its owner and not part of this page.",
        f"今日名单含 {count(n_open)} 位客户中的 {count(n_listed)} 位，以化名列于研究缓存中的“{file}”，仅供所有者使用，"
        "不在本页公布。",
    )


def better_than_base_rate_check(score: BrierScore) -> Check:
    """Whether predictions beat the base rate, by the index of prediction accuracy."""
    return Check(
        name=both("Better than the base rate", "优于基准比率"),
        passed=score.integrated_index.sign() > 0,
        note=brier_sentence(score),
    )


def calibration_check(found: Calibration) -> Check:
    """Whether no miscalibration was seen: the intervals hold a difference of 0 and a slope of 1."""
    slope_off = found.slope is not None and found.slope.sign(1.0) != 0
    return Check(
        name=both("Predicted risks mean what they say", "预测风险与实际相符"),
        passed=found.in_the_large.sign() == 0 and not slope_off,
        note=calibration_sentence(found),
    )


def base_rate_check(drift: BaseRateDrift) -> Check:
    """Whether the share that lapses moved between the day of training and the day of judging."""
    then, now = percent(drift.training.value), percent(drift.judging.value)
    en, zh = (
        interval(drift.difference.lower, drift.difference.upper, language, percent, drift.difference.level)
        for language in LANGUAGES
    )
    return Check(
        name=both("Share of lapses steady from training to judging", "从训练到检验流失比例保持稳定"),
        passed=drift.difference.sign() == 0,
        note=both(
            f"{then} lapsed after the day of training, {now} after the day of judging (difference "
            f"{percent(drift.difference.value)}, {en}).",
            f"训练日之后流失 {then}，检验日之后流失 {now}（相差 {percent(drift.difference.value)}，{zh}）。",
        ),
    )
