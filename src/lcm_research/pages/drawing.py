"""
An estimate as a dot on its interval: a small SVG for an ``<img>``, readable in grey, light and dark.

Ratios are drawn on a log scale, so that one half and two are equally far from one; shares never leave 0 to 1.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

__all__ = ["Axis", "data_address", "interval_axis", "interval_svg", "ticks"]

WIDTH, HEIGHT = 320, 62
_MARGIN = 14
_ROW, _BASE, _TOP = 27, 42, 15

_STYLE = (
    "text{font:12px -apple-system,'Segoe UI',Roboto,'Noto Sans','Helvetica Neue',Arial,'PingFang SC',"
    "'Microsoft YaHei','Noto Sans CJK SC',sans-serif;fill:#5a6472}"
    ".axis{stroke:#8b95a1}.null{stroke:#5a6472;stroke-dasharray:4 3}"
    ".bar{stroke:#0a6aa8;stroke-width:3;stroke-linecap:round}.dot,.open{fill:#0a6aa8}"
    ".claim{fill:#fff;stroke:#5a6472;stroke-width:1.5}"
    "@media screen and (prefers-color-scheme:dark){text{fill:#a9b4c0}.null{stroke:#a9b4c0}"
    ".bar{stroke:#6db7e8}.dot,.open{fill:#6db7e8}.claim{fill:#15181d;stroke:#a9b4c0}}"
)


@dataclass(frozen=True)
class Axis:
    """The stretch of numbers that a drawing shows, and how it lies on the paper."""

    low: float
    high: float
    log: bool

    def x(self, value: float) -> float:
        """Return the horizontal place of a value, in pixels, held within the drawing."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, max(value, self.low)))
        share = min(max((at - low) / (high - low), 0.0), 1.0)
        return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1)


def interval_axis(values: list[float], *, ratio: bool, share: bool) -> Axis:
    """
    Return an axis that holds ``values`` with some room on both sides.

    >>> interval_axis([2.0, 10.0, 27.0], ratio=False, share=False)
    Axis(low=-1.0, high=30.0, log=False)
    """
    low, high = min(values), max(values)
    alike = high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-100)
    if ratio and low > 0:
        room = 0.1 if alike else 0.12 * math.log(high / low)
        return Axis(low * math.exp(-room), high * math.exp(room), log=True)
    room = (0.1 * abs(high) or 1.0) if alike else 0.12 * (high - low)
    if share and low >= 0 and high <= 1:
        return Axis(max(low - room, 0.0), min(high + room, 1.0), log=False)
    return Axis(low - room, high + room, log=False)


def ticks(axis: Axis, *, at_most: int = 4) -> list[float]:
    """
    Return round numbers along an axis, at most ``at_most`` of them.

    >>> ticks(Axis(-1.2, 17.3, log=False)), ticks(Axis(0.4, 2.3, log=True))
    ([0.0, 5.0, 10.0, 15.0], [0.5, 1.0, 2.0])
    """
    if axis.log:
        exponents = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
        for steps in ((1, 2, 5), (1,)):
            marks = [_plain(s * 10.0**e) for e in exponents for s in steps if axis.low <= s * 10.0**e <= axis.high]
            if 2 <= len(marks) <= at_most:
                return marks
    span = axis.high - axis.low
    power = 10.0 ** math.floor(math.log10(span / at_most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20, 50)):
        first = math.ceil(axis.low / step - 1e-9)
        marks = [_plain(k * step) for k in range(first, math.floor(axis.high / step + 1e-9) + 1)]
        if len(marks) <= at_most:
            return marks
    return []


def _plain(x: float) -> float:
    """Strip the last bits of a product, so that a tick is 0.3 and not 0.30000000000000004."""
    return float(f"{x:.12g}")


def interval_svg(
    *,
    value: float,
    lower: float | None,
    upper: float | None,
    null: float | None,
    null_text: str,
    claimed: float | None,
    claimed_text: str,
    ratio: bool,
    share: bool,
    label: Callable[[float], str],
) -> str:
    """
    Draw an estimate, its interval, the value that means "nothing there" and the value claimed beforehand.

    Parameters
    ----------
    lower, upper : float or None
        Ends of the interval; an end that is None is open and gets an arrow.
    null, claimed : float or None
        Drawn as a dashed line and as a diamond, where given, with their texts above; the text of the
        diamond gives way where the two would run into each other.
    label : function
        Writes a number under the axis.
    """
    shown = [v for v in (value, lower, upper, null, claimed) if v is not None]
    axis = interval_axis(shown, ratio=ratio, share=share)
    left = axis.x(lower) if lower is not None else _MARGIN - 6.0
    right = axis.x(upper) if upper is not None else WIDTH - _MARGIN + 6.0
    parts = [f'<path class="axis" d="M{_MARGIN - 6} {_BASE}H{WIDTH - _MARGIN + 6}"/>']
    parts += [_tick(axis.x(mark), label(mark)) for mark in ticks(axis)]
    if null is not None:
        parts.append(f'<path class="null" d="M{axis.x(null)} {_TOP}V{_BASE}"/>' + _text(axis.x(null), 11, null_text))
    parts.append(f'<path class="bar" d="M{left} {_ROW}H{right}"/>')
    parts += [_arrow(left, -1)] * (lower is None) + [_arrow(right, 1)] * (upper is None)
    if claimed is not None:
        parts.append(f'<path class="claim" d="M{axis.x(claimed)} {_ROW - 6}l6 6l-6 6l-6 -6z"/>')
        if null is None or _span(axis.x(claimed), claimed_text).isdisjoint(_span(axis.x(null), null_text)):
            parts.append(_text(axis.x(claimed), 11, claimed_text))
    parts.append(f'<circle class="dot" cx="{axis.x(value)}" cy="{_ROW}" r="5.5"/>')
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>{"".join(parts)}</svg>'


def data_address(svg: str) -> str:
    """Return an SVG as the address of an embedded image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _tick(x: float, text: str) -> str:
    return f'<path class="axis" d="M{x} {_BASE}v4"/>' + _text(x, HEIGHT - 4, text)


def _text(x: float, y: float, text: str) -> str:
    """Write a text centred at ``x``, moved inwards where it would be cut off."""
    return f'<text x="{_centre(x, text)}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _half_width(text: str) -> float:
    """Return half of the width of a text in pixels, a little more than most fonts need."""
    return 3.5 * sum(2 if ord(c) > 0x2E7F else 1 for c in text)


def _centre(x: float, text: str) -> float:
    half = _half_width(text)
    return round(min(max(x, half), WIDTH - half), 1)


def _span(x: float, text: str) -> set[int]:
    """Return the pixels that a text at ``x`` takes, with room on both sides."""
    centre, half = _centre(x, text), _half_width(text) + 4
    return set(range(math.floor(centre - half), math.ceil(centre + half)))


def _arrow(x: float, direction: int) -> str:
    return f'<path class="open" d="M{x + 6 * direction} {_ROW}l{-9 * direction} -5v10z"/>'
