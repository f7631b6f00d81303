"""What is said about the time to a lapse, the move that matters and the worth of a customer: verbs follow intervals."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.outcomes import (
    Agreement,
    agreement_checks,
    back_sentence,
    elasticity_bars,
    elasticity_table,
    from_each_stage,
    lapse_sentence,
    newcomer_table,
    risk_stages,
    sensitivity_sentence,
    stage_note,
)
from lcm_research.findings.wording.value import (
    endless_note,
    headings,
    held_against,
    point_table,
    spent_check,
    terms,
    value_sentence,
    value_table,
)
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.absorbing import StageOutcomes

NAMES = {"active": "active", "dormant": "dormant", "churned": "churned"}
TEXTS: dict[str, Any] = {
    "active": {"en": "active", "zh": "活跃"},
    "dormant": {"en": "dormant", "zh": "沉睡"},
    "churned": {"en": "churned", "zh": "流失"},
}


def est(value: float, half: float, unit: str = "months", n: int = 500, *, apart: bool = False) -> Estimate:
    """An estimate with a jackknife interval ``half`` wide to each side; ``apart`` does not vary with the others."""
    # the sum of squares of the leave-one-out values is what gives the half width: t(99) = 1.984
    step = half / 1.9842169515 / np.sqrt(99 / 100 * 100)
    without = value + step * np.tile([1.0, 1.0, -1.0, -1.0] if apart else [1.0, -1.0, 1.0, -1.0], 25)
    return Estimate(value=value, lower=value - half, upper=value + half, unit=unit, n=n, leave_one_out=without)


def held(memory: float, reading: float, p: float = 0.2) -> Agreement:
    return Agreement(
        horizon_months=16,
        chain=est(8.2, 0.1, n=1500),
        read=est(7.9, 0.1),
        curve=est(7.7, 0.1),
        memory=est(memory, 0.1, "months difference"),
        reading=est(reading, 0.1, "months difference"),
        largest=-0.126,
        month=6,
        p_value=p,
        naive=est(8.3, 0.1),
        naive_largest=0.303,
    )


def test_a_chain_that_is_too_long_says_by_how_much_and_why() -> None:
    said = lapse_sentence(held(0.33, 0.15))
    assert "customers go on for 8.20 months (95% interval 8.10 to 8.30, n = 1,500)" in said["en"]
    assert "went on for 7.90 months (95% interval 7.80 to 8.00)" in said["en"]
    assert "The chain's time is too long by 0.330 months (95% interval 0.230 to 0.430 for the difference)" in said["en"]
    assert "up to 12.6 percentage points apart: customers of one stage and one silence are not all alike" in said["en"]
    assert "a purchase undoes before the month is over, which the curve counts: 0.150 months" in said["en"]
    assert "says 8.30 months and is up to 30.3 percentage points away" in said["en"]
    assert "链给出的时间偏长 0.330 个月" in said["zh"]
    assert "同一阶段、同样沉默时长的客户并不相同" in said["zh"]


def test_a_chain_that_is_too_short_says_so() -> None:
    said = lapse_sentence(held(-0.33, 0.15))
    assert "too short by 0.330 months" in said["en"]
    assert "偏短 0.330 个月" in said["zh"]


def test_times_that_cannot_be_told_apart_blame_nobody() -> None:
    said = lapse_sentence(held(0.05, 0.05))
    assert "The data do not tell the chain's time from the one seen at months' ends" in said["en"]
    assert "not all alike" not in said["en"]
    assert "Months' ends miss" not in said["en"]
    assert "数据不能区分" in said["zh"]


def test_checks_pass_where_the_difference_may_be_nothing() -> None:
    assert [check.passed for check in agreement_checks(held(0.05, 0.0))] == [True, True]
    failed = agreement_checks(held(0.33, 0.0, p=0.001))
    assert [check.passed for check in failed] == [False, False]
    assert "0.330 months (95% interval 0.230 to 0.430)" in failed[0].note["en"]
    assert "at most 12.6 percentage points apart, after 6 months (p = 0.001" in failed[1].note["en"]
    assert [check.passed for check in agreement_checks(held(0.05, 0.0, p=float("nan")))] == [True, True]


def test_coming_back_names_the_stage_the_horizon_and_the_customers() -> None:
    said = back_sentence(est(0.4, 0.02, "probability"), name=TEXTS["dormant"], horizon_months=22)
    assert "who enter the stage “dormant”, 40.0% come back" in said["en"]
    assert "within 22 months (95% interval 38.0% to 42.0%, n = 500" in said["en"]
    assert "进入“沉睡”阶段的客户中，40.0%" in said["zh"]
    assert risk_stages(stage_rules("nadc", window_days=180)) == ["dormant"]
    assert risk_stages(stage_rules("pnmc", window_days=180)) == []


def moves(first: float, second: float) -> pd.DataFrame:
    rows = [("active", "dormant", first), ("dormant", "active", second)]
    made = pd.DataFrame(rows, columns=["from", "to", "elasticity"]).assign(probability=0.25, change_per_point=0.2)
    return made.assign(estimate=[est(first, 0.02, "elasticity", 800), est(second, 0.02, "elasticity", 90)])


def test_the_move_that_matters_most_stands_with_those_like_it() -> None:
    said = sensitivity_sentence(moves(-0.3, 0.2), [], texts=TEXTS, horizon_months=16)
    assert "answers most to “active → dormant”" in said["en"]
    assert "shorter by 0.300% (95% interval 0.280% to 0.320%, n = 800)" in said["en"]
    assert said["en"].endswith("It answers less to each other move.")
    assert "缩短 0.300%" in said["zh"]
    alike = sensitivity_sentence(moves(0.3, 0.29), [("dormant", "active")], texts=TEXTS, horizon_months=16)
    assert "longer by 0.300%" in alike["en"]
    assert "do not tell it from “dormant → active”" in alike["en"]
    assert "数据不能将其与“沉睡 → 活跃”区分" in alike["zh"]
    alone = sensitivity_sentence(moves(0.3, 0.2).head(1), [], texts=TEXTS, horizon_months=16)
    assert "each other move" not in alone["en"]


def test_a_what_if_is_called_a_calculation() -> None:
    said = sensitivity_sentence(moves(-0.3, 0.2), [], texts=TEXTS, horizon_months=16, tenth=est(-0.2, 0.05))
    assert "“active → dormant” a tenth likelier (at most certain) makes 0.200 months less of the first 16" in said["en"]
    assert "95% interval −0.250 to −0.150 for the change" in said["en"]
    assert "nothing here shows that anything moves it" in said["en"]
    assert "减少 0.200 个月" in said["zh"]
    assert "because" not in said["en"]
    assert "effect" not in said["en"]


def test_tables_of_times_keep_the_customers_behind_each_row() -> None:
    shown = elasticity_table(moves(-0.3, 0.2), names=NAMES)
    assert shown["move"].tolist() == ["active → dormant", "dormant → active"]
    assert shown["n_customers"].tolist() == [800, 90]
    assert list(elasticity_bars(moves(-0.3, 0.2), names=NAMES)) == ["active → dormant", "dormant → active"]

    def outcome(**estimates: Estimate) -> StageOutcomes:
        return StageOutcomes(
            outcome="", target="churned", horizon_periods=16, start="entry", estimates=estimates, reasons={}
        )

    ahead = from_each_stage(
        outcome(active=est(9, 1), dormant=est(5, 1)),
        outcome(active=est(0.9, 0.1)),
        None,
        names=NAMES,
        n_customers={"active": 7},
    )
    assert ahead["n_customers"].tolist() == [7, 0]
    assert ahead["lapses"].isna().tolist() == [False, True]
    assert ahead["months_endless"].isna().all()
    assert "Months count up to 16" in stage_note(16)["en"]


def test_where_newcomers_spend_their_time_is_a_row_a_stage() -> None:
    told = SimpleNamespace(
        in_stages={"active": est(3, 0.1), "dormant": est(2, 0.1)}, reached={"active": est(1, 0.0, "share")}
    )
    shown = newcomer_table(told, names=NAMES, n_customers={"active": 70, "dormant": 60})  # type: ignore[arg-type]
    assert shown["stage"].tolist() == ["active", "dormant"]
    assert shown["reached"].isna().tolist() == [False, True]
    assert shown["n_customers"].tolist() == [70, 60]


# -- value ------------------------------------------------------------------------------------------------------------

TERMS: dict[str, Any] = {"texts": TEXTS, "currency": "USD", "horizon_months": 16, "discount_rate": 0.1}


def value(spent: float, low: str = "churned", worth: float = 33.0) -> dict[str, str]:
    within = {"active": est(66, 3, "USD"), "churned": est(worth, 1, "USD")}
    asked = {"held": (est(50, 2, "USD"), est(spent, 2, "USD", apart=True)), "held_months": 9}
    return value_sentence(within, top="active", low=low, **asked, **TERMS)


def test_an_amount_stands_with_its_currency_and_what_was_spent() -> None:
    said = value(77)
    assert "“active” spends 66.0 USD in the next 16 months, before costs and discounted at 10% a year" in said["en"]
    assert "one in “churned” spends 33.0 USD, 33.0 less" in said["en"]
    assert "customers spent 77.0 USD (95% interval 75.0 to 79.0) where the chain says 50.0" in said["en"]
    assert "the chain promises too little" in said["en"]
    assert "链的推算偏低" in said["zh"]
    assert "消费 66.0 USD" in said["zh"]
    assert "the chain promises too much" in value(20)["en"]
    assert "the data do not tell the two apart" in value(50.5)["en"]


def test_values_that_cannot_be_told_apart_are_not_ranked() -> None:
    assert "the data do not tell it from “churned” (65.0 USD)" in value(50, worth=65.0)["en"]
    assert "less" not in value(50, low="active")["en"]
    without = value_sentence({"active": est(66, 3)}, top="active", low="active", held=None, held_months=9, **TERMS)
    assert without["en"].endswith("customers ever in the stage).")


def test_the_check_of_a_value_is_whether_it_was_spent() -> None:
    asked = {"currency": "USD", "n_months": 9}
    assert spent_check(est(50, 2), est(50.5, 2, apart=True), **asked).passed
    failed = spent_check(est(50, 2), est(77, 2), **asked)
    assert not failed.passed
    assert (
        "over 9 months, not discounted, the chain gives 50.0 USD; customers found in the stage spent 77.0 USD"
        in (failed.note["en"])
    )


def test_tables_of_money_name_the_currency() -> None:
    assert headings(currency="CNY", horizon_months=12, language="en")["value_within"] == "next 12 months, CNY"
    assert headings(currency="CNY", horizon_months=12, language="zh")["value_per_point"] == "多一个百分点（CNY）"
    assert "before costs and net of returns" in terms(currency="CNY", horizon_months=12, discount_rate=0.08)["en"]
    assert "discounted at 8% a year" in terms(currency="CNY", horizon_months=12, discount_rate=0.08)["en"]
    assert "only if rates stay as they are and customers do not differ" in endless_note()["en"]
    within = {"active": est(66, 3, "CNY", 70)}
    assert value_table(within, None, names=NAMES)["value_endless"].tolist() == [None]
    assert value_table(within, {"active": est(340, 9)}, names=NAMES)["n_customers"].tolist() == [70]
    points = point_table({("dormant", "active"): (0.1234, est(3, 1))}, n_customers={"dormant": 60}, names=NAMES)
    assert points.iloc[0].drop("value_per_point").tolist() == ["dormant → active", "12.3%", 60]
    beside = held_against({"active": est(50, 2)}, {"active": est(40, 2), "gone": est(1, 1)}, names=NAMES)
    assert beside["gap"].iloc[0].value == 10
    assert len(beside) == 1
    assert replace(beside["gap"].iloc[0], n=3).sign() == 1
