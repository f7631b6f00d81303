"""Sentences about conclusions under other definitions, word for word on worked numbers, in both languages."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.wording import crosswalk, multiverse_tables
from lcm_research.findings.wording import multiverse as wording
from lcm_research.specification.curve import Specification, SpecificationCurve
from lcm_research.specification.joint import JointTest, MedianTest
from lcm_research.transitions.crosswalk import Agreement
from lcm_research.transitions.multiverse import CONTRASTS, LEVELS, NO_SUCH_STAGE

WORDS = {"group": wording.group_text("members", {"en": "Club", "zh": "会籍"}), "other": "others", "channel": "weibo"}


def estimate(value: float, half: float, unit: str = "percentage points") -> Estimate:
    return Estimate(value=value, lower=value - half, upper=value + half, unit=unit, n=1200)


def curve(*answers: tuple[str, float, float], own: bool = True, unit: str = "percentage points") -> SpecificationCurve:
    """The first answer is the study's own where ``own``."""
    tried = [
        Specification(choices={"scheme": name}, estimate=estimate(value, half, unit), own=own and place == 0)
        for place, (name, value, half) in enumerate(answers)
    ]
    return SpecificationCurve(tried=tuple(tried), null=None if unit == "share" else 0.0)


def test_a_conclusion_that_every_definition_keeps() -> None:
    said = wording.conclusion_sentence(curve(("nadc", 2, 1), ("intro5", 3, 1)), "groups-return", **WORDS)
    assert said["en"] == (
        "In all 2 definitions customers at risk of “Club: members” come back more often than those of “others”, and "
        "every interval excludes 0. By the study's own definition (nadc): 2.00 percentage points (95% interval 1.00 to "
        "3.00, n = 1,200)."
    )
    assert said["zh"] == (
        "全部 2 种定义下，“会籍：members”有流失风险的客户比“others”更常回来，且各区间均不含 0。"
        "按研究自身的定义（nadc）：2.00 个百分点（95% 置信区间 1.00 至 3.00，n = 1,200）。"
    )


def test_a_conclusion_that_some_definitions_reverse() -> None:
    answers = (("nadc", -2, 1), ("a", -1, 2), ("b", 3, 1), ("c", 4, 1), ("d", 5, 1))
    said = wording.conclusion_sentence(curve(*answers), "recency")
    assert said["en"] == (
        "In 2 of 5 definitions customers at risk come back less often than lapsed ones; in 1 the interval excludes 0, "
        "and in 3 it lies beyond 0 on the other side. By the study's own definition (nadc): −2.00 percentage points "
        "(95% interval −3.00 to −1.00, n = 1,200). It is reversed under b; c and 1 more."
    )
    assert said["zh"] == (
        "5 种定义中有 2 种，有流失风险的客户不如已流失客户常回来；其中 1 种的区间不含 0，"
        "另有 3 种的区间完全落在另一侧。"
        "按研究自身的定义（nadc）：−2.00 个百分点（95% 置信区间 −3.00 至 −1.00，n = 1,200）。"
        "在“b”、“c”等 3 种定义下结论相反。"
    )


def test_a_conclusion_that_loses_its_interval_or_its_side() -> None:
    lost = wording.conclusion_sentence(curve(("nadc", 2, 1), ("b", 1, 2)), "recency")
    assert lost["en"].endswith("The interval holds 0 under b.")
    assert lost["zh"].endswith("在“b”下区间含 0。")
    other = wording.conclusion_sentence(curve(("nadc", 2, 1), ("b", -1, 2)), "recency")
    assert other["en"].endswith("It is on the other side, with an interval that holds 0, under b.")
    assert other["zh"].endswith("在“b”下方向相反，但区间含 0。")


