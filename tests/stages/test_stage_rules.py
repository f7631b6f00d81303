"""Schemes as data: what they say, what is refused, and what follows from the rules."""

from __future__ import annotations

import copy
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import StudyError
from lcm_research.stages.kinds import kinds_of_purchases, reached
from lcm_research.stages.moves import headline_moves, possible_moves
from lcm_research.stages.primitives import CORE
from lcm_research.stages.rules import stage_rules
from lcm_research.stages.scheme import COARSE, PRIMITIVES, known_schemes, load_scheme


def customers(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(CORE)).astype("Int64")


def changed(**changes: Any) -> dict[str, Any]:
    definition = copy.deepcopy(load_scheme("nadc").definition())
    return definition | changes


@pytest.mark.parametrize("name", known_schemes())
def test_every_scheme_of_the_package_is_named_in_both_languages_and_puts_everybody_somewhere(name: str) -> None:
    rules = stage_rules(name, window_days=180)
    found, left_out = reached(rules, kinds_of_purchases(rules))
    assert found.any(axis=0).all()
    assert not left_out
    for language in ("en", "zh"):
        table = rules.table(language)
        assert len(table) == len([rule for rule in rules.scheme.rules if rule.stage not in rules.closed])
        assert not table["words"].str.contains("[{}]").any()
        assert len(set(rules.scheme.names(language).values())) == len(rules.scheme.stages)
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


