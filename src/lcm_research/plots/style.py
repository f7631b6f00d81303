"""How every figure looks: fonts that hold Chinese, and colours that mean one thing everywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import seaborn as sns
from matplotlib import font_manager
from matplotlib.figure import Figure

__all__ = [
    "CORRECTED",
    "INK",
    "LINES",
    "NAIVE",
    "NULL_BAND",
    "OKABE_ITO",
    "SMALL",
    "colour_of",
    "figure",
    "line_of",
    "ratio_marks",
    "wrapped",
]

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8A7A00")
"""Eight hues that stay apart for colour-blind readers (Okabe and Ito 2008; yellow and black replaced for contrast)."""

INK = "#333333"
NULL_BAND = "#D9D9D9"
NAIVE: dict[str, Any] = {"mfc": "white"}
"""Naive estimates are drawn hollow."""
CORRECTED: dict[str, Any] = {}
"""Corrected estimates are drawn solid."""

_MARKS = {
    3.0: (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.7, 2, 2.5),
    10.0: (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10),
    float("inf"): (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100),
}
"""Marks of an axis of ratios, by how many times its lower end its upper end is."""

_STAGES = {
    "prospect": OKABE_ITO[5],
    "new": OKABE_ITO[4],
    "active": OKABE_ITO[2],
    "repurchase": OKABE_ITO[0],
    "dormant": OKABE_ITO[3],
    "churned": OKABE_ITO[1],
    "unknown": "#BBBBBB",
}
_CHANNELS = {
    "weibo": OKABE_ITO[1],
    "wechat": OKABE_ITO[2],
    "douyin": "#222222",
    "search": OKABE_ITO[0],
    "email": OKABE_ITO[4],
    "store": OKABE_ITO[3],
    "kol": OKABE_ITO[6],
    "display": OKABE_ITO[7],
}

LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.4)),
    (0, (7, 1.8, 1.2, 1.8)),
    (0, (10, 3)),
    (0, (3.5, 1.5, 1.2, 1.5, 1.2, 1.5)),
    (0, (2, 3)),
    (0, (12, 2, 3, 2)),
)
"""Dash patterns that stay apart in grey, in the order of the hues."""

SMALL = 9.6
"""Smallest text of a figure, in points: a figure of the default width still shows it at 9 px on a phone of 375 px."""

_RC = {
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.titlesize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "xtick.major.size": 4,
    "ytick.major.size": 4,
    "axes.unicode_minus": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "lcm_research",
    "figure.constrained_layout.use": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
}


def _families() -> list[str]:
    """Return the installed fonts that figures may use, the first with a glyph draws it; only full names fall back."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    wanted = (
        "DejaVu Sans",
        "Noto Sans CJK SC",
        "Noto Sans CJK JP",
        "Source Han Sans SC",
        "Microsoft YaHei",
        "PingFang SC",
    )
    return [family for family in wanted if family in installed]


def colour_of(name: str, order: Sequence[str] = ()) -> str:
    """
    Return the colour that stands for a stage, a channel or a group, the same on every page.

    Names that the palette does not know take the hue of their place in ``order``; the ninth and later are grey.
    """
    known = _STAGES | _CHANNELS
    if name in known:
        return known[name]
    if name in order:
        place = list(order).index(name)
        return OKABE_ITO[place] if place < len(OKABE_ITO) else "#999999"
    return OKABE_ITO[int(hashlib.md5(name.encode()).hexdigest(), 16) % len(OKABE_ITO)]


def line_of(place: int) -> Any:
    """Return the dash pattern of the line in a figure's ``place``, counted from 0; they repeat after eight."""
    return LINES[place % len(LINES)]


def ratio_marks(low: float, high: float) -> list[float]:
    """Return the marks of a logarithmic axis of ratios from ``low`` to ``high``."""
    marks = next(marks for most, marks in _MARKS.items() if high / low <= most)
    return [mark for mark in marks if low <= mark <= high]


def wrapped(text: str, *, width: int) -> str:
    """
    Break lines so that none is wider than ``width`` letters; a Chinese character counts as two.

    >>> wrapped("hazard ratio of lapsing", width=14).splitlines()
    ['hazard ratio', 'of lapsing']
    """
    lines = []
    for line in text.split("\n"):
        made, used = "", 0
        for piece in re.findall(r"[!-~]+ ?|.", line):
            size = sum(2 if letter > "\u2e80" else 1 for letter in piece.rstrip())
            if used + size > width and made:
                lines.append(made.rstrip())
                made, used = "", 0
            made, used = made + piece, used + size + piece.endswith(" ")
        lines.append(made.rstrip())
    return "\n".join(lines)


def figure(
    *, ncols: int = 1, nrows: int = 1, width: float = 5.4, height: float = 4.0, **options: Any
) -> tuple[Figure, Any]:
    """
    Return a figure in the house style and its Axes (one, or an array of them); sizes in inches.

    As wide as a column of text, so that its letters are about as large as those around it, and not much smaller where
    a phone shrinks it.
    """
    sns.set_theme(context="notebook", style="ticks", rc=_RC | {"font.family": _families()})
    made = Figure(figsize=(width, height))
    return made, made.subplots(nrows=nrows, ncols=ncols, **options)
