"""Columns and bands are as high as the customers they stand for; small groups leave no trace."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.patches import PathPatch, Rectangle

from lcm_research.plots.flow import stage_alluvial
from lcm_research.plots.style import SMALL, colour_of, figure
from lcm_research.transitions.flows import StageFlows

NAMES = {"new": "new", "active": "active", "dormant": "a long name of a stage"}


def flows(small: int = 40) -> StageFlows:
    n = np.zeros((2, 100, 4, 3))
    n[0, 0] = [[10, 50, 0], [0, 70, 30], [0, small, 60], [25, 0, 0]]
    n[1, 0] = [[0, 35, 0], [0, 100, 20 + small], [0, 15, 75], [30, 0, 0]]
    return StageFlows(stages=tuple(NAMES), periods=("2024-03-01", "2024-06-01", "2024-09-01"), n=n)


def drawn(given: StageFlows, min_group: int = 10, language: str = "en"):
    _, ax = figure(height=5.2)
    return stage_alluvial(ax, given, names=NAMES, min_group=min_group, language=language)  # type: ignore[arg-type]


def heights(ax, gid: str | None = None) -> list[float]:
    return [p.get_height() for p in ax.patches if isinstance(p, Rectangle) and p.get_gid() == gid]


def bands(ax) -> list[PathPatch]:
    return [patch for patch in ax.patches if isinstance(patch, PathPatch)]


def test_columns_and_bands_are_as_high_as_their_customers() -> None:
    ax = drawn(flows())
    # 60, 100, 100 at first; 35, 160, 90; 30, 150, 135
    assert heights(ax) == [60, 100, 100, 35, 160, 90, 30, 150, 135]
    assert heights(ax, "entering") == [25, 30]
    thick = sorted(band.get_path().vertices[-2][1] - band.get_path().vertices[0][1] for band in bands(ax))
    assert [abs(n) for n in thick] == pytest.approx(sorted([10, 50, 70, 30, 40, 60, 25, 35, 100, 60, 15, 75, 30]))


def test_bands_fill_each_stage_without_overlapping() -> None:
    ax = drawn(flows())
    arriving = [band.get_path().vertices for band in bands(ax) if band.get_path().vertices[0][0] < 1]
    ends = sorted((min(v[3][1], v[4][1]), max(v[3][1], v[4][1])) for v in arriving)
    assert all(low[1] == pytest.approx(high[0]) for low, high in itertools.pairwise(ends))
    assert (ends[0][0], ends[-1][1]) == pytest.approx((0, 285))
    leaving = sorted(sorted((v[0][1], v[-2][1])) for v in arriving)
    assert all(low[1] == pytest.approx(high[0]) for low, high in itertools.pairwise(leaving))


def test_who_enters_arrives_on_top_of_a_stage() -> None:
    ax = drawn(flows())
    entering = next(band for band in bands(ax) if band.get_path().vertices[0][1] == 260)  # above the 260 of March
    # the highest 25 of the 285 in June are new
    assert entering.get_path().vertices[[3, 4], 1].tolist() == [260, 285]


def test_names_of_small_stages_do_not_cover_one_another() -> None:
    given = flows()
    given.n[:] = 0
    given.n[:, 0, :3, :3] = np.diag([300, 11, 12])
    ax = drawn(given)
    ax.figure.draw_without_rendering()
    boxes = sorted((t.get_window_extent() for t in ax.texts if t.get_ha() == "left"), key=lambda box: box.y0)
    assert len(boxes) == 3
    assert boxes[0].y0 >= ax.get_window_extent().y0 - 2
    assert all(low.y1 <= high.y0 + 2 for low, high in itertools.pairwise(boxes))


def test_small_flows_and_stages_are_not_drawn() -> None:
    shown = drawn(flows(4))
    # 4 from dormant to active, with what would give it away
    assert len(bands(shown)) == len(bands(drawn(flows()))) - flows(4).hidden(0, min_group=10).sum()
    nothing = drawn(flows(), min_group=500)
    assert not bands(nothing)
    assert heights(nothing) == []
    assert [label.get_text() for label in nothing.get_xticklabels()] == [f"2024-0{m}\n·" for m in (3, 6, 9)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_first_and_last_column_are_named_in_their_colours_apart_and_large_enough(language: str) -> None:
    ax = drawn(flows(), language=language)
    ax.figure.draw_without_rendering()
    named = {text.get_text(): text.get_color() for text in ax.texts}
    assert named["new\n23%"] == colour_of("new")  # 60 of 260
    assert named["active\n48%"] == colour_of("active")  # 150 of 315
    assert named["new\n9.5%"] == colour_of("new")
    assert any(("enter" in text) or ("进入" in text) for text in named)
    assert min(text.get_fontsize() for text in [*ax.texts, *ax.get_xticklabels()]) >= SMALL
    for side in ("left", "right"):
        boxes = sorted((t.get_window_extent() for t in ax.texts if t.get_ha() == side), key=lambda box: box.y0)
        assert all(low.y1 <= high.y0 + 2 for low, high in itertools.pairwise(boxes))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2024-03\n260", "2024-06\n285", "2024-09\n315"]
