"""
How often the null is rejected where it holds, and what is claimed where it does not, over fixed seeds.

``tools/attribution_rates.py`` says it of more worlds.
"""

from __future__ import annotations

import numpy as np
from simulated_credit import CHANNELS, PLACEBO, Truth, ask

SEEDS = range(100)


def test_where_channels_come_at_random_within_strata_tests_reject_one_time_in_twenty() -> None:
    asked = [ask(seed, Truth()) for seed in SEEDS]
    joint = sum(each.joint < 0.05 for each in asked)
    by_channel = (np.array([each.channel for each in asked]) < 0.05).sum(axis=0)
    control = sum(each.control < 0.05 for each in asked)
    # 5 of 100 are right; fewer than 1 or more than 11 come by chance once in 100
    assert 1 <= joint <= 11
    assert ((by_channel >= 1) & (by_channel <= 11)).all()
    assert 1 <= control <= 11
    assert sum(bool(each.claimed) for each in asked) <= 7


def test_beside_an_effective_channel_the_others_are_rarely_claimed() -> None:
    asked = [ask(seed, Truth(effect={"c": 2.0}), placebo=0.15) for seed in SEEDS]
    assert sum("c" in each.claimed_without_control for each in asked) > 80
    others = {*CHANNELS, PLACEBO} - {"c"}
    assert sum(bool(others & {*each.claimed_without_control}) for each in asked) <= 7


def test_where_activity_is_not_observed_the_control_rejects_and_nothing_is_claimed() -> None:
    asked = [ask(seed, Truth(), by_activity=False) for seed in range(40)]
    # without the control a channel of lively people would be claimed nearly always
    assert sum("a" in each.claimed_without_control for each in asked) >= 38
    assert all(each.control < 0.05 for each in asked)
    assert not any(each.claimed for each in asked)
