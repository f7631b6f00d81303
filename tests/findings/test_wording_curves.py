"""What is said about pairs of groups, early and late differences, the days of lapses, and ratios that move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.findings.wording import curves as wording
from lcm_research.survival.comparison import LogRank, log_rank
from lcm_research.survival.proportionality import SchoenfeldResiduals
from lcm_research.survival.replicate_test import ReplicateTest
from lcm_research.survival.smoothed import SmoothedHazard, smoothed_hazard


def test_pairs_are_counted_after_holm() -> None:
    pairs = pd.DataFrame({"p_value_holm": [0.0004, 0.03, 0.2, np.nan]})
    told = wording.pairs_sentence(pairs, alpha=0.05)
    assert told["en"] == ("Of 3 pairs of groups the data separate 2 after Holm's correction (smallest p < 0.001).")
    assert "3 对组中的 2 对" in told["zh"]
    none = wording.pairs_sentence(pairs.tail(2), alpha=0.05)
    assert none["en"] == "Of 1 pair of groups the data separate none, after Holm's correction."
    assert "没有一对" in none["zh"]
    assert wording.pairs_sentence(pairs.tail(1), alpha=0.05)["en"].startswith("No two groups are followed")


def made(p_value: float, by_customers: float | None = None) -> LogRank:
    table = pd.DataFrame({"duration_days": [1, 2, 3], "event_observed": True, "n": 5, "group": ["a", "b", "a"]})
    grouped = None
    if by_customers is not None:
        grouped = ReplicateTest(f_statistic=1.0, degrees_of_freedom=(1, 99), p_value=by_customers)
    return replace(log_rank(table, by="group", rho=0), p_value=p_value, by_customers=grouped)


@pytest.mark.parametrize(
    ("even", "early", "late", "en", "zh"),
    [
        (0.5, 0.5, 0.5, "The data do not separate the curves, whichever days weigh more", "均未能区分"),
        (0.01, 0.01, 0.01, "The curves differ whichever days weigh more", "曲线均存在差异"),
        # one of two further looks must pass at half the level: 0.03 does not
        (0.5, 0.03, 0.5, "The data do not separate the curves", "均未能区分"),
        (0.5, 0.6, 0.02, "The curves differ where late days weigh more, only there", "仅在加大晚期权重时"),
        (0.01, 0.001, 0.6, "The curves differ, most clearly on early days", "以早期最为明显"),
        (0.04, 0.04, 0.04, "The curves differ; the data do not say whether early or late", "早期还是晚期"),
    ],
)
def test_when_curves_differ_follows_the_weights(even: float, early: float, late: float, en: str, zh: str) -> None:
    tests = {"even": made(even), "early": made(early), "late": made(late)}
    told = wording.timing_sentence(tests, alpha=0.05)
    assert told["en"].startswith(en)
    assert zh in told["zh"]
    assert f"late p = {late:.3f}" in told["en"]


def test_the_p_value_comes_from_groups_of_customers_where_they_apply() -> None:
    assert wording.tested(made(0.2, 0.7)) == 0.7
    assert wording.tested(made(0.2, np.nan)) == 0.2
    assert wording.tested(made(0.2)) == 0.2


def hazard(rates: tuple[float, float]) -> SmoothedHazard:
    rng = np.random.default_rng(1)
    days = np.where(np.arange(1, 61) <= 30, *rates)
    lapses = rng.random((4000, 60)) < days
    life = np.where(lapses.any(axis=1), lapses.argmax(axis=1) + 1, 60)
    table = pd.DataFrame({"duration_days": life, "event_observed": lapses.any(axis=1), "n": 1})
    return smoothed_hazard(table, bandwidth_days=10, from_day=0, until_day=55, interval="log")


def test_the_fastest_and_slowest_days_are_named_only_where_they_are_told_apart() -> None:
    found = hazard((0.05, 0.01))
    told = wording.hazard_shape_sentence(found)
    top = int(found.days[np.argmax(found.lower)])
    assert top < 30
    assert told["en"].startswith(f"Customers lapse fastest around day {top} (")
    assert told["en"].endswith(f"n = {found.n_events:,} lapses.")
    assert f"第 {top} 天前后最快" in told["zh"]
    level = wording.hazard_shape_sentence(replace(found, lower=found.lower * 0, upper=found.upper * 10))
    assert level["en"].startswith("Between day 1 and day 55 no stretch of days stands out")
    assert "没有明显突出的时段" in level["zh"]


def residuals(lower: tuple[float, float], upper: tuple[float, float]) -> SchoenfeldResiduals:
    ends = [np.log(np.array(each))[:, None] for each in (lower, upper)]
    middle = (ends[0] + ends[1]) / 2
    return SchoenfeldResiduals(
        names=("group[b]",),
        days=np.array([2, 300]),
        n_events=np.array([5, 5]),
        residual=middle,
        smooth=middle,
        lower=ends[0],
        upper=ends[1],
        coefficients=np.zeros(1),
        variance=np.ones(1),
        n=90,
        level=0.95,
    )


def test_a_ratio_moves_only_where_its_ends_are_told_apart() -> None:
    falls = wording.drift_sentence(residuals((1.5, 0.4), (2.5, 0.9)), "group[b]", "b")
    assert falls["en"].startswith("The hazard ratio of “b” falls from 1.94, 95% interval 1.50 to 2.50 (day 2)")
    assert "下降至" in falls["zh"]
    rises = wording.drift_sentence(residuals((0.4, 1.5), (0.9, 2.5)), "group[b]", "b")
    assert "rises from" in rises["en"]
    assert "上升至" in rises["zh"]
    alike = wording.drift_sentence(residuals((0.8, 0.7), (2.5, 0.9)), "group[b]", "b")
    assert alike["en"].startswith("The ends of the curve of “b” are not told apart")
    assert "未能区分" in alike["zh"]
