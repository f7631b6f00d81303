"""Sentences about how long customers stay: both languages, each branch, and what the rules do is said to be theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.findings.wording.dwell import (
    dwell_alt,
    dwell_check,
    dwell_question,
    dwell_sentence,
    dwell_table,
    furthest,
    limit_text,
    with_customers,
)
from lcm_research.transitions.contingency import Classical
from lcm_research.transitions.dwelling import DwellTimes
from lcm_research.transitions.replicate_wald import ReplicateWald

NAME = {"en": "prospect", "zh": "潜在客户"}
WORDS = {"dormant": "last purchase more than 60 and at most 180 days ago"}


def chance(value: float) -> Estimate:
    return Estimate(value=value, lower=value / 2, upper=min(1.0, value * 2), unit="probability", n=2300)


def gap(value: float, half: float = 2.0) -> Estimate:
    return Estimate(value=value, lower=value - half, upper=value + half, unit="percentage points", n=2300)


def stays(stage: str = "prospect", p: float = 0.0001, **changed: object) -> DwellTimes:
    rows = pd.DataFrame({"dwell_periods": [1, 2, 3, 4], "n_at_risk": [2300, 1500, 1100, 900]})
    rows = rows.assign(staying=[0.7, 0.5, 0.48, 0.4], geometric=[0.9, 0.8, 0.7, 0.6])
    none = np.isnan(p)
    made = DwellTimes(
        stage=stage,
        rows=rows,
        by_clock=(),
        own_doing=False,
        first=chance(0.311),
        later=chance(0.076),
        difference=gap(23.5),
        bounded=False,
        classical=Classical(likelihood_ratio=1300.0, pearson=1250.0, degrees_of_freedom=3),
        replicate=ReplicateWald(
            statistic=np.nan if none else 7.55,
            degrees_of_freedom=(3, 97),
            p_value=p,
            method="none" if none else "hotelling",
            reason="too few" if none else "",
        ),
        fewest_first=(80, 700),
        fewest_later=(60, 400),
        n_stays=2400,
        n_left_out=12,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def said(found: DwellTimes, n_compared: int = 3) -> dict[str, str]:
    return dwell_sentence(found, name=NAME, n_compared=n_compared, n_customers=2241)


def test_a_chance_that_falls_is_settling_or_a_mixture() -> None:
    assert said(stays())["en"] == (
        "A stay in “prospect” ends in its first month with a probability of 31.1%, and in a later month with one of "
        "7.6%: 23.5 percentage points more in the first month (for all 3 stages at once, 95% interval 21.5 to 25.5, "
        "n = 2,241). Of the 3 stages compared, it is the one furthest from the geometric law of a chain, in which both "
        "would be equal: customers differ, and those quick to leave are gone first, or they settle with time."
    )
    assert said(stays())["zh"] == (
        "在“潜在客户”的停留于第一个月结束的概率为 31.1%，之后每月为 7.6%，第一个月高 23.5 个百分点"
        "（3 个阶段同时成立，95% 置信区间 21.5 至 25.5，n = 2,241）。在所比较的 3 个阶段中，"
        "它偏离马尔可夫链的几何分布（两者应相等）最远：客户之间存在差异、易离开者先离开，或客户随时间而稳定。"
    )


def test_a_chance_that_rises_is_no_mixture_alone() -> None:
    found = said(stays(difference=gap(-5.0), own_doing=True), n_compared=1)
    assert found["en"] == (
        "A stay in “prospect” ends by the customer's own doing in its first month with a probability of 31.1%, and in "
        "a later month with one of 7.6%: 5.00 percentage points less in the first month (95% interval −7.00 to −3.00, "
        "n = 2,241). In the geometric law of a chain both would be equal: customers become readier to leave with time, "
        "which differences between them would not do on their own."
    )
    assert found["zh"] == (
        "在“潜在客户”的停留因客户自身行为于第一个月结束的概率为 31.1%，之后每月为 7.6%，第一个月低 5.00 个百分点"
        "（95% 置信区间 −7.00 至 −3.00，n = 2,241）。按马尔可夫链的几何分布，两者应相等："
        "客户随停留时间变得更易离开，仅凭客户之间的差异不会如此。"
    )


def test_what_is_not_separated_is_not_called_a_departure() -> None:
    found = said(stays(difference=gap(1.0)))
    assert found["en"].endswith(
        "; the data do not separate the two (difference 1.00 percentage points; for all 3 stages at once, 95% interval "
        "−1.00 to 3.00, n = 2,241). No stage that can be compared is further from the geometric law of a chain."
    )
    assert found["zh"].endswith(
        "；数据未能区分两者（相差 1.00 个百分点；3 个阶段同时成立，95% 置信区间 −1.00 至 3.00，n = 2,241）。"
        "在可比较的阶段中，没有哪个偏离马尔可夫链的几何分布更远。"
    )
    with pytest.raises(ModelError, match="'prospect' needs its first month compared with later ones; came none"):
        said(stays(difference=None))


def test_the_furthest_stage_is_picked_among_those_that_no_clock_alone_leads_out_of() -> None:
    made = {
        "prospect": stays(),
        "active": stays("active", difference=gap(-40.0), by_clock=("dormant",)),
        "dormant": stays("dormant", difference=gap(-30.0), by_clock=("churned",), own_doing=True),
        "churned": stays("churned", difference=None),
    }
    assert furthest(made, min_group=10) == "dormant"
    few = made | {"dormant": stays("dormant", difference=gap(-30.0), fewest_later=(9, 400))}
    assert furthest(few, min_group=10) == "prospect"
    assert furthest(few, min_group=9) == "dormant"
    assert furthest({"active": made["active"], "churned": made["churned"]}, min_group=10) is None


def test_the_question_and_the_estimate_of_a_finding() -> None:
    assert dwell_question(NAME)["en"] == (
        "Do customers leave the stage “prospect” as readily later as in their first month in it?"
    )
    assert dwell_question(NAME)["zh"] == "客户在“潜在客户”阶段停留更久之后，离开的概率与第一个月相同吗？"
    assert with_customers(stays(), 2241).n == 2241
    with pytest.raises(ModelError, match="needs its first month compared"):
        with_customers(stays(difference=None), 2241)


def test_a_limit_is_worded_from_the_rules() -> None:
    asked = {"names": {"dormant": "dormant", "churned": "churned"}, "words": WORDS}
    clocked = stays("dormant", by_clock=("churned",), bounded=True)
    assert limit_text(clocked, **asked, language="en") == (
        "time alone leads on to “churned” (last purchase more than 60 and at most 180 days ago); no stay went beyond 4 "
        "months"
    )
    assert limit_text(replace(clocked, rows=clocked.rows[:1]), **asked, language="en").endswith("beyond 1 month")
    open_ = replace(clocked, bounded=False)
    assert limit_text(open_, **asked, language="en").endswith("180 days ago)")
    chinese = {"names": {"churned": "流失"}, "words": {"dormant": "超过 60 天"}, "language": "zh"}
    assert limit_text(clocked, **chinese) == "时间推移即转入“流失”（超过 60 天）；没有停留超过 4 个月"  # type: ignore[arg-type]
    assert limit_text(stays(), **asked, language="en") == ""


def test_the_table_blanks_what_rests_on_few_and_corrects_for_stages() -> None:
    made = {
        "prospect": stays(p=0.01),
        "dormant": stays("dormant", p=0.02, fewest_first=(40, 5), by_clock=("prospect",)),
    }
    table = dwell_table(
        made,
        customers={"prospect": 2241, "dormant": 2000},
        names={"prospect": "Prospect", "dormant": "Dormant"},
        words=WORDS,
        min_group=10,
        language="en",
    )
    limit = "time alone leads on to “Prospect” (last purchase more than 60 and at most 180 days ago)"
    assert table.iloc[0].tolist() == ["Prospect", 2241, 2300, "2", chance(0.311), chance(0.076), "0.020", None]
    assert table.iloc[1].tolist() == ["Dormant", 2000, 2300, "2", None, chance(0.076), "0.020", limit]
    high = stays(rows=stays().rows.assign(staying=0.9))
    row = dwell_table(
        {"prospect": high}, customers={"prospect": 9}, names={"prospect": "P"}, words={}, min_group=10, language="zh"
    )
    assert row["median_months"].tolist() == ["> 4"]


def test_the_check_says_the_test_between_groups() -> None:
    found = dwell_check({"prospect": stays(p=0.03), "dormant": stays("dormant", p=0.8)}, "prospect")
    assert found.passed  # .03 of two tests is .06
    assert found.note["en"] == "between groups of customers F = 7.55, p = 0.060 (Holm)"
    assert found.note["zh"] == "按客户组 F = 7.55，p = 0.060（Holm 校正）"
    assert not dwell_check({"prospect": stays()}, "prospect").passed
    untested = dwell_check({"prospect": stays(p=float("nan"))}, "prospect")
    assert (untested.passed, untested.note["en"]) == (False, "not tested: too few")


def test_the_figure_is_told_to_those_who_do_not_see_it() -> None:
    assert dwell_alt({"prospect": stays()}, names={"prospect": "prospect"}, language="en") == (
        "A panel a stage: the share still in it by months, with intervals, against a geometric curve. “prospect”: "
        "40.0% stay longer than 4 months, 60.0% under the geometric law."
    )
    assert dwell_alt({"prospect": stays()}, names={"prospect": "潜在"}, language="zh").endswith(
        "“潜在”：40.0% 停留超过 4 个月，几何分布为 60.0%。"
    )
