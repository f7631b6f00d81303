"""Associated credit of channels: models side by side, and credit against what volume alone would earn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.null import Excess
from lcm_research.errors import ModelError
from lcm_research.findings.wording.attribution import model_text, points
from lcm_research.findings.wording.common import count
from lcm_research.plots.style import CORRECTED, INK, NAIVE, NULL_BAND, OKABE_ITO, SMALL, wrapped

__all__ = ["credit_against_null", "model_disagreement"]

Language = Literal["en", "zh"]

MARKERS = {"first": "<", "last": ">", "last_non_direct": "^", "linear": "s", "position": "P", "time_decay": "v"}
MARKERS |= {"markov": "o", "shapley": "D"}
COLOUR = OKABE_ITO[0]
NULL_MARK = "#8C8C8C"

TEXT: dict[str, dict[Language, str]] = {
    "share": {"en": "share of associated credit for {of}", "zh": "{of}的关联归因份额"},
    "conversions": {"en": "conversions", "zh": "转化"},
    "value": {"en": "conversion value", "zh": "转化金额"},
    "null": {"en": "what volume and place alone would earn", "zh": "仅凭触达量与位置应得的份额"},
    "beyond": {"en": "beyond it,\npoints", "zh": "超出部分\n（百分点）"},
}


def model_disagreement(
    ax: Axes,
    credits: Sequence[Credit],
    *,
    channels: Sequence[str],
    n_customers: Mapping[str, int],
    language: Language,
) -> Axes:
    """
    Draw each channel's share under each model, with intervals: rules hollow, the Markov model solid.

    Parameters
    ----------
    credits : list of Credit
        Of the same outcome; drawn from top to bottom within each channel.
    channels : list of str
        Channels to draw, from top to bottom.
    n_customers : mapping of channel to int
        Customers whom each channel touched; written under its name.
    """
    rows = np.arange(len(channels))[::-1].astype(float)
    steps = np.linspace(0.27, -0.27, len(credits))
    for credit, step in zip(credits, steps, strict=True):
        places = _places(credit.channels, channels)
        lower, upper = credit.interval()
        solid = credit.model == "markov"
        colour = COLOUR if solid else INK
        ax.hlines(rows + step, lower[places], upper[places], color=colour, linewidth=1.4)
        ax.plot(credit.share[places], rows + step, label=model_text(credit.model)[language], **_mark(credit, colour))
    handles, names = ax.get_legend_handles_labels()
    _key(ax, handles, names, columns=2)
    return _dress(ax, rows, channels, n_customers, credits[0].of, language)


def credit_against_null(
    ax: Axes, excess: Excess, *, channels: Sequence[str], n_customers: Mapping[str, int], language: Language
) -> Axes:
    """
    Draw each channel's share by removal effect (solid) on the share that volume and place alone would earn (grey).

    The difference and its interval, which holds for all channels together, are written beside it.

    Parameters
    ----------
    channels : list of str
        Channels to draw, from top to bottom.
    n_customers : mapping of channel to int
        Customers whom each channel touched; written under its name.
    """
    rows = np.arange(len(channels))[::-1].astype(float)
    places = _places(excess.channels, channels)
    null_lower, null_upper = excess.null.interval()
    lower, upper = excess.credit.interval()
    ax.barh(
        rows,
        (null_upper - null_lower)[places],
        left=null_lower[places],
        height=0.62,
        color=NULL_BAND,
        linewidth=0,
        zorder=1,
    )
    null = excess.null.share[places]
    ax.vlines(null, rows - 0.31, rows + 0.31, color=NULL_MARK, linewidth=2, zorder=2)
    ax.hlines(rows, lower[places], upper[places], color=COLOUR, linewidth=1.8, zorder=3)
    ax.plot(excess.credit.share[places], rows, zorder=4, **_mark(excess.credit, COLOUR))
    _write_differences(ax, excess, places, rows, language)
    grey = Patch(facecolor=NULL_BAND, edgecolor=NULL_MARK, label=wrapped(TEXT["null"][language], width=24))
    dot = Line2D([], [], label=model_text("markov")[language], **_mark(excess.credit, COLOUR))
    _key(ax, [dot, grey], [dot.get_label(), grey.get_label()], columns=1)
    return _dress(ax, rows, channels, n_customers, excess.credit.of, language)


def _key(ax: Axes, handles: Sequence[Any], names: Sequence[Any], *, columns: int) -> None:
    """Explain the marks above the axes, where no channel is drawn."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.3}
    ax.legend(handles, names, ncols=columns, fontsize=SMALL, handletextpad=0.4, columnspacing=1.2, **place)


def _mark(credit: Credit, colour: str) -> dict[str, Any]:
    filled = CORRECTED if credit.model == "markov" else NAIVE
    return {"marker": MARKERS[credit.model], "linestyle": "none", "color": colour, "markersize": 5.5, **filled}


def _places(known: Sequence[str], channels: Sequence[str]) -> list[int]:
    if unknown := sorted(set(channels) - set(known)):
        raise ModelError(f"no journey has the channel '{unknown[0]}'; the credit is of {', '.join(known)}")
    return [list(known).index(channel) for channel in channels]


def _write_differences(ax: Axes, excess: Excess, places: list[int], rows: np.ndarray, language: Language) -> None:
    lower, upper = excess.interval()
    to = {"en": "to", "zh": "至"}[language]
    style: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": SMALL, "color": INK}
    ax.annotate(TEXT["beyond"][language], (1.02, len(rows) - 0.45), **style | {"va": "bottom"}, annotation_clip=False)
    for row, k in zip(rows, places, strict=True):
        text = points(excess.difference[k])
        if np.isfinite(lower[k]):
            text += f" ({points(lower[k])} {to} {points(upper[k])})"
        ax.annotate(text, (1.02, row), **style)


def _dress(
    ax: Axes,
    rows: np.ndarray,
    channels: Sequence[str],
    n_customers: Mapping[str, int],
    of: str,
    language: Language,
) -> Axes:
    labels = [f"{channel}\nn = {count(n_customers[channel])}" for channel in channels]
    ax.set_yticks(rows, labels, fontsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    ax.set_xlabel(TEXT["share"][language].format(of=TEXT[of][language]))
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    return ax