def test_where_the_own_definition_does_not_tell_the_sentence_does_not_either() -> None:
    none = wording.conclusion_sentence(curve(("nadc", 0.5, 1), ("b", -0.5, 1)), "recency")
    assert none["en"] == (
        "By the study's own definition (nadc) the data do not tell whether customers at risk come back more often than "
        "lapsed ones: 0.500 percentage points (95% interval −0.500 to 1.50, n = 1,200). In none of 2 definitions does "
        "the interval exclude 0."
    )
    assert none["zh"] == (
        "按研究自身的定义（nadc），数据不能判断是否有流失风险的客户比已流失客户更常回来：0.500 个百分点"
        "（95% 置信区间 −0.500 至 1.50，n = 1,200）。2 种定义的区间均含 0。"
    )
    both_ways = wording.conclusion_sentence(curve(("nadc", 0.5, 1), ("b", 3, 1), ("c", -3, 1)), "recency")
    assert both_ways["en"].endswith(
        "In 2 of 3 definitions the interval excludes 0: 1 on this side, 1 on the other. Under b; c it does."
    )
    assert both_ways["zh"].endswith("3 种定义中有 2 种的区间不含 0：1 种在这一侧，1 种在另一侧。这样的定义有“b”、“c”。")
    opposite = wording.conclusion_sentence(curve(("nadc", 0.5, 1), ("c", -3, 1)), "recency")
    assert "In 1 of 2 definitions the interval excludes 0, on the other side. Under c it does." in opposite["en"]
    assert "2 种定义中有 1 种的区间不含 0，且在另一侧。" in opposite["zh"]


def test_one_definition_alone_is_no_choice_between_definitions() -> None:
    said = wording.conclusion_sentence(curve(("nadc", 2, 1)), "recency")
    assert said["en"].startswith("In the only definition that answers, customers at risk come back more often")
    assert said["zh"].startswith("在唯一能够回答的定义下，有流失风险的客户")


def test_a_study_whose_own_definition_has_no_answer_is_told_so() -> None:
    said = wording.conclusion_sentence(curve(("a", 1, 0.5), ("b", 2, 1), ("c", 3, 1), own=False), "recency")
    assert "The study's own definition has no answer; by the one in the middle (b): 2.00" in said["en"]
    assert "研究自身的定义无法回答；按居中的定义（b）：2.00" in said["zh"]


def test_a_ratio_is_held_against_1() -> None:
    ratios = [
        Specification(
            choices={"window_days": str(days), "lag_periods": "1"},
            estimate=Estimate(value=v, lower=v - 0.1, upper=v + 0.1, unit="hazard_ratio", n=90),
            own=days == 180,
        )
        for days, v in ((90, 0.7), (180, 0.8), (270, 0.95))
    ]
    said = wording.conclusion_sentence(SpecificationCurve(tried=tuple(ratios), null=1.0, scale="log"), "engaged")
    assert said["en"] == (
        "In all 3 definitions engaged customers lapse later than others; in 2 the interval excludes 1. By the study's "
        "own definition (churn window 180 days, lag 1): hazard ratio 0.800 (95% interval 0.700 to 0.900, n = 90). The "
        "interval holds 1 under churn window 270 days, lag 1."
    )
    assert "按研究自身的定义（流失窗口 180 天，滞后期数 1）：风险比 0.800" in said["zh"]


@pytest.mark.parametrize("name", wording.SHORT)
def test_every_question_has_its_words_on_both_sides_without_a_cause(name: str) -> None:
    texts = [wording.claim_text(name, side, **WORDS) for side in (1, -1)]
    texts += [wording.axis_text(name, **WORDS), wording.conclusion_question(name)]
    for text in texts:
        assert set(text) == {"en", "zh"}
        assert "{" not in text["en"] + text["zh"]
        told = text["en"].replace("removal effect", "") + text["zh"]
        assert not re.search(r"because|effect|cause|导致|使得", told)
    assert texts[0] != texts[1]
    assert wording.claim_text(name, 0) == {"en": "there is no difference at all", "zh": "两者毫无差异"}


def test_every_contrast_and_every_level_has_words() -> None:
    assert set(CONTRASTS) <= set(wording.SHORT) == set(wording.AXES) == set(wording.CLAIMS)
    assert set(LEVELS) == set(multiverse_tables.LEVEL_TEXTS)


