"""Schemes as data: what they say, what is refused, and what follows from the rules."""

from __future__ import annotations

import copy
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import StudyError
from lcm_research.stages.moves import headline_moves, possible_moves
from lcm_research.stages.rules import stage_rules
from lcm_research.stages.scheme import COARSE, PRIMITIVES, known_schemes, load_scheme


def customers(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(PRIMITIVES)).astype("Int64")


def changed(**changes: Any) -> dict[str, Any]:
    definition = copy.deepcopy(load_scheme("nadc").definition())
    return definition | changes


@pytest.mark.parametrize("name", known_schemes())
def test_every_scheme_of_the_package_is_named_in_both_languages_and_puts_everybody_somewhere(name: str) -> None:
    rules = stage_rules(name, window_days=180)
    assert set(rules.classify(rules.histories())) == set(rules.stages)
    for language in ("en", "zh"):
        table = rules.table(language)
        assert len(table) == len(rules.scheme.rules)
        assert not table["words"].str.contains("[{}]").any()
        assert len(set(rules.scheme.names(language).values())) == len(rules.stages)
    assert {stage.coarse for stage in rules.scheme.stages.values()} <= set(COARSE)


def test_nadc_changes_stage_on_the_day_after_each_threshold() -> None:
    # n, r, u, n_period, r_before
    rows = customers(
        (0, None, None, 0, None),
        (1, 30, 30, 1, None),
        (2, 30, 31, 1, 0),
        (1, 60, 60, 0, 29),
        (1, 61, 61, 0, 30),
        (1, 180, 180, 0, 150),
        (1, 181, 181, 0, 150),
    )
    found = stage_rules("nadc", window_days=180).classify(rows).tolist()
    assert found == ["prospect", "new", "active", "active", "dormant", "dormant", "churned"]


def test_repurchase_is_a_purchase_after_dormancy_or_churn_and_lasts_one_period() -> None:
    rows = customers((2, 5, 100, 1, 61), (2, 5, 100, 1, 60), (2, 36, 131, 0, 5), (2, 5, 400, 1, 300))
    found = stage_rules("nadcr", window_days=180).classify(rows).tolist()
    assert found == ["repurchase", "active", "active", "repurchase"]


def test_mature_needs_the_purchases_and_the_time() -> None:
    rows = customers((4, 10, 180, 1, 9), (4, 10, 179, 1, 9), (3, 10, 180, 1, 9), (9, 200, 400, 0, 170))
    assert stage_rules("pnmc", window_days=180).classify(rows).tolist() == ["mature", "new", "new", "churned"]


def test_a_study_may_change_a_threshold() -> None:
    rows = customers((1, 45, 45, 0, 14))
    assert stage_rules("nadc", window_days=180, thresholds={"w_active": 40}).classify(rows).tolist() == ["dormant"]
    table = stage_rules("nadc", window_days=180, thresholds={"w_active": 40}).table("en")
    assert "more than 40 and at most 180 days ago" in table["words"][3]


def test_rules_survive_the_way_through_json() -> None:
    rules = stage_rules("nadcr", window_days=120, thresholds={"w_new": 15})
    again = rules.parameters()
    same = stage_rules(again["scheme"], window_days=again["window_days"], thresholds=again["thresholds"])
    assert same == rules


def test_a_users_scheme_is_a_yaml_path(tmp_path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(
        "scheme: mine\nversion: 1\ntitle: {en: Two, zh: 两}\n"
        "thresholds:\n  window_days: {grid: [90], unit: days, meaning: {en: w, zh: w}}\n"
        "stages:\n  in: {name: {en: in, zh: 在}, coarse: established}\n"
        "  out: {name: {en: out, zh: 离}, coarse: lapsed}\n"
        "rules:\n  - {stage: out, when: r > window_days, words: {en: silent, zh: 沉默}}\n"
        "  - {stage: in, when: n >= 0, words: {en: all others, zh: 其余}}\n",
        encoding="utf-8",
    )
    assert stage_rules(str(path), window_days=90).stages == ("in", "out")


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_an_unknown_scheme_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="no scheme is named 'nadcc'; did you mean 'nadc"):
        load_scheme("nadcc")
    with pytest.raises(StudyError, match=r"no file at nowhere/mine\.yml"):
        load_scheme("nowhere/mine.yml")


def test_an_unknown_name_in_a_rule_is_refused_with_the_nearest() -> None:
    definition = changed()
    definition["rules"][1]["when"] = "u <= w_nwe"
    with pytest.raises(StudyError, match=r"rule 2 \(new\): 'w_nwe' is neither.*did you mean 'w_new'"):
        load_scheme(definition)


def test_an_unknown_stage_or_key_is_refused_with_the_nearest() -> None:
    definition = changed()
    definition["rules"][1]["stage"] = "actve"
    with pytest.raises(StudyError, match="rule 2: no stage is named 'actve'; did you mean 'active'"):
        load_scheme(definition)
    with pytest.raises(StudyError, match="treshold: unknown key; did you mean 'thresholds'"):
        load_scheme(changed(treshold={}))
    with pytest.raises(StudyError, match="rising: no threshold is named 'w_nw'; did you mean 'w_new'"):
        load_scheme(changed(rising=["w_nw"]))


def test_a_stage_without_a_rule_is_refused() -> None:
    definition = changed()
    definition["rules"] = definition["rules"][:-1]
    with pytest.raises(StudyError, match=r"stages\.churned: no rule leads to it"):
        load_scheme(definition)


def test_rules_that_leave_somebody_out_are_refused_with_an_example() -> None:
    definition = changed()
    definition["rules"][-1]["when"] = "r > window_days + 1"
    with pytest.raises(StudyError, match=r"puts a customer with n = \d+, r = 181, .* into no stage"):
        stage_rules(definition, window_days=180)