BOUNDARIES: dict[str, list[tuple[str, dict[str, float | None]]]] = {
    "intro5": [
        ("mature", {"n": 4, "r": 1, "u": 180, "n_w": 4, "m_w": 1000}),
        ("growth", {"n": 4, "r": 1, "u": 179, "n_w": 4, "m_w": 1000}),
        ("growth", {"n": 4, "r": 1, "u": 180, "n_w": 4, "m_w": 999}),
        ("growth", {"n": 3, "r": 1, "u": 180, "n_w": 3, "m_w": 1000}),
        ("decline", {"n": 5, "r": 90, "u": 180, "n_w": 1, "n_w_before": 2}),  # 1 is half of 2
        ("growth", {"n": 5, "r": 90, "u": 100, "n_w": 2, "n_w_before": 3, "m_w": 51, "m_w_before": 100}),
        ("decline", {"n": 5, "r": 90, "u": 100, "n_w": 2, "n_w_before": 3, "m_w": 50, "m_w_before": 100}),
        ("decline", {"n": 2, "r": 91, "u": 100}),  # silent for more than half of 180 days
        ("growth", {"n": 1, "r": 91, "u": 91}),
        ("churned", {"n": 2, "r": 181, "u": 200}),
        ("intro", {"n": 0, "re": 180}),
        ("lost_prospect", {"n": 0, "re": 181}),
        ("intro", {"n": 0, "re": None}),
    ],
    "keynode5": [
        ("mature", {"n": 4, "r": 1, "u": 180, "n_w": 4, "m_w": 1000}),
        ("growth", {"n": 4, "r": 1, "u": 179, "n_w": 4, "m_w": 1000}),
        ("growth", {"n": 2, "r": 90, "u": 179}),
        ("cultivate", {"n": 1, "r": 180, "u": 180}),
        ("decline", {"n": 1, "r": 181, "u": 181}),
        ("establish", {"n": 0}),
    ],
    "amec": [
        ("acquire", {"n": 1, "r": 30, "u": 30, "cat_w": 1}),
        ("expand", {"n": 1, "r": 31, "u": 31, "cat_w": 1}),
        ("expand", {"n": 2, "r": 31, "u": 100, "m_w": 125, "m_w_before": 100}),
        ("maintain", {"n": 2, "r": 31, "u": 100, "m_w": 124, "m_w_before": 100}),
        ("maintain", {"n": 2, "r": 31, "u": 100, "m_w": 124, "m_w_before": 0}),
        ("expand", {"n": 2, "r": 31, "u": 100, "tier_w": 1}),
        ("churn", {"n": 2, "r": 181, "u": 200, "tier_w": 1}),
    ],
    "acamc": [
        ("maintain", {"n": 9, "r": 60, "u": 365, "n_w": 2}),
        ("active", {"n": 9, "r": 60, "u": 364, "n_w": 2}),
        ("cultivate", {"n": 9, "r": 61, "u": 365, "n_w": 1}),
        ("churn", {"n": 9, "r": 181, "u": 365, "n_w": 0}),
    ],
    "agadcr": [
        ("repurchase", {"n": 2, "r": 1, "u": 200, "n_period": 1, "r_before": 181}),
        ("growth", {"n": 2, "r": 1, "u": 200, "n_period": 1, "r_before": 180, "n_w": 1}),
        ("active", {"n": 2, "r": 1, "u": 31, "n_period": 1, "r_before": 1, "n_w": 2}),
        ("growth", {"n": 2, "r": 1, "u": 30, "n_period": 1, "r_before": 1, "n_w": 2}),
    ],
    "pnlc": [
        ("loyal", {"n": 2, "r": 180, "e_w": 2}),
        ("new", {"n": 2, "r": 180, "e_w": 1, "loyalty": 69}),
        ("loyal", {"n": 2, "r": 180, "e_w": 1, "loyalty": 70}),
        ("new", {"n": 1, "r": 180, "e_w": 9, "loyalty": 100}),
        ("potential", {"n": 0, "intent_w": 1}),
        ("audience", {"n": 0, "intent_w": 0}),
    ],
    "aipl": [
        ("loyalty", {"n": 3, "n_w": 3, "r": 180, "u0": 400}),
        ("purchase", {"n": 3, "n_w": 2, "r": 180, "u0": 400}),
        ("lapsed", {"n": 3, "n_w": 3, "r": 181, "u0": 400}),
        ("interest", {"n": 0, "n_w": 0, "n_acts": 2, "u0": 0}),
        ("awareness", {"n": 0, "n_w": 0, "n_acts": 1, "u0": 0}),
    ],
    "pal": [
        ("loyal", {"n": 2, "r": 180}),
        ("active", {"n": 1, "r": 180}),
        ("active", {"n": 2, "r": 181, "e_w": 1}),
        ("lapsed", {"n": 2, "r": 181, "e_w": 0}),
        ("active", {"n": 0, "e_w": 1}),
        ("potential", {"n": 0, "e_w": 0}),
    ],
    "rete6": [
        ("new", {"n": 1, "r": 0, "u": 0}),
        ("current", {"n": 2, "r": 0, "u": 9, "r_w": 6}),
        ("reactivated", {"n": 2, "r": 0, "u": 9, "r_w": 7}),
        ("reactivated", {"n": 2, "r": 0, "u": 40, "r_w": 29}),
        ("resurrected", {"n": 2, "r": 0, "u": 40, "r_w": 30}),
        ("at_risk_wau", {"n": 1, "r": 6, "u": 6, "r_w": 6}),
        ("at_risk_mau", {"n": 1, "r": 7, "u": 7, "r_w": 7}),
        ("dormant", {"n": 1, "r": 30, "u": 30, "r_w": 30}),
    ],
    "ga4state": [
        ("new", {"n": 2, "n_period": 2, "length_before": 28}),
        ("current", {"n": 2, "n_period": 1, "r_before": 27, "length_before": 28}),
        ("resurrected", {"n": 2, "n_period": 1, "r_before": 28, "length_before": 28}),
        ("dormant", {"n": 2, "n_period": 0, "r_before": 1, "length_before": 28}),
    ],
    "arg": [
        ("growth", {"n": 0, "ref_w": 1}),
        ("retention", {"n": 1, "r": 180, "ref_w": 0}),
        ("churned", {"n": 1, "r": 181, "ref_w": 0}),
        ("acquisition", {"n": 0, "ref_w": 0}),
    ],
    "community3": [
        ("early", {"members": 99, "age": 30}),
        ("early", {"members": 100, "age": 29}),
        ("growth", {"members": 100, "age": 30}),
        ("settled", {"members": 500, "age": 300, "slow": 3}),
        ("growth", {"members": 499, "age": 300, "slow": 3}),
        ("growth", {"members": 500, "age": 300, "slow": 2, "falling": 2}),
        ("shrinking", {"members": 500, "age": 300, "slow": 3, "falling": 3}),
    ],
}


