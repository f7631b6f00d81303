"""What the data audit says: why rows were left out, what the checks saw, and what the data can answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from lcm_research.data.audit import QUESTIONS
from lcm_research.data.ingested import ROWS_IN, ROWS_USED, DataCheck, Ledger
from lcm_research.estimate import Estimate
from lcm_research.findings.wording.common import Sentence, both, count, interval, percent
from lcm_research.study import Language

__all__ = [
    "all_checks",
    "answer",
    "check_name",
    "check_note",
    "coverage_alt",
    "question",
    "reason",
    "rule_name",
    "table_name",
    "undecided_sentence",
    "with_table",
]

_TABLES = {
    "customers": both("customers", "客户"),
    "transactions": both("transactions", "交易"),
    "touchpoints": both("touchpoints", "触点"),
    "engagements": both("engagements", "互动"),
    "churn_reasons": both("reasons for leaving", "离开原因"),
    "tier_history": both("tiers", "会员等级"),
    "referrals": both("invitations", "邀请"),
    "survey": both("survey answers", "问卷回答"),
    "community": both("communities", "社群"),
    "community_member": both("memberships of communities", "社群成员"),
}

_RULES = {
    ROWS_IN: both("rows in the file", "文件行数"),
    ROWS_USED: both("rows used", "采用行数"),
    "no_customer": both("no customer", "无客户标识"),
    "after_as_of": both("after the study's last day", "晚于研究截止日"),
    "before_observation_start": both("before the window", "早于观察期"),
    "unknown_customer": both("unknown customer", "未知客户"),
}

_REASONS = {
    "no_customer": both("a row without a customer's id cannot be followed", "没有客户标识的行无法追踪"),
    "after_as_of": both("only what was known on the last day is used", "只使用截止日当天已知的信息"),
    "before_observation_start": both(
        "the files hold no whole history before the window", "文件不含观察期之前的完整历史"
    ),
    "unknown_customer": both(
        "the table of customers does not have the customer, or leaves them out", "客户表中没有该客户，或已将其排除"
    ),
}

_CHECKS = {
    "values_read": both("every value of {column} could be read", "{column} 的取值均可识别"),
    "purchases_not_negative": both("no purchase has a negative amount", "购买金额均不为负"),
    "purchases_not_zero": both("no purchase has an amount of 0", "购买金额均不为 0"),
    "currencies": both("currencies are kept apart", "不同币种分开计算"),
}

_NOTES = {
    "values_read": both("{n} of {of} rows hold a value that could not be read", "{of} 行中有 {n} 行的取值无法识别"),
    "purchases_not_negative": both(
        "{n} of {of} rows are negative and no return; map is_return or leave them out",
        "{of} 行中有 {n} 行为负数但未标记为退货；请映射 is_return 或将其排除",
    ),
    "purchases_not_zero": both(
        "{n} of {of} rows have an amount of 0; they count as purchases", "{of} 行中有 {n} 行金额为 0；仍计为购买"
    ),
    "currencies": both("currencies: {n}", "币种数：{n}"),
}


def table_name(name: str, language: Language) -> str:
    """Return what a table is called in a language."""
    return _TABLES[name][language] if name in _TABLES else name


def rule_name(line: Ledger, language: Language) -> str:
    """Return what a line of the reconciliation is called; a rule of the study keeps the study's name for it."""
    if line.rule == ROWS_IN and line.table == "customers":
        return both("customers known", "已知客户数")[language]
    return _RULES[line.rule][language] if line.rule in _RULES else line.rule


def reason(line: Ledger, language: Language) -> str:
    """Return why a rule leaves rows out: the study's words, or those of a rule of ingest itself."""
    return line.reason or _REASONS.get(line.rule, both("", ""))[language]


def check_name(check: DataCheck) -> Sentence:
    """Return what a check of the data looked at, as something that holds."""
    words = _CHECKS[check.name]
    return both(words["en"].format(column=check.column), words["zh"].format(column=check.column))


def check_note(check: DataCheck) -> Sentence:
    """Return what a check saw; nothing where all is well and there is no number to tell."""
    if check.passed and check.name != "currencies":
        return both("", "")
    words = _NOTES[check.name]
    return both(*(words[language].format(n=count(check.n), of=count(check.of)) for language in ("en", "zh")))


