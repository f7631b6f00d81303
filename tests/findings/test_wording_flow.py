"""What is said about flows: the months, the shares, what is left out, in both languages."""

from __future__ import annotations

import numpy as np
import pytest

from lcm_research.findings.wording.flow import (
    changed_question,
    changed_sentence,
    flow_alt,
    flow_table,
    flow_title,
    largest_flow_question,
    largest_flow_sentence,
    left_out_sentence,
)
from lcm_research.transitions.flows import StageFlows

NAMES = {"a": {"en": "active", "zh": "活跃"}, "b": {"en": "dormant", "zh": "沉睡"}}


def flows(last: tuple[int, int] = (30, 20), months: tuple[str, ...] = ("2024-06-01", "2024-09-01")) -> StageFlows:
    """Of 100 in a, 70 stay and ``last[0]`` go to b; 40 stay in b, and ``last[1]`` enter a."""
    n = np.zeros((1, 100, 3, 2))
    n[0, :10] = np.array([[70, last[0]], [0, 40], [last[1], 0]]) / 10
    return StageFlows(stages=("a", "b"), periods=months, n=n)


def test_the_largest_flow_names_both_stages_and_both_months() -> None:
    found = flows()
    said = largest_flow_sentence(found.share(0, "a", "b"), found, ("a", "b"), names=NAMES, clock=False)
    assert said["en"] == (
        "The largest flow between two stages from the end of June 2024 to the end of September 2024 led from “active” "
        "to “dormant”: 30.0% of those in “active” were in “dormant” 3 months later (95% interval 21.2% to 40.0%, "
        "n = 100)."
    )
    assert said["zh"] == (
        "2024 年 6 月末至 2024 年 9 月末，阶段之间最大的流动是从“活跃”到“沉睡”：“活跃”阶段的客户中有 30.0% 在 3 个月后"
        "处于“沉睡”阶段（95% 置信区间 21.2% 至 40.0%，n = 100）。"
    )
    clock = largest_flow_sentence(found.share(0, "a", "b"), found, ("a", "b"), names=NAMES, clock=True)
    assert clock["en"].endswith("n = 100). Within a month time alone makes this move.")
    assert clock["zh"].endswith("这一转移仅由时间推移造成。")
    assert largest_flow_question(found)["en"] == "Who is in another stage 3 months later, and where?"


def test_who_changed_is_told_of_those_known_before() -> None:
    said = changed_sentence(flows().changed(0), flows())
    assert "at the end of June 2024, 21.4% were in another stage 3 months later" in said["en"]  # 30 of 140
    assert "2024 年 6 月末阶段已知的客户中，有 21.4% 在 3 个月后处于另一阶段" in said["zh"]
    single = flows(months=("2024-06-01", "2024-07-01"))
    assert changed_question(single)["en"] == "How many customers are in another stage a month later?"
    assert changed_question(single)["zh"] == "有多少客户在 1 个月后处于另一阶段？"


def test_what_is_left_out_is_told_as_a_share() -> None:
    assert left_out_sentence(flows(), min_group=10)["en"] == "Every flow is drawn."
    # 4 from a to b, and 70 and 40 with it: 114 of 134
    told = left_out_sentence(flows((4, 20)), min_group=10)
    assert told["en"] == "Left out to protect groups of fewer than 10 customers: 100.0% of all."
    small = StageFlows(stages=("a", "b"), periods=("2024-06-01", "2024-09-01"), n=flows((4, 20)).n * 1.0)
    small.n[0, :10, 0, 0] = 1e6
    small.n[0, :10, 1, 1] = 1
    assert left_out_sentence(small, min_group=20)["zh"].startswith("为保护少于 20 人的小组")


def test_table_and_title_speak_the_language_of_the_page() -> None:
    table = flow_table(flows(), names={"a": "活跃", "b": "沉睡"}, min_group=10, language="zh", level=0.9)
    assert table[["from", "to", "n_customers"]].to_numpy().tolist() == [
        ["活跃", "活跃", 70],
        ["活跃", "沉睡", 30],
        ["沉睡", "沉睡", 40],
        ["新进入", "活跃", 20],
    ]
    assert table["share"][1].level == 0.9
    assert flow_title(flows())["en"] == "Flows from the end of June 2024 to that of September 2024"
    assert flow_alt(flows(), names=NAMES, min_group=10)["en"].endswith("leads from active to dormant.")
    assert flow_alt(flows(), names=NAMES, min_group=50)["zh"].endswith("色带相连。")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_sentence_claims_a_cause(language: str) -> None:
    found = flows()
    said = largest_flow_sentence(found.share(0, "a", "b"), found, ("a", "b"), names=NAMES, clock=True)[language]
    assert not any(word in said for word in ("because", "effect", "因为", "导致"))
