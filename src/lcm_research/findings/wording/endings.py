"""Sentences about what ends a customer's time, and about those who came back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.churn import activity_words
from lcm_research.findings.wording.common import LANGUAGES, Language, Sentence, both, count, interval, percent
from lcm_research.study import Churn
from lcm_research.survival.reasons import LAPSED, NOT_TOLD, OTHER

__all__ = ["cause_text", "causes_sentence", "second_lifetime_sentence"]


CAUSES: Mapping[str, Sentence] = {
    LAPSED: both("fell silent", "沉默流失"),
    NOT_TOLD: both("reason not told", "未说明原因"),
    "account_closed": both("account closed", "注销账户"),
    "death": both("death", "去世"),
    "merged": both("account merged", "账户合并"),
    "price": both("price", "价格"),
    "service": both("service", "服务"),
    OTHER: both("other reasons", "其他原因"),
}


def cause_text(cause: str) -> Sentence:
    """
    What a cause is called; a reason that the package has no word for keeps the study's.

    >>> cause_text("lapsed: price")["en"], cause_text("moved")["zh"]
    ('fell silent: price', 'moved')
    """
    if cause.startswith(f"{LAPSED}: "):
        silent, reason = CAUSES[LAPSED], cause_text(cause.removeprefix(f"{LAPSED}: "))
        return both(f"{silent['en']}: {reason['en']}", f"{silent['zh']}：{reason['zh']}")
    return CAUSES.get(cause, both(cause, cause))


def causes_sentence(shares: Mapping[str, Estimate], *, day: int, churn: Churn) -> Sentence:
    """Share of new customers (or contracts) that has ended by each cause by ``day``, the largest first."""
    ranked = sorted(shares.items(), key=lambda item: -item[1].value)
    n = count(next(iter(shares.values())).n)
    parts = {}
    for language in LANGUAGES:
        parts[language] = [
            f"{cause_text(cause)[language]} {percent(share.value)}"
            + _brackets(interval(share.lower, share.upper, language, percent, share.level), language)
            for cause, share in ranked
        ]
    who, who_zh = ("new contracts", "新合同") if churn.kind == "contract" else ("new customers", "新客户")
    act = "day" if churn.kind == "contract" else activity_words(churn)["act"]
    act_zh = "合同开始" if churn.kind == "contract" else f"首次{activity_words(churn)['行为']}"
    return both(
        f"Share of {who} whose time had ended by {day} days after their first {act}, by cause: "
        f"{', '.join(parts['en'])}; n = {n}.",
        f"{act_zh} {day} 天内，{who_zh}按终止原因的累计占比：{'，'.join(parts['zh'])}；n = {n}。",
    )


def second_lifetime_sentence(
    again: Estimate, first: Estimate, *, day: int, n_returned: int, returned_by: date, as_of: date, churn: Churn
) -> Sentence:
    """
    How many of those who came back go on past ``day`` of their second time, beside new customers.

    Parameters
    ----------
    again, first : Estimate
        Shares that go on past ``day`` days after the return, and after a new customer's first day.
    n_returned : int
        Customers who returned by ``as_of``; those who did by ``returned_by`` are followed for ``day`` days.
    """
    words = activity_words(churn)
    told = {
        language: [interval(e.lower, e.upper, language, percent, e.level) for e in (again, first)]
        for language in LANGUAGES
    }
    return both(
        f"Among customers who returned by {as_of} ({count(n_returned)}; the {count(again.n)} who did by {returned_by} "
        f"are followed here), {percent(again.value)} are still {words['doing']} {day} days after their return "
        f"({told['en'][0]}); of new customers {percent(first.value)} are {day} days after their first {words['act']} "
        f"({told['en'][1]}, n = {count(first.n)}). Who returned is not everybody who lapsed.",
        f"截至 {as_of} 已有 {count(n_returned)} 位客户回归；其中 {returned_by} 及之前回归的 {count(again.n)} 人中，"
        f"回归 {day} 天后仍{words['仍在']}的占 {percent(again.value)}（{told['zh'][0]}）；"
        f"新客户首次{words['行为']} {day} 天后为 {percent(first.value)}（{told['zh'][1]}，n = {count(first.n)}）。"
        "已回归的客户不能代表全部流失客户。",
    )


def _brackets(text: str, language: Language) -> str:
    return f" ({text})" if language == "en" else f"（{text}）"
