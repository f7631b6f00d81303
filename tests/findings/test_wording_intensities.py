"""Sentences about rates of moving: the numbers, the verb, and what they say where the rates do not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

from lcm_research.estimate import N_GROUPS, Estimate, exact_proportion
from lcm_research.findings.wording import intensities as wording
from lcm_research.stages.dwell import OPEN
from lcm_research.stages.moves import Moves
from lcm_research.transitions.chain import transition_matrix
from lcm_research.transitions.intensities_panel import FitComparison
from lcm_research.transitions.moving_rates import MovingRates, moving_rates, time_in_stages
from lcm_research.transitions.prevalence import Prevalence, prevalence
from lcm_research.transitions.replicate_wald import ReplicateWald

STAGES = ("new", "active", "gone")
TEXTS = {
    "new": {"en": "new", "zh": "新客"},
    "active": {"en": "active", "zh": "活跃"},
    "gone": {"en": "gone", "zh": "离开"},
}
NAMES = {stage: text["en"] for stage, text in TEXTS.items()}
RATES = np.array([[-1.2, 1.2, 0.0], [0.0, -0.3, 0.3], [0.0, 0.1, -0.1]])
STAY = Estimate(value=3.21, lower=3.0, upper=3.4, unit="months", n=1234)
SEGMENT = {"en": "Membership", "zh": "会员身份"}
PAIR = {"from_name": TEXTS["gone"], "to_name": TEXTS["active"], "segment": SEGMENT}


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    probability = expm(RATES)
    rows = [
        (STAGES[i], STAGES[j], group, round(1000 * probability[i, j]))
        for i in range(3)
        for j in range(3)
        for group in range(N_GROUPS)
        if round(1000 * probability[i, j])
    ]
    return pd.DataFrame(rows, columns=["from_stage", "to_stage", "replicate", "n"])


@pytest.fixture(scope="module")
def rates(counts: pd.DataFrame) -> MovingRates:
    return moving_rates(counts, stages=STAGES, level=0.95)


def found(rates: MovingRates, n_gone: int) -> Prevalence:
    """400 newcomers, all active, of whom some are gone a month later."""
    rows = [("active", "gone", 0, 1, n_gone), ("gone", OPEN, 1, 2, n_gone), ("active", OPEN, 0, 2, 4 - n_gone)]
    made = [(*row[:4], group, row[4]) for row in rows for group in range(N_GROUPS)]
    columns = ["from_stage", "to_stage", "entry_periods", "exit_periods", "replicate", "n"]
    return prevalence(pd.DataFrame(made, columns=columns), rates, fewest=100)


def test_customers_where_the_rates_expect_them_pass(rates: MovingRates) -> None:
    check = wording.prevalence_check(found(rates, 1), names=TEXTS, min_group=10)  # 25% gone, 24.8% expected
    assert check.passed
    assert check.note["en"].startswith("Off by at most 0.")
    assert "percentage points" in check.note["en"]


@pytest.mark.parametrize(("month", "after"), [(1, "1 month after"), (5, "5 months after")])
def test_customers_elsewhere_fail_and_the_note_says_where(month: int, after: str) -> None:
    rows = [
        (month, "new", 100, 400, exact_proportion(100, 400), 0.30),
        (month, "active", 200, 400, exact_proportion(200, 400), 0.25),
        (month, "gone", 100, 400, exact_proportion(100, 400), 0.45),
    ]
    columns = ["months", "stage", "n_observed", "n_followed", "observed", "share_expected"]
    elsewhere = Prevalence(stages=STAGES, rows=pd.DataFrame(rows, columns=columns))
    check = wording.prevalence_check(elsewhere, names=TEXTS, min_group=10)
    assert not check.passed
    assert check.note == {
        "en": f"Off by at most 25.0 percentage points: {after} the first contact 50.0% were in the stage “active”, "
        "where 25.0% were expected (n = 400); at most 5 are asked for.",
        "zh": f"最多相差 25.0 个百分点：首次接触 {month} 个月后，50.0% 的客户处于“活跃”阶段，推算值为 25.0%"
        "（n = 400）；要求不超过 5 个百分点。",
    }


def test_a_mean_stay_is_a_summary_only_where_the_rates_do_not_fit(rates: MovingRates) -> None:
    fits = wording.prevalence_check(found(rates, 1), names=TEXTS, min_group=10)
    said = wording.mean_stay_sentence(STAY, name=TEXTS["active"], fits=fits)
    assert said == {
        "en": "At constant rates, a stay in the stage “active” lasts 3.21 months on average "
        "(95% interval 3.00 to 3.40, n = 1,234).",
        "zh": "按恒定速率计，客户每次在“活跃”阶段平均停留 3.21 个月（95% 置信区间 3.00 至 3.40，n = 1,234）。",
    }
    doubted = wording.mean_stay_sentence(STAY, name=TEXTS["active"], fits=replace(fits, passed=False))
    assert doubted["en"] == said["en"] + (
        " Customers are not where these rates expect them, so it sums up the moves and is no forecast."
    )
    assert (
        doubted["zh"] == said["zh"] + "客户的实际分布与按此速率推算的不符，因此该数只概括已发生的转移，不宜用于预测。"
    )
    asked = wording.mean_stay_question(TEXTS["active"])
    assert asked == {
        "en": "How long does a stay in the stage “active” last?",
        "zh": "客户每次进入“活跃”阶段会停留多久？",
    }


@pytest.mark.parametrize(
    ("value", "lower", "upper", "en", "zh"),
    [
        (
            1.25,
            1.1,
            1.42,
            "Membership, “yes” against “no”: the rate of moving from “gone” to “active” is higher, 1.25 times "
            "(95% interval 1.10 to 1.42, n = 500); nothing is held equal.",
            "会员身份为“yes”与“no”的客户相比，由“离开”转入“活跃”的速率更高，为后者的 1.25 倍"
            "（95% 置信区间 1.10 至 1.42，n = 500）；未作任何调整。",
        ),
        (
            0.8,
            0.7,
            0.9,
            "Membership, “yes” against “no”: the rate of moving from “gone” to “active” is lower, 0.800 times "
            "(95% interval 0.700 to 0.900, n = 500); nothing is held equal.",
            "会员身份为“yes”与“no”的客户相比，由“离开”转入“活跃”的速率更低，为后者的 0.800 倍"
            "（95% 置信区间 0.700 至 0.900，n = 500）；未作任何调整。",
        ),
        (
            1.25,
            0.9,
            1.7,
            "Membership, “yes” against “no”: the data do not show that the rate of moving from “gone” to “active” "
            "differs (1.25 times, 95% interval 0.900 to 1.70, n = 500).",
            "会员身份为“yes”与“no”的客户相比，数据未显示由“离开”转入“活跃”的速率有差异"
            "（1.25 倍，95% 置信区间 0.900 至 1.70，n = 500）。",
        ),
    ],
)
def test_a_ratio_takes_its_verb_from_its_interval(value, lower, upper, en, zh) -> None:
    ratio = Estimate(value=value, lower=lower, upper=upper, unit="ratio", n=500)
    assert wording.ratio_sentence(ratio, **PAIR, groups=("no", "yes")) == {"en": en, "zh": zh}
    assert wording.ratio_question(**PAIR) == {
        "en": "Does the rate of moving from “gone” to “active” differ by Membership?",
        "zh": "由“离开”转入“活跃”的速率因会员身份而异吗？",
    }


def test_rates_over_time_are_told_by_the_test_that_applies() -> None:
    wald = ReplicateWald(statistic=1.234, degrees_of_freedom=(3, 97), p_value=0.3, method="hotelling")
    test = FitComparison(likelihood_ratio=30.0, degrees_of_freedom=3, p_value=1e-6, replicate=wald)
    check = wording.same_rates_check("2024-03-01", test)
    assert check.passed
    assert check.name == {
        "en": "The rates are the same before March 2024 and from then on",
        "zh": "2024 年 3 月前后的速率相同",
    }
    assert check.note == {"en": "F(3, 97) = 1.23, p = 0.300", "zh": "F(3, 97) = 1.23，p = 0.300"}
    alone = wording.same_rates_check("2024-03-01", replace(test, replicate=replace(wald, method="none")))
    assert not alone.passed
    assert alone.note == {"en": "χ²(3) = 30.0, p < 0.001", "zh": "χ²(3) = 30.0，p < 0.001"}


def test_rates_and_ratios_of_small_groups_are_not_in_the_table(rates: MovingRates, counts: pd.DataFrame) -> None:
    free = np.ones((3, 3), dtype=bool)
    moves = Moves(stages=STAGES, possible=free, clock=~free, purchase=~free)
    heads = [
        ("new", "active", 900),
        ("new", "(any)", 1000),
        ("active", "gone", 5),
        ("active", "active", 600),
        ("active", "(any)", 605),
        ("gone", "active", 80),
        ("gone", "gone", 400),
        ("gone", "(any)", 450),
    ]
    made = pd.DataFrame(heads, columns=["from_stage", "to_stage", "n_customers"]).assign(replicate=0)
    matrix = transition_matrix(counts, stages=STAGES, moves=moves, customers=made)
    ratios = {("gone", "active"): Estimate(value=2.0, lower=1.5, upper=2.5, unit="ratio", n=1)}
    table = wording.rate_table(rates, matrix, names=NAMES, ratios=ratios, min_group=10).set_index(["from", "to"])
    assert table.loc[("active", "gone"), "rate_monthly"] is None
    assert table.loc[("gone", "active"), "rate_monthly"].value == pytest.approx(0.1, rel=0.02)
    assert table.loc[("gone", "active"), "rate_ratio"].value == 2.0
    assert table.loc[("new", "active"), "rate_ratio"] is None
    assert table["n_customers"].tolist() == [1000, 605, 450]
    assert "rate_ratio" not in wording.rate_table(rates, matrix, names=NAMES, ratios={}, min_group=10)


def test_ratios_need_both_groups_to_make_the_move() -> None:
    ratio = Estimate(value=2.0, lower=1.5, upper=2.5, unit="ratio", n=999)
    rows = [
        ("no", "gone", "active", 30),
        ("no", "gone", "(any)", 300),
        ("yes", "gone", "active", 10),
        ("yes", "gone", "(any)", 90),
        ("no", "active", "gone", 50),
        ("no", "active", "(any)", 60),
        ("yes", "active", "gone", 9),
        ("yes", "active", "(any)", 80),
    ]
    customers = pd.DataFrame(rows, columns=["member", "from_stage", "to_stage", "n_customers"])
    both = {("gone", "active"): ratio, ("active", "gone"): ratio, ("new", "active"): ratio}
    shown = wording.shown_ratios(both, customers, segment="member", groups=("no", "yes"), min_group=10)
    assert {move: found.n for move, found in shown.items()} == {("gone", "active"): 390}


def test_moves_through_other_stages_are_named(rates: MovingRates) -> None:
    assert wording.through_others_note(rates, names=TEXTS) == {
        "en": "Taken to pass through another stage within the month: new → gone.",
        "zh": "视为在当月经由其他阶段到达：新客 → 离开。",
    }
    direct = replace(rates, through_others=())
    assert wording.through_others_note(direct, names=TEXTS) == {
        "en": "Every move seen is direct.",
        "zh": "观察到的转移均为直接转移。",
    }


def test_the_first_stay_is_of_a_stage_that_customers_leave(rates: MovingRates) -> None:
    assert wording.first_stay(rates, ["gone", "active"]) == "gone"
    assert wording.first_stay(rates, ["prospect"]) == "new"
    times = time_in_stages(rates, horizon_months=6, target=None, customers={})
    assert wording.stay_table(times, names=NAMES)["stage"].tolist() == ["new", "active", "gone"]
