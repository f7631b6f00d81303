"""A finding as a reader meets it: the question, the answer, its drawing, its design, and why to doubt it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lcm_research.findings.wording.common import SHARES, count, number, percent
from lcm_research.pages.anchors import cell_anchor, finding_anchor, fragment
from lcm_research.pages.drawing import data_address, interval_svg
from lcm_research.pages.words import Words

__all__ = [
    "Card",
    "CheckLine",
    "Drawing",
    "Sentence",
    "card",
    "estimate_line",
    "main_findings",
    "null_of",
    "split_sentence",
    "written",
]

Record = Mapping[str, Any]
N_MAIN = 7
"""Most findings that a study page opens with."""

_TIERS = "DCBA"
_VERDICT_MARKS = {
    "consistent": "✓",
    "smaller": "↓",
    "larger": "↑",
    "opposite": "✗",
    "absent": "○",
    "inconclusive": "?",
    "not_testable": "–",
}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """An estimate drawn: the address of an embedded image and what it shows, in words."""

    src: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """A check of a finding, as a line of text."""

    name: str
    passed: bool
    note: str


@dataclass(frozen=True)
class Sentence:
    """A sentence whose parenthesis of numbers is set in a lighter tone: what is said, the numbers, the rest."""

    said: str
    numbers: str = ""
    rest: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything that a page shows of a finding, as texts in the page's language."""

    id: str
    anchor: str
    question: str
    sentence: Sentence
    estimate: str
    interval: str
    n: str
    drawing: Drawing | None
    tier: str
    tier_marks: str
    verdict: str
    verdict_mark: str
    reading: str
    checks: tuple[CheckLine, ...]
    link: str | None

    @property
    def doubts(self) -> tuple[CheckLine, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)


def card(record: Record, words: Words, *, chapters: str | None) -> Card:
    """
    Turn the record of a finding into a card.

    Parameters
    ----------
    chapters : str or None
        What stands before ``<notebook>.html`` in the link to the cell that made the finding (``"runs/r1/"``);
        None for a card without a link.
    """
    verdict, tier = str(record.get("verdict") or ""), str(record.get("tier") or "")
    return Card(
        id=str(record.get("id", "")),
        anchor=finding_anchor(record.get("id", "")),
        question=words.text(record.get("question")),
        sentence=split_sentence(words.text(record.get("sentence"))),
        estimate=_estimate(record, words),
        interval=_interval(record, words),
        n=_n(record, words),
        drawing=_drawing(record, words),
        tier=_known("tier", tier, words),
        tier_marks="".join("●" if place <= _TIERS.index(tier) else "○" for place in range(4)) if _is_tier(tier) else "",
        verdict=_known("verdict", verdict, words),
        verdict_mark=_VERDICT_MARKS.get(verdict, "–"),
        reading=_reading(record, words),
        checks=tuple(_check(check, words) for check in record.get("checks") or ()),
        link=_link(record, chapters),
    )


def main_findings(findings: Sequence[Record], notebooks: Sequence[str]) -> list[Record]:
    """
    Return the findings that a study page opens with, at most seven.

    Registered ones first, then those that a notebook names as its headlines, in the order of the chapters, then the
    first of each notebook, then the second of each: never by what was found.
    """
    order = {name: place for place, name in enumerate(notebooks)}
    seen: dict[Any, int] = {}
    ranked: list[tuple[tuple[int, int, int], Record]] = []
    for record in findings:
        notebook = record.get("notebook")
        seen[notebook] = place = seen.get(notebook, -1) + 1
        chapter = order.get(str(notebook), len(order))
        if record.get("registered") or record.get("headline"):
            ranked.append(((0 if record.get("registered") else 1, chapter, place), record))
        else:
            ranked.append(((2, place, chapter), record))
    return [record for _, record in sorted(ranked, key=lambda entry: entry[0])][:N_MAIN]


def null_of(record: Record) -> float | None:
    """
    Return the value of a finding that means "nothing there", or None where no value does.

    The record's own ``null_value`` where it has one; otherwise 1 for a ratio and 0 for a difference.

    >>> [null_of({"unit": u}) for u in ("ratio", "days difference", "days")]
    [1.0, 0.0, None]
    """
    if "null_value" in record:
        return _finite(record["null_value"])
    unit = str(record.get("unit", ""))
    if _is_ratio(unit):
        return 1.0
    return 0.0 if "difference" in unit or "points" in unit else None


def estimate_line(record: Record, words: Words) -> str:
    """
    Write an estimate with its unit and the ends of its interval, for a cell of a table.

    >>> estimate_line({"value": 12.4, "lower": 8.1, "upper": 16.9, "unit": "days"}, Words("en"))
    '12.4 days (8.10 to 16.9)'
    """
    ends = _ends(record, words)
    return f"{_estimate(record, words)} ({words('card.spread', **ends)})" if ends else _estimate(record, words)


