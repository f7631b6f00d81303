"""The words above the columns of a table, in English and in Chinese: one word per idea, on every page."""

from __future__ import annotations

from collections.abc import Mapping

from lcm_research.findings.wording.common import Sentence, both

__all__ = ["COLUMNS", "heading"]

COLUMNS: Mapping[str, Sentence] = {
    # who is in it
    "status": both("status", "去向"),
    "subject": both("what", "对象"),
    "n": both("customers", "客户数"),
    "n_customers": both("customers", "客户数"),
    "n_spells": both("spells", "活跃期数"),
    "segment": both("segment", "分组变量"),
    "group": both("group", "组"),
    "channel": both("channel", "渠道"),
    "table": both("table", "数据表"),
    "why": both("why", "原因"),
    "question": both("question", "问题"),
    "who": both("who", "口径"),
    # checks
    "check": both("check", "检查"),
    "passed": both("passed", "通过"),
    "note": both("what was seen", "结果"),
    # survival
    "n_events": both("lapses", "流失数"),
    "censored": both("censored, %", "删失比例（%）"),
    "window_days": both("window (days)", "流失窗口（天）"),
    "chi_square": both("χ²", "χ²"),
    "degrees_of_freedom": both("degrees of freedom", "自由度"),
    "p_value": both("p", "p 值"),
    "other": both("compared with", "对比组"),
    "difference": both("days longer", "多留存的天数"),
    "restricted_mean": both("mean days", "平均留存天数"),
    "restricted_mean_ratio": both("ratio of mean days", "平均天数之比"),
    "p_value_holm": both("p, Holm", "p 值（Holm）"),
    "log_rank_p_holm": both("log-rank p, Holm", "对数秩 p 值（Holm）"),
    "even": both("all days alike", "等权"),
    "early": both("early days weigh more", "偏早期"),
    "late": both("late days weigh more", "偏晚期"),
    "distribution": both("distribution", "分布"),
    "aic_difference": both("AIC difference", "AIC 差"),
    "largest_gap": both("largest gap, percentage points", "最大偏差（百分点）"),
    "median_days": both("median (days)", "中位数（天）"),
    "covariate": both("segment", "分组变量"),
    # engagement and its guards
    "item": both("item", "项目"),
    "sentence": both("smallest effect that would be found", "最小可检出效应"),
    "activity": both("purchase days before", "此前的购买天数"),
    "n_engaged": both("engaged spell-periods", "有互动的期数"),
    "n_not_engaged": both("other spell-periods", "无互动的期数"),
    "share_engaged": both("share engaged", "互动比例"),
    "has_both": both("both kinds there", "两类均足够"),
    "n_lapses": both("lapses", "流失数"),
    "contrast": both("groups compared", "对比的两组"),
    "within": both("within the levels of", "在其内比较的分组变量"),
    "difference_days": both("days apart, pooled", "总体相差天数"),
    "standardised_difference_days": both("days apart, made up alike", "构成一致时相差天数"),
    "n_levels": both("levels compared", "比较的水平数"),
    "n_opposite": both("levels with the other sign", "符号相反的水平数"),
    # a warning and how good it is
    "horizon_days": both("days ahead", "提前天数"),
    "brier_score": both("Brier score", "Brier 得分"),
    "null_brier_score": both("Brier score of the base rate", "基准比率的 Brier 得分"),
    "index_of_prediction_accuracy": both("index of prediction accuracy", "预测准确度指数"),
    "auc": both("AUC", "AUC"),
    "n_warned": both("customers", "客户数"),
    "precision": both("lapsed", "流失比例"),
    "lift": both("lift over a list by lot", "相对随机名单的提升度"),
    "capture": both("of all lapses", "占全部流失"),
    "lead_days": both("days before the declared lapse", "距判定流失的天数"),
    "already_silent": both("of those lapsed, silent already", "流失者中已不再购买的"),
    # transitions
    "stage": both("stage", "阶段"),
    "from": both("from", "从"),
    "to": both("to", "到"),
    "move": both("move", "转移"),
    "made_by": both("made by", "由何触发"),
    "probability": both("probability", "概率"),
    "rule": both("rule", "规则"),
    "words": both("who is in it at the end of a month", "月末符合以下条件的客户"),
    "threshold": both("threshold", "阈值"),
    "meaning": both("meaning", "含义"),
    "value": both("value", "取值"),
    "others": both("others", "其他取值"),
    "stays": both("stays", "停留"),
    "exit": both("leaves most often for", "离开后最常进入"),
    "leaves": both("does so within a month", "一个月内的概率"),
    # attribution
    "share": both("credit", "归因份额"),
    "null_share": both("volume and place alone", "零假设基准"),
    "lookback_days": both("lookback (days)", "回溯期（天）"),
}
"""Heading of each column that is named alike wherever it appears; a table may still give its own."""


def heading(column: str, language: str) -> str:
    """
    Return the heading of a column, or its name where the glossary does not know it.

    >>> heading("n_events", "zh"), heading("of_this_table_alone", "en")
    ('流失数', 'of_this_table_alone')
    """
    return COLUMNS[column][language] if column in COLUMNS else column