@pytest.mark.parametrize(
    ("choices", "en", "zh"),
    [
        ({"scheme": "nadc"}, "nadc", "nadc"),
        (
            {"scheme": "nadc", "threshold": "window_days", "before": "180", "after": "90"},
            "nadc, churn window 180 → 90 days",
            "nadc，流失窗口 180 → 90 天",
        ),
        ({"window_days": "personal"}, "churn window of each customer", "流失窗口 按客户个人"),
        ({"lookback_days": "7"}, "lookback 7 days", "回溯期 7 天"),
    ],
)
def test_a_definition_is_named_by_what_it_chose(choices: dict[str, str], en: str, zh: str) -> None:
    assert wording.definition_text(choices, "en") == en
    assert wording.definition_text(choices, "zh") == zh


def test_checks_say_whether_the_answer_is_kept_and_the_whole_curve_agrees() -> None:
    kept, turned = curve(("nadc", 2, 1), ("b", 3, 1)), curve(("nadc", 2, 1), ("b", -3, 1))
    assert wording.same_answer_check(kept).passed
    assert not wording.same_answer_check(turned).passed
    assert wording.same_answer_check(turned).note == {
        "en": "1 of 2 definitions answer otherwise",
        "zh": "2 种定义中有 1 种结论不同",
    }
    far, near = (_median(p) for p in (0.001, 0.4))
    assert wording.whole_curve_check(kept, far).passed
    assert not wording.whole_curve_check(kept, near).passed
    assert wording.whole_curve_check(curve(("nadc", 0.5, 1)), near).passed
    assert not wording.whole_curve_check(curve(("nadc", 0.5, 1)), far).passed
    assert not wording.whole_curve_check(kept, None).passed
    assert wording.whole_curve_check(kept, near).note == {
        "en": "median over 2 definitions not beyond the null (p = 0.400)",
        "zh": "2 种定义的中位数未偏离零假设值（p = 0.400）",
    }


def _median(p: float) -> MedianTest:
    counted = {"n_same_sign": 2, "p_same_sign": p, "n_beyond": 2, "p_beyond": p}
    return MedianTest(median=2.0, p_median=p, n_definitions=2, n_draws=999, **counted)  # type: ignore[arg-type]


def test_tables_hold_a_row_a_question() -> None:
    curves = {"recency": curve(("nadc", 2, 1), ("b", -3, 1)), "lead": curve(("nadc", 2, 1), ("b", 3, 1))}
    answers = multiverse_tables.answer_table(curves, "en")
    assert answers["n_distinct"].tolist() == [2, 2]
    assert answers["n_beyond"].tolist() == [1, 2]
    assert answers["n_reversed"].tolist() == [1, 0]
    assert answers["same_answer"].tolist() == [False, True]
    flipped, note = multiverse_tables.flip_table(curves, "zh")
    assert flipped[["question", "definition", "change"]].to_numpy().tolist() == [
        ["风险客户与流失客户：谁更常回来", "b", "结论相反"]
    ]
    assert note == ""
    assert wording.summary_sentence(curves) == {
        "en": "1 of 2 conclusions are the same under every definition that was tried.",
        "zh": "2 个结论中有 1 个在所试的全部定义下保持不变。",
    }


def test_a_long_table_of_flips_says_how_many_it_leaves_out() -> None:
    many = curve(("own", 5, 1), *((f"s{k}", -5 - k / 10, 1) for k in range(43)))
    shown, note = multiverse_tables.flip_table({"recency": many}, "en")
    assert len(shown) == 40
    assert note == "3 more are not shown."


def test_tests_that_do_not_apply_are_dashes() -> None:
    done = JointTest(statistic=3.0, degrees_of_freedom=(4, 96), p_value=0.02, n_definitions=4, method="hotelling")
    none = JointTest(statistic=np.nan, degrees_of_freedom=(0, 0), p_value=np.nan, n_definitions=1, method="none")
    table = multiverse_tables.joint_table({"recency": (done, none, None), "lead": (none, done, _median(0.3))}, "en")
    assert table[["p_null", "p_agreement", "p_median", "directions"]].to_numpy().tolist() == [
        ["p = 0.020", "–", "–", 4],
        ["–", "p = 0.020", "p = 0.300", 0],
    ]


