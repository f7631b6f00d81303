"""Journeys: which touch belongs to which conversion, what is left out at the edges, and that every engine agrees."""

from __future__ import annotations

import ibis
import ibis.backends.sql.compilers as compilers
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journey_oracle import edge_oracle, journeys, tables, touch_oracle

from lcm_research.attribution.journeys import (
    channel_customers,
    conversion_currency,
    edge_counts,
    touch_sums,
)
from lcm_research.attribution.reconciliation import journey_reconciliation, untouched_share
from lcm_research.attribution.removal import markov_credit
from lcm_research.data.reduction import Tables
from lcm_research.errors import ModelError

# days 10 to 90 are observed and the lookback is 10: journeys count that start from day 20 on and end by day 80
WINDOW = {"lookback_days": 10, "touch_types": ["click"], "observation_start_day": 10, "as_of_day": 90}
CHOICES = WINDOW | {"collapse_repeats": False}


def edges(touches: list, purchases: list, **changed: object) -> dict:
    counted = edge_counts.execute(tables(touches, purchases), **CHOICES | changed)
    keys = zip(counted["from_channel"], counted["to_channel"], strict=True)
    return dict(zip(keys, zip(counted["n"], counted["value_minor"], strict=True), strict=True))


def statuses(touches: list, purchases: list, **changed: object) -> dict:
    told = journey_reconciliation.execute(tables(touches, purchases), **CHOICES | changed)
    return told.groupby(["subject", "status"])["n"].sum().to_dict()


def test_a_journey_is_counted_step_by_step() -> None:
    touches = [("a", 30, "search"), ("a", 32, "email"), ("a", 33, "email")]
    assert edges(touches, [("a", 35, 900)]) == {
        ("(start)", "search"): (1, 0),
        ("search", "email"): (1, 0),
        ("email", "email"): (1, 0),
        ("email", "(conversion)"): (1, 900),
    }


def test_touches_after_a_conversion_start_another_journey() -> None:
    # email on day 36 follows the purchase of day 35 and finds none within 10 days
    touches = [("a", 30, "search"), ("a", 36, "email")]
    assert edges(touches, [("a", 35, 900)]) == {
        ("(start)", "search"): (1, 0),
        ("search", "(conversion)"): (1, 900),
        ("(start)", "email"): (1, 0),
        ("email", "(null)"): (1, 0),
    }


def test_a_touch_older_than_the_lookback_is_a_journey_that_did_not_convert() -> None:
    # day 50 less 10 is day 40: display of day 39 is too old, search of day 40 is not, though one day apart
    assert edges([("a", 39, "display"), ("a", 40, "search")], [("a", 50, 900)]) == {
        ("(start)", "display"): (1, 0),
        ("display", "(null)"): (1, 0),
        ("(start)", "search"): (1, 0),
        ("search", "(conversion)"): (1, 900),
    }


def test_the_lookback_counts_local_days_and_not_hours() -> None:
    # 10 days and 23 hours apart, on days that are 10 apart
    converted = edges([("a", 40.01, "search")], [("a", 50.97, 900)])
    assert ("search", "(conversion)") in converted


def test_without_a_conversion_a_silence_longer_than_the_lookback_starts_a_new_journey() -> None:
    together = edges([("a", 30, "search"), ("a", 40, "email")], [])
    apart = edges([("a", 30, "search"), ("a", 41, "email")], [])
    assert ("search", "email") in together
    assert apart[("search", "(null)")] == (1, 0)
    assert apart[("(start)", "email")] == (1, 0)


def test_a_touch_in_the_microsecond_of_a_conversion_comes_before_it() -> None:
    assert edges([("a", 30.5, "search")], [("a", 30.5, 900)])[("search", "(conversion)")] == (1, 900)


def test_touches_in_the_same_microsecond_follow_their_ids() -> None:
    # the ids are given in the order of the list
    counted = edges([("a", 30.5, "search"), ("a", 30.5, "email")], [("a", 31, 900)])
    assert ("search", "email") in counted
    assert ("email", "(conversion)") in counted


def test_purchases_in_the_same_microsecond_are_one_conversion() -> None:
    purchases = [("a", 31.25, 900), ("a", 31.25, 50), ("a", 31.26, 7)]
    assert edges([("a", 30, "search")], purchases)[("search", "(conversion)")] == (1, 950)
    # the third purchase is a conversion of its own, with no touch after the one before
    told = statuses([("a", 30, "search")], purchases)
    assert (told["conversion", "with_touch"], told["conversion", "without_touch"]) == (1, 1)


def test_a_return_is_no_conversion() -> None:
    counted = edges([("a", 30, "search")], [("a", 31, -900, "CNY", True)])
    assert counted[("search", "(null)")] == (1, 0)


def test_customers_do_not_share_journeys() -> None:
    counted = edges([("a", 30, "search"), ("b", 31, "email")], [("b", 32, 900)])
    assert ("search", "email") not in counted


