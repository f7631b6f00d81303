"""Curves of stays: what was seen is solid with its interval, the geometric law hollow, and small groups are cut off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.plots.dwell import dwell_curve, shown_dwells, smallest_at_risk
from lcm_research.plots.style import figure
from lcm_research.stages.moves import Moves
from lcm_research.transitions.dwelling import DwellTimes, stage_dwells

STAGES = ("a", "b")


def dwells() -> dict[str, DwellTimes]:
    """Stays in a fade away; the rules end every stay in b after three months."""
    rng, rows = np.random.default_rng(2), []
    for group in range(100):
        for length in rng.geometric(0.3, 12):
            open_ = length > 8
            rows.append(("a", "(open)" if open_ else "b", min(int(length), 8), True, group, 1))
        rows += [("b", "a", 1, True, group, 3), ("b", "a", 3, True, group, 4)]
    counts = pd.DataFrame(rows, columns=["stage", "next_stage", "dwell_periods", "start_observed", "replicate", "n"])
    clock = np.array([[False, False], [True, False]])
    moves = Moves(stages=STAGES, possible=np.ones((2, 2), dtype=bool), clock=clock, purchase=np.zeros((2, 2), bool))
    return stage_dwells(counts, stages=STAGES, moves=moves, horizon_periods=6)


def test_a_stage_is_cut_off_where_few_customers_are_at_risk_and_left_out_where_little_is_left() -> None:
    customers = {"a": np.array([900, 600, 400, 30, 9, 40]), "b": np.array([700, 400, 400])}
    shown = shown_dwells(dwells(), customers=customers, min_group=10)
    assert {stage: len(found.rows) for stage, found in shown.items()} == {"a": 4, "b": 3}
    assert smallest_at_risk(shown, customers=customers) == 30
    # with two months left there is no curve to look at
    assert list(shown_dwells(dwells(), customers=customers | {"b": np.array([700, 400, 4])}, min_group=10)) == ["a"]
    assert smallest_at_risk({}, customers=customers) == 0


def test_six_stages_at_most_are_drawn_those_with_most_stays() -> None:
    one = dwells()["a"]
    many = {f"s{k}": DwellTimes(**(vars(one) | {"n_stays": 100 * k})) for k in range(8)}
    customers = {stage: np.full(8, 500) for stage in many}
    assert list(shown_dwells(many, customers=customers, min_group=10)) == [f"s{k}" for k in range(2, 8)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_seen_and_geometric_curves_start_at_one_and_the_interval_is_drawn_each_month(language) -> None:
    found = dwells()["a"]
    _, ax = figure()
    dwell_curve(ax, found, name="Stage A", horizon_periods=6, language=language)
    chain, seen = ax.lines
    assert list(seen.get_xdata()) == [0, 1, 2, 3, 4, 5, 6]
    assert list(seen.get_ydata()) == pytest.approx([1.0, *found.rows["staying"]])
    assert list(chain.get_ydata()) == pytest.approx([1.0, *found.rows["geometric"]])
    assert chain.get_markerfacecolor() == "white"
    assert seen.get_markerfacecolor() != "white"
    (whiskers,) = ax.collections
    ends = np.array([segment[:, 1] for segment in whiskers.get_segments()])
    np.testing.assert_allclose(ends, found.rows[["staying_lower", "staying_upper"]])
    assert ax.get_title(loc="left") == "Stage A"
    at_risk = [f"{n:,}" for n in found.rows["n_at_risk"].iloc[[0, -1]]]
    told = {
        "en": f"months in the stage\nstays: {at_risk[0]}\nin month 6: {at_risk[1]}",
        "zh": f"在该阶段的月数\n停留数：{at_risk[0]}\n第 6 个月：{at_risk[1]}",
    }
    assert ax.get_xlabel() == told[language]
    texts = [text.get_text() for text in ax.texts]
    assert texts == [{"en": "chain", "zh": "马尔可夫链"}[language]]


def test_a_stage_that_the_rules_end_says_so() -> None:
    found = dwells()["b"]
    assert found.bounded
    _, ax = figure()
    dwell_curve(ax, found, name="Stage B", horizon_periods=6, language="en")
    assert "ended by the rules" in [text.get_text() for text in ax.texts]
    # a curve that is cut off before that does not
    cut = DwellTimes(**(vars(found) | {"rows": found.rows[:2]}))
    _, other = figure()
    dwell_curve(other, cut, name="Stage B", horizon_periods=6, language="en")
    assert [text.get_text() for text in other.texts] == ["chain"]