@pytest.mark.parametrize("scheme", BOUNDARIES)
def test_stages_change_on_the_boundaries_that_the_table_of_schemes_gives(scheme: str) -> None:
    rows = pd.DataFrame([primitives for _, primitives in BOUNDARIES[scheme]])
    found = stage_rules(scheme, window_days=180).with_stand_ins().classify(rows).tolist()
    assert found == [stage for stage, _ in BOUNDARIES[scheme]]


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


def changed_scheme(name: str, **changes: Any) -> dict[str, Any]:
    return copy.deepcopy(load_scheme(name).definition()) | changes


def test_a_threshold_outside_its_range_is_refused_with_the_range() -> None:
    with pytest.raises(StudyError, match=r"thresholds\.q: expected a number from 0 to 1 \(share\); came 1\.5"):
        stage_rules("intro5", window_days=180, thresholds={"q": 1.5})
    with pytest.raises(StudyError, match=r"n_mature: expected a whole number from 1 to 1000 \(purchases\); came 2\.5"):
        stage_rules("pnmc", window_days=180, thresholds={"n_mature": 2.5})
    with pytest.raises(StudyError, match=r"residual: expected one of 0, 1, 2; came 3"):
        stage_rules("pnlc", window_days=180, thresholds={"residual": 3})
    with pytest.raises(StudyError, match=r"thresholds\.w_new: expected a number; came 'soon'"):
        stage_rules("nadc", window_days=180, thresholds={"w_new": "soon"})
    with pytest.raises(StudyError, match=r"thresholds\.w: expected a window of at least 1 day; came 0"):
        stage_rules("acamc", window_days=180, thresholds={"w": 0})
    with pytest.raises(StudyError, match=r"churn\.window_days: expected 1 to 3650 days; came 0"):
        stage_rules("pnmc", window_days=0)
    definition = changed()
    definition["thresholds"]["w_new"]["grid"] = [15, 5000]
    with pytest.raises(
        StudyError, match=r"thresholds\.w_new: expected a whole number from 0 to 3650 \(days\); came 5000"
    ):
        load_scheme(definition)


def test_an_unknown_primitive_and_one_of_another_unit_are_refused() -> None:
    definition = changed_scheme("pal")
    definition["rules"][1]["when"] = "e_ww >= 1 or r <= window_days"
    with pytest.raises(StudyError, match=r"rule 2 \(active\): 'e_ww' is neither.*did you mean 'e_w'"):
        load_scheme(definition)
    definition["rules"][1]["when"] = "members >= 1"
    with pytest.raises(StudyError, match=r"rule 2 \(active\): 'members' is neither"):
        load_scheme(definition)


def test_a_window_a_cut_a_streak_or_a_move_that_names_nothing_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'n_acts' counts over a window, and no threshold is named 'w'"):
        load_scheme(changed_scheme("aipl", windows={"n_w": "w_loyal"}))
    with pytest.raises(StudyError, match=r"windows\.n_w: no threshold is named 'w_loyl'; did you mean 'w_loyal'"):
        load_scheme(changed_scheme("aipl", windows={"n_w": "w_loyl"}))
    cuts = {"m_cut": load_scheme("intro5").definition()["cuts"]["m_cut"] | {"quantile": "qq"}}
    with pytest.raises(StudyError, match=r"cuts\.m_cut\.quantile: no threshold is named 'qq'; did you mean 'q'"):
        load_scheme(changed_scheme("intro5", cuts=cuts))
    with pytest.raises(StudyError, match=r"streaks\.slow: 'membrs' is neither.*did you mean 'members'"):
        load_scheme(changed_scheme("community3", streaks={"slow": "membrs > 1", "falling": "members > 1"}))
    with pytest.raises(StudyError, match="never: no stage is named 'chruned'; did you mean 'churned'"):
        load_scheme(changed(never=[["new", "chruned"]]))
    with pytest.raises(StudyError, match="optional: no primitive is named 'tiers'"):
        load_scheme(changed(optional=["tiers"]))


