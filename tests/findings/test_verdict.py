"""The verdict on a registered hypothesis: one rule, in a fixed order."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.verdict import verdict
from lcm_research.study import Hypothesis


def said(value: float, lower: float, upper: float, /, **claim: Any) -> str:
    estimate = Estimate(value=value, lower=lower, upper=upper, unit="days", n=100)
    return verdict(estimate, Hypothesis(finding="f", claim="c", registered_at=date(2026, 1, 1), **claim))


@pytest.mark.parametrize(
    ("estimate", "claim", "expected"),
    [
        ((0.1, -0.5, 0.7), {"value": 10, "smallest_effect": 2}, "absent"),
        ((-5, -8, -2), {"value": 10}, "opposite"),
        ((9, 5, 13), {"value": 10}, "consistent"),
        ((5, 3, 7), {"value": 10}, "smaller"),
        ((3, -1, 7), {"value": 10}, "smaller"),
        ((15, 12, 18), {"value": 10}, "larger"),
        ((6, -1, 13), {"value": 10}, "inconclusive"),
        ((6, 1, 13), {"direction": "positive"}, "consistent"),
        ((6, -1, 13), {"direction": "positive"}, "inconclusive"),
        ((6, 1, 13), {"direction": "negative"}, "opposite"),
        ((0.7, 0.6, 0.8), {"value": 0.8, "null": 1.0}, "consistent"),
        ((0.5, 0.4, 0.6), {"value": 0.8, "null": 1.0}, "larger"),
        ((0.9, 0.85, 0.95), {"value": 0.8, "null": 1.0}, "smaller"),
    ],
)
def test_each_verdict_has_its_interval(estimate: tuple, claim: dict, expected: str) -> None:
    assert said(*estimate, **claim) == expected


def test_the_90_percent_interval_decides_absence() -> None:
    # 95% ends at 2.05, beyond the smallest effect of 2; the 90% end is 2.05 * 1.6604 / 1.9842 = 1.72
    assert said(0.0, -2.05, 2.05, value=10, smallest_effect=2) == "absent"
