"""Every scheme against stages worked out customer by customer, and the laws of schemes, holding and cuts."""

from __future__ import annotations

from datetime import date
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
import scheme_oracle as oracle
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scheme_oracle import Person

from lcm_research.data.reduction import Tables
from lcm_research.errors import DataError, MissingTableError, ModelError, StudyError
from lcm_research.stages.availability import off_sentence, primitives_off
from lcm_research.stages.cuts import cut_value_counts, with_cuts
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.panel import stage_panel, transition_counts
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.stages.scheme import COARSE

# a seed is not made simpler by making it smaller
seeded = settings(deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=[HealthCheck.too_slow])

EPOCH = date(1970, 1, 1)
START, AS_OF = (date(2021, 1, 1) - EPOCH).days, (date(2022, 3, 31) - EPOCH).days
WINDOW = {"observation_start_day": START, "as_of_day": AS_OF, "history": "complete"}
CUT = 2500.0
NEW = ["acamc", "agadcr", "aipl", "amec", "arg", "ga4state", "intro4", "intro5", "keynode5", "pal", "pnlc", "rete6"]
ACTIONS = ["follow", "unfollow", "like", "comment", "share", "dm", "cart", "ugc"]


def rules_of(scheme: str, **thresholds: Any) -> StageRules:
    cut = {"m_cut": CUT} if scheme in ("intro4", "intro5", "keynode5") else {}
    return stage_rules(scheme, window_days=180, thresholds=cut | thresholds)


def random_people(seed: int, size: int = 30) -> dict[str, Person]:
    """People whose events lie on and beside the days at which stages change."""
    rng = np.random.default_rng(seed)
    ends = oracle.month_ends(START, AS_OF)
    edges = [0, 1, 6, 7, 29, 30, 31, 59, 60, 61, 89, 90, 91, 92, 179, 180, 181, 364, 365, 366]

    def days(most: int) -> list[int]:
        near = [int(rng.choice(ends)) - int(rng.choice(edges)) for _ in range(rng.integers(0, most + 1))]
        return [d if rng.random() < 0.8 else int(rng.integers(START - 250, AS_OF + 20)) for d in near]

    def person() -> Person:
        quiet = rng.random() < 0.3
        categories = ["shoes", "bags", None]
        return Person(
            purchases=[]
            if quiet
            else [(d, int(rng.integers(5, 60)) * 100, categories[rng.integers(3)]) for d in days(8)],
            returns=[(d, -int(rng.integers(1, 40)) * 100) for d in days(1)],
            acts=[(d, str(rng.choice(ACTIONS))) for d in days(8)],
            touches=days(2),
            tiers=[(d, int(rng.integers(0, 3))) for d in dict.fromkeys(days(3))],
            accepted=days(2),
            answers=[(d, int(rng.integers(0, 11)) * 10) for d in days(1)],
            first_seen=None if rng.random() < 0.4 else int(rng.integers(START - 60, AS_OF + 10)),
        )

    return {f"c{i}": person() for i in range(size)}


def tables_of(people: dict[str, Person], leave_out: tuple[str, ...] = ()) -> Tables:
    names = list(people)
    customers = pd.DataFrame({"customer_id": names, "replicate": np.arange(len(names)) % 100})
    customers["first_seen_at_day"] = pd.array([people[c].first_seen for c in names], dtype="Int64")
    bought = [(c, d, False, m, k) for c, p in people.items() for d, m, k in p.purchases]
    bought += [(c, d, True, m, None) for c, p in people.items() for d, m in p.returns]
    made = {"customers": ibis.memtable(customers)}

    def add(name: str, rows: list[tuple[Any, ...]], **types: str) -> None:
        if name not in leave_out:
            made[name] = ibis.memtable(pd.DataFrame(rows, columns=list(types)), schema=types)

    person = {"customer_id": "string"}
    add(
        "transactions",
        [(*row, "CNY") for row in bought],
        **person,
        day="int64",
        is_return="boolean",
        amount_minor="int64",
        category="string",
        currency="string",
    )
    acts = [(c, d, a, f"e{i}-{c}", d) for c, p in people.items() for i, (d, a) in enumerate(p.acts)]
    add("engagements", acts, **person, day="int64", action="string", event_id="string", ts_us="int64")
    add("touchpoints", [(c, d) for c, p in people.items() for d in p.touches], **person, day="int64")
    tiers = [(c, d, float(k)) for c, p in people.items() for d, k in p.tiers]
    add("tier_history", tiers, **person, valid_from_day="int64", threshold="float64")
    accepted = [(c, d) for c, p in people.items() for d in p.accepted]
    add("referrals", accepted, referrer_id="string", accepted_at_day="int64")
    answers = [(c, d, "loyalty", 1 + v / 10, 1.0, 11.0) for c, p in people.items() for d, v in p.answers]
    add(
        "survey",
        answers,
        **person,
        day="int64",
        item_id="string",
        value="float64",
        scale_min="float64",
        scale_max="float64",
    )
    return Tables(made)


