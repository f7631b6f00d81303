"""How every figure looks: fonts that hold Chinese, and colours that mean one thing everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import seaborn as sns
from matplotlib import font_manager
from matplotlib.figure import Figure

__all__ = ["CORRECTED", "INK", "NAIVE", "NULL_BAND", "OKABE_ITO", "colour_of", "figure"]

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8A7A00")
"""Eight hues that stay apart for colour-blind readers (Okabe and Ito 2008; yellow and black replaced for contrast)."""

INK = "#333333"
NULL_BAND = "#D9D9D9"
NAIVE: dict[str, Any] = {"mfc": "white"}
"""Naive estimates are drawn hollow."""
CORRECTED: dict[str, Any] = {}
"""Corrected estimates are drawn solid."""

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

_RC = {
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


def figure(
    *, ncols: int = 1, nrows: int = 1, width: float = 7.2, height: float = 4.0, **options: Any
) -> tuple[Figure, Any]:
    """Return a figure in the house style and its Axes (one, or an array of them); sizes in inches."""
    sns.set_theme(context="notebook", style="ticks", rc=_RC | {"font.family": _families()})
    made = Figure(figsize=(width, height))
    return made, made.subplots(nrows=nrows, ncols=ncols, **options)
