"""Counts from signatures are those of the dense panel, exactly, and the bits are worked out by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stage_gaps import LEAP, assert_same_counts, beside_month_ends
from test_stage_schemes import AS_OF, START, random_people, rules_of, seeded, tables_of

from lcm_research.data.reduction import Tables
from lcm_research.stages.boundaries import boundaries_of
from lcm_research.stages.calendar import months
from lcm_research.stages.panel import stage_stock, transition_counts
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.stages.signature_layout import signature_layout
from lcm_research.stages.signatures import signatures_of

EPOCH = date(1970, 1, 1)
HISTORIES = ["complete", "from_observation_start"]
MONTHS = months(observation_start_day=START, as_of_day=AS_OF)
FAMILY = ["nadc", "nadcr", "pnmc", "acamc"]


def own_rules(*conditions: str) -> StageRules:
    """A scheme of the given rules, in their order, and a last one that takes everybody who is left."""
    places = [f"s{i}" for i in range(len(conditions) + 1)]
    scheme = {
        "scheme": "own",
        "version": 1,
        "title": {"en": "own", "zh": "own"},
        "thresholds": {"w": {"default": 45, "unit": "days", "grid": [45], "meaning": {"en": "w", "zh": "w"}}},
        "stages": {name: {"name": {"en": name, "zh": name}, "coarse": "new"} for name in places},
        "rules": [
            {"stage": place, "when": when, "words": {"en": place, "zh": place}}
            for place, when in zip(places, [*conditions, "n >= 0"], strict=True)
        ],
    }
    return stage_rules(scheme, window_days=100)


@pytest.mark.parametrize(
    ("condition", "boundaries"),
    [
        ("r <= 60", {"r": (60,)}),
        ("60 >= r", {"r": (60,)}),
        ("not r > 60", {"r": (60,)}),
        ("r < 60", {"r": (59,)}),
        ("60 > r", {"r": (59,)}),
        ("60 <= r", {"r": (59,)}),
        ("r < 2 * w + 0.5", {"r": (90,)}),
        ("n = 1", {"n": (0, 1)}),
        ("n = 0 or r >= w", {"n": (-1, 0), "r": (44,)}),
    ],
)
def test_a_boundary_is_the_last_number_on_its_lower_side(condition: str, boundaries: dict[str, Any]) -> None:
    # the last rule, n >= 0, adds -1
    boundaries = boundaries | {"n": tuple(sorted({*boundaries.get("n", ()), -1}))}
    assert boundaries_of(own_rules(condition)) == boundaries


@pytest.mark.parametrize(
    ("scheme", "has"),
    [("nadc", True), ("nadcr", True), ("pnmc", True), ("acamc", True), ("keynode5", False), ("arg", False)],
)
def test_signatures_serve_rules_about_purchases_that_compare_with_numbers(scheme: str, has: bool) -> None:
    assert (signature_layout(rules_of(scheme), ends=MONTHS, moves=True) is not None) is has


@pytest.mark.parametrize(
    ("condition", "counts"),
    [
        ("n < 1", []),
        ("n = 0", []),
        ("n <= 1", [("n", 2)]),
        ("n = 3", [("n", 3), ("n", 4)]),
        ("n_period >= 1", []),
        ("n_period >= 2", [("n_period", 2)]),
    ],
)
@pytest.mark.parametrize("history", HISTORIES)
def test_what_is_counted_is_what_is_more_than_one(condition: str, counts: list[tuple[str, int]], history: str) -> None:
    layout = signature_layout(own_rules(condition), ends=MONTHS, moves=True)
    assert layout is not None
    assert [(count.primitive, count.at_least) for count in layout.counts] == counts
    assert_same_counts(tables_of(random_people(2, 40)), own_rules(condition), history=history)


@settings(seeded, max_examples=3)
@given(seed=st.integers(0, 2**32 - 1), history=st.sampled_from(HISTORIES), data=st.data())
def test_counts_over_windows_with_many_purchases_a_day(seed: int, history: str, data: st.DataObject) -> None:
    made = beside_month_ends(seed, 60)
    many = ibis.union(*[made["transactions"]] * data.draw(st.integers(2, 9)))
    window = data.draw(st.sampled_from(["n_w", "n_w_before", "n_period"]))
    rules = own_rules(f"n > {data.draw(st.integers(4, 8))}", f"{window} >= {data.draw(st.integers(1, 3))}")
    options = LEAP | {"history": history, "by": ["region"]}
    assert signature_layout(rules, ends=months(**LEAP), moves=True) is not None
    assert_same_counts(Tables(dict(made) | {"transactions": many}), rules, **options)


def test_a_number_of_purchases_has_room_for_all_days_that_differ() -> None:
    # pnmc asks for 4 purchases. All days that differ count at the last end, each for 4 at most, below the highest bit
    layout = signature_layout(rules_of("pnmc"), ends=MONTHS, moves=True)
    assert layout is not None
    words = layout.words_of_days(MONTHS)
    n_alike = words.loc[words["purchase"], "alike"].nunique()
    assert 4 * n_alike < 2 ** (layout.count_bits - 1) <= 2 * 4 * n_alike


def test_windows_of_too_many_words_are_left_to_gaps() -> None:
    # nadc has 5 bits a month end: 12 in a word of 63 bits, 11 moves; 16 words hold 176 moves, of 177 months
    nadc = rules_of("nadc")
    many = months(observation_start_day=START, as_of_day=START + 178 * 31)
    longest = signature_layout(nadc, ends=many[:177], moves=True)
    assert longest is not None
    assert (longest.step, len(longest.words)) == (11, 16)
    assert signature_layout(nadc, ends=many[:178], moves=True) is None
    assert signature_layout(nadc, ends=many[:1], moves=True) is None


@pytest.mark.parametrize("scheme", FAMILY)
def test_gaps_give_the_same_where_there_are_no_signatures(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, rules = tables_of(random_people(9, 60)), rules_of(scheme)
    moves = assert_same_counts(made, rules, history="complete")
    monkeypatch.setattr("lcm_research.stages.signature_layout.MOST_WORDS", 0)
    assert signature_layout(rules, ends=MONTHS, moves=True) is None
    pd.testing.assert_frame_equal(assert_same_counts(made, rules, history="complete"), moves)


def test_bits_of_a_purchase_by_hand() -> None:
    # January to March 2022 (month ends on days 30, 58 and 89 from January 1) and moves: February's and March's.
    # A purchase on January 29 (day 28) is 2, 30 and 61 days old: at most 60, 60, not; more than 30: not, not, yet
    calendar = months(observation_start_day=18993, as_of_day=18993 + 89)
    layout = signature_layout(stage_rules("nadc", window_days=180), ends=calendar, moves=True)
    assert layout is not None
    assert layout.bits == ("contact", "bought", "r0", "r1", "u0")
    days = layout.words_of_days(calendar).set_index(["purchase", "on_day"])
    assert days.loc[(True, 18993 + 28), "word_0"] == 0b11011_01111_01111
    # a day later it is at most 60 days old and more than 30 at the end of March only
    assert days.loc[(True, 18993 + 29), "word_0"] == 0b11111_01111_01111
    assert days.loc[(False, 18993 + 31), "word_0"] == 0b00001_00001_00000
    rows = layout.rows(calendar)
    assert rows.to_dict("list") == {"word": [0, 0], "shift": [0, 5], "count_shift": [0, 0], "period": [1, 2]}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("scheme", ["nadc", "nadcr"])
@settings(seeded, max_examples=3)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_counts_are_those_of_the_dense_panel(scheme: str, history: str, seed: int, data: st.DataObject) -> None:
    days = sorted(data.draw(st.lists(st.integers(1, 200), min_size=3, max_size=3, unique=True)))
    rules = stage_rules(scheme, window_days=days[2], thresholds={"w_new": days[0], "w_active": days[1]})
    assert_same_counts(tables_of(random_people(seed, 60)), rules, history=history)


@settings(seeded, max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), history=st.sampled_from(HISTORIES), scheme=st.sampled_from(FAMILY))
def test_segments_and_several_words(seed: int, history: str, scheme: str) -> None:
    # a window of five years: 60 months, 59 moves, in 6 words of nadc (11 moves each) and 8 of nadcr (8 each)
    made = beside_month_ends(seed)
    long = LEAP | {"observation_start_day": (date(2020, 1, 1) - EPOCH).days, "history": history}
    ends = months(observation_start_day=long["observation_start_day"], as_of_day=LEAP["as_of_day"])
    layout = signature_layout(stage_rules(scheme, window_days=180), ends=ends, moves=True)
    assert layout is not None
    assert len(layout.words) >= 6
    assert_same_counts(made, stage_rules(scheme, window_days=180), by=["member", "region"], **long)


@pytest.mark.parametrize("history", HISTORIES)
def test_rules_that_name_few_quantities_and_odd_thresholds(history: str) -> None:
    made = tables_of(random_people(11, 60))
    for conditions in (
        ["n < 1"],
        ["u >= w", "n_period >= 1"],
        ["r_before > 2 * w - 0.5"],
        ["r = 30", "u <> 60"],
        ["n < 1 or r < 0", "30 > r"],
        ["not (r > w or u <= 90)", "u >= 365"],
    ):
        rules = own_rules(*conditions)
        assert signature_layout(rules, ends=MONTHS, moves=True) is not None
        assert_same_counts(made, rules, history=history)


def test_without_a_first_contact_or_a_month_to_move_in() -> None:
    made = tables_of(random_people(4, 40))
    undated = Tables(dict(made) | {"customers": made["customers"].drop("first_seen_at_day")})
    for history in HISTORIES:
        assert_same_counts(undated, rules_of("nadcr"), history=history)
    one_month = {"observation_start_day": (date(2021, 5, 1) - EPOCH).days, "as_of_day": (date(2021, 6, 3) - EPOCH).days}
    told = rules_of("nadc").parameters() | one_month | {"history": "complete", "period": "month"}
    assert transition_counts.execute(made, **told).empty
    assert stage_stock.execute(made, **told)["n"].sum() > 0


def test_signatures_counted_together_do_not_grow_with_the_customers() -> None:
    rules, calendar = stage_rules("nadc", window_days=180), months(**LEAP)
    layout = signature_layout(rules, ends=calendar, moves=True)
    assert layout is not None
    window: dict[str, Any] = {"observation_start_day": LEAP["observation_start_day"], "history": "complete"}
    rows = []
    for size in (2_000, 4_000):
        made = beside_month_ends(1, size=size)
        table = signatures_of(made, layout=layout, rules=rules, ends=calendar, **window).table
        rows.append(table.aggregate(rows=table.count(), customers=table.n_customers.sum()).to_pandas().iloc[0])
    few, many = rows
    assert many["customers"] > 1.9 * few["customers"]
    assert many["rows"] < 1.1 * few["rows"]


@pytest.mark.parametrize("scheme", FAMILY)
def test_counts_compile_for_spark(scheme: str) -> None:
    from ibis.backends.sql.compilers.pyspark import compiler

    options = rules_of(scheme).parameters() | LEAP | {"history": "from_observation_start", "period": "month"}
    for counts in (transition_counts, stage_stock):
        sql = compiler.to_sqlglot(counts(tables_of(random_people(1, 5)), **options)).sql("spark")
        assert "BIT_OR" in sql
        assert "OVER (" not in sql
