"""Flows between stages over some periods: columns of stages, and bands as wide as the customers who made a move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from lcm_research.findings.wording.common import count, percent
from lcm_research.plots.style import INK, NULL_BAND, SMALL, colour_of, wrapped
from lcm_research.plots.time_axis import BLANK, LINE_POINTS
from lcm_research.transitions.flows import StageFlows

__all__ = ["stage_alluvial"]

Language = Literal["en", "zh"]
NODE = 0.055
"""Half the width of a column."""
STAY, MOVE = 0.28, 0.62
"""How solid a band is drawn; who changes stage stands out."""

TEXT: dict[str, dict[Language, str]] = {
    "ends": {"en": "end of the month; n = customers of known stage", "zh": "月末；n = 阶段已知的客户数"},
    "enter": {"en": "enter by the next", "zh": "到下一列之前进入"},
}


def stage_alluvial(
    ax: Axes, flows: StageFlows, *, names: Mapping[str, str], min_group: int, language: Language
) -> Axes:
    """
    Draw each chosen period as a column of stages, and the flows between as bands in the colour they come from.

    Heights are customers. Who enters before the next column stands hatched on top of a column. Who changes stage is
    drawn more solid than who stays. Stages are named, with their share, beside the first and the last column; these
    are counts of all customers, not estimates, so they have no interval.

    Parameters
    ----------
    names : mapping of stage to name
        In the language of the figure, in the order of the stages.
    min_group : int
        Flows and stages of fewer customers are not drawn, nor those that would give them away.
    """
    last = len(flows.periods) - 1
    bottoms = [_bottoms(flows.stock(t)) for t in range(last + 1)]
    for step in range(last):
        _draw_step(ax, flows, step, bottoms[step], bottoms[step + 1], flows.hidden(step, min_group=min_group))
    for t in range(last + 1):
        _draw_column(ax, flows, t, bottoms[t], min_group)
    tallest = flows.stock(last).sum()
    ax.set(xlim=(-NODE, last + NODE), ylim=(0, 1.005 * tallest))
    for t, side in ((0, "left"), (last, "right")):
        _name_column(ax, flows, t, bottoms[t], side, names, min_group, language)
    totals = [flows.stock(t).sum() for t in range(last + 1)]
    texts = [
        f"{period[:7]}\n{BLANK if 0 < n < min_group else count(n)}"
        for period, n in zip(flows.periods, totals, strict=True)
    ]
    ax.set_xticks(range(last + 1), texts, fontsize=SMALL)
    ax.set_xlabel(TEXT["ends"][language])
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _bottoms(stock: np.ndarray) -> np.ndarray:
    """Return where each stage begins in a column: the first stage is on top."""
    return np.cumsum(stock[::-1])[::-1] - stock


def _draw_step(ax: Axes, flows: StageFlows, step: int, left: np.ndarray, right: np.ndarray, hidden: np.ndarray) -> None:
    """Draw the bands of a step; within a stage they leave and arrive in the order of the stages."""
    n = flows.n[step].sum(axis=0)
    size = len(flows.stages)
    # in each stage, from its top: who arrives from the first stage, and last who enters
    tops_left = np.append(left + flows.stock(step), flows.stock(step).sum() + n[-1].sum())
    leaves = tops_left[:, None] - np.cumsum(n, axis=1)
    order = [size, *range(size)]  # who enters comes from above, so arrives on top
    arrives = np.empty_like(n)
    arrives[order] = (right + flows.stock(step + 1))[None, :] - np.cumsum(n[order], axis=0)
    for i, j in zip(*np.nonzero((n > 0) & ~hidden), strict=True):
        enters = i == size
        colour = NULL_BAND if enters else colour_of(flows.stages[i], list(flows.stages))
        alpha = 0.75 if enters else STAY if i == j else MOVE
        _band(ax, step, leaves[i, j], arrives[i, j], n[i, j], colour, alpha)


def _band(ax: Axes, step: int, left: float, right: float, n: float, colour: str, alpha: float) -> None:
    start, end = step + NODE, step + 1 - NODE
    middle = (start + end) / 2
    corners = [(start, left), (middle, left), (middle, right), (end, right)]
    back = [(end, right + n), (middle, right + n), (middle, left + n), (start, left + n)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    path = Path([*corners, *back, corners[0]], codes)
    ax.add_patch(PathPatch(path, facecolor=colour, alpha=alpha, edgecolor="white", lw=0.4))


def _draw_column(ax: Axes, flows: StageFlows, t: int, bottoms: np.ndarray, min_group: int) -> None:
    stock, hidden = flows.stock(t), flows.hidden_stock(t, min_group=min_group)
    box: dict[str, Any] = {"width": 2 * NODE, "edgecolor": "white", "lw": 0.8}
    for stage, n, bottom, unseen in zip(flows.stages, stock, bottoms, hidden, strict=True):
        if n > 0 and not unseen:
            colour = colour_of(stage, list(flows.stages))
            ax.add_patch(Rectangle((t - NODE, bottom), height=n, facecolor=colour, **box))
    if t < len(flows.n):
        entering = flows.n[t, :, -1].sum()
        if entering >= min_group:
            top = {"facecolor": "white", "edgecolor": "#8C8C8C", "hatch": "////", "lw": 0.6, "gid": "entering"}
            ax.add_patch(Rectangle((t - NODE, stock.sum()), height=entering, **box | top))


def _name_column(
    ax: Axes,
    flows: StageFlows,
    t: int,
    bottoms: np.ndarray,
    side: str,
    names: Mapping[str, str],
    min_group: int,
    language: Language,
) -> None:
    """Write stages with their shares beside a column, apart from one another, with a stroke to the stage."""
    stock = flows.stock(t)
    hidden = flows.hidden_stock(t, min_group=min_group)
    texts, middles, colours = [], [], []
    for stage, n, bottom, unseen in zip(flows.stages, stock, bottoms, hidden, strict=True):
        if n > 0 and not unseen:
            texts.append(
                f"{wrapped(names[stage], width=12)}\n{percent(n / stock.sum(), 0 if n >= 0.1 * stock.sum() else 1)}"
            )
            middles.append(bottom + n / 2)
            colours.append(colour_of(stage, list(flows.stages)))
    entering = flows.n[t, :, -1].sum() if t < len(flows.n) else 0
    if entering >= min_group:
        texts.append(wrapped(TEXT["enter"][language], width=12))
        middles.append(stock.sum() + entering / 2)
        colours.append(INK)
    sign, align = (-1, "right") if side == "left" else (1, "left")
    edge = t + sign * NODE
    for text, middle, place, colour in zip(texts, middles, _apart(ax, texts, middles), colours, strict=True):
        ax.plot([edge, edge + sign * 0.1], [middle, place], color=colour, lw=0.8, clip_on=False, gid="key")
        style: dict[str, Any] = {"ha": align, "va": "center", "fontsize": SMALL, "color": colour, "linespacing": 1.05}
        ax.annotate(text, (edge + sign * 0.12, place), annotation_clip=False, **style)


def _apart(ax: Axes, texts: Sequence[str], middles: Sequence[float]) -> list[float]:
    """Move the places of texts apart as far as their lines need, and back below the top of the axes."""
    top = ax.get_ylim()[1]
    per_point = top / (ax.get_window_extent().height * 72 / ax.figure.dpi)
    room = [(text.count("\n") + 1) * LINE_POINTS * per_point / 2 for text in texts]
    order = [int(k) for k in np.argsort(middles, kind="stable")]
    places = [float(middle) for middle in middles]
    floor = 0.0
    for k in order:
        places[k] = max(places[k], floor + room[k])
        floor = places[k] + room[k]
    # from the top down again, where the uppermost would stand above the axes
    ceiling = top
    for k in reversed(order):
        places[k] = min(places[k], ceiling - room[k])
        ceiling = places[k] - room[k]
    return places