def panel_of(made: Tables, rules: StageRules, **options: Any) -> pd.DataFrame:
    panel = stage_panel(made, rules=rules, **(WINDOW | options)).to_pandas()
    return panel.sort_values(["customer_id", "period"], ignore_index=True)


def stages_of(panel: pd.DataFrame, rules: StageRules) -> dict[tuple[str, int], tuple[str, str]]:
    names, coarse = [*rules.stages, "unknown"], [*COARSE, "unknown"]
    rows = zip(panel["customer_id"], panel["period"], panel["code"], panel["coarse"], strict=True)
    return {(c, int(p)): (names[int(code)], coarse[int(rough)]) for c, p, code, rough in rows}


# -- against the oracle -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", ["complete", "from_observation_start"])
@pytest.mark.parametrize("scheme", NEW)
@settings(seeded, max_examples=1)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_scheme_gives_the_stages_worked_out_customer_by_customer(scheme: str, history: str, seed: int) -> None:
    people, rules = random_people(seed, 40), rules_of(scheme)
    panel = panel_of(tables_of(people), rules, history=history)
    expected = oracle.panel(scheme, people, start=START, as_of=AS_OF, history=history, cut=CUT)
    assert not panel.duplicated(["customer_id", "period"]).any()
    assert stages_of(panel, rules) == expected

    moves = possible_moves(rules)
    moved = panel[(panel["code"] >= 0) & (panel["was"] >= 0)]
    assert moves.possible[moved["was"].astype(int), moved["code"].astype(int)].all(), "a move called impossible"
    silent = {(c, p) for c, p in zip(moved["customer_id"], moved["period"], strict=True)} - _with_purchase(people)
    in_silence = [key in silent for key in zip(moved["customer_id"], moved["period"], strict=True)]
    clock = moves.clock[moved["was"].astype(int), moved["code"].astype(int)]
    assert not (clock & ~np.array(in_silence, dtype=bool)).any(), "a clock move in a period with a purchase"


def _with_purchase(people: dict[str, Person]) -> set[tuple[str, int]]:
    ends = np.array(oracle.month_ends(START, AS_OF))
    return {(c, int(np.searchsorted(ends, d))) for c, p in people.items() for d, _, _ in p.purchases if d >= START}


def test_the_random_people_visit_every_stage_of_every_scheme() -> None:
    for scheme in NEW:
        seen = {
            told[0]
            for seed in range(3)
            for told in oracle.panel(
                scheme, random_people(seed, 60), start=START, as_of=AS_OF, history="complete", cut=CUT
            ).values()
        }
        assert seen == set(rules_of(scheme).stages), scheme


@settings(seeded, max_examples=2)
@given(seed=st.integers(0, 2**32 - 1), scheme=st.sampled_from(NEW), confirm=st.integers(1, 3), dwell=st.integers(0, 4))
def test_no_later_row_changes_an_earlier_stage(seed: int, scheme: str, confirm: int, dwell: int) -> None:
    people, cut = random_people(seed, 20), (date(2021, 9, 30) - EPOCH).days
    past = {name: person.until(cut, None) for name, person in people.items()}
    options = {"confirm_periods": confirm, "min_dwell": dwell}
    whole, known = (panel_of(tables_of(p), rules_of(scheme), **options) for p in (people, past))
    columns = ["customer_id", "period", "code"]
    early = [panel.loc[panel["period"] <= 8, columns].reset_index(drop=True) for panel in (whole, known)]
    pd.testing.assert_frame_equal(*early)


