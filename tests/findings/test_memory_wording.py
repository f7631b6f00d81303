"""Sentences about memory: word for word in both languages, and never memory without the other reading."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.memory import (
    alike_check,
    memory_sentence,
    memory_table,
    order_check,
    past_question,
    publishable_stayers,
    stayer_question,
    stayer_sentence,
    stayer_table,
)
from lcm_research.transitions.contingency import Classical
from lcm_research.transitions.homogeneity import Homogeneity
from lcm_research.transitions.memory import COHORT, OVER_TIME, MemoryChecks
from lcm_research.transitions.mover_stayer import MoverStayer
from lcm_research.transitions.order import OrderTest
from lcm_research.transitions.past import PastContrast
from lcm_research.transitions.replicate_wald import ReplicateWald

NAMES = {
    "active": {"en": "active", "zh": "活跃"},
    "dormant": {"en": "dormant", "zh": "沉睡"},
    "churned": {"en": "churned", "zh": "流失"},
    "prospect": {"en": "prospect", "zh": "潜在客户"},
}
LABELS = {"member": {"en": "membership", "zh": "会员身份"}, "region": {"en": "region", "zh": "地区"}}


def points(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="percentage points", n=2454)


def share(value: float, lower: float = 0.0, upper: float = 1.0, n: int = 725) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="share", n=n)


def contrast(**changed: object) -> PastContrast:
    made = PastContrast(
        start="dormant",
        end="active",
        came="active",
        had="dormant",
        probability_came=share(0.226),
        probability_had=share(0.091),
        difference=points(13.5, 11.8, 15.3),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def wald(p: float, method: str = "hotelling") -> ReplicateWald:
    none = method == "none"
    return ReplicateWald(
        statistic=np.nan if none else 12.3,
        degrees_of_freedom=(0, 0) if none else (2, 98),
        p_value=np.nan if none else p,
        method=method,
        reason="too few" if none else "",
    )


def order(number: int, test: ReplicateWald) -> OrderTest:
    classical = Classical(likelihood_ratio=325.1, pearson=340.0, degrees_of_freedom=3)
    return OrderTest(order=number, classical=classical, replicate=test, n=49498, n_left_out=1, by_stage=pd.DataFrame())


def alike(by: str, test: ReplicateWald, freedom: int = 4) -> Homogeneity:
    return Homogeneity(
        statistic=18.5, degrees_of_freedom=freedom, p_value=0.03, by_stage=pd.DataFrame(), replicate=test, by=by
    )


def stayers(p: float, *, excess: tuple[float, float] = (0.003, 0.041), always: float = 0.832) -> MoverStayer:
    rows = [("churned", 725, always, 0.81, 0.26, 0.97, 6.0, 0.0071)]
    columns = ["stage", "n_customers", "always_observed", "always_expected", "stayers", "stay_of_movers"]
    return MoverStayer(
        n_periods=8,
        stayers={"churned": share(0.26, 0.12, 0.475)},
        excess={"churned": share(sum(excess) / 2, *excess)},
        replicate=wald(p),
        rows=pd.DataFrame(rows, columns=[*columns, "likelihood_ratio", "p_value"]),
        reasons={},
    )


def checks(
    second: float = 0.0001, *, member: float = 0.0001, region: float = 0.4, stay: float = 0.0001, **changed: object
) -> MemoryChecks:
    made = MemoryChecks(
        orders={1: order(1, wald(0.0001)), 2: order(2, wald(second))},
        alike={
            OVER_TIME: alike(OVER_TIME, wald(0.0004, "bootstrap")),
            COHORT: alike(COHORT, wald(0.2)),
            "member": alike("member", wald(member)),
            "region": alike("region", wald(region)),
        },
        stayers=stayers(stay),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def said(found: MemoryChecks, *, within: Estimate | None = None, **changed: object) -> dict[str, str]:
    return memory_sentence(contrast(**changed), found, within=within, names=NAMES, labels=LABELS)


START = (
    "Of customers in “dormant” at the end of a month, 22.6% of those who were in “active” a month before are in "
    "“active” a month later, and 9.1% of those who were in “dormant” already"
)
START_ZH = "月末处于“沉睡”的客户中，上月末处于“活跃”的，一个月后有 22.6% 处于“活跃”；上月末已处于“沉睡”的为 9.1%"
GAP = ": 13.5 percentage points more (difference: 95% interval 11.8 to 15.3, n = 2,454)."
GAP_ZH = "，前者高出 13.5 个百分点（差值：95% 置信区间 11.8 至 15.3，n = 2,454）。"
REJECTED = (
    "That the stage before does not matter is rejected over all moves (p < 0.001, Holm): memory or differences between "
    "customers."
)
REJECTED_ZH = "就全部转移而言，“前一阶段无关”被拒绝（p < 0.001，Holm 校正）：这是记忆性，或是客户之间的差异。"


def test_differences_that_were_found_are_named_and_what_is_left_is_said() -> None:
    found = said(checks(), within=points(13.1, 11.3, 14.8))
    assert found["en"] == (
        f"{START}{GAP} {REJECTED} The checks speak for differences between customers: moves differ by membership; more "
        "customers stay in “churned” throughout than a chain expects. Among customers alike in membership, region the "
        "difference is 13.1 percentage points (95% interval 11.3 to 14.8), so these segments do not account for all of "
        "it."
    )
    assert found["zh"] == (
        f"{START_ZH}{GAP_ZH}{REJECTED_ZH}各项检查支持客户之间存在差异：转移因会员身份而异；"
        "始终停留在“流失”的客户多于马尔可夫链的预期。在会员身份、地区相同的客户之间，差值为 13.1 个百分点"
        "（95% 置信区间 11.3 至 14.8），可见这些分组不足以完全解释它。"
    )


def test_what_is_gone_among_customers_alike_speaks_for_differences() -> None:
    found = said(checks(), within=points(0.8, -0.5, 2.1))
    assert found["en"].endswith(
        "Among customers alike in membership, region the data show no such difference (0.800 percentage points, 95% "
        "interval −0.500 to 2.10), which speaks for differences between customers."
    )
    assert found["zh"].endswith(
        "在会员身份、地区相同的客户之间，数据未显示这一差别（0.800 个百分点，95% 置信区间 −0.500 至 2.10），"
        "这支持客户之间存在差异。"
    )


def test_checks_that_find_nothing_speak_for_neither() -> None:
    found = said(checks(member=0.5, stay=0.3))
    assert found["en"] == (
        f"{START}{GAP} {REJECTED} The checks of segments and stayers find no differences between customers, which "
        "speaks for neither: differences that no segment records stay possible."
    )
    assert found["zh"] == (
        f"{START_ZH}{GAP_ZH}{REJECTED_ZH}分组与停留者的检查未发现客户之间的差异，但据此无法判断是哪一种："
        "分组未记录的差异仍有可能。"
    )


def test_without_checks_nothing_speaks() -> None:
    bare = checks(alike={OVER_TIME: alike(OVER_TIME, wald(0.001))}, stayers=None)
    assert said(bare)["en"].endswith(
        f"{REJECTED} Without segments to compare or customers followed for long enough, nothing speaks for the one or "
        "the other."
    )
    assert said(bare)["zh"].endswith("没有可比较的分组，也没有跟踪足够久的客户，无从判断是哪一种。")


def test_checks_with_too_few_to_test_are_no_checks() -> None:
    none = wald(0, "none")
    empty = replace(stayers(0.5), rows=stayers(0.5).rows.iloc[:0].astype(object), stayers={}, excess={}, replicate=none)
    few = checks(alike={"region": alike("region", none)}, stayers=empty)
    assert "nothing speaks for the one or the other" in said(few)["en"]
    assert not alike_check(few, names=NAMES, labels=LABELS).passed
    assert publishable_stayers(empty, min_group=10) == []
    assert stayer_table(empty, names={}, min_group=10).empty


def test_an_order_that_is_not_rejected_is_no_memory() -> None:
    # Holm: .04 is the third smallest of seven tests, so it is multiplied by 5
    found = said(checks(0.04, member=0.5, stay=0.3))
    assert (
        found["en"]
        == f"{START}{GAP} Over all moves the data do not show that the stage before matters (p = 0.200, Holm)."
    )
    assert found["zh"] == f"{START_ZH}{GAP_ZH}就全部转移而言，数据未显示前一阶段有关（p = 0.200，Holm 校正）。"
    untested = checks(orders={1: order(1, wald(0.01)), 2: order(2, wald(0, "none"))})
    assert said(untested)["en"].endswith(
        "There are too few of these moves to test whether the stage before matters in general."
    )
    assert said(untested)["zh"].endswith("此类转移过少，无法检验前一阶段总体上是否有关。")


def test_a_difference_is_less_or_not_separated() -> None:
    less = said(checks(), difference=points(-4.0, -6.0, -2.0))
    assert ": 4.00 percentage points less (difference: 95% interval −6.00 to −2.00, n = 2,454)." in less["en"]
    assert "，前者低 4.00 个百分点（差值：95% 置信区间 −6.00 至 −2.00，n = 2,454）。" in less["zh"]
    open_ = said(checks(), difference=points(1.0, -1.0, 3.0), within=points(0.9, -1.0, 3.0))
    assert (
        "; the data do not separate the two (difference 1.00 percentage points, 95% interval −1.00 to 3.00, n = 2,454)."
        in open_["en"]
    )
    assert "；数据未能区分两者（相差 1.00 个百分点，95% 置信区间 −1.00 至 3.00，n = 2,454）。" in open_["zh"]
    # what was not there cannot be left
    assert "alike" not in open_["en"]
    assert "相同的客户" not in open_["zh"]


def test_a_stage_that_nobody_was_in_already_is_not_said_to_be() -> None:
    found = said(checks(), came="churned", had="active")
    assert "9.1% of those who were in “active”:" in found["en"]
    assert "上月末处于“活跃”的为 9.1%，" in found["zh"]


@pytest.mark.parametrize("within", [None, points(13.1, 11.3, 14.8), points(0.8, -0.5, 2.1)])
@pytest.mark.parametrize("member", [0.0001, 0.5])
def test_memory_is_never_named_alone(within: Estimate | None, member: float) -> None:
    found = said(checks(member=member), within=within)
    assert found["en"].count("memory") == found["en"].count("memory or differences between customers") == 1
    assert found["zh"].count("记忆") == found["zh"].count("这是记忆性，或是客户之间的差异") == 1
    for word in ("because", "effect", "cause"):
        assert word not in found["en"]


def test_the_question_names_the_move() -> None:
    asked = past_question(contrast(), names=NAMES)
    assert asked["en"] == "Does the chance of going from “dormant” to “active” depend on the stage before?"
    assert asked["zh"] == "从“沉睡”到“活跃”的概率与之前所处的阶段有关吗？"


def test_the_table_has_every_test_by_counts_and_by_groups_with_holm() -> None:
    table = memory_table(checks(), labels={"member": "membership"}, cohort="quarter", language="en")
    assert table["test"].tolist() == [
        "the stage now does not matter (order 0 against 1)",
        "the stage before does not matter (order 1 against 2)",
        "the same in every month",
        "the same for every quarter of first contact",
        "the same by membership",
        "the same by region",
        "as many stay for 8 months as a chain expects",
    ]
    assert table["statistic"].tolist()[:3] == [325.1, 325.1, 18.5]
    assert np.isnan(table["statistic"].iloc[-1])
    assert table["degrees_of_freedom"].tolist() == ["3", "3", "4", "4", "4", "4", "–"]
    assert table["p_value"].tolist() == ["< 0.001", "< 0.001", *["0.030"] * 4, "–"]
    assert table["f_degrees_of_freedom"].tolist() == ["2, 98", "2, 98", "bootstrap", *["2, 98"] * 4]
    # seven tests: .0001 four times, .0004, .2, .4: times 7 ... 4, 3, 2, 1
    assert table["p_value_groups"].tolist() == ["< 0.001"] * 3 + ["0.200", "< 0.001", "0.400", "< 0.001"]
    assert table["p_value_holm"].tolist() == ["< 0.001", "< 0.001", "0.001", "0.400", "< 0.001", "0.400", "< 0.001"]
    chinese = memory_table(checks(), labels={"member": "会员身份"}, cohort="year", language="zh")
    assert chinese["test"].tolist()[:5] == [
        "当前阶段无关（0 阶对 1 阶）",
        "前一阶段无关（1 阶对 2 阶）",
        "各月一致",
        "不同首次接触年份一致",
        "按会员身份一致",
    ]
    assert chinese["f_degrees_of_freedom"].iloc[2] == "自助法"


def test_what_could_not_be_tested_is_a_dash() -> None:
    none = checks(alike={"member": alike("member", wald(0, "none"), freedom=0)})
    row = memory_table(none, labels={}, cohort="month", language="en").set_index("test").loc["the same by member"]
    assert row[["degrees_of_freedom", "f_degrees_of_freedom", "p_value_groups", "p_value_holm"]].tolist() == ["–"] * 4


def test_checks_say_what_was_seen() -> None:
    found = order_check(checks())
    assert not found.passed
    assert found.note["en"] == "G² = 325, df = 3; between groups of customers F = 12.3, p < 0.001 (Holm)"
    assert found.note["zh"] == "G² = 325，df = 3；按客户组 F = 12.3，p < 0.001（Holm 校正）"
    assert order_check(checks(0.6)).passed
    untested = order_check(checks(orders={2: order(2, wald(0, "none"))}))
    assert (untested.passed, untested.note["en"]) == (False, "not tested: too few")
    differ = alike_check(checks(), names=NAMES, labels=LABELS)
    assert not differ.passed
    assert differ.note["en"] == (
        "moves differ by membership; more customers stay in “churned” throughout than a chain expects"
    )
    same = alike_check(checks(member=0.5, stay=0.5), names=NAMES, labels=LABELS)
    assert same.passed
    assert same.note["zh"] == "按分组与停留者均未发现差异"
    nothing = alike_check(checks(alike={}, stayers=None), names=NAMES, labels=LABELS)
    assert (nothing.passed, nothing.note["zh"]) == (False, "无可比较，未作检验")


def test_stayers_are_an_explanation_and_not_the_only_one() -> None:
    found = stayer_sentence(stayers(0.01), "churned", name=NAMES["churned"])
    assert found["en"] == (
        "Of customers in “churned” 8 months before the end, 83.2% were in it at every month end since, where a chain "
        "expects 81.0%. A mover-stayer model explains it by 26.0% who never leave (95% interval 12.0% to 47.5%, "
        "n = 725); a chance of leaving that falls with time would look alike."
    )
    assert found["zh"] == (
        "在末月之前 8 个月处于“流失”的客户中，83.2% 此后每个月末都在该阶段，而马尔可夫链预期为 81.0%。"
        "移动者－停留者模型将其解释为有 26.0% 的客户始终不离开（95% 置信区间 12.0% 至 47.5%，n = 725）；"
        "离开概率随时间下降也会呈现同样的结果。"
    )
    none = stayer_sentence(stayers(0.4, excess=(-0.01, 0.02)), "churned", name=NAMES["churned"])
    assert none["en"].endswith(
        "81.0%: the data do not show that any never leave it. A mover-stayer model puts them at 26.0% (95% interval "
        "12.0% to 47.5%, n = 725)."
    )
    assert none["zh"].endswith(
        "81.0%：数据未显示存在始终不离开的客户。移动者－停留者模型的估计为 26.0%"
        "（95% 置信区间 12.0% 至 47.5%，n = 725）。"
    )
    assert stayer_question(NAMES["churned"])["en"] == "How many customers never leave the stage “churned”?"


def test_a_share_of_stayers_that_tells_of_few_customers_is_blanked() -> None:
    # 83.2% of 725 are 603, so 122 did not stay
    assert publishable_stayers(stayers(0.01), min_group=122) == ["churned"]
    assert publishable_stayers(stayers(0.01), min_group=123) == []
    shown = stayer_table(stayers(0.01), names={"churned": "churned"}, min_group=10).iloc[0].tolist()
    assert shown == ["churned", 725, "83.2%", "81.0%", share(0.26, 0.12, 0.475), "0.007"]
    hidden = stayer_table(stayers(0.01), names={"churned": "churned"}, min_group=200).iloc[0].tolist()
    assert hidden == ["churned", 725, None, None, None, None]


def test_stayers_who_are_not_separated_from_none_are_no_difference_and_few_are_not_told() -> None:
    found = said(checks(member=0.5, stayers=stayers(0.0001, excess=(-0.01, 0.02))))
    assert "more customers stay" not in found["en"]
    # 1% of 725 are 7 who stayed
    assert publishable_stayers(stayers(0.01, always=0.01), min_group=8) == []
    assert publishable_stayers(stayers(0.01, always=0.01), min_group=7) == ["churned"]