def test_definitions_without_an_answer_are_counted_with_the_commonest_reason() -> None:
    answered = curve(("nadc", 2, 1)).tried
    reasons = {"a": "too few", "b": NO_SUCH_STAGE, "c": NO_SUCH_STAGE}
    made = SpecificationCurve(tried=answered, null=0.0, unanswered=reasons)
    row = multiverse_tables.unanswered_table({"recency": made}, "zh").iloc[0]
    assert (row["n_tried"], row["n_unanswered"], row["why"]) == (1, 3, "没有客户处于所问的阶段")


def test_a_level_is_told_with_its_range_beside_sampling() -> None:
    made = curve(("nadc", 0.3, 0.01), ("rete6", 0.1, 0.01), ("pal", 0.5, 0.01), unit="share")
    said = multiverse_tables.level_sentence(made, "established")
    # 0.4 from lowest to highest, an interval 0.02 wide
    assert said["en"] == (
        "The share of customer-months called established runs from 10.0% (rete6) to 50.0% (pal). By the study's own "
        "definition (nadc): 30.0% (95% interval 29.0% to 31.0%, n = 1,200). The choice of a definition moves it 20 "
        "times as far as that interval is wide."
    )
    assert said["zh"] == (
        "被称为“稳定”的客户月占比从 10.0%（rete6）到 50.0%（pal）不等。按研究自身的定义（nadc）：30.0%"
        "（95% 置信区间 29.0% 至 31.0%，n = 1,200）。定义的选择使其变动的幅度是该区间宽度的 20 倍。"
    )
    assert not multiverse_tables.spread_check(made).passed
    near = curve(("nadc", 0.3, 0.01), ("b", 0.31, 0.01), unit="share")
    assert multiverse_tables.spread_check(near).passed
    row = multiverse_tables.level_table({"established": made}, "en").iloc[0]
    assert (row["lowest_definition"], row["highest_definition"]) == ("rete6", "pal")
    assert row["times_sampling"] == pytest.approx(20)


def agreement(first: str, second: str, kappa: float) -> Agreement:
    shares = {"agreed": 0.8, "first_established": 0.3, "second_established": 0.4}
    told = {name: estimate(value, 0.01, "share") for name, value in shares.items()}
    return Agreement(first=first, second=second, kappa=estimate(kappa, 0.01, "kappa"), **told)


def test_agreement_is_told_by_the_pair_in_the_middle_and_the_ends() -> None:
    found = [agreement("a", "b", 0.9), agreement("a", "c", 0.6), agreement("b", "c", 0.2)]
    said = crosswalk.agreement_sentence(found)
    assert said["en"] == (
        "Of 3 pairs of schemes the one in the middle (a, c) puts 80.0% of customer-months into the same coarse stage, "
        "kappa 0.600 (95% interval 0.590 to 0.610, n = 1,200); agreement is lowest between b and c (kappa 0.20) and "
        "highest between a and b (0.90)."
    )
    assert said["zh"] == (
        "3 对方案中，居中的一对（a、c）把 80.0% 的客户月归入同一粗阶段，kappa 为 0.600（95% 置信区间 0.590 至 0.610，"
        "n = 1,200）；一致性最低的是 b 与 c（kappa 0.20），最高的是 a 与 b（0.90）。"
    )
    one = crosswalk.agreement_sentence(found[:1])
    assert one["en"].endswith("n = 1,200).")
    assert "lowest" not in one["en"]
    assert crosswalk.width_sentence(found)["en"].startswith(
        "Darker: more alike; no interval reaches further than 0.010"
    )


def test_each_scheme_stands_beside_the_own_one_whichever_is_told_first() -> None:
    found = [agreement("a", "own", 0.9), agreement("own", "b", 0.6), agreement("a", "b", 0.2)]
    table = crosswalk.agreement_table(found, own="own")
    assert table["scheme"].tolist() == ["a", "b"]
    assert [e.value for e in table["own_established"]] == [0.4, 0.3]
    assert [e.value for e in table["established"]] == [0.3, 0.4]
