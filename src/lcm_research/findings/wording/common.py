"""How numbers, intervals and counts are written in a sentence, in English and in Chinese."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from lcm_research.estimate import Estimate

__all__ = [
    "LANGUAGES",
    "Language",
    "Sentence",
    "both",
    "count",
    "estimate_text",
    "evidence",
    "in_words",
    "interval",
    "number",
    "p_value",
    "percent",
]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Sentence = dict[str, str]
"""A sentence in both languages: ``{"en": ..., "zh": ...}``."""


def both(en: str, zh: str) -> Sentence:
    """Return a sentence in both languages."""
    return {"en": en, "zh": zh}


def number(x: float, digits: int = 3) -> str:
    """
    Write a number to ``digits`` significant digits, without an exponent, with a minus sign that is one.

    >>> number(1234.56), number(12.345), number(-0.012345), number(12.0)
    ('1,235', '12.3', '−0.0123', '12.0')
    """
    if not math.isfinite(x):
        return "∞" if x > 0 else "−∞" if x < 0 else "–"
    if x == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(x))))
    rounded = round(x, decimals)
    if rounded and math.floor(math.log10(abs(rounded))) > math.floor(math.log10(abs(x))):
        decimals = max(0, decimals - 1)
    return f"{rounded:,.{min(decimals, 12)}f}".replace("-", "−")


def percent(x: float, digits: int = 1) -> str:
    """
    Write a share as a percentage with ``digits`` decimals.

    >>> percent(0.1234), percent(1.0)
    ('12.3%', '100.0%')
    """
    return f"{100 * x:,.{digits}f}%".replace("-", "−")


def count(n: float) -> str:
    """Write a whole number with thousands separated."""
    return f"{round(n):,}"


def p_value(p: float) -> str:
    """
    Write a p-value as the field does.

    >>> p_value(0.00001), p_value(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval(
    lower: float, upper: float, language: Language, fmt: Callable[[float], str] = number, level: float = 0.95
) -> str:
    """
    Write an interval as a phrase.

    >>> interval(8.1, 16.9, "en")
    '95% interval 8.10 to 16.9'
    """
    share = f"{100 * level:g}%"
    if language == "zh":
        return f"{share} 置信区间 {fmt(lower)} 至 {fmt(upper)}"
    return f"{share} interval {fmt(lower)} to {fmt(upper)}"


def evidence(estimate: Estimate, language: Language, *, of_share: bool = False) -> str:
    """
    Write what stands in brackets after a number: its interval and how many customers it rests on.

    >>> evidence(Estimate(value=0.5, lower=0.4, upper=0.6, unit="share", n=1200), "en", of_share=True)
    '95% interval 40.0% to 60.0%, n = 1,200'
    """
    between = interval(estimate.lower, estimate.upper, language, percent if of_share else number, estimate.level)
    return f"{between}{', ' if language == 'en' else '，'}n = {count(estimate.n)}"


def in_words(text: Mapping[str, str] | str, language: Language) -> str:
    """Return a segment's label, or a group's name, in one language; in its other one where it has no such words."""
    return text if isinstance(text, str) else text.get(language, next(iter(text.values()), ""))


SHARES = frozenset({"share", "probability"})


def estimate_text(estimate: Estimate, language: Language) -> str:
    """Write an estimate with its interval, for a cell of a table; shares become percentages."""
    fmt = percent if estimate.unit in SHARES else number
    to = "至" if language == "zh" else "to"
    return f"{fmt(estimate.value)} ({fmt(estimate.lower)} {to} {fmt(estimate.upper)})"
