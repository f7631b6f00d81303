"""Where the marks of an estimate lie, and the words that stand for them."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcm_research.pages.drawing import WIDTH, Axis, interval_axis, interval_svg, ticks


def draw(**more: Any) -> str:
    given_: dict[str, Any] = {
        "value": 10.0,
        "lower": 5.0,
        "upper": 15.0,
        "null": 0.0,
        "null_text": "no difference",
        "claimed": None,
        "claimed_text": "",
        "ratio": False,
        "share": False,
        "label": lambda x: f"{x:g}",
    }
    return interval_svg(**(given_ | more))


def places(svg: str) -> tuple[float, float, float]:
    bar = re.search(r'class="bar" d="M([\d.-]+) \d+H([\d.]+)"', svg)
    dot = re.search(r'class="dot" cx="([\d.]+)"', svg)
    assert bar
    assert dot
    return float(bar.group(1)), float(dot.group(1)), float(bar.group(2))


def test_marks_lie_where_the_numbers_say() -> None:
    # values 0 to 15 and 12% room: axis -1.8 to 16.8, 292 pixels from 14; 5 is at 14 + 292 * 6.8 / 18.6 = 120.8
    svg = draw()
    assert places(svg) == (120.8, 199.2, 277.7)
    assert 'class="null" d="M42.3' in svg  # 14 + 292 * 1.8 / 18.6
    assert "no difference" in svg


def test_ratios_are_drawn_on_a_log_scale() -> None:
    # 1/2 and 2 lie equally far from 1, in the middle of the drawing
    left, dot, right = places(draw(value=1.0, lower=0.5, upper=2.0, null=1.0, ratio=True))
    assert dot == WIDTH / 2
    assert dot - left == pytest.approx(right - dot, abs=0.11)


def test_shares_never_leave_zero_to_one() -> None:
    assert interval_axis([0.01, 0.99], ratio=False, share=True) == Axis(0.0, 1.0, log=False)


def test_an_open_end_has_an_arrow_at_the_edge() -> None:
    assert draw().count('class="open"') == 0
    assert draw(upper=None).count('class="open"') == 1
    assert draw(lower=None, upper=None).count('class="open"') == 2


def test_a_claimed_value_is_a_diamond_with_its_words() -> None:
    svg = draw(claimed=15.0, claimed_text="claimed 15")
    assert 'class="claim"' in svg
    assert "claimed 15" in svg


def test_words_that_would_run_into_each_other_give_way_to_the_null() -> None:
    svg = draw(claimed=1.0, claimed_text="claimed 1")
    assert 'class="claim"' in svg
    assert "claimed 1" not in svg
    assert "no difference" in svg


def test_hostile_words_are_escaped() -> None:
    assert "<script" not in draw(null_text="</text><script>alert(1)</script>")


@given(
    low=st.floats(-1e12, 1e12, allow_nan=False),
    width=st.floats(0, 1e12, allow_nan=False),
    ratio=st.booleans(),
    null=st.sampled_from([None, 0.0, 1.0]),
)
def test_everything_lies_on_the_paper(low: float, width: float, ratio: bool, null: float | None) -> None:
    if ratio:
        low, null = abs(low) + 1e-6, null or 1.0
    svg = draw(value=low + width / 2, lower=low, upper=low + width, null=null, ratio=ratio)
    for number in re.findall(r'(?:c?x="|M)(-?[\d.]+)', svg):
        assert 0 <= float(number) <= WIDTH


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), log=st.booleans())
def test_ticks_are_few_and_on_the_axis(low: float, width: float, log: bool) -> None:
    low = abs(low) + 1e-3 if log else low
    axis = Axis(low, low + width, log=log)
    marks = ticks(axis)
    assert len(marks) <= 4
    assert all(axis.low - 1e-6 * width <= mark <= axis.high + 1e-6 * width for mark in marks)
    assert marks == sorted(marks)
    assert all(math.isfinite(mark) for mark in marks)
