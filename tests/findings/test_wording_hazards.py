"""Sentences about ratios that change: the verb follows the test, and numbers are those of the fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.findings.wording.hazards import no_steps_sentence, step_sentence, stretch_text
from lcm_research.survival.changing_ratios import StepRatios, step_ratios


@pytest.fixture(scope="module")
def found() -> StepRatios:
    rng = np.random.default_rng(1)
    region = rng.choice(["north", "south"], 3000)
    table = pd.DataFrame({"region": region, "duration_days": rng.geometric(0.04, 3000), "event_observed": True, "n": 1})
    table["replicate"] = rng.integers(0, 100, 3000)
    return step_ratios(table, covariate="region", days=[10, 30], ties="efron", intervals="replicate")


def test_a_stretch_is_named_by_its_ends(found: StepRatios) -> None:
    assert [stretch_text(found, place)["en"] for place in range(3)] == ["until day 10", "days 11 to 30", "from day 31"]
    assert [stretch_text(found, place)["zh"] for place in range(3)] == [
        "第 10 天及以前",
        "第 11 至 30 天",
        "第 31 天及以后",
    ]


def test_the_verb_follows_the_test(found: StepRatios) -> None:
    apart = replace(found, p_value=0.01, chi_square=9.21, n=np.array([3000, 1999, 1234]))
    told = step_sentence(apart, by={"en": "region", "zh": "地区"}, alpha=0.05)
    assert told["en"] == (
        "By region: the hazard ratios differ between the stretches (χ² = 9.21, df = 2, p = 0.010, n = 3,000). "
        "1,234 customers are left at the start of the last stretch, and it compares only them."
    )
    assert told["zh"].startswith("按地区：各时段的风险比不同（χ² = 9.21，df = 2，p = 0.010，n = 3,000）。")
    together = step_sentence(replace(found, p_value=0.3), by="region", alpha=0.05)
    assert "do not separate the hazard ratios of the stretches" in together["en"]
    assert "数据未能区分各时段的风险比" in together["zh"]
    assert "differ between" in step_sentence(replace(found, p_value=0.3), by="region", alpha=0.5)["en"]


def test_days_that_cannot_be_cut_at_are_named() -> None:
    told = no_steps_sentence([30, 90], by={"en": "channel", "zh": "渠道"})
    assert told["en"] == "By channel: too few lapses on one side of each of the days 30, 90 for ratios of their own."
    assert "第 30、90 天" in told["zh"]
    assert no_steps_sentence([30], by={"zh": "渠道"})["en"].startswith("By 渠道: ")
