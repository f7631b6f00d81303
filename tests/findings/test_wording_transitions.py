"""Sentences about moves between stages: the numbers, the clock, and the verb."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.wording import transitions as wording
from lcm_research.stages.moves import headline_moves, possible_moves
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.chain import transition_matrix
from lcm_research.transitions.homogeneity import Homogeneity

RULES = stage_rules("nadc", window_days=180)
MOVES = possible_moves(RULES)
NAMES = RULES.scheme.names("en")
TEXTS = {key: stage.name for key, stage in RULES.scheme.stages.items()}
DORMANT, ACTIVE, CHURNED = (TEXTS[stage] for stage in ("dormant", "active", "churned"))
SHARE = Estimate(value=0.1234, lower=0.1, upper=0.15, unit="probability", n=1234)


def matrix(rows: dict[tuple[str, str], int]):
    counts = pd.DataFrame(
        [(*pair, 0, n) for pair, n in rows.items()], columns=["from_stage", "to_stage", "replicate", "n"]
    )
    return transition_matrix(counts, stages=RULES.stages, moves=MOVES)


def homogeneity(p_value: float, fewest: int = 50, freedom: int = 11) -> Homogeneity:
    row = {"stage": "dormant", "statistic": 20.0, "degrees_of_freedom": freedom, "p_value": p_value, "n_from": 900}
    row |= {"blocks": 12, "lowest": 0.05, "highest": 0.175, "fewest": fewest}
    return Homogeneity(statistic=20.0, degrees_of_freedom=freedom, p_value=p_value, by_stage=pd.DataFrame([row]))


def test_a_move_is_told_with_its_interval_and_customers() -> None:
    said = wording.move_sentence(SHARE, from_name=DORMANT, to_name=ACTIVE, clock=False)
    assert said["en"] == (
        "Of customers in the stage “dormant” at the end of a month, 12.3% are in the stage “active” a month later "
        "(95% interval 10.0% to 15.0%, n = 1,234)."
    )
    assert said["zh"] == (
        "月末处于“沉睡”阶段的客户，一个月后有 12.3% 处于“活跃”阶段（95% 置信区间 10.0% 至 15.0%，n = 1,234）。"
    )


def test_a_move_by_the_clock_is_said_to_be_times_doing() -> None:
    for told in (wording.move_sentence, wording.exit_sentence):
        said = told(SHARE, from_name=DORMANT, to_name=CHURNED, clock=True)
        assert "Time alone makes this move" in said["en"]
        assert "仅由时间推移造成" in said["zh"]
        assert "Time alone" not in told(SHARE, from_name=DORMANT, to_name=CHURNED, clock=False)["en"]


def test_staying_is_asked_and_told_as_staying() -> None:
    assert "still in it" in wording.retention_sentence(SHARE, name=ACTIVE)["en"]
    assert "stay in the stage “active”" in wording.move_question(from_name=ACTIVE, to_name=ACTIVE, stays=True)["en"]
    asked = wording.move_question(from_name=DORMANT, to_name=ACTIVE, stays=False)
    assert asked["zh"] == "“沉睡”阶段的客户中，有多少一个月后处于“活跃”阶段？"


def test_churn_is_said_to_be_declared() -> None:
    said = wording.declared_sentence(180)
    assert said["en"].startswith("Churn is declared here: more than 180 days after the last purchase")
    assert "超过 180 天才判定为流失" in said["zh"]


def test_the_stock_names_its_month() -> None:
    said = wording.stock_sentence(SHARE, name=CHURNED, period_start="2024-06-01")
    assert said["en"].startswith(
        "At the end of June 2024, 12.3% of customers whose stage is known were in the stage “churned”"
    )
    assert said["zh"].startswith("2024 年 6 月末，阶段已知的客户中有 12.3% 处于“流失”阶段")


def test_the_panel_says_what_was_left_out() -> None:
    said = wording.panel_sentence(n_customers=5000, n_periods=24, n_known=900, n_unknown=100)
    assert "100 more (10.0%) are left out" in said["en"]
    assert "100 个（10.0%）" in said["zh"]
    none = wording.panel_sentence(n_customers=5000, n_periods=24, n_known=900, n_unknown=0)
    assert "none that had to be left out" in none["en"]


def test_the_verb_of_homogeneity_follows_the_p_value() -> None:
    different = wording.homogeneity_sentence(homogeneity(0.001), names=TEXTS, min_group=10)
    assert different["en"].startswith(
        "The probability of buying was not the same in all months (G² = 20.0, df = 11, p = 0.001)"
    )
    assert "from 5.0% to 17.5% for “dormant”" in different["en"]
    assert "“沉睡”为 5.0% 至 17.5%" in different["zh"]
    same = wording.homogeneity_sentence(homogeneity(0.4), names=TEXTS, min_group=10)
    assert same["en"].startswith("The data do not show that the probability of buying changed")
    assert not wording.homogeneity_check(homogeneity(0.001), names=TEXTS, min_group=10).passed
    assert wording.homogeneity_check(homogeneity(0.4), names=TEXTS, min_group=10).passed


def test_a_range_that_rests_on_few_customers_is_left_out() -> None:
    said = wording.homogeneity_sentence(homogeneity(0.001, fewest=9), names=TEXTS, min_group=10)
    assert said["en"].endswith("p = 0.001).")
    assert "5.0%" not in said["en"] + said["zh"]


def test_too_few_purchases_to_compare_fail_the_check_and_say_so() -> None:
    check = wording.homogeneity_check(homogeneity(np.nan, freedom=0), names=TEXTS, min_group=10)
    assert not check.passed
    assert check.note["en"].startswith("There are too few purchases")


def test_the_known_stage_check_fails_when_most_months_are_left_out() -> None:
    assert wording.known_stage_check(n_known=60, n_unknown=40).passed
    assert not wording.known_stage_check(n_known=40, n_unknown=60).passed
    assert wording.known_stage_check(n_known=5, n_unknown=0).note["en"] == "every customer-month has a known stage"


def test_tables_leave_out_what_would_give_away_a_small_group() -> None:
    # 4 of 74 dormant customers returned: hidden, and with it the next smallest cell of the row
    found = matrix({("dormant", "active"): 4, ("dormant", "dormant"): 50, ("dormant", "churned"): 20})
    moves = wording.move_table(found, names=NAMES, min_group=10, language="en")
    dormant = moves[moves["from"] == "dormant"].set_index("to")
    assert dormant["probability"].notna().to_dict() == {"active": False, "dormant": True, "churned": False}
    assert dormant["n_moves"].notna().to_dict() == {"active": False, "dormant": True, "churned": False}
    assert dormant["made_by"].to_dict() == {"active": "a purchase", "dormant": "", "churned": "time alone"}
    exits = wording.exit_table(found, names=NAMES, min_group=10)
    assert exits[["stage", "exit", "leaves"]].to_numpy().tolist() == [["dormant", None, None]]
    table = wording.sensitivity_table(
        [("w_new", "15", found)], [("dormant", "active"), ("dormant", "dormant")], names=NAMES, min_group=10
    )
    assert table["dormant → active"].tolist() == [None]
    assert table["dormant → dormant"][0].value == 50 / 74
    assert found.publishable(headline_moves(RULES, MOVES), min_group=10) == []


def test_the_exit_table_names_the_move_made_most_often() -> None:
    found = matrix({("dormant", "active"): 40, ("dormant", "dormant"): 50, ("dormant", "churned"): 20})
    (row,) = wording.exit_table(found, names=NAMES, min_group=10).to_dict("records")
    assert (row["exit"], row["leaves"].value, row["stays"].value) == ("active", 40 / 110, 50 / 110)


def test_what_cannot_be_answered_says_why() -> None:
    assert "“prospect”, so nothing can be said" in wording.nothing_to_say_sentence(TEXTS["prospect"])["en"]
    said = wording.too_few_sentence(from_name=DORMANT, to_name=ACTIVE, min_group=10)
    assert said["en"].startswith("Fewer than 10 customers moved from “dormant” to “active”")
    assert {wording.use_text(status)["en"][:4] for status in ("used", "not_twice", "not_seen")} == {
        "used",
        "foll",
        "no c",
    }