@pytest.mark.parametrize("purchases", [[], [("a", 82, 900)]], ids=["not converted", "converted"])
def test_a_journey_that_ended_too_late_is_left_out_whether_it_converted_or_not(purchases: list) -> None:
    # as_of 90 less 10: what was touched last on day 81 may still convert until day 91
    assert edges([("a", 75, "search"), ("a", 81, "email")], purchases) == {}
    kept = edges([("a", 75, "search"), ("a", 80, "email")], purchases)
    assert sum(n for (_, end), (n, _) in kept.items() if end in {"(null)", "(conversion)"}) == 1
    told = statuses([("a", 75, "search"), ("a", 81, "email")], purchases)
    kind = "converted_journey" if purchases else "unconverted_journey"
    told.pop(("conversion", "with_touch"), None)
    assert told == {("customer", "no_journey"): 1, ("touch", "ends_too_late"): 2, (kind, "ends_too_late"): 1}


@pytest.mark.parametrize("purchases", [[], [("a", 28, 900)]], ids=["not converted", "converted"])
def test_a_journey_whose_beginning_may_be_unseen_is_left_out_whether_it_converted_or_not(purchases: list) -> None:
    # observation starts on day 10: before a touch on day 19 there may have been one on day 9
    assert edges([("a", 19, "search"), ("a", 25, "email")], purchases) == {}
    assert edges([("a", 20, "search"), ("a", 25, "email")], purchases) != {}


def test_a_conversion_without_touch_is_counted_and_credited_to_nobody() -> None:
    purchases = [("a", 30, 900), ("b", 15, 900), ("c", 60, 900)]
    touches = [("c", 49, "search")]
    # a: never touched; b: its lookback began before observation did; c: touched 11 days before
    told = statuses(touches, purchases)
    assert told["conversion", "without_touch"] == 2
    assert told["conversion", "starts_too_early"] == 1
    assert edges(touches, purchases) == {("(start)", "search"): (1, 0), ("search", "(null)"): (1, 0)}


def test_share_of_conversions_without_touch() -> None:
    # 30 customers buy on day 50; the first 12 were touched on day 45
    touches = [(f"c{i:02d}", 45, "search") for i in range(12)]
    purchases = [(f"c{i:02d}", 50, 900) for i in range(30)] + [("c00", 15, 900)]
    share = untouched_share(journey_reconciliation.execute(tables(touches, purchases), **CHOICES))
    assert share.value == pytest.approx(18 / 30)
    assert share.n == 30
    with pytest.raises(ModelError, match="came none with a whole lookback"):
        untouched_share(journey_reconciliation.execute(tables(touches, []), **CHOICES))


def test_repeats_of_a_channel_in_a_row_become_one_touch() -> None:
    touches = [("a", d, c) for d, c in [(30, "search"), (31, "search"), (32, "email"), (33, "search"), (34, "search")]]
    assert edges(touches, [("a", 35, 900)], collapse_repeats=True) == {
        ("(start)", "search"): (1, 0),
        ("search", "email"): (1, 0),
        ("email", "search"): (1, 0),
        ("search", "(conversion)"): (1, 900),
    }
    sums = touch_sums.execute(tables(touches, [("a", 35, 900)]), **CHOICES | {"collapse_repeats": True})
    rows = sums[["channel", "journey_length", "is_first", "is_last", "n"]].to_numpy().tolist()
    assert sorted(rows) == [
        ["email", 3, False, False, 1],
        ["search", 3, False, True, 1],
        ["search", 3, True, False, 1],
    ]
    told = statuses(touches, [("a", 35, 900)], collapse_repeats=True)
    assert told[("touch", "repeated")] == 2
    assert told[("touch", "used")] == 3


def test_touches_of_other_types_and_other_days_are_not_looked_at() -> None:
    touches = [("a", 30, "display", "impression"), ("a", 9, "search"), ("a", 91, "search"), ("a", 40, "email")]
    assert edges(touches, []) == {("(start)", "email"): (1, 0), ("email", "(null)"): (1, 0)}
    told = statuses(touches, [])
    assert told[("touch", "other_touch_type")] == 1
    assert told[("touch", "outside_observation")] == 2


def test_a_customer_stands_once_behind_each_channel_that_touched_them() -> None:
    touches = [("a", 30, "search"), ("a", 50, "search"), ("b", 30, "search"), ("b", 31, "email"), ("b", 89, "store")]
    counted = channel_customers.execute(tables(touches, []), **WINDOW)
    together = counted.groupby("channel")[["n_customers", "n_touches"]].sum()
    assert together.to_dict("index") == {
        "search": {"n_customers": 2, "n_touches": 3},
        "email": {"n_customers": 1, "n_touches": 1},
    }


def test_conversions_in_two_currencies_are_refused() -> None:
    purchases = [("a", 30, 900, "CNY"), ("a", 40, 900, "USD")]
    with pytest.raises(ModelError, match="one currency; these are in CNY, USD; leave out rows or convert"):
        edge_counts.execute(tables([("a", 29, "search")], purchases), **CHOICES)
    # a return, or a purchase that is not looked at, does no harm
    fine = [("a", 30, 900, "CNY"), ("a", 40, -900, "USD", True), ("a", 95, 900, "EUR")]
    assert conversion_currency(tables([], fine), observation_start_day=10, as_of_day=90) == "CNY"


