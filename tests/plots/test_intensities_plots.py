"""Panels of observed and expected shares: what is drawn, and what is left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.estimate import exact_proportion
from lcm_research.plots.intensities import prevalence_panels
from lcm_research.plots.style import figure
from lcm_research.transitions.prevalence import Prevalence

NAMES = {"new": "new", "active": "active", "gone": "gone"}


def found() -> Prevalence:
    rows = []
    for month in range(8):
        here = [max(400 - 60 * month, 0), 50 * month, 5 if month == 7 else 10 * month]
        for stage, n in zip(NAMES, here, strict=True):
            rows.append((month, stage, n, sum(here), exact_proportion(n, sum(here)), 0.1 * month))
    columns = ["months", "stage", "n_observed", "n_followed", "observed", "share_expected"]
    return Prevalence(stages=tuple(NAMES), rows=pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_stage_has_dots_intervals_and_a_line(language) -> None:
    _, axes = figure(nrows=2, ncols=2, sharey=True)
    prevalence_panels(axes, found(), names=NAMES, min_group=10, language=language)
    panels = list(np.ravel(axes))
    assert [ax.get_title(loc="left") for ax in panels[:3]] == list(NAMES)
    assert not panels[3].get_visible()
    for ax in panels[:3]:
        lines = {line.get_gid(): line for line in ax.get_lines()}
        assert list(lines["expected"].get_xdata()) == list(range(8))
        assert len(ax.collections[0].get_segments()) == len(lines["observed"].get_xdata())
    words = {"en": ("observed", "months since the first contact"), "zh": ("实际", "距首次接触的月数")}[language]
    assert any(words[0] in text.get_text() for text in panels[0].texts)
    assert words[1] in panels[2].get_xlabel()


def test_small_groups_are_not_drawn_nor_what_would_give_them_away() -> None:
    _, axes = figure(nrows=2, ncols=2, sharey=True)
    prevalence_panels(axes, found(), names=NAMES, min_group=10, language="en")
    months = {
        stage: [int(x) for x in line.get_xdata()]
        for stage, ax in zip(NAMES, np.ravel(axes), strict=False)
        for line in ax.get_lines()
        if line.get_gid() == "observed"
    }
    assert 7 not in months["gone"]  # 5 customers; new holds nobody then, so active is hidden with it
    assert 7 not in months["active"]
    assert 7 in months["new"]


def test_customers_followed_stand_under_the_last_row_once() -> None:
    _, axes = figure(nrows=2, ncols=2, sharey=True)
    prevalence_panels(axes, found(), names=NAMES, min_group=10, language="en")
    labels = [[label.get_text() for label in ax.get_xticklabels()] for ax in np.ravel(axes)[:3]]
    assert labels[0] == ["0", "6"]
    assert labels[2] == ["0\n400", "6\n400"]