@settings(seeded, max_examples=2)
@given(seed=st.integers(0, 2**32 - 1))
def test_thresholds_act_in_one_direction(seed: int) -> None:
    made = tables_of(random_people(seed, 40))

    def size(scheme: str, stage: str, **thresholds: Any) -> pd.Series:
        rules = rules_of(scheme, **thresholds)
        panel = panel_of(made, rules)
        return (panel["code"] == rules.stages.index(stage)).set_axis(
            list(zip(panel["customer_id"], panel["period"], strict=True))
        )

    for scheme, stage, name, low, high in [
        ("aipl", "loyalty", "n_loyal", 2, 4),
        ("intro5", "mature", "t_mature", 90, 365),
        ("pal", "loyal", "n_loyal", 2, 4),
        ("amec", "expand", "th", 0.1, 0.5),
    ]:
        easy, hard = (size(scheme, stage, **{name: value}) for value in (low, high))
        assert (hard <= easy).all(), f"{name} of {scheme}"
    wide, narrow = (size("intro5", "decline", d=d) for d in (0.7, 0.3))
    assert (narrow <= wide).all()


# -- holding ----------------------------------------------------------------------------------------------------------


@settings(seeded, max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), confirm=st.integers(1, 4), dwell=st.integers(0, 6))
def test_held_stages_are_those_worked_out_one_after_another(seed: int, confirm: int, dwell: int) -> None:
    made, rules = tables_of(random_people(seed, 25)), rules_of("agadcr")
    raw = panel_of(made, rules, history="from_observation_start")
    shown = panel_of(made, rules, history="from_observation_start", confirm_periods=confirm, min_dwell=dwell)
    known = raw["code"] >= 0
    assert (shown.loc[~known, "code"] == -1).all()
    for customer, rows in raw[known].groupby("customer_id"):
        expected = oracle.held([str(code) for code in rows["code"]], confirm, max(dwell, 1))
        found = shown.loc[known & (shown["customer_id"] == customer), "code"].astype(str).tolist()
        assert found == expected
    assert (shown.groupby("customer_id")["code"].shift().dropna() == shown["was"].dropna()).all()
    moves = possible_moves(rules, confirm_periods=confirm, min_dwell=dwell)
    moved = shown[(shown["code"] >= 0) & (shown["was"] >= 0)].astype({"was": int, "code": int})
    assert moves.possible[moved["was"], moved["code"]].all()


def test_a_change_waits_for_its_confirmation_and_a_stage_for_its_time() -> None:
    # seen a b b a a a: b counts at its second sight (place 2), a again at place 4
    assert oracle.held(list("abbaaa"), 2, 1) == list("aabbaa")
    # a is kept for three period ends, then b (seen at place 3) for three
    assert oracle.held(list("abcbcaa"), 1, 3) == list("aaabbba")


def test_holding_outside_its_range_is_refused() -> None:
    made, rules = tables_of({"a": Person(purchases=[(START, 100, None)])}), rules_of("nadc")
    with pytest.raises(StudyError, match="expected confirm_periods from 1 to 12; came 0"):
        panel_of(made, rules, confirm_periods=0)
    with pytest.raises(StudyError, match="expected min_dwell from 0 to the 15 periods of the panel; came 16"):
        panel_of(made, rules, min_dwell=16)
    with pytest.raises(StudyError, match="expected min_dwell from 0 to the 15 periods of the panel; came -1"):
        panel_of(made, rules, min_dwell=-1)


# -- cuts -------------------------------------------------------------------------------------------------------------


def options_of(rules: StageRules) -> dict[str, Any]:
    return rules.parameters() | WINDOW | {"period": "month"}


