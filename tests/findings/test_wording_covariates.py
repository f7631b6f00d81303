"""Sentences about who moves: the numbers, what is held alike, and what a failed guard takes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.wording import covariates as wording
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.panel import ANY
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.covariate_path import PathChange
from lcm_research.transitions.move_contrasts import LeadCheck
from lcm_research.transitions.who_moves import MoveAnswer, asked_moves, levels_in, who_moves

RULES = stage_rules("nadc", window_days=180)
MOVES = possible_moves(RULES)
TEXTS = {key: stage.name for key, stage in RULES.scheme.stages.items()}
NAMES = RULES.scheme.names("en")
PAIR = {"from_name": TEXTS["dormant"], "to_name": TEXTS["active"]}


def points(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit="percentage points", n=2234)


def ratio(value: float) -> Estimate:
    return Estimate(value=value, lower=value / 1.25, upper=value * 1.25, unit="odds_ratio", n=2234)


def counted(rows: Mapping[tuple[str, ...], int], covariates: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts with the same rows in each of the 100 groups, and heads: half as many customers as months."""
    counts = pd.DataFrame([(*key, n) for key, n in rows.items()], columns=[*covariates, "to_stage", "n"])
    counts = counts.assign(from_stage="dormant").merge(pd.DataFrame({"replicate": range(100)}), how="cross")
    parts = [counts.assign(covariate="", level="")]
    parts += [counts.assign(covariate=name, level=counts[name]) for name in covariates]
    heads = pd.concat([part.assign(to_stage=to) for part in parts for to in (part["to_stage"], ANY)])
    keys = ["from_stage", "covariate", "level", "to_stage"]
    heads = heads.groupby(keys, as_index=False)["n"].sum().rename(columns={"n": "n_customers"})
    return counts, heads.assign(n_customers=heads["n_customers"] // 2, replicate=0)


BASIC = {
    **{("1+", "1", "1+", "active"): 4, ("1+", "1", "0", "dormant"): 4, ("1+", "2+", "1+", "active"): 3},
    **{("1+", "2+", "0", "dormant"): 2, ("0", "1", "0", "active"): 2, ("0", "1", "0", "dormant"): 9},
    **{("0", "2+", "0", "active"): 3, ("0", "2+", "0", "dormant"): 7, ("0", "1", "1+", "dormant"): 1},
    **{("0", "1", "1+", "active"): 1, ("1+", "1", "1+", "dormant"): 1, ("1+", "1", "0", "active"): 1},
}


@pytest.fixture(scope="module")
def both_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    return counted(BASIC, ["engaged_before", "bought_before", "engaged_after"])


@pytest.fixture(scope="module")
def answer(both_tables: tuple[pd.DataFrame, pd.DataFrame]) -> MoveAnswer:
    return who_moves(
        both_tables[0],
        move=("dormant", "active"),
        exposure="engaged_before",
        alike_in=["bought_before"],
        guard="engaged_after",
        moves=MOVES,
        customers=both_tables[1],
    )


def told(
    answer: MoveAnswer, adjusted: Estimate, naive: float, lead: LeadCheck | None, refused: str = ""
) -> dict[str, str]:
    headline = replace(answer.headline, adjusted=adjusted, naive=points(naive, naive - 1, naive + 1))
    changed = replace(answer, contrasts=(headline,), lead=lead, lead_refused=refused)
    return wording.contrast_sentence(changed, **PAIR, bought_months=12)


PASSED = LeadCheck(lag=ratio(3), lead=ratio(1.1), more=ratio(2.7))
FAILED = LeadCheck(lag=ratio(3.53), lead=ratio(5.12), more=ratio(0.69))


def test_a_contrast_is_told_with_what_is_held_alike_and_how_it_is_without(answer: MoveAnswer) -> None:
    said = told(answer, points(25.49, 22.39, 28.6), 31.2, PASSED)
    assert said["en"] == (
        "Among customers in the stage “dormant” alike in purchase days in the 12 months before, those who had engaged "
        "in the month before are “active” a month later 25.5 percentage points more often than those who had not "
        "engaged (95% interval 22.4 to 28.6, n = 2,234). As they are, the difference is 31.2 points more. This is "
        "adjusted, not randomised: what was not measured is not held alike."
    )
    assert said["zh"] == (
        "“沉睡”阶段此前 12 个月的购买天数相近的客户中，上月有互动的客户一个月后进入“活跃”阶段的比例比上月没有互动的客户"
        "高 25.5 个百分点（95% 置信区间 22.4 至 28.6，n = 2,234）。未调整的差异为高 31.2 个百分点。"
        "这是经调整的观察性比较，并非随机试验；未测量的因素并未保持一致。"
    )


def test_fewer_moves_are_less_often_and_undecided_ones_are_not_told_apart(answer: MoveAnswer) -> None:
    less = told(answer, points(-5, -7, -3), -6.25, PASSED)
    assert "5.0 percentage points less often" in less["en"]
    assert "difference is 6.2 points less" in less["en"]
    assert "低 5.0 个百分点" in less["zh"]
    unclear = told(answer, points(-0.4, -2, 1.2), 3, PASSED)
    assert (
        "the data do not separate those who had engaged in the month before from those who had not engaged in how "
        "often they are “active” a month later (−0.4 percentage points, 95% interval −2.0 to 1.2, n = 2,234)."
    ) in unclear["en"]
    assert "数据未能区分上月有互动与上月没有互动的客户" in unclear["zh"]
    assert "more often" not in unclear["en"]


def test_a_failed_guard_takes_the_claim_back_in_the_sentence_itself(answer: MoveAnswer) -> None:
    said = told(answer, points(25, 22, 28), 31, FAILED)
    assert "The month after tells as much as the month before" in said["en"]
    assert "this is no estimate of what engaging does" in said["en"]
    assert "这不是互动作用的估计" in said["zh"]
    refused = told(answer, points(25, 22, 28), 31, None, "too few moves")
    assert "The negative control could not be made" in refused["en"]
    assert "阴性对照无法进行" in refused["zh"]


def test_only_a_passed_guard_earns_the_tier_of_an_adjusted_claim(answer: MoveAnswer) -> None:
    assert wording.claim_tier(replace(answer, lead=PASSED)) == "C"
    assert wording.claim_tier(replace(answer, lead=FAILED)) == "D"
    assert wording.claim_tier(replace(answer, lead=None)) == "D"


def test_the_guard_is_told_with_both_ratios(answer: MoveAnswer) -> None:
    check = wording.contrast_check(replace(answer, lead=FAILED))
    assert not check.passed
    assert check.note["en"] == (
        "In one model the odds of the move go with engagement of the month before (odds ratio 3.53, 2.82 to 4.41) and "
        "of the month after (odds ratio 5.12, 4.10 to 6.40). The month after tells as much or more: activity is not "
        "held alike, or engagement follows the move."
    )
    assert "上月互动为 3.53，2.82 至 4.41，次月互动为 5.12" in check.note["zh"]
    passed = wording.contrast_check(replace(answer, lead=PASSED))
    assert passed.passed
    assert passed.note["en"].endswith("The month after tells reliably less.")
    assert passed.note["zh"].endswith("次月的关联明显较弱。")
    missing = wording.contrast_check(replace(answer, lead=None, lead_refused="too few moves"))
    assert (missing.passed, missing.note["en"]) == (False, "Not answered: too few moves.")


@pytest.mark.parametrize(
    ("covariate", "level", "en", "zh"),
    [
        ("engaged_before", "0", "those who had not engaged", "上月没有互动"),
        ("engaged_before", "2-3", "those who had engaged on 2 to 3 days of the month before", "上月有 2 至 3 天互动"),
        (
            "engaged_before",
            "3+",
            "those who had engaged on 3 or more days of the month before",
            "上月有 3 天及以上互动",
        ),
        ("bought_before", "0", "those who had not bought in the 12 months before", "此前 12 个月没有购买"),
        ("bought_before", "1", "those who had bought on 1 day of the 12 months before", "此前 12 个月有 1 天购买"),
        (
            "bought_before",
            "1 / 2-3",
            "those who had bought on 1 or 2 to 3 days of the 12 months before",
            "此前 12 个月有 1 或 2 至 3 天购买",
        ),
    ],
)
def test_levels_are_people_in_a_sentence(answer: MoveAnswer, covariate: str, level: str, en: str, zh: str) -> None:
    found = replace(answer.headline, covariate=covariate, level=level, adjusted=points(5, 4, 6))
    said = wording.contrast_sentence(replace(answer, contrasts=(found,)), **PAIR, bought_months=12)
    assert f", {en} are “active”" in said["en"]
    assert f"中，{zh}的客户一个月后" in said["zh"]


def test_questions_name_the_exposure(answer: MoveAnswer) -> None:
    assert wording.contrast_question(answer.headline, **PAIR)["en"] == (
        "Are customers in the stage “dormant” who engaged more often “active” a month later?"
    )
    bought = wording.contrast_question(replace(answer.headline, covariate="bought_before"), **PAIR)
    assert bought["en"] == "Are customers in the stage “dormant” who bought more often “active” a month later?"
    assert bought["zh"] == "“沉睡”阶段的客户中，购买较多者一个月后更常进入“活跃”阶段吗？"


def test_a_segment_goes_by_its_label() -> None:
    labels = {"region": {"en": "Region", "zh": "地区"}}
    assert wording.covariate_text("region", bought_months=6, labels=labels)["zh"] == "地区"
    assert wording.covariate_text("region", bought_months=6)["en"] == "region"
    assert wording.covariate_text("bought_before", bought_months=6)["zh"] == "此前 6 个月的购买天数"


def test_the_table_has_a_row_for_each_level_with_the_customers_behind_it(
    answer: MoveAnswer, both_tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    found = wording.move_ratio_table(
        [answer], names=NAMES, customers=both_tables[1], bought_months=12, language="en", leave_out=()
    )
    assert found["covariate"].tolist() == [
        "days with engagement in the month before", "purchase days in the 12 months before"
    ]  # fmt: skip
    row = found.iloc[0]
    assert (row["move"], row["level"], row["reference"]) == ("dormant → active", "1 or more", "0")
    # months at 1+: 4 + 4 + 3 + 2 + 1 + 1 in each of 100 groups, of which 4 + 3 + 1 moved; heads are half of them
    assert (row["n_level"], row["n_moved"]) == (750, 400)
    odds = answer.fit.odds_ratio("active", "engaged_before", "1+")
    assert row["odds_ratio"].startswith(f"{odds.value:.2f} ({odds.lower:.2f} to ")
    without = wording.move_ratio_table(
        [answer], names=NAMES, customers=both_tables[1], bought_months=12, language="zh", leave_out=["bought_before"]
    )
    assert len(without) == 1
    assert " 至 " in without["hazard_ratio"].iloc[0]


def test_what_was_left_out_or_joined_is_said_and_small_numbers_are_not(answer: MoveAnswer) -> None:
    cells = replace(
        answer.fit.cells,
        n_unknown=200,
        joined=(("silent_before", "1 / 2-3"), ("quarter", "a / b")),
        constant=("quarter",),
    )
    said = wording.cells_sentence(cells, name=TEXTS["dormant"], min_group=10, bought_months=12)
    assert said["en"] == (
        "“dormant”: 3,800 customer-months; 200 (5.0%) left out because a covariate is not known; joined, being thin: "
        "months without a purchase: 1 or 2 to 3; the same for all, so left out: quarter."
    )
    assert said["zh"] == (
        "“沉睡”：3,800 个客户月，另有 200 个（5.0%）因协变量未知而剔除；因人数少而合并：连续无购买的月数：1 或 2 至 3；"
        "取值单一而不纳入：季度。"
    )
    few = wording.cells_sentence(replace(cells, n_unknown=3), name=TEXTS["dormant"], min_group=10, bought_months=12)
    assert "<10 (<0.3%) left out" in few["en"]


def test_a_calculation_says_what_it_assumes() -> None:
    stages = RULES.stages
    path = PathChange(
        stages=stages,
        as_is=np.array([0.1, 0.1, 0.3, 0.2, 0.3]),
        changed=np.array([0.1, 0.1, 0.35, 0.19, 0.26]),
        differences={stage: points(5, 4, 6) for stage in stages},
        moved_from=("dormant", "churned"),
        covariate="engaged_before",
        level="1+",
        share=0.2,
        n_months=3,
    )
    said = wording.path_sentence(path, names=TEXTS)
    assert said["en"].startswith(
        "A calculation, not a forecast: if in the stages “dormant”, “churned” 20% of those who"
    )
    assert "month after month for 3 months, and nobody joined" in said["en"]
    assert "“沉睡”、“流失”阶段每月没有互动的客户中有 20%" in said["zh"]
    table = wording.path_table(path, names=NAMES)
    assert table.iloc[2].tolist() == ["active", "30.0%", "35.0%", "5.0 (4.0 – 6.0)"]
    assert "no move passed its negative control" in wording.no_path_sentence()["en"]
    assert "没有互动数据表" in wording.no_engagements_sentence()["zh"]


def test_the_alt_text_has_the_numbers(answer: MoveAnswer) -> None:
    found = replace(answer.headline, adjusted=points(25.49, 22.39, 28.6), naive=points(-31.2, -32, -30))
    said = wording.contrast_alt(found, names=NAMES)
    assert said["en"] == (
        "dormant → active, 1 or more: 25.5 percentage points (95% interval 22.4 to 28.6, n = 2,234); "
        "as they are −31.2. "
    )


def test_an_answer_holds_model_contrast_hazard_and_guard_together(
    answer: MoveAnswer, both_tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    assert [(each.level, each.against) for each in answer.contrasts] == [("1+", "0")]
    # 38 months in each of 100 groups, half as many customers
    assert answer.fit.n == answer.headline.adjusted.n == answer.hazard.ratios["engaged_before[1+]"].n == 1900
    assert answer.lead is not None
    assert answer.smallest == answer.headline.n_moved_against == 300
    thin = both_tables[0][both_tables[0]["engaged_after"] == "0"]
    alone = who_moves(
        thin,
        move=("dormant", "active"),
        exposure="engaged_before",
        alike_in=["bought_before"],
        guard="engaged_after",
        moves=MOVES,
        customers=both_tables[1],
    )
    assert alone.lead is None
    assert "covariate 'engaged_after' has only one level" in alone.lead_refused


def test_moves_that_purchases_make_are_asked_about_and_communities_are_not() -> None:
    assert asked_moves(RULES, MOVES, most=9) == [("dormant", "active"), ("prospect", "new"), ("churned", "active")]
    community = stage_rules("community3", window_days=180)
    assert asked_moves(community, possible_moves(community), most=9) == []


def test_levels_stand_in_order_and_a_stage_without_any_is_refused(
    both_tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    counts = both_tables[0].assign(engaged_before=np.resize(["10+", "2-9", "0", "unknown", "1"], len(both_tables[0])))
    assert levels_in(counts, from_stage="dormant", covariate="engaged_before") == ["0", "1", "2-9", "10+"]
    with pytest.raises(Exception, match="no customer-month in 'new' has a known 'engaged_before'"):
        levels_in(counts, from_stage="new", covariate="engaged_before")