@pytest.mark.parametrize("name", ["(start)", "(conversion)", "(null)"])
def test_a_channel_with_the_name_of_a_state_is_refused(name: str) -> None:
    counted = edge_counts.execute(tables([("a", 30, name), ("a", 31, "email")], [("a", 32, 900)]), **CHOICES)
    with pytest.raises(ModelError, match=rf"a channel is named '\{name[:-1]}\)'"):
        markov_credit(counted, of="conversions")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lookback_days": 0}, "lookback_days must be at least 1; came 0"),
        ({"lookback_days": 41}, "as_of lies 80 days after observation_start, less than twice the lookback of 41 days"),
        ({"touch_types": []}, "touch_types must name at least one"),
    ],
)
def test_choices_without_an_answer_are_refused(changed: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        edges([("a", 30, "search")], [], **changed)


event = st.tuples(
    st.sampled_from("abcd"),
    st.integers(0, 220).map(lambda half_days: half_days / 2),
    st.sampled_from(["search", "search", "email", "store"]),
    st.sampled_from(["click", "click", "click", "impression"]),
)
purchase = st.tuples(
    st.sampled_from("abcd"),
    st.integers(0, 220).map(lambda half_days: half_days / 2),
    st.integers(0, 5000),
    st.just("CNY"),
    st.sampled_from([False, False, False, True]),
)


@settings(max_examples=15, deadline=None)
@given(
    touches=st.lists(event, max_size=60),
    purchases=st.lists(purchase, max_size=12),
    collapse=st.booleans(),
    lookback=st.integers(1, 40),
)
def test_counts_are_those_of_journeys_made_one_touch_at_a_time(
    touches: list, purchases: list, collapse: bool, lookback: int
) -> None:
    study = tables(touches, purchases, replicates={"a": 3, "b": 97, "c": 3})
    frames = {name: study[name].to_pandas() for name in study}
    choices = CHOICES | {"collapse_repeats": collapse, "lookback_days": lookback}
    replicate = dict(frames["customers"][["customer_id", "replicate"]].to_numpy().tolist())
    made = journeys(frames["touchpoints"], frames["transactions"], choices)

    counted = edge_counts.execute(study, **choices)
    assert as_dict(counted) == edge_oracle(made, choices, replicate)
    sums = touch_sums.execute(study, **choices)
    assert as_dict(sums) == touch_oracle(made, choices, replicate)
    told = journey_reconciliation.execute(study, **choices)
    check_reconciliation(told, made, choices, frames)


def as_dict(counts: pd.DataFrame) -> dict:
    return {tuple(row[:-2]): tuple(row[-2:]) for row in counts.itertuples(index=False)}


def check_reconciliation(told: pd.DataFrame, made: list, choices: dict, frames: dict[str, pd.DataFrame]) -> None:
    n = told.groupby(["subject", "status"])["n"].sum().to_dict()
    by_subject = told.groupby("subject")["n"].sum().to_dict()
    assert by_subject.get("touch", 0) == len(frames["touchpoints"])
    assert by_subject.get("customer", 0) == len(frames["customers"])
    for subject, converts in (("converted_journey", True), ("unconverted_journey", False)):
        for status in ("used", "starts_too_early", "ends_too_late"):
            of_kind = [j for j in made if (j.value is not None) == converts and j.status(choices) == status]
            assert n.get((subject, status), 0) == len(of_kind)
    bought = frames["transactions"]
    bought = bought[~bought["is_return"] & bought["day"].between(10, 90)].drop_duplicates(["customer_id", "ts_us"])
    assert by_subject.get("conversion", 0) == len(bought)
    early = choices["observation_start_day"] + choices["lookback_days"]
    assert n.get(("conversion", "starts_too_early"), 0) == (bought["day"] < early).sum()
    reached = {(j.customer, j.key[1]) for j in made if j.value is not None}
    late = bought[bought["day"] >= early]
    touched = [pair in reached for pair in zip(late["customer_id"], late["ts_us"], strict=True)]
    assert n.get(("conversion", "with_touch"), 0) == sum(touched)


def expressions(study: Tables) -> list[ibis.Table]:
    choices = CHOICES | {"collapse_repeats": True}
    return [
        edge_counts(study, **choices),
        touch_sums(study, **choices),
        journey_reconciliation(study, **choices),
        channel_customers(study, **WINDOW),
    ]


SAMPLE = (
    [("a", 30, "search"), ("a", 32, "email"), ("b", 33, "email"), ("b", 33, "email"), ("b", 70, "store")],
    [("a", 35, 900), ("b", 34, 20), ("c", 50, 5)],
)


def test_every_reduction_compiles_for_spark() -> None:
    for expression in expressions(tables(*SAMPLE)):
        assert compilers.PySparkCompiler().to_sqlglot(expression.unbind()).sql("spark")