def test_cuts_are_the_quantile_of_active_customers_worked_out_by_hand() -> None:
    # spend of the last 90 days on 2021-03-31, active ones: 1000, 2000, 3456 (rounded down to 3450) and 0 (bought in
    # October, 150 days ago); d has not bought for 200 days. Half of the four are at or below 1000.
    march = (date(2021, 3, 31) - EPOCH).days
    people = {
        "a": Person(purchases=[(march, 1000, None)]),
        "b": Person(purchases=[(march - 89, 2000, None)]),
        "c": Person(purchases=[(march - 5, 3556, None)], returns=[(march, -100)]),
        "e": Person(purchases=[(march - 150, 9900, None)]),
        "d": Person(purchases=[(march - 200, 9900, None)]),
    }
    rules = stage_rules("intro5", window_days=180)
    counts = cut_value_counts.execute(tables_of(people), **options_of(rules))
    in_march = counts[counts["period_start"] == "2021-03-01"]
    assert dict(zip(in_march["value"], in_march["n"], strict=True)) == {0: 1, 1000: 1, 2000: 1, 3450: 1}
    frozen = with_cuts(rules, counts, cut_mode="frozen", reference_period="2021-03-01")
    assert frozen.cuts == {"m_cut": 1000.0}
    higher = stage_rules("intro5", window_days=180, thresholds={"q": 0.75})
    assert with_cuts(higher, counts, cut_mode="frozen", reference_period="2021-03-01").cuts == {"m_cut": 2000.0}
    rolling = with_cuts(rules, counts, cut_mode="rolling")
    assert rolling.cuts["m_cut"]["2021-03-01"] == 1000.0
    assert rolling.parameters()["thresholds"]["m_cut"] == rolling.cuts["m_cut"]


@settings(seeded, max_examples=2)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_rolling_cut_is_each_periods_own(seed: int) -> None:
    people = random_people(seed)
    made, rules = tables_of(people), stage_rules("keynode5", window_days=180)
    rolling = with_cuts(rules, cut_value_counts.execute(made, **options_of(rules)), cut_mode="rolling")
    found = stages_of(panel_of(made, rolling), rolling)
    starts = [
        str((pd.Timestamp(0) + pd.Timedelta(days=e)).replace(day=1).date()) for e in oracle.month_ends(START, AS_OF)
    ]
    for period, start in enumerate(starts):
        cut = rolling.cuts["m_cut"].get(start, 0)
        expected = oracle.panel("keynode5", people, start=START, as_of=AS_OF, history="complete", cut=cut)
        here = [key for key in expected if key[1] == period]
        assert [found[key] for key in here] == [expected[key] for key in here]


def test_a_cut_that_is_not_set_is_refused_with_the_way_to_set_it() -> None:
    made, rules = tables_of(random_people(1, 3)), stage_rules("intro5", window_days=180)
    with pytest.raises(StudyError, match=r"compares with the cut m_cut.*cut_value_counts"):
        panel_of(made, rules)
    with pytest.raises(StudyError, match="scheme 'nadc' has no cuts"):
        cut_value_counts(made, **options_of(rules_of("nadc")))
    counts = cut_value_counts.execute(made, **options_of(rules))
    with pytest.raises(StudyError, match="cut_mode='frozen' and reference_period=None"):
        with_cuts(rules, counts, cut_mode="frozen")
    with pytest.raises(ModelError, match="m_cut off in the reference period 1999-01-01"):
        with_cuts(rules, counts, cut_mode="frozen", reference_period="1999-01-01")
    other = stage_rules("intro5", window_days=180, thresholds={"m_cut": {"1999-01-01": 5}})
    with pytest.raises(StudyError, match="m_cut has no value from 2021-01-01 to 2022-03-01"):
        panel_of(made, other)


def test_another_threshold_keeps_a_cut_only_where_it_does_not_depend_on_it() -> None:
    kept = {name: "m_cut" in rules.cuts for name, _, rules in rules_of("keynode5").alternatives()}
    assert kept == {
        **dict.fromkeys(["d", "l", "n_mature", "t_mature", "n_growth"], True),
        **dict.fromkeys(["w", "q", "window_days"], False),
    }


# -- communities ------------------------------------------------------------------------------------------------------


def communities(seed: int) -> dict[str, tuple[int, list[int], list[int]]]:
    rng, found = np.random.default_rng(seed), {}
    for i in range(12):
        created = int(rng.integers(START - 100, AS_OF - 60))
        size = int(rng.choice([30, 120, 560, 700]))
        joins = (created + rng.integers(0, int(rng.choice([5, 200])), size)).tolist()
        stayed = rng.choice([0, 5, 300])
        leaves = [d + int(rng.integers(20, 400)) for d in joins if rng.random() < stayed / 700]
        found[f"g{i}"] = (created, joins, leaves)
    return found


