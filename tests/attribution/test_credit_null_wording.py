"""What is said of credit beyond the null, in both languages, as the numbers turn."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_credit import Simulated, Truth, simulate

from lcm_research.attribution.negative_control import NegativeControl, negative_control_test
from lcm_research.attribution.null import Excess, credit_beyond_null
from lcm_research.attribution.null_power import conversions_needed
from lcm_research.findings.wording.credit_null import (
    activity_check,
    claim_sentence,
    conversions_needed_sentence,
    joint_null_sentence,
)


@pytest.fixture(scope="module")
def effective() -> Simulated:
    return simulate(Truth(effect={"c": 2.5}), np.random.default_rng(1))


def answers(made: Simulated, *, by_activity: bool) -> tuple[Excess, NegativeControl]:
    ends = made.ends(by_activity=by_activity)
    return credit_beyond_null(made.edges(), of="conversions", ends=ends), negative_control_test(ends)


def test_an_effective_channel_is_named_with_its_size(effective: Simulated) -> None:
    excess, control = answers(effective, by_activity=True)
    said = claim_sentence(excess, control)
    size = f"{100 * excess.difference[2]:.2f}"
    assert said["en"] == f"Credited beyond volume, among customers of the same stratum: c ({size} points)."
    assert said["zh"] == f"在同层客户之间，归因超出触达量的渠道：c（{size} 个百分点）。"
    f = excess.test()
    assert joint_null_sentence(excess)["en"].startswith(
        "Credit differs from what volume and place alone would earn (F(4, 96)"
    )
    assert f"{f.f_statistic:.1f}" in joint_null_sentence(excess)["zh"]


def test_a_finding_is_demoted_where_activity_is_not_separated(effective: Simulated) -> None:
    excess, control = answers(effective, by_activity=False)
    assert claim_sentence(excess, control)["en"] == (
        "No channel is said to be credited beyond its volume: activity not separated."
    )
    assert claim_sentence(excess, control)["zh"].endswith("：活跃度未能分离。")
    check = activity_check(control)
    assert not check.passed
    assert check.note["en"].startswith(f"Activity not separated: of {control.n_control:,} journeys")
    assert "end with a (F(4, 96)" in check.note["en"]
    assert "以 a 结束" in check.note["zh"]


def test_without_an_effect_nothing_is_said_to_differ() -> None:
    excess, control = answers(simulate(Truth(), np.random.default_rng(0)), by_activity=True)
    assert claim_sentence(excess, control)["en"] == "The data do not show any channel credited beyond its volume."
    assert joint_null_sentence(excess)["en"].startswith("The data do not show that credit differs")
    assert "未显示" in joint_null_sentence(excess)["zh"]
    check = activity_check(control)
    assert check.passed
    assert check.note["en"].startswith("Not seen to depend on it")


def test_what_was_not_tested_is_said_to_be_so_and_why() -> None:
    excess, control = answers(simulate(Truth(n_customers=30, journeys=0), np.random.default_rng(6)), by_activity=True)
    assert joint_null_sentence(excess) == {
        "en": "Whether credit differs from what volume and place alone would earn was not tested: too few customers "
        "converted for a test.",
        "zh": "未检验归因是否不同于仅凭触达量与位置应得的水平：转化客户过少，无法检验。",
    }
    for check in (activity_check(control), activity_check(None)):
        assert not check.passed
        assert check.note["en"].startswith("Not tested: ")
        assert check.note["zh"].startswith("未检验：")


def test_how_many_conversions_it_takes_is_said_with_how_many_there_are(effective: Simulated) -> None:
    excess, _ = answers(effective, by_activity=True)
    needed = conversions_needed(excess, law=None, points=2, power=0.8)
    row = needed.set_index("channel").loc["b"]
    said = conversions_needed_sentence(needed, "b", points=2, power=0.8)
    assert said["en"] == (
        "For b to stand out with a probability of 80% where its credit lies 2.0 points beyond its volume would take "
        f"about {row['n_conversions_needed']:,.0f} conversions; there are {row['n_conversions']:,}."
    )
    assert f"需要 {row['n_conversions_needed']:,.0f} 次转化" in said["zh"]
    unknown = needed.assign(n_conversions_needed=np.nan)
    assert conversions_needed_sentence(unknown, "b", points=2, power=0.8)["en"].startswith("Too few journeys come to b")
    least = conversions_needed_sentence(needed.assign(se_from="permutation"), "b", points=2, power=0.8)
    assert "conversions, at the least; there are" in least["en"]
