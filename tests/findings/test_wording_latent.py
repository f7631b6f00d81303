"""Sentences about hidden stages beside those of the rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lcm_research.estimate import N_GROUPS, Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording import latent as wording
from lcm_research.transitions.hidden_agreement import Agreement, HiddenChoice
from lcm_research.transitions.hidden_markov import HiddenMarkov

CHURNED, ACTIVE = {"en": "churned", "zh": "流失"}, {"en": "active", "zh": "活跃"}
SHARE = Estimate(value=0.912, lower=0.9, upper=0.925, unit="share", n=1200)
GOOD, BAD = (Check(name="a check", passed=passed) for passed in (True, False))


def model(n_states: int, log_likelihood: float, n_behaviours: int = 3) -> HiddenMarkov:
    emission = np.zeros((n_states, n_behaviours))
    emission[:, 0] = 1 - np.linspace(0.02, 0.6, n_states)
    emission[:, 1] = 0.75 * (1 - emission[:, 0])
    emission[:, -1] = 0.25 * (1 - emission[:, 0])
    return HiddenMarkov(
        initial=np.full((2, n_states), 1 / n_states),
        transition=np.full((n_states, n_states), 0.1) + np.eye(n_states) * (1 - 0.1 * n_states),
        emission=emission,
        log_likelihood=log_likelihood,
        n_parameters=10,
        n_customers=1000,
    )


def choice(*models: HiddenMarkov) -> HiddenChoice:
    kinds = models[0].emission.shape[1]
    best = min(models, key=lambda m: m.bic)
    return HiddenChoice(best=best, tried=models, bought=np.arange(kinds) % 3 > 0)


def agreed(n: list[list[int]]) -> Agreement:
    grouped = np.zeros((N_GROUPS, *np.shape(n)))
    grouped[0] = n
    index = Estimate(value=0.47, lower=0.45, upper=0.49, unit="index", n=3189)
    return Agreement(
        stages=("active", "churned"),
        grouped=grouped,
        certainty=index,
        mutual_information=replace(index, value=0.4, lower=0.38, upper=0.42),
        adjusted_rand=index,
    )


def test_the_share_that_hardly_buys_is_told_given_the_model() -> None:
    said = wording.least_buying_sentence(SHARE, name=CHURNED, buying=0.0123, checks=[GOOD])
    assert said == {
        "en": "Of customers whom the rules call “churned”, 91.2% are most likely in the hidden stage that buys least, "
        "in 1.2% of months (95% interval 90.0% to 92.5% given the fitted model, n = 1,200).",
        "zh": "规则判定为“流失”的客户中，91.2% 最可能处于购买最少的隐藏阶段，该阶段的月购买概率为 1.2%"
        "（拟合模型给定时的 95% 置信区间 90.0% 至 92.5%，n = 1,200）。",
    }
    doubted = wording.least_buying_sentence(SHARE, name=CHURNED, buying=0.0123, checks=[GOOD, BAD])
    assert doubted["en"] == said["en"] + (
        " A check of the hidden stages failed: they describe, and do not confirm the rules."
    )
    assert doubted["zh"] == said["zh"] + "隐藏阶段有检查未通过，因此只作描述，不足以印证规则。"
    rare = wording.least_buying_sentence(SHARE, name=CHURNED, buying=0.0004, checks=[])
    assert "in < 0.1% of months" in rare["en"]
    assert wording.least_buying_question(CHURNED) == {
        "en": "Do customers whom the rules call “churned” behave like customers who hardly buy?",
        "zh": "规则判定为“流失”的客户，行为上是否也几乎不再购买？",
    }


@pytest.mark.parametrize(("value", "passed"), [(0.8, True), (0.79, False)])
def test_hidden_stages_are_told_apart_or_not(value: float, passed: bool) -> None:
    check = wording.certainty_check(replace(SHARE, value=value))
    assert check.passed is passed
    assert check.note == {
        "en": f"The likeliest hidden stage of a customer has a probability of {100 * value:.1f}% on average; 80% is "
        "asked for.",
        "zh": f"客户最可能的隐藏阶段，其概率平均为 {100 * value:.1f}%；要求不低于 80%。",
    }


@pytest.mark.parametrize(("low", "passed"), [(0.85, True), (0.8, False)])
def test_the_share_should_hold_for_other_numbers_of_hidden_stages(low: float, passed: bool) -> None:
    check = wording.number_of_stages_check({4: SHARE, 2: replace(SHARE, value=low)})
    assert check.passed is passed
    assert check.note == {
        "en": f"From {100 * low:.1f}% to 91.2% with 2 to 4 hidden stages; at most 10 percentage points apart are asked "
        "for.",
        "zh": f"隐藏阶段数取 2 至 4 时，比例为 {100 * low:.1f}% 至 91.2%；要求相差不超过 10 个百分点。",
    }


@pytest.mark.parametrize(("lower", "passed"), [(0.2, True), (-0.1, False)])
def test_other_customers_should_be_there_less_often(lower: float, passed: bool) -> None:
    apart = Estimate(value=0.25, lower=lower, upper=0.3, unit="difference of shares", n=900)
    check = wording.separation_check(apart, name=CHURNED, other=ACTIVE)
    assert check.passed is passed
    told = "20.0 to 30.0" if passed else "−10.0 to 30.0"
    told_zh = told.replace("to", "至")
    assert check.note == {
        "en": f"25.0 percentage points between “churned” and “active” (95% interval {told}, n = 900).",
        "zh": f"“流失”与“活跃”相差 25.0 个百分点（95% 置信区间 {told_zh}，n = 900）。",
    }
    assert check.name == {
        "en": "Customers called “active” are there less often",
        "zh": "判定为“活跃”的客户处于该阶段的更少",
    }


def test_agreement_as_a_whole_is_told_by_two_indices() -> None:
    assert wording.agreement_note(agreed([[90, 10], [20, 80]])) == {
        "en": "Adjusted Rand index 0.470 (95% interval 0.450 to 0.490), normalised mutual information 0.400 (95% "
        "interval 0.380 to 0.420), given the fitted model, n = 3,189: 0 is agreement by chance, or none; 1 is the same "
        "division.",
        "zh": "调整兰德指数 0.470（95% 置信区间 0.450 至 0.490），归一化互信息 0.400（95% 置信区间 0.380 至 0.420），"
        "均以拟合模型为给定，n = 3,189：0 表示仅凭偶然或毫无关联，1 表示划分相同。",
    }


def test_small_groups_are_left_out_of_the_cross_table_with_one_more() -> None:
    found = agreed([[4, 20, 80], [50, 0, 30]])
    table = wording.agreement_table(found, names={"active": "Active", "churned": "Gone"}, min_group=10)
    assert table.to_numpy().tolist() == [["Active", None, None, "76.9%", 104], ["Gone", "62.5%", "0.0%", "37.5%", 80]]
    assert list(table) == ["stage", "hidden_1", "hidden_2", "hidden_3", "n_customers"]
    told = [wording.may_be_told(found, "active", state, min_group=10) for state in range(3)]
    assert told == [False, False, True]
    assert not wording.may_be_told(found, "churned", 1, min_group=100)  # of 80 customers


def test_hidden_stages_are_described_by_what_customers_do() -> None:
    table = wording.hidden_stage_table(choice(model(2, -500.0)))
    assert list(table) == ["hidden_stage", "buys", "buys_again", "stays"]
    assert table.to_numpy().tolist() == [[1, "2.0%", "0.5%", "90.0%"], [2, "60.0%", "15.0%", "90.0%"]]
    engaged = wording.hidden_stage_table(choice(model(2, -500.0, n_behaviours=6)))
    assert engaged["engages"].tolist() == ["0.5%", "15.0%"]
    assert engaged["buys_again"].tolist() == ["0.5%", "15.0%"]
    assert wording.hidden_heading(0, 0.02) == {"en": "1: buys in 2.0% of months", "zh": "1：月购买概率 2.0%"}


def test_the_choice_says_what_was_tried_and_whether_more_might_be() -> None:
    inside = wording.choice_note(choice(model(2, -510.0), model(3, -500.0), model(4, -506.0)))
    assert inside == {
        "en": "3 hidden stages of 2, 3 and 4 tried have the smallest criterion (n = 1,000); excess of the others: "
        "2: 20.0, 4: 12.0.",
        "zh": "在试过的 2、3、4 个隐藏阶段中，3 个的准则值最小（n = 1,000）；其余超出：2: 20.0，4: 12.0。",
    }
    edge = wording.choice_note(choice(model(2, -510.0), model(3, -500.0)))
    assert edge["en"].endswith(" It is the largest number tried, so there may be more.")
    assert edge["zh"].endswith("这是试过的最大个数，实际可能更多。")
    alone = wording.choice_note(choice(model(2, -510.0)))
    assert alone == {
        "en": "2 hidden stages of 2 tried have the smallest criterion (n = 1,000).",
        "zh": "在试过的 2 个隐藏阶段中，2 个的准则值最小（n = 1,000）。",
    }