def all_checks(
    checks: Sequence[DataCheck], repeats: pd.DataFrame, edges: pd.DataFrame, *, edge_days: int
) -> list[tuple[str, Sentence, bool, Sentence]]:
    """
    Return every check of the data as table, what it looked at, whether it held, and what was seen.

    Parameters
    ----------
    checks : list of DataCheck
        Those of ingest.
    repeats : DataFrame
        ``n_rows`` and ``n_repeats`` by table.
    edges : DataFrame
        From ``lcm_research.data.audit.edges``.
    """
    lines = [(check.table, check_name(check), check.passed, check_note(check)) for check in checks]
    said = both("no row is there twice", "没有重复的行")
    for table, n_rows, n_repeats in zip(repeats.index, repeats["n_rows"], repeats["n_repeats"], strict=True):
        n, of = count(n_repeats), count(n_rows)
        seen = both(f"{n} of {of} rows repeat another", f"{of} 行中有 {n} 行与其他行重复")
        lines.append((table, said, n_repeats == 0, seen if n_repeats else both("", "")))
    said = both(f"the last {edge_days} days of the study have rows", f"研究截止前 {edge_days} 天内有数据")
    for table, last_date, days_short in zip(edges["table"], edges["last_date"], edges["days_short"], strict=True):
        seen = both(f"the last row is of {last_date}", f"最后一行的日期为 {last_date}")
        lines.append((table, said, days_short < edge_days, seen))
    return lines


def with_table(table: str, name: Sentence) -> Sentence:
    """Put the table before what a check looked at."""
    return both(f"{table_name(table, 'en')}: {name['en']}", f"{table_name(table, 'zh')}：{name['zh']}")


def undecided_sentence(estimate: Estimate, window_days: int, as_of: date) -> Sentence:
    """
    Say for which share of the buyers it is too early to tell whether they have left.

    >>> e = Estimate(value=0.5, lower=0.4, upper=0.6, unit="share", n=100)
    >>> undecided_sentence(e, 180, date(2023, 12, 31))["en"]
    'Of 100 buyers, 50.0% bought within 180 days up to 2023-12-31 (95% interval 40.0% to 60.0%): too early to tell.'
    """
    n, share, days = count(estimate.n), percent(estimate.value), count(window_days)
    ends = {
        language: interval(estimate.lower, estimate.upper, language, percent, estimate.level)
        for language in ("en", "zh")
    }
    return both(
        f"Of {n} buyers, {share} bought within {days} days up to {as_of} ({ends['en']}): too early to tell.",
        f"在 {n} 位购买者中，{share} 在截至 {as_of} 的 {days} 天内购买过（{ends['zh']}）：是否流失尚无法判断。",
    )


def question(notebook: str, language: Language) -> str:
    """Return the question that a notebook answers."""
    return next(q.words[language] for q in QUESTIONS if q.notebook == notebook)


def answer(missing: str, poorer: str, horizon_days: int, language: Language) -> str:
    """
    Say whether a question can be answered with these data, and what is wanting.

    >>> answer("touchpoints", "", 365, "en")
    'no: needs touchpoints'
    >>> answer("", "engagements", 365, "en")
    'yes, up to 365 days; without engagements its sections on them are left out'
    """

    def named(tables: str) -> str:
        joined = {"en": " and ", "zh": "和"}[language]
        return joined.join(table_name(name, language) for name in tables.split(", "))

    if missing:
        return both(f"no: needs {named(missing)}", f"否：需要{named(missing)}表")[language]
    days = count(horizon_days)
    limit = both(f", up to {days} days", f"，最长 {days} 天")[language] if horizon_days else ""
    text = both("yes", "是")[language] + limit
    if poorer:
        text += both(
            f"; without {named(poorer)} its sections on them are left out", f"；没有{named(poorer)}表，相关章节略去"
        )[language]
    return text


def coverage_alt(monthly: pd.DataFrame, language: Language) -> str:
    """Say what the figure of rows by month shows, for those who do not see it."""
    parts = []
    for name in monthly.columns:
        rows = monthly[name].dropna()
        if rows.empty:
            few = both("from too few customers in every month to be shown", "每月涉及的客户都太少，不予显示")
            parts.append(f"{table_name(name, language)} {few[language]}")
            continue
        low, high = count(rows.min()), count(rows.max())
        parts.append(
            both(
                f"{table_name(name, 'en')} between {low} and {high} rows a month",
                f"{table_name(name, 'zh')}每月 {low} 至 {high} 行",
            )[language]
        )
    span = f"{monthly.index[0]} – {monthly.index[-1]}"
    start = both(f"Rows by month, {span}: ", f"{span} 各月行数：")[language]
    return start + both("; ", "；")[language].join(parts) + both(".", "。")[language]
