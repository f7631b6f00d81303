"""How numbers, intervals and counts are written in a sentence, in English and in Chinese."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from lcm_research.estimate import Estimate

__all__ = ["Sentence", "both", "count", "estimate_text", "interval", "number", "p_value", "percent"]

Language = Literal["en", "zh"]
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


SHARES = frozenset({"share", "probability"})


def estimate_text(estimate: Estimate, language: Language) -> str:
    """Write an estimate with its interval, for a cell of a table; shares become percentages."""
    fmt = percent if estimate.unit in SHARES else number
    to = "至" if language == "zh" else "to"
    return f"{fmt(estimate.value)} ({fmt(estimate.lower)} {to} {fmt(estimate.upper)})"