def community_tables(groups: dict[str, tuple[int, list[int], list[int]]]) -> Tables:
    rows = []
    for name, (_, joins, leaves) in groups.items():
        left = [*leaves, *[None] * (len(joins) - len(leaves))]
        rows += [(name, f"{name}-{i}", joined, gone) for i, (joined, gone) in enumerate(zip(joins, left, strict=True))]
    community = pd.DataFrame({"community_id": list(groups), "created_at_day": [g[0] for g in groups.values()]})
    types = {"community_id": "string", "customer_id": "string", "joined_at_day": "int64", "left_at_day": "int64"}
    members = pd.DataFrame(rows, columns=list(types)).astype({"left_at_day": "Int64"})
    return Tables({"community": ibis.memtable(community), "community_member": ibis.memtable(members, schema=types)})


@settings(seeded, max_examples=3)
@given(seed=st.integers(0, 2**32 - 1))
def test_communities_have_the_stages_worked_out_one_by_one(seed: int) -> None:
    groups, rules = communities(seed), stage_rules("community3", window_days=180)
    found = stages_of(panel_of(community_tables(groups), rules), rules)
    ends = oracle.month_ends(START, AS_OF)
    expected = {
        (name, period): stage
        for name, (created, joins, leaves) in groups.items()
        for period, stage in enumerate(oracle.community_stages(created, joins, leaves, ends))
        if stage is not None
    }
    assert {key: stage for key, (stage, _) in found.items()} == expected


def test_a_communitys_moves_are_counted_by_cluster() -> None:
    rules = stage_rules("community3", window_days=180)
    made = community_tables({"g": (START, [START] * 150, []), "h": (START, [START + 40] * 40, [])})
    counts = transition_counts.execute(made, **options_of(rules))
    # 150 members: early in January (30 days old: Jan 31 is day 30, no longer early), so growth from the start
    assert counts.groupby(["from_stage", "to_stage"])["n"].sum().to_dict() == {
        ("growth", "growth"): 14,
        ("early", "early"): 14,
    }
    assert counts["replicate"].between(0, 99).all()


# -- what a study lacks -----------------------------------------------------------------------------------------------


def test_a_scheme_that_needs_a_table_the_study_lacks_is_refused() -> None:
    people = random_people(2, 4)
    with pytest.raises(
        MissingTableError, match=r"no table 'referrals', which scheme 'arg' \(its rules ask for ref_w\)"
    ):
        panel_of(tables_of(people, leave_out=("referrals",)), rules_of("arg"))
    with pytest.raises(MissingTableError, match="no table 'engagements', which scheme 'pal'"):
        panel_of(tables_of(people, leave_out=("engagements",)), rules_of("pal"))


def test_parts_of_a_rule_that_a_study_lacks_are_off_and_said_so() -> None:
    people, rules = random_people(3), rules_of("amec")
    made = tables_of(people, leave_out=("tier_history",))
    assert primitives_off(made, rules) == ("tier_w",)
    assert "higher tier" in off_sentence(("tier_w",), "en")
    assert "会员等级升级" in off_sentence(("tier_w",), "zh")
    without = {name: Person(**(vars(p) | {"tiers": []})) for name, p in people.items()}
    expected = oracle.panel("amec", without, start=START, as_of=AS_OF, history="complete", cut=CUT)
    assert stages_of(panel_of(made, rules), rules) == expected
    assert primitives_off(tables_of(people), rules) == ()


def test_spending_in_two_currencies_is_refused() -> None:
    made = tables_of(random_people(4, 5))
    bought = made["transactions"]
    mixed = bought.mutate(currency=(bought.day > START + 100).ifelse("CNY", "USD"))
    with pytest.raises(DataError, match=r"expects one currency; transactions come in CNY, USD"):
        panel_of(Tables(dict(made) | {"transactions": mixed}), rules_of("amec"))
    assert len(panel_of(Tables(dict(made) | {"transactions": mixed}), rules_of("acamc")))


def test_tiers_without_an_order_are_refused() -> None:
    made = tables_of(random_people(5, 5))
    unordered = made["tier_history"].drop("threshold").mutate(tier=ibis.literal("gold"))
    definition = rules_of("amec").scheme.definition() | {"optional": []}
    with pytest.raises(DataError, match="needs the order of the tiers; list them under tiers"):
        panel_of(Tables(dict(made) | {"tier_history": unordered}), stage_rules(definition, window_days=180))
    ordered = stage_rules(definition | {"tiers": ["silver", "gold"]}, window_days=180)
    assert len(panel_of(Tables(dict(made) | {"tier_history": unordered}), ordered))