def split_sentence(text: str) -> Sentence:
    """
    Set apart the first parenthesis of a sentence that holds an interval.

    >>> split_sentence("Members stay longer (12.4 days, 95% interval 8.1 to 16.9).")
    Sentence(said='Members stay longer ', numbers='(12.4 days, 95% interval 8.1 to 16.9)', rest='.')
    """
    match = re.search(r"[(（][^()（）]*\d%\s?(?:interval|置信区间)[^()（）]*[)）]", text)
    return Sentence(text[: match.start()], match.group(), text[match.end() :]) if match else Sentence(text)


def written(unit: str) -> Callable[[float], str]:
    """Return how numbers of a unit are written: shares as percentages, others to three digits."""
    return percent if unit in SHARES else number


def _estimate(record: Record, words: Words) -> str:
    value, unit = _finite(record.get("value")), str(record.get("unit", ""))
    if value is None:
        return words("card.not_estimated")
    key = f"unit.{unit.replace(' ', '_')}"
    text = written(unit)(value)
    return words(key, value=text) if words.knows(key) else words("unit.other", value=text, unit=unit).strip()


def _interval(record: Record, words: Words) -> str:
    ends = _ends(record, words)
    if not ends:
        return words("card.no_interval") if _finite(record.get("value")) is not None else ""
    return words("card.interval", level=f"{100 * (_finite(record.get('level')) or 0.95):g}%", **ends)


def _ends(record: Record, words: Words) -> dict[str, str]:
    """Return the ends of the interval as they are written, or nothing where there is none."""
    ends = {name: _finite(record.get(name)) for name in ("lower", "upper")}
    if _finite(record.get("value")) is None or set(ends.values()) == {None}:
        return {}
    write = written(str(record.get("unit", "")))
    return {name: words("card.open_end") if end is None else write(end) for name, end in ends.items()}


def _n(record: Record, words: Words) -> str:
    n = _finite(record.get("n"))
    return "" if n is None else words("card.n", n=count(n))


def _null_text(record: Record, words: Words) -> str:
    null, unit = null_of(record), str(record.get("unit", ""))
    if null is None:
        return ""
    if null == (1.0 if _is_ratio(unit) else 0.0):
        return words("card.no_difference")
    return words("card.reference", value=_tick_label(unit)(null))


def _reading(record: Record, words: Words) -> str:
    null, lower, upper = null_of(record), _finite(record.get("lower")), _finite(record.get("upper"))
    if null is None or _finite(record.get("value")) is None or (lower is None and upper is None):
        return ""
    clear = (lower is not None and lower > null) or (upper is not None and upper < null)
    return words("card.clear" if clear else "card.unclear", null=f"“{_null_text(record, words)}”")


def _drawing(record: Record, words: Words) -> Drawing | None:
    value, unit = _finite(record.get("value")), str(record.get("unit", ""))
    if value is None:
        return None
    svg = interval_svg(
        value=value,
        lower=_finite(record.get("lower")),
        upper=_finite(record.get("upper")),
        null=null_of(record),
        null_text=_null_text(record, words),
        claimed=_finite(record.get("claimed")),
        claimed_text=_claimed_text(record, words),
        ratio=_is_ratio(unit),
        share=unit in SHARES,
        label=_tick_label(unit),
    )
    return Drawing(src=data_address(svg), alt=_alt(record, words))


def _alt(record: Record, words: Words) -> str:
    estimate = words("card.alt", value=_estimate(record, words), interval=_interval(record, words))
    parts = (estimate, _claimed_text(record, words), _reading(record, words))
    return words("page.comma").join(part for part in parts if part)


def _claimed_text(record: Record, words: Words) -> str:
    claimed = _finite(record.get("claimed"))
    return "" if claimed is None else words("card.claimed", value=_tick_label(str(record.get("unit", "")))(claimed))


def _tick_label(unit: str) -> Callable[[float], str]:
    """Write ticks without the zeros that three significant digits would add."""
    if unit in SHARES:
        return lambda x: f"{100 * x:.6g}%".replace("-", "−")
    return lambda x: f"{x:,.6g}".replace("-", "−") if abs(x) < 1e6 else number(x)


def _check(check: Any, words: Words) -> CheckLine:
    if not isinstance(check, Mapping):
        return CheckLine(name=words.text(check), passed=False, note="")
    return CheckLine(
        name=words.text(check.get("name")), passed=check.get("passed") is True, note=words.text(check.get("note"))
    )


def _link(record: Record, chapters: str | None) -> str | None:
    if chapters is None or not record.get("notebook"):
        return None
    anchor = finding_anchor(record.get("id", "")) if record.get("cell") is None else cell_anchor(record["cell"])
    return f"{chapters}{quote(str(record['notebook']), safe='')}.html{fragment(anchor)}"


def _known(part: str, name: str, words: Words) -> str:
    key = f"{part}.{name.replace(' ', '_')}"
    return words(key) if name and words.knows(key) else name


def _is_tier(tier: str) -> bool:
    return len(tier) == 1 and tier in _TIERS


def _is_ratio(unit: str) -> bool:
    return "ratio" in unit.split("_") or "ratio" in unit.split()


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