def test_a_rule_that_is_no_condition_is_refused() -> None:
    definition = changed()
    definition["rules"][1]["when"] = "u + 1"
    with pytest.raises(StudyError, match=r"stage 'new'.*expected a condition.*'u \+ 1'"):
        stage_rules(definition, window_days=180)


def test_a_stage_that_nobody_can_be_in_is_refused() -> None:
    with pytest.raises(StudyError, match="no room for the stage 'dormant' with w_new=30, w_active=60, window_days=60"):
        stage_rules("nadc", window_days=60)


def test_thresholds_out_of_order_are_refused_with_both_numbers() -> None:
    with pytest.raises(StudyError, match=r"w_active to be at most window_days; came w_active=60 and window_days=45"):
        stage_rules("nadc", window_days=45)


def test_an_unknown_threshold_and_a_second_churn_window_are_refused() -> None:
    with pytest.raises(StudyError, match="has no such threshold; did you mean 'w_active'"):
        stage_rules("nadc", window_days=180, thresholds={"w_activ": 5})
    with pytest.raises(StudyError, match=r"said once, in churn\.window_days"):
        stage_rules("nadc", window_days=180, thresholds={"window_days": 5})


def test_only_the_churn_window_has_no_default() -> None:
    definition = changed()
    definition["thresholds"]["w_new"]["default"] = None
    with pytest.raises(StudyError, match=r"thresholds\.w_new: expected a default"):
        load_scheme(definition)


# -- moves ------------------------------------------------------------------------------------------------------------


def allowed(scheme: str, **options: Any) -> dict[str, set[tuple[str, str]]]:
    moves = possible_moves(stage_rules(scheme, **options))
    named = lambda which: {(moves.stages[i], moves.stages[j]) for i, j in zip(*np.nonzero(which), strict=True)}  # noqa: E731
    return {"possible": named(moves.possible), "clock": named(moves.clock), "purchase": named(moves.purchase)}


def test_the_moves_of_nadc_are_those_worked_out_by_hand() -> None:
    # from new after a month: still new (February), active, or 31 days on dormant (r = 30 + 31 = 61)
    found = allowed("nadc", window_days=180)
    assert found["possible"] == {
        ("prospect", "prospect"),
        ("prospect", "new"),
        ("new", "new"),
        ("new", "active"),
        ("new", "dormant"),
        ("active", "active"),
        ("active", "dormant"),
        ("dormant", "dormant"),
        ("dormant", "active"),
        ("dormant", "churned"),
        ("churned", "churned"),
        ("churned", "active"),
    }
    assert found["clock"] == {("new", "dormant"), ("active", "dormant"), ("dormant", "churned")}
    assert found["purchase"] == {("prospect", "new"), ("dormant", "active"), ("churned", "active")}


def test_a_short_window_lets_active_customers_churn_within_a_month() -> None:
    # r = 60 and 31 days more is 91, which is past a window of 90 and not past one of 91
    assert ("active", "churned") in allowed("nadc", window_days=90)["clock"]
    assert ("active", "churned") not in allowed("nadc", window_days=91)["possible"]


def test_a_stage_that_is_never_left_is_absorbing() -> None:
    bought = changed(
        thresholds={"window_days": changed()["thresholds"]["window_days"]},
        rising=[],
        stages={k: v for k, v in changed()["stages"].items() if k in ("prospect", "active")},
        rules=[
            {"stage": "prospect", "when": "n = 0", "words": {"en": "", "zh": ""}},
            {"stage": "active", "when": "n > 0", "words": {"en": "", "zh": ""}},
        ],
    )
    assert possible_moves(stage_rules(bought, window_days=180)).absorbing == ("active",)
    assert possible_moves(stage_rules("nadc", window_days=180)).absorbing == ()


def test_the_stage_of_a_customer_is_one_expression_that_spark_also_has() -> None:
    from ibis.backends.sql.compilers.pyspark import compiler

    table = ibis.table(dict.fromkeys(PRIMITIVES, "int64"), name="panel")
    expression = stage_rules("nadcr", window_days=180).code({name: table[name] for name in PRIMITIVES})
    sql = compiler.to_sqlglot(table.select(code=expression)).sql("spark")
    assert sql.count("CASE") == 1


def test_alternatives_change_one_threshold_and_leave_out_what_does_not_go_together() -> None:
    found = [(name, value) for name, value, _ in stage_rules("nadc", window_days=90).alternatives()]
    # w_active = 90 would leave no room for dormant under a window of 90
    assert found == [("w_new", 15), ("w_new", 60), ("w_active", 30), ("window_days", 120), ("window_days", 180),
                     ("window_days", 270)]  # fmt: skip
    _, _, first = stage_rules("nadc", window_days=90).alternatives()[0]
    assert first.thresholds == {"w_new": 15, "w_active": 60, "window_days": 90}


def test_the_threshold_table_lists_the_values_not_used() -> None:
    table = stage_rules("nadc", window_days=150).threshold_table("zh").set_index("threshold")
    assert table.loc["window_days", ["value", "others"]].tolist() == ["150", "90, 120, 180, 270"]
    assert table.loc["w_new", "others"] == "15, 60"


def test_headline_moves_are_what_customers_do_and_the_slip_from_an_established_stage() -> None:
    rules = stage_rules("pnmc", window_days=180)
    assert headline_moves(rules, possible_moves(rules)) == [
        ("potential", "new"),
        ("mature", "mature"),
        ("mature", "churned"),
        ("churned", "new"),
        ("churned", "mature"),
    ]