def test_rules_over_windows_that_leave_somebody_out_are_refused_with_an_example() -> None:
    definition = changed_scheme("acamc")
    definition["rules"][3]["when"] = "n >= 1 and n_w >= 1"
    with pytest.raises(StudyError, match=r"puts a customer with n = \d+, r = \d+, .*n_w = 0 into no stage"):
        stage_rules(definition, window_days=180)
    definition = changed_scheme("aipl")
    definition["rules"][4]["when"] = "n < 1 and n_acts < k - 1"
    with pytest.raises(StudyError, match=r"customer with n = 0, r = none, .*n_acts = 1.* into no stage"):
        stage_rules(definition, window_days=180)
    definition = changed_scheme("community3")
    definition["rules"][3]["when"] = "members > m_early"
    with pytest.raises(StudyError, match=r"puts a community with age = \d+, members = 100, .*into no stage"):
        stage_rules(definition, window_days=180)


def test_a_choice_closes_a_stage() -> None:
    assert stage_rules("pnlc", window_days=180).closed == ("repeat",)
    assert "repeat" in stage_rules("pnlc", window_days=180, thresholds={"residual": 0}).stages
    assert "lost_prospect" in stage_rules("intro5", window_days=180).stages
    churned = stage_rules("intro5", window_days=180, thresholds={"prospect_churn": 1})
    assert "lost_prospect" not in churned.stages
    row = pd.DataFrame({"n": [0], "re": [181], "n_w": [0], "n_w_before": [0], "m_w": [0], "m_w_before": [0]})
    assert churned.with_stand_ins().classify(row).tolist() == ["churned"]
    assert stage_rules("intro5", window_days=180).with_stand_ins().classify(row).tolist() == ["lost_prospect"]


def test_stages_that_the_source_does_not_have_are_marked() -> None:
    ours = {
        (name, stage) for name in known_schemes() for stage, meant in load_scheme(name).stages.items() if meant.ours
    }
    assert ours == {
        *{("intro4", "lost_prospect"), ("intro5", "lost_prospect"), ("pnlc", "repeat"), ("aipl", "lapsed")},
        *{("pal", "lapsed"), ("arg", "churned"), ("community3", "shrinking"), ("ga4state", "prospect")},
        ("rete6", "prospect"),
    }
    words = stage_rules("aipl", window_days=180).table("en").set_index("stage")["words"]
    assert "added so that everybody has a stage" in words["lapsed"]
    assert "added" not in words["loyalty"]


def test_all_schemes_of_the_table_are_there() -> None:
    assert known_schemes() == [
        *("acamc", "agadcr", "aipl", "amec", "arg", "community3", "ga4state", "intro4", "intro5", "keynode5"),
        *("nadc", "nadcr", "pal", "pnlc", "pnmc", "rete6"),
    ]


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


def test_a_move_that_something_else_than_time_brings_about_is_no_clock() -> None:
    # whoever lapsed and engages is active again in a period without a purchase, and not by the clock
    found = allowed("pal", window_days=180)
    assert ("lapsed", "active") in found["possible"]
    assert ("lapsed", "active") not in found["clock"] | found["purchase"]
    assert {("active", "lapsed"), ("loyal", "lapsed")} <= found["clock"]
    assert ("potential", "lapsed") not in found["possible"]
    assert ("interest", "awareness") in allowed("aipl", window_days=180)["clock"]


def test_several_purchases_in_a_period_can_skip_a_stage() -> None:
    assert ("establish", "growth") in allowed("keynode5", window_days=180, thresholds={"m_cut": 100})["purchase"]
    assert ("awareness", "loyalty") in allowed("aipl", window_days=180)["purchase"]


def test_a_scheme_may_declare_a_move_that_never_happens() -> None:
    assert ("acquire", "maintain") in allowed("amec", window_days=180)["possible"]
    without = stage_rules(changed_scheme("amec", never=[["acquire", "maintain"]]), window_days=180)
    moves = possible_moves(without)
    assert not moves.possible[moves.stages.index("acquire"), moves.stages.index("maintain")]


def test_holding_on_to_a_stage_lets_it_be_followed_by_what_several_periods_lead_to() -> None:
    rules = stage_rules("nadc", window_days=180)
    held = possible_moves(rules, confirm_periods=2)
    place = held.stages.index
    assert held.possible[place("new"), place("churned")]
    assert held.clock[place("new"), place("churned")]
    assert not held.possible[place("churned"), place("new")]
