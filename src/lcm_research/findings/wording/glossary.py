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
